"""PAC, warm start, L2-SP and TransTailor on DeepXDE models: where they start and what they cost."""

import gc
import weakref
from functools import cache
from math import pi
from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde import PAC, Model, data, l2_sp, transtailor, warm_start
from pacpde.interop.deepxde.tailoring import _other_points
from pacpde.networks.frozen import merged_state
from pacpde.problems import Heat, Lorenz

SIZES = {"num_domain": 100, "num_boundary": 20, "num_initial": 20}
X = np.random.default_rng(0).uniform(size=(200, 2))


def of(alpha: float) -> Any:
    return data(Heat(alpha=alpha), reference=False, **SIZES)


def error(model: Any, alpha: float) -> float:
    exact = np.exp(-alpha * pi**2 * X[:, 1]) * np.sin(pi * X[:, 0])
    return float(np.linalg.norm(model.predict(X)[:, 0] - exact) / np.linalg.norm(exact))


def train(model: Any, steps: int = 60) -> None:
    dde.optimizers.set_LBFGS_options(maxiter=steps)
    model.compile("L-BFGS", verbose=0)
    model.train(verbose=0)


@pytest.fixture
def float64(settings: None) -> None:
    dde.config.set_default_float("float64")


def short(model: Any) -> None:
    train(model, 25)


@cache
def trained_source() -> Any:
    """Trained once: no way to transfer moves it, which the first test is about."""
    model = dde.Model(of(0.4), dde.nn.FNN([2, 12, 12, 1], "tanh", "Glorot normal"))
    train(model, 250)
    return model


@pytest.fixture
def source(float64: None) -> Any:
    return trained_source()


def test_pac_and_warm_start_reach_the_target_and_leave_the_source(source: Any) -> None:
    before, there = merged_state(source.net), error(source, 0.4)
    assert there < 1e-2 < error(source, 0.3)
    warm = warm_start(source, of(0.3))
    assert error(warm, 0.3) == error(source, 0.3)
    train(warm)
    pac = PAC(source)
    pac.prune(0.5)
    allocated = pac.allocate()
    train(allocated, 120)
    target = pac.calibrate(of(0.3))
    assert error(target, 0.4) == error(allocated, 0.4)
    train(target)
    assert max(error(warm, 0.3), error(target, 0.3)) < 2e-2
    assert error(pac.recall(), 0.4) == error(allocated, 0.4) < 2e-2
    assert all(torch.equal(value, before[name]) for name, value in merged_state(source.net).items())


def test_l2_sp_adds_its_penalty_and_holds_back(source: Any) -> None:
    start = merged_state(source.net)

    def moved(model: Any) -> float:
        return sum(float(((w - start[n]) ** 2).sum()) for n, w in merged_state(model.net).items())

    weak, strong = l2_sp(source, of(0.3), alpha=1e-6), l2_sp(source, of(0.3), alpha=10.0)
    for model in (weak, strong):
        train(model)
        *own, penalty = model.train_state.loss_train
        assert len(own) == 3
    assert penalty == pytest.approx(10 / 2 * moved(strong), rel=1e-6)
    assert moved(strong) < 0.1 * moved(weak)
    strong.compile("adam", lr=1e-3, loss_weights=[1, 2, 3], verbose=0)
    strong.train(iterations=1, verbose=0)


@pytest.mark.slow
def test_transtailor_gives_a_smaller_network_that_solves(source: Any) -> None:
    model, told = transtailor(source, of(0.3), short, flops=0.2, tau=20.0, rounds=2)
    sizes = [p.numel() for p in model.net.parameters()]
    assert sum(sizes) == told.parameters < 0.8 * sum(p.numel() for p in source.net.parameters())
    assert told.flops <= 0.8 * told.rounds[0][0]
    assert error(model, 0.3) < 5e-2
    again, _ = transtailor(model, of(0.25), short, flops=0.2, tau=20.0, rounds=1)
    assert error(again, 0.25) < 5e-2


def test_transtailor_of_a_system_whose_equations_are_several(float64: None) -> None:
    """Each point has a residual of every equation."""
    source, target = (
        data(Lorenz.from_coefficients({"rho": rho}, 0.2), reference=False, num_domain=40)
        for rho in (15, 16)
    )
    model = dde.Model(source, dde.nn.FNN([1, 12, 12, 3], "tanh", "Glorot normal"))
    short(model)
    tailored, told = transtailor(model, target, short, flops=0.2, tau=1e9, rounds=1)
    assert tailored.predict(np.zeros((5, 1))).shape == (5, 3)
    assert told.flops <= 0.8 * told.rounds[0][0]


def test_bad_settings_are_refused_before_anything_is_trained(source: Any) -> None:
    for bad, said in (
        ({"flops": 2}, "flops is 2"), ({"rounds": 0}, "rounds is 0"), ({"tau": -1}, "tau"),
        ({"factor_steps": 0}, "factor_steps is 0"), ({"loss_weights": [1]}, "1 numbers for 3"),
    ):  # fmt: skip
        with pytest.raises(InvalidValueError, match=said):
            transtailor(source, of(0.3), lambda model: None, **bad)
    with pytest.raises(InvalidValueError, match="train is None"):
        transtailor(source, of(0.3), None)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="the data are None"):
        warm_start(source, None)
    with pytest.raises(InvalidValueError, match="is 'a', expected a finite"):
        l2_sp(source, of(0.3), alpha="a")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="expected a dict"):
        PAC(source).prune(mask=[True])  # type: ignore[arg-type]


def test_a_mask_may_be_of_arrays(source: Any) -> None:
    masks = {
        name: np.arange(value.numel()).reshape(tuple(value.shape)) % 2 == 0
        for name, value in merged_state(source.net).items()
    }
    pac = PAC(source)
    pac.prune(mask=masks)
    for name, value in merged_state(pac.allocate().net).items():
        assert bool((value[torch.as_tensor(~masks[name])] == 0).all())


@pytest.mark.slow
def test_twenty_coefficients_in_one_process_and_none_of_them_stays(source: Any) -> None:
    """Sizes of what is alive stop growing once the first rounds are through."""
    seen: list[weakref.ref[Any]] = []
    counts = []
    model = source
    for number in range(20):
        model = warm_start(model, of(0.4 - 0.01 * number))
        model.compile("adam", lr=1e-3, verbose=0)
        model.train(iterations=2, verbose=0)
        pac = PAC(model)
        pac.prune(0.5)
        for step in (pac.allocate(), pac.calibrate(of(0.3))):
            step.compile("adam", lr=1e-3, verbose=0)
            step.train(iterations=2, verbose=0)
            seen.append(weakref.ref(step))
        model = pac.recall()
        del pac, step
        gc.collect()
        counts.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
    assert not any(reference() for reference in seen)
    assert counts[-1] <= counts[2]


def test_what_cannot_go_on_says_why(source: Any) -> None:
    raw = dde.Model(source.data, dde.nn.FNN([2, 4, 1], "tanh", "Glorot normal"))
    for way in (PAC, lambda m: warm_start(m, of(0.3)), lambda m: l2_sp(m, of(0.3))):
        with pytest.raises(InvalidValueError, match="not compiled"):
            way(raw)
        with pytest.raises(InvalidValueError, match=r"expected a deepxde\.Model"):
            way(source.net)
    pac = PAC(source)
    with pytest.raises(InvalidValueError, match=r"call pac\.prune"):
        pac.allocate()
    for wrong in (0.0, 1.0, 1e-9, 1 - 1e-9):
        with pytest.raises(InvalidValueError, match="sparsity is"):
            pac.prune(wrong)
    pac.prune(0.5)
    with pytest.raises(InvalidValueError, match=r"call pac\.allocate"):
        pac.calibrate(of(0.3))
    allocated = pac.allocate()
    for what in (
        lambda: allocated.train(iterations=1),
        lambda: allocated.save("nowhere"),
        lambda: allocated.restore("nowhere"),
    ):
        with pytest.raises(InvalidValueError, match="not compiled yet"):
            what()
    stranger = torch.optim.Adam(source.net.parameters())
    with pytest.raises(InvalidValueError, match="no parameters of this model"):
        allocated.compile(stranger)
    with pytest.raises(InvalidValueError, match="strength"):
        pac.calibrate(of(0.3), strength=-1.0)
    with pytest.raises(InvalidValueError, match="the mask has no"):
        pac.prune(mask={})
    with pytest.raises(InvalidValueError, match="mask and sparsity, biases are given"):
        pac.prune(0.5, biases="keep", mask={})
    pfnn = dde.Model(source.data, dde.nn.PFNN([2, [4], 1], "tanh", "Glorot normal"))
    pfnn.compile("adam", lr=1e-3, verbose=0)
    with pytest.raises(InvalidValueError, match="is a PFNN"):
        transtailor(pfnn, of(0.3), train)


def test_a_checkpoint_of_another_stage_is_refused(source: Any, tmp_path: Any) -> None:
    source_file = source.save(str(tmp_path / "source"), verbose=0)
    pac = PAC(source)
    pac.prune(0.5)
    allocated = pac.allocate()
    allocated.compile("adam", lr=1e-3, verbose=0)
    allocated.train(iterations=2, verbose=0)
    allocated_file = allocated.save(str(tmp_path / "allocated"), verbose=0)
    target = pac.calibrate(of(0.3))
    target.compile("adam", lr=1e-3, verbose=0)
    for file in (source_file, allocated_file):
        with pytest.raises(InvalidValueError, match="checkpoint"):
            target.restore(file, verbose=0)
    assert isinstance(target, Model)
    assert error(target, 0.4) == error(allocated, 0.4)


def line(function: Any) -> Any:
    points = np.linspace(0, 1, 24)[:, None]
    return dde.data.DataSet(
        points[::2], function(points[::2]), points[1::2], function(points[1::2])
    )


def drawn(function: Any) -> Any:
    return dde.data.Function(dde.geometry.Interval(0, 1), function, 12, 10)


@pytest.mark.parametrize("kind", [line, drawn])
def test_transtailor_fits_tables_and_functions(kind: Any, float64: None) -> None:
    """Its losses are those of the values, and its rounds end on others."""
    model = dde.Model(kind(np.sin), dde.nn.FNN([1, 8, 8, 1], "tanh", "Glorot normal"))
    short(model)
    target = kind(lambda x: np.sin(x) + 0.1 * x)
    before = target.train_next_batch()[0].copy()
    tailored, told = transtailor(model, target, short, flops=0.2, tau=1e9, rounds=1)
    assert told.flops <= 0.8 * told.rounds[0][0]
    points = np.linspace(0.02, 0.97, 20)[:, None]
    found = tailored.predict(points)
    assert np.abs(found - np.sin(points) - 0.1 * points).max() < 3e-2
    assert np.array_equal(target.train_next_batch()[0], before)
    _, first = told.rounds[0]
    assert 0 < first < 1e-3


def test_transtailor_keeps_the_variables_of_the_network_it_returns(float64: None) -> None:
    factor = dde.Variable(1.0)

    def of_factor(value: float) -> Any:
        points = np.linspace(0, 1, 12)[:, None]
        known = dde.icbc.PointSetBC(points, np.exp(-value * points))
        geometry = dde.geometry.TimeDomain(0, 1)

        def equation(t: Any, u: Any) -> Any:
            return dde.grad.jacobian(u, t) + factor * u

        return dde.data.PDE(geometry, equation, [known], num_domain=10, num_boundary=2)

    def fit(model: Any) -> None:
        rate = 1e-2 if len(after) < 2 else 0.5  # the round's training makes it worse
        model.compile("adam", lr=rate, verbose=0, external_trainable_variables=factor)
        model.train(iterations=5, verbose=0)
        after.append(factor.item())

    after: list[float] = []
    model = dde.Model(of_factor(1.0), dde.nn.FNN([1, 6, 6, 1], "tanh", "Glorot normal"))
    fit(model)
    tailored, told = transtailor(model, of_factor(1.5), fit, flops=0.2, tau=0.0, rounds=1)
    assert len(told.rounds) == 2 and told.rounds[1][1] > told.rounds[0][1]  # was given up
    _, first, given_up = after
    assert [value.item() for value in tailored.variables] == [first] != [given_up]


def test_held_out_points_leave_the_data_alone(source: Any) -> None:
    """A condition in batches draws from a state of its own."""
    batched = dde.icbc.PointSetBC(X, np.zeros((200, 1)), batch_size=5, shuffle=False)
    target = of(0.3)
    target.bcs = [*target.bcs, batched]
    target.resample_train_points()
    drawn = batched.batch_indices.copy()
    other = _other_points(target)
    assert np.array_equal(batched.batch_indices, drawn)
    assert not np.array_equal(other.bcs[-1].batch_indices, drawn)
    assert not np.array_equal(other.train_x, target.train_x)
