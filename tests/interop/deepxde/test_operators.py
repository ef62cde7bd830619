"""Tables, functions and operators of DeepXDE; their stages in one file; weights of losses."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch

from pacpde.errors import DataFileError, InvalidValueError
from pacpde.interop.deepxde import PAC, data, freeze, l2_sp, transtailor, unfreeze, warm_start
from pacpde.networks.frozen import merged_state
from pacpde.problems import Heat

RANDOM = np.random.default_rng(0)
SENSORS = np.linspace(0, 1, 10)[:, None]
BRANCH = RANDOM.normal(size=(24, 10)).astype(np.float32)
TRUNK = RANDOM.uniform(size=(24, 1)).astype(np.float32)


def train(model: Any, steps: int = 4, **settings: Any) -> Any:
    model.compile("adam", lr=1e-2, verbose=0, **settings)
    model.train(iterations=steps, verbose=0)
    return model


def table(factor: float) -> Any:
    x = np.linspace(0, 1, 16)[:, None].astype(np.float32)
    return dde.data.DataSet(x, np.sin(factor * x), x[::2], np.sin(factor * x[::2]))


def function(factor: float) -> Any:
    return dde.data.Function(
        dde.geometry.Interval(0, 1), lambda x: np.sin(factor * x), num_train=16, num_test=10
    )


def triple(factor: float) -> Any:
    """Values of the integral of each function, up to a point of its own."""
    y = factor * BRANCH.mean(1, keepdims=True) * TRUNK
    return dde.data.Triple((BRANCH, TRUNK), y, (BRANCH[:9], TRUNK[:9]), y[:9])


def product(factor: float) -> Any:
    """Every function at every point."""
    y = factor * BRANCH.mean(1, keepdims=True) * TRUNK.T
    return dde.data.TripleCartesianProd((BRANCH, TRUNK), y, (BRANCH[:9], TRUNK), y[:9])


def operator(factor: float) -> Any:
    """∂u/∂x = factor · v, by its equation alone."""
    line = dde.geometry.TimeDomain(0, 1)
    start = dde.icbc.IC(line, lambda _: 0, lambda _, on_initial: on_initial)
    equation = dde.data.PDE(
        line, lambda x, u, v: dde.grad.jacobian(u, x) - factor * v, start, num_domain=8,
        num_boundary=2, num_test=8,
    )  # fmt: skip
    return dde.data.PDEOperator(equation, dde.data.GRF(length_scale=0.5), SENSORS, 12, num_test=6)


def fnn() -> Any:
    return dde.nn.FNN([1, 8, 8, 1], "tanh", "Glorot normal")


def deeponet() -> Any:
    return dde.nn.DeepONet([10, 8, 8], [1, 8, 8], "tanh", "Glorot normal")


def cartesian() -> Any:
    return dde.nn.DeepONetCartesianProd([10, 8, 8], [1, 8, 8], "tanh", "Glorot normal")


CASES: dict[str, tuple[Callable[[float], Any], Callable[[], Any]]] = {
    "DataSet": (table, fnn),
    "Function": (function, fnn),
    "Triple": (triple, deeponet),
    "TripleCartesianProd": (product, cartesian),
    "PDEOperator": (operator, deeponet),
}


def trained(case: str) -> tuple[Any, Callable[[float], Any]]:
    of, net = CASES[case]
    return train(dde.Model(of(3.0), net())), of


def inputs_of(model: Any) -> Any:
    return model.data.test()[0]


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*cannot move by any gradient.*")
        yield


@pytest.mark.parametrize("case", CASES)
def test_stages_of_every_kind_of_data_are_recalled(case: str, tmp_path: Path) -> None:
    source, of = trained(case)
    before, x = merged_state(source.net), inputs_of(source)
    pac = PAC(source)
    pac.prune(0.5, scope="tensor")
    allocated = train(pac.allocate())
    seen = allocated.predict(x)
    target = pac.calibrate(of(2.0), strength=1e-3)
    train(target, 6)
    kept, now = merged_state(allocated.net), merged_state(target.net)
    assert all(torch.equal(now[name][mask], kept[name][mask]) for name, mask in pac.mask.items())
    assert not np.array_equal(target.predict(x), seen)
    assert np.array_equal(pac.recall().predict(x), seen)
    pac.save(tmp_path / "stages")
    fresh = dde.Model(of(3.0), CASES[case][1]())  # neither compiled nor trained
    again = PAC.load(tmp_path / "stages", fresh, of(2.0))
    assert np.array_equal(again.recall().predict(x), seen)
    assert again.allocated is not None and again.calibrated is not None
    assert np.array_equal(again.allocated.predict(x), seen)
    assert np.array_equal(again.calibrated.predict(x), target.predict(x))
    train(again.calibrated)
    assert np.array_equal(again.recall().predict(x), seen)
    for way in (warm_start, l2_sp):
        other = way(source, of(2.0))
        assert np.array_equal(other.predict(x), source.predict(x))
        train(other)
        assert not np.array_equal(other.predict(x), source.predict(x))
    assert all(torch.equal(own, before[name]) for name, own in merged_state(source.net).items())


def inverse(factor: Any, wanted: float) -> Any:
    """u' = factor · u with the solution for a factor that is wanted."""
    x = np.linspace(0, 1, 12)[:, None]
    known = dde.icbc.PointSetBC(x, np.exp(wanted * x))
    return dde.data.PDE(
        dde.geometry.Interval(0, 1), lambda x, u: dde.grad.jacobian(u, x) - factor * u, known,
        num_domain=16, num_test=8,
    )  # fmt: skip


def test_external_variables_are_stored_with_their_stage(tmp_path: Path) -> None:
    factor = dde.Variable(0.5)
    settings = {"external_trainable_variables": [factor]}
    source = train(dde.Model(inverse(factor, 1.0), fnn()), **settings)
    pac = PAC(source)
    pac.prune(0.5, scope="tensor")
    allocated = train(pac.allocate(), **settings)
    first = factor.item()
    target = train(pac.calibrate(inverse(factor, 2.0)), **settings)
    second = factor.item()
    assert first != second
    pac.save(tmp_path / "stages")
    # as another process has it
    other = dde.Variable(9.0)
    model = dde.Model(inverse(other, 1.0), fnn())
    with pytest.raises(DataFileError, match=r"1 external variables, and 0 are given"):
        PAC.load(tmp_path / "stages", model)
    wide = torch.nn.Parameter(torch.zeros(2))
    with pytest.raises(
        DataFileError, match=r"of the shape \(\) for the tensor 0 beside the network"
    ):
        PAC.load(tmp_path / "stages", model, variables=[wide])
    again = PAC.load(tmp_path / "stages", model, inverse(other, 2.0), variables=[other])
    assert other.item() == 9.0  # the variable itself is the user's
    assert again.calibrated is not None and again.allocated is not None
    assert [own.item() for own in again.calibrated.variables] == [second]
    assert [own.item() for own in again.allocated.variables] == [first]
    recalled = again.recall()
    assert [own.item() for own in recalled.variables] == [first] == [other.item()]
    x = inputs_of(source)
    for one, two in ((recalled, allocated), (again.calibrated, target)):
        assert np.array_equal(one.predict(x), two.predict(x))
        assert np.array_equal(
            one.predict(x, operator=one.data.pde), two.predict(x, operator=two.data.pde)
        )
    without = PAC.load(tmp_path / "stages", model, variables=[other])  # data of the target
    assert without.calibrated is None and without.recall().variables == recalled.variables
    without.save(tmp_path / "copy")
    copy = PAC.load(tmp_path / "copy", model, inverse(other, 2.0), variables=[other])
    assert copy.calibrated is not None
    assert [own.item() for own in copy.calibrated.variables] == [second]


def test_a_file_of_another_network_or_transform_is_refused(tmp_path: Path) -> None:
    source, of = trained("DataSet")
    pac = PAC(source)
    pac.save(tmp_path / "stages")
    with pytest.raises(DataFileError, match="of another module"):
        PAC.load(tmp_path / "stages", dde.Model(of(3.0), dde.nn.FNN([1, 9, 1], "tanh", "zeros")))
    other = fnn()
    other.apply_output_transform(lambda x, y: 2 * y)
    with pytest.raises(DataFileError, match="a transform"):
        PAC.load(tmp_path / "stages", dde.Model(of(3.0), other))
    with pytest.raises(InvalidValueError, match=r"expected a deepxde\.Model"):
        PAC.load(tmp_path / "stages", fnn())
    with pytest.raises(InvalidValueError, match=r"a deepxde\.zcs\.Model, whose derivatives"):
        warm_start(dde.zcs.Model(source.data, source.net), source.data)


def test_a_layer_of_a_network_is_frozen_under_deepxdes_own_training() -> None:
    """Which calls requires_grad_ on the whole network at every test."""
    of, net = table, fnn()
    source = train(dde.Model(of(3.0), net))
    before = merged_state(source.net)
    model = dde.Model(of(2.0), freeze(source.net, ["linears.0", source.net.linears[1]]))
    train(model)
    after = merged_state(model.net)
    for name, own in before.items():
        assert torch.equal(own, after[name]) == (not name.startswith("linears.2"))
    plain = dde.Model(of(2.0), unfreeze(model.net))
    train(plain)
    assert not torch.equal(merged_state(plain.net)["linears.0.weight"], before["linears.0.weight"])


def test_filters_are_chosen_by_the_weights_of_losses_that_train_compiled_with(
    monkeypatch: Any,
) -> None:
    used: list[Any] = []
    from pacpde.interop.deepxde import tailoring

    losses = tailoring._losses
    monkeypatch.setattr(
        tailoring, "_losses", lambda d, n, weights: used.append(weights) or losses(d, n, weights)
    )
    sizes = {"num_domain": 12, "num_boundary": 4, "num_initial": 4}
    given = data(Heat(alpha=0.3), reference=False, **sizes)
    source = train(dde.Model(given, dde.nn.FNN([2, 6, 6, 1], "tanh", "Glorot normal")))
    weights = [1.0, 10.0, 100.0]
    options: dict[str, Any] = {"rounds": 1, "factor_steps": 1, "tau": 9.0}
    transtailor(source, given, lambda model: train(model, loss_weights=weights), **options)
    assert used and all(own == weights for own in used)
    used.clear()
    own = [3.0, 2.0, 1.0]
    transtailor(
        source, given, lambda model: train(model, loss_weights=weights), loss_weights=own, **options
    )
    assert used and all(one == own for one in used)


@pytest.mark.slow
def test_stages_are_read_in_a_new_process(tmp_path: Path) -> None:
    source, _ = trained("TripleCartesianProd")
    pac = PAC(source)
    pac.prune(0.5, scope="tensor")
    seen = train(pac.allocate()).predict(inputs_of(source))
    np.savez(tmp_path / "data.npz", branch=BRANCH, trunk=TRUNK)
    pac.save(tmp_path / "stages")
    code = f"""
import os
os.environ["DDE_BACKEND"] = "pytorch"
import numpy as np
import deepxde as dde
from pacpde.interop.deepxde import PAC
held = np.load({str(tmp_path / "data.npz")!r})
x, y = (held["branch"], held["trunk"]), np.zeros((24, 24), np.float32)
data = dde.data.TripleCartesianProd(x, y, (x[0][:9], x[1]), y[:9])
net = dde.nn.DeepONetCartesianProd([10, 8, 8], [1, 8, 8], "tanh", "Glorot normal")
source = PAC.load({str(tmp_path / "stages")!r}, dde.Model(data, net)).recall()
print(source.predict(data.test()[0]).tobytes().hex())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().splitlines()[-1:] == [seen.tobytes().hex()], done.stderr
