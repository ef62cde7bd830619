"""What a stage keeps beside its weights, and what it refuses rather than lose."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch
from torch import nn

from pacpde.errors import InvalidValueError, TransferWarning
from pacpde.interop.deepxde import PAC, data, l2_sp, to_surrogate, transtailor, warm_start
from pacpde.problems import Heat, Lorenz

X = np.random.default_rng(0).uniform(size=(30, 2)).astype(np.float32)
SIZES = {"num_domain": 20, "num_boundary": 8, "num_initial": 8}


def of(alpha: float) -> Any:
    return data(Heat(alpha=alpha), reference=False, **SIZES)


def train(model: Any, steps: int = 3, **settings: Any) -> Any:
    model.compile("adam", lr=1e-2, verbose=0, **settings)
    model.train(iterations=steps, verbose=0)
    return model


def fnn() -> Any:
    return dde.nn.FNN([2, 6, 6, 1], "tanh", "Glorot normal")


class Moving(dde.nn.NN):
    """Its features are divided by a mean that moves in training, or whenever it is asked."""

    def __init__(self, always: bool = False) -> None:
        super().__init__()
        self.first, self.last, self.always = nn.Linear(2, 8), nn.Linear(8, 1), always
        self.size: torch.Tensor
        self.register_buffer("size", torch.ones(8))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.first(inputs))
        if self.training or self.always:
            self.size = 0.9 * self.size + 0.1 * x.detach().abs().mean(0)
        return self.last(x / self.size)


def staged(source: Any, target: Any, **settings: Any) -> tuple[PAC, Any, Any]:
    pac = PAC(source)
    pac.prune(0.5)
    allocated = train(pac.allocate(), **settings)
    calibrated = pac.calibrate(target)
    train(calibrated, 5, **settings)
    return pac, allocated, calibrated


def test_a_buffer_that_moves_in_training_is_kept_with_each_stage() -> None:
    source = train(dde.Model(of(0.4), Moving()))
    own = source.predict(X)
    pac = PAC(source)
    pac.prune(0.5)
    allocated = train(pac.allocate())
    seen, size = allocated.predict(X), allocated.net.size.clone()
    target = pac.calibrate(of(0.3))
    assert np.array_equal(target.predict(X), seen)
    train(target, 5)
    assert not torch.equal(target.net.size, size)
    assert np.array_equal(pac.recall().predict(X), seen)
    assert np.array_equal(source.predict(X), own)
    again = warm_start(target, of(0.2))  # from a stage, with its buffer
    assert np.array_equal(again.predict(X), target.predict(X))


def test_a_network_that_answers_differently_each_time_is_refused() -> None:
    class Random(dde.nn.FNN):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs + 1e-3 * torch.randn_like(inputs))

    nets = [Moving(always=True), Random([2, 5, 1], "tanh", "Glorot normal")]
    for net in nets:
        source = train(dde.Model(of(0.4), net))
        state = torch.random.get_rng_state()
        with pytest.raises(InvalidValueError, match="answers differently when it is asked twice"):
            PAC(source)
        assert torch.equal(torch.random.get_rng_state(), state)


def identified(factor: Any, alpha: float) -> Any:
    """Heat with an unknown factor of the diffusion, and the solution at some points."""

    def equation(x: Any, u: Any) -> Any:
        rate = factor * alpha * dde.grad.hessian(u, x, i=0, j=0)
        return dde.grad.jacobian(u, x, i=0, j=1) - rate

    box = dde.geometry.GeometryXTime(dde.geometry.Interval(0, 1), dde.geometry.TimeDomain(0, 1))
    values = np.exp(-alpha * np.pi**2 * X[:, 1:]) * np.sin(np.pi * X[:, :1])
    known = dde.icbc.PointSetBC(X, values)
    return dde.data.TimePDE(box, equation, [known], num_domain=20)


@pytest.mark.parametrize("kind", ["named", "own optimiser", "own optimiser alone"])
def test_external_variables_are_kept_with_each_stage(kind: str) -> None:
    factor = dde.Variable(1.5)

    def fit(model: Any) -> float:
        if kind == "named":
            train(model, external_trainable_variables=factor)
        else:
            moved = [*model.net.parameters(), factor]
            named = {"external_trainable_variables": [factor]} if kind == "own optimiser" else {}
            model.compile(torch.optim.Adam(moved, lr=1e-2), verbose=0, **named)
            model.train(iterations=3, verbose=0)
        return float(factor.detach())

    source = dde.Model(identified(factor, 0.4), fnn())
    source.compile("adam", lr=1e-2, external_trainable_variables=factor, verbose=0)
    source.train(iterations=3, verbose=0)
    pac = PAC(source)
    pac.prune(0.5)
    allocated = pac.allocate()
    first = fit(allocated)
    operator = allocated.data.pde
    seen = allocated.predict(X, operator=operator)
    target = pac.calibrate(identified(factor, 0.2))
    second = fit(target)
    assert first != second
    recalled = pac.recall()
    assert [float(value) for value in recalled.variables] == [first] == [factor.item()]
    assert [float(value) for value in target.variables] == [second]
    with torch.no_grad():
        factor.fill_(7.0)  # by another training
    assert np.array_equal(recalled.predict(X, operator=operator), seen)
    assert factor.item() == 7.0
    other = pac.calibrate(identified(factor, 0.1))  # each target begins with the source's
    assert factor.item() == first and [float(value) for value in other.variables] == [first]


def test_a_variable_in_a_transform_keeps_its_value_and_cannot_be_trained_by_a_stage() -> None:
    size = dde.Variable(0.8)
    net = fnn()
    net.apply_output_transform(lambda x, u: size * u)
    source = train(dde.Model(of(0.4), net), external_trainable_variables=size)
    own = source.predict(X)
    pac, allocated, target = staged(source, of(0.3))
    seen = allocated.predict(X)
    with torch.no_grad():
        size.mul_(2)
    assert np.array_equal(pac.recall().predict(X), seen)
    assert np.array_equal(allocated.predict(X), seen)
    again = warm_start(allocated, of(0.3))  # from the stage, with the value that it has there
    assert np.array_equal(again.predict(X), seen)
    with torch.no_grad():
        size.div_(2)
    assert np.array_equal(source.predict(X), own)
    for model in (target, warm_start(source, of(0.3))):
        with pytest.raises(InvalidValueError, match="stands in the network or in a transform"):
            model.compile("adam", lr=1e-3, external_trainable_variables=[size], verbose=0)
        with pytest.raises(InvalidValueError, match="stands in the network or in a transform"):
            model.compile(torch.optim.Adam([*model.net.parameters(), size]), verbose=0)
    with pytest.raises(InvalidValueError, match="a tensor that can be trained"):
        to_surrogate(source, Heat())


def test_a_transform_with_the_networks_own_parameters_is_refused() -> None:
    class Features(dde.nn.FNN):
        def __init__(self) -> None:
            super().__init__([6, 6, 1], "tanh", "Glorot normal")
            self.angles = nn.Parameter(torch.randn(2, 3))

    net = Features()
    net.apply_feature_transform(
        lambda x: torch.cat([torch.sin(x @ net.angles), torch.cos(x @ net.angles)], 1)
    )
    source = train(dde.Model(of(0.4), net))
    for way in (PAC, lambda model: warm_start(model, of(0.3))):
        with pytest.raises(InvalidValueError, match="uses the network's own angles"):
            way(source)


def test_a_transform_with_constants_of_the_source_is_kept_by_value() -> None:
    """A view of the source's weights, which its next training moves."""
    net = fnn()
    weight = net.linears[0].weight.detach()
    net.apply_output_transform(lambda x, u: u + weight.sum() * x[:, :1])
    source = train(dde.Model(of(0.4), net))
    pac, allocated, _ = staged(source, of(0.3))
    seen = allocated.predict(X)
    train(source)
    assert np.array_equal(pac.recall().predict(X), seen)
    moved = source.predict(X)
    pac.recall().predict(X)
    assert np.array_equal(source.predict(X), moved)


AMPLITUDE = 1.0


def by_global() -> tuple[Any, Any]:
    def set_to(value: float) -> None:
        global AMPLITUDE
        AMPLITUDE = value

    return (lambda x, u: AMPLITUDE * u), set_to


def by_closure() -> tuple[Any, Any]:
    size = 1.0

    def set_to(value: float) -> None:
        nonlocal size
        size = value

    return (lambda x, u: size * x[:, :1] * u), set_to


def by_array() -> tuple[Any, Any]:
    size = np.ones(1)
    return (lambda x, u: u + float(size[0]) * x[:, :1]), size.fill


def by_default() -> tuple[Any, Any]:
    settings = {"size": 1.0}

    def transform(x: Any, u: Any, given: dict[str, float] = settings) -> Any:
        return u / given["size"]

    return transform, lambda value: settings.update(size=value)


@pytest.mark.parametrize("kind", [by_global, by_closure, by_array, by_default])
def test_a_number_that_a_transform_reads_and_that_changes_is_refused(kind: Any) -> None:
    """It would change the recalled source, too; set back, nothing is lost."""
    transform, set_to = kind()
    net = fnn()
    net.apply_output_transform(transform)
    pac, allocated, target = staged(train(dde.Model(of(0.4), net)), of(0.3))
    seen, recalled = allocated.predict(X), pac.recall()
    set_to(2.0)
    for use in (
        pac.recall, lambda: pac.calibrate(of(0.2)), lambda: recalled.predict(X),
        lambda: target.train(iterations=1), lambda: allocated.predict(X),
    ):  # fmt: skip
        with pytest.raises(InvalidValueError, match="all that is made from the source reads the"):
            use()
    set_to(1.0)
    assert np.array_equal(pac.recall().predict(X), seen)
    assert np.array_equal(recalled.predict(X), seen)


def test_an_input_transform_whose_number_is_gone_is_refused() -> None:
    numbers = {"wave": 2.0}
    net = fnn()
    net.apply_feature_transform(lambda x: torch.sin(numbers["wave"] * x))
    pac = PAC(train(dde.Model(of(0.4), net)))
    pac.prune(0.5)
    del numbers["wave"]
    with pytest.raises(InvalidValueError, match="ends in KeyError"):
        pac.allocate()


def test_a_target_may_have_a_transform_of_its_own() -> None:
    net = fnn()
    net.apply_output_transform(lambda x, u, size=1.0: size * u)
    source = train(dde.Model(of(0.4), net))
    pac = PAC(source)
    pac.prune(0.5)
    allocated = train(pac.allocate())
    seen = allocated.predict(X)
    target = pac.calibrate(of(0.3))
    target.net.apply_output_transform(lambda x, u, size=2.0: size * u)
    np.testing.assert_allclose(target.predict(X), 2 * seen, rtol=1e-6)  # float32
    train(target)
    assert np.array_equal(pac.recall().predict(X), seen)


def test_what_would_be_lost_is_refused_or_told() -> None:
    source = train(dde.Model(of(0.4), fnn()))
    pac = PAC(source)
    pac.prune(0.5)
    pac.allocate()
    allocated = pac.allocate()  # nothing was lost
    with pytest.warns(TransferWarning, match="allocated source is not trained"):
        pac.calibrate(of(0.3))
    train(allocated)
    with pytest.raises(InvalidValueError, match="allocated already"):
        pac.allocate()
    pac.calibrate(of(0.3))
    with pytest.raises(InvalidValueError, match="allocated already"):
        pac.allocate()
    pac.prune(0.6)
    assert pac.allocate() is not allocated
    raw = dde.Model(of(0.4), fnn())
    raw.compile("adam", lr=1e-3, verbose=0)
    for way in (PAC, lambda model: warm_start(model, of(0.3))):
        with pytest.warns(TransferWarning, match="taken no step of training"):
            way(raw)


def test_masks_that_can_neither_solve_nor_learn_are_refused_or_told() -> None:
    source = train(dde.Model(of(0.4), fnn()))
    everything = {name: torch.ones_like(own, dtype=torch.bool)
                  for name, own in source.net.named_parameters()}  # fmt: skip
    pac = PAC(source)
    cut = everything | {"linears.1.weight": torch.zeros(6, 6, dtype=torch.bool)}
    with pytest.raises(InvalidValueError, match="cuts every path from the inputs to the output 0"):
        pac.prune(mask=cut)
    assert not pac.mask
    rows, columns = torch.arange(6)[:, None] < 3, torch.arange(6)[None] < 3
    neurons = {
        "linears.0.weight": rows.expand(6, 2), "linears.0.bias": rows[:, 0],
        "linears.1.weight": rows & columns, "linears.1.bias": rows[:, 0],
        "linears.2.weight": columns, "linears.2.bias": torch.tensor([True]),
    }  # fmt: skip
    with pytest.raises(InvalidValueError, match="none of the 42 freed weights could learn"):
        pac.prune(mask=neurons)
    last = dict(neurons) | {"linears.1.weight": rows.expand(6, 6) & columns}
    last["linears.2.bias"] = torch.tensor([False])
    with pytest.warns(TransferWarning, match="42 of the 43 freed weights cannot move"):
        pac.prune(mask=last)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pac.prune(0.3)


def test_data_that_do_not_fit_the_network_are_refused_when_they_are_given() -> None:
    source = train(dde.Model(of(0.4), fnn()))
    pac = PAC(source)
    pac.prune(0.5)
    train(pac.allocate())
    ways = (
        pac.calibrate,
        lambda given: warm_start(source, given),
        lambda given: l2_sp(source, given),
        lambda given: transtailor(source, given, train),
    )
    line = np.linspace(0, 1, 8)[:, None]
    plane = np.concatenate([line, line], 1)
    for way in ways:
        with pytest.raises(InvalidValueError, match=r"does not fit the data.*1 columns"):
            way(data(Lorenz(), reference=False, num_domain=10))
        two = np.ones((8, 2))
        with pytest.raises(InvalidValueError, match=r"\(8, 2\) and the network's outputs \(8, 1\)"):
            way(dde.data.DataSet(plane, two, plane, two))
    dde.config.set_default_float("float64")
    with pytest.raises(InvalidValueError, match="in its precision"):
        warm_start(source, of(0.3))


def test_a_held_network_is_saved_whole(tmp_path: Path) -> None:
    """And read by a process that knows nothing of it."""
    source = train(dde.Model(of(0.4), fnn()))
    _, allocated, target = staged(source, of(0.3))
    for number, model in enumerate((allocated, target)):
        place = tmp_path / f"{number}.pt"
        torch.save(model.net, place)
        net = torch.load(place, weights_only=False)
        assert torch.equal(net(torch.as_tensor(X)), model.net(torch.as_tensor(X)))
        shapes = [own.shape for own in model.net.parameters()]
        assert [own.shape for own in net.parameters()] == shapes
        net.load_state_dict(model.net.state_dict())
    code = (
        "import torch, numpy as np\n"
        f"net = torch.load({str(place)!r}, weights_only=False)\n"
        "print(sum(own.numel() for own in net.parameters()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    count = sum(own.numel() for own in target.net.parameters())
    assert done.stdout.split()[-1:] == [str(count)], done.stderr


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_it_is_the_same_where_gradients_are_off(off: Any) -> None:
    def run() -> list[np.ndarray]:
        dde.config.set_random_seed(1)
        torch.manual_seed(1)
        pac, allocated, target = staged(source, of(0.3))
        warm = train(warm_start(source, of(0.3)))
        held_back = train(l2_sp(source, of(0.3), alpha=0.1))
        tailored, _ = transtailor(source, of(0.3), train, flops=0.2, tau=1e9, rounds=1)
        models = (allocated, target, pac.recall(), warm, held_back, tailored)
        return [
            *(model.predict(X) for model in models),
            target.predict(X, operator=target.data.pde)[0],
        ]

    source = train(dde.Model(of(0.4), fnn()))
    expected = run()
    with off():
        found = run()
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_normalisation_by_batches_is_recalled_with_its_statistics() -> None:
    class Normed(dde.nn.NN):
        def __init__(self) -> None:
            super().__init__()
            self.chain = nn.Sequential(
                nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1)
            )

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.chain(inputs)

    source = train(dde.Model(of(0.4), Normed()))
    own = source.predict(X)
    for way in (warm_start, l2_sp):
        model = way(source, of(0.3))
        assert np.array_equal(model.predict(X), own)
        train(model)
        assert not np.array_equal(model.predict(X), own)
    assert np.array_equal(source.predict(X), own)
    pac, allocated, target = staged(source, of(0.3))
    recalled = pac.recall()
    assert np.array_equal(recalled.predict(X), allocated.predict(X))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        first, back, moved = (
            getattr(model.net.chain[1], name) for model in (allocated, recalled, target)
        )
        assert torch.equal(first, back) and not torch.equal(first, moved)


def test_a_mask_is_the_stages_own() -> None:
    source = train(dde.Model(of(0.4), fnn()))
    given = {name: torch.rand_like(own) < 0.5 for name, own in source.net.named_parameters()}
    kept = {name: own.clone() for name, own in given.items()}
    pac = PAC(source)
    pac.prune(mask=given)
    allocated = train(pac.allocate())
    seen = allocated.predict(X)
    for own in (*given.values(), *pac.mask.values()):
        own.fill_(True)
    assert all(torch.equal(own, kept[name]) for name, own in pac.mask.items())
    train(pac.calibrate(of(0.3)))
    assert np.array_equal(pac.recall().predict(X), seen)


def test_a_source_that_diverged_is_refused() -> None:
    source = train(dde.Model(of(0.4), fnn()))
    with torch.no_grad():
        source.net.linears[1].weight[2, 3] = torch.nan
    for way in (PAC, lambda model: warm_start(model, of(0.3))):
        with pytest.raises(InvalidValueError, match="no finite numbers"):
            way(source)


def test_rounds_that_have_nothing_held_out_say_so() -> None:
    points = np.linspace(0, 1, 12)[:, None]
    table = dde.data.DataSet(points, np.sin(points), points, np.sin(points))
    source = train(dde.Model(table, dde.nn.FNN([1, 6, 6, 1], "tanh", "Glorot normal")))
    with pytest.warns(TransferWarning, match="no points beside those that are trained on"):
        transtailor(source, table, train, rounds=1, factor_steps=1)
    for bad, said in (({"flops": "0.1"}, "flops is '0.1'"), ({"tau": None}, "tau .* is None")):
        with pytest.raises(InvalidValueError, match=said):
            transtailor(source, table, train, **bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="the data are None"):
        transtailor(source, None, train)
