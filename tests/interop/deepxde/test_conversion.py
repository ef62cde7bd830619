"""DeepXDE networks in the second-order engine: the same function there and back."""

from math import pi
from pathlib import Path
from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch

from pacpde import fit, load, save, transfer
from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde import Model, data, to_network, to_surrogate
from pacpde.interop.deepxde.conditions import input_names
from pacpde.networks.frozen import merged_state
from pacpde.problems import (
    Burgers,
    BurgersPeriodic,
    Heat,
    Heat2D,
    Kovasznay,
    Lorenz,
    Poisson1D,
    Wave,
)

SMALL = {"points": 200, "steps": 20}


def model_of(problem: Any, sizes: list[int], activation: Any = "tanh") -> Any:
    net = dde.nn.FNN(sizes, activation, "Glorot normal")
    torch.manual_seed(0)
    with torch.no_grad():
        for linear in net.linears:
            linear.bias.normal_()
    model = dde.Model(data(problem, num_domain=30, reference=False), net)
    model.compile("adam", lr=1e-3, verbose=0)
    return model


def inputs(problem: Any) -> np.ndarray:
    points = problem.domain.sample(50, np.random.default_rng(0))
    return points[:, [problem.domain.names.index(name) for name in input_names(problem)]]


def fields(surrogate: Any, x: np.ndarray) -> np.ndarray:
    names = input_names(surrogate.problem)
    found = surrogate(*(x[:, names.index(name)] for name in surrogate.problem.domain.names))
    return np.atleast_2d(found).T


@pytest.mark.parametrize(
    ("problem", "sizes", "activation"),
    [
        (Burgers(), [2, 7, 7, 1], "tanh"),
        (Heat2D(), [3, 6, 5, 4, 1], "sin"),
        (Lorenz(), [1, 6, 3], ["tanh", "tanh"]),
        (Heat(), [2, 6, 1], "sigmoid"),
        (Heat(), [2, 6, 1], "silu"),
        (Heat(), [2, 6, 1], "gelu"),
        (Wave(), [2, 6, 1], "tanh"),
        (Poisson1D(), [1, 6, 1], "tanh"),
        (Kovasznay(), [2, 6, 3], "sin"),
    ],
)
def test_there_and_back_is_the_same_function(problem: Any, sizes: Any, activation: Any) -> None:
    dde.config.set_default_float("float64")
    model = model_of(problem, sizes, activation)
    x = inputs(problem)
    surrogate = to_surrogate(model, problem)
    np.testing.assert_allclose(fields(surrogate, x), model.predict(x), rtol=1e-12, atol=1e-13)
    back = to_network(surrogate, model)
    for name, value in merged_state(back).items():
        torch.testing.assert_close(value, merged_state(model.net)[name], rtol=1e-13, atol=1e-14)


def test_transforms_come_along_with_their_derivatives() -> None:
    """The residual by jets against DeepXDE's own by autograd."""
    dde.config.set_default_float("float64")
    problem = Burgers(nu=0.1)
    model = model_of(problem, [3, 8, 1])
    model.net.apply_feature_transform(lambda x: torch.cat([x, torch.sin(x[:, :1])], 1))
    model.net.apply_output_transform(
        lambda x, u: -torch.sin(pi * x[:, :1]) + x[:, 1:] * (1 - x[:, :1] ** 2) * u
    )
    x = inputs(problem)
    surrogate = to_surrogate(model, problem)
    assert surrogate.provenance["call"] == "imported from DeepXDE"
    np.testing.assert_allclose(fields(surrogate, x), model.predict(x), rtol=1e-12, atol=1e-13)
    points = torch.as_tensor(x[:, [1, 0]])
    batch = surrogate.ansatz.batch(points, problem.channels)
    jets = batch.fields(surrogate.network.forward(surrogate.weights, batch.inputs, batch.names))
    value = {name: jet[:, 0] for name, jet in zip(batch.names, jets, strict=True)}
    residual = value["t"] + value[""] * value["x"] - 0.1 * value["xx"]
    expected = model.predict(x, operator=model.data.pde)[0][:, 0]
    np.testing.assert_allclose(residual.numpy(), expected, rtol=1e-10, atol=1e-10)


def test_a_number_that_a_transform_reads_and_that_changes_is_refused() -> None:
    """The surrogate and its recalled source would follow it."""
    dde.config.set_default_float("float64")
    model, numbers = model_of(Heat(), [2, 6, 1]), {"size": 1.0}
    model.net.apply_output_transform(lambda x, u: numbers["size"] * u)
    surrogate, x = to_surrogate(model, Heat()), inputs(Heat())
    before = fields(surrogate, x)
    points = torch.as_tensor(x[:, [1, 0]])
    np.testing.assert_allclose(torch.func.vmap(lambda at: surrogate(*at))(points), before[:, 0])
    numbers["size"] = 2.0
    with pytest.raises(InvalidValueError, match="all that is made from the source reads the same"):
        fields(surrogate.with_problem(Heat(alpha=0.3)), x)
    numbers["size"] = 1.0
    np.testing.assert_array_equal(fields(surrogate, x), before)


@pytest.mark.parametrize("method", ["warm_start", "pac", "transtailor"])
def test_the_engine_goes_on_from_it_and_gives_it_back(method: str) -> None:
    """From a network as DeepXDE makes it, in float32, to a target that it never saw."""
    problem, target = Heat(alpha=0.4), Heat(alpha=0.3)
    model = model_of(problem, [2, 12, 12, 1])
    source = transfer(
        to_surrogate(model, problem), problem, method="warm_start", settings=SMALL
    ).surrogate
    options = {"sparsity": 0.4} if method == "pac" else {}
    made = transfer(source, target, method=method, settings=SMALL, **options)
    assert made.target_error < 2e-2 < made.zero_shot_error
    if method == "pac":
        assert made.source_error["recalled"] == made.source_error["allocated"] < 2e-2
    x = inputs(target).astype(np.float32)
    back = Model(data(target, reference=False), to_network(made.surrogate, model))
    assert back.predict(x).dtype == np.float32
    exact = np.exp(-0.3 * pi**2 * x[:, 1]) * np.sin(pi * x[:, 0])
    error = np.linalg.norm(back.predict(x)[:, 0] - exact) / np.linalg.norm(exact)
    assert error < 3e-2


def test_it_is_saved_as_others_are_unless_it_has_functions(tmp_path: Path) -> None:
    model = model_of(Heat(), [2, 5, 1])
    surrogate = to_surrogate(model, Heat())
    save(surrogate, tmp_path / "kept")
    x = inputs(Heat())
    kept = load(tmp_path / "kept")
    assert np.array_equal(fields(kept, x), fields(surrogate, x))
    for name, value in merged_state(to_network(kept, model)).items():  # and goes back
        torch.testing.assert_close(value, merged_state(model.net)[name])
    model.net.apply_output_transform(lambda x, u: x[:, :1] * u)
    with pytest.raises(InvalidValueError, match="knows of no transforms"):
        to_network(kept, model)
    with pytest.raises(InvalidValueError, match="cannot be saved"):
        save(to_surrogate(model, Heat()), tmp_path / "other")


def test_what_the_engine_cannot_take_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="activation relu"):
        to_surrogate(model_of(Heat(), [2, 5, 1], "relu"), Heat())
    with pytest.raises(InvalidValueError, match="same in all layers"):
        to_surrogate(model_of(Heat(), [2, 5, 5, 1], ["sin", "tanh", "tanh"]), Heat())
    with pytest.raises(InvalidValueError, match="no hidden layer"):
        to_surrogate(model_of(Heat(), [2, 1]), Heat())
    with pytest.raises(InvalidValueError, match="expected a problem"):
        to_surrogate(model_of(Heat(), [2, 5, 1]), "heat")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="expected a problem"):
        data("heat")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="2 inputs, and lorenz needs 1"):
        to_surrogate(model_of(Heat(), [2, 5, 3]), Lorenz())
    with pytest.raises(InvalidValueError, match="1 outputs, and lorenz needs 3"):
        to_surrogate(model_of(Heat(), [2, 5, 1]), Lorenz())
    bent = model_of(Heat(), [2, 5, 1])
    bent.net.apply_output_transform(lambda x, u: torch.exp(u))
    with pytest.raises(InvalidValueError, match="output transform"):
        to_surrogate(bent, Heat())
    single = model_of(Heat(), [2, 5, 1])
    matrix = torch.ones(2, 2)
    single.net.apply_feature_transform(lambda x: x @ matrix.to(torch.float32))
    with pytest.raises(InvalidValueError, match="in float64 on the CPU"):
        to_surrogate(single, Heat())
    with pytest.raises(InvalidValueError, match="periodic in x"):
        to_surrogate(model_of(BurgersPeriodic(), [2, 5, 1]), BurgersPeriodic())
    pfnn = dde.Model(data(Heat(), reference=False), dde.nn.PFNN([2, [4], 1], "tanh", "zeros"))
    pfnn.compile("adam", lr=1e-3, verbose=0)
    with pytest.raises(InvalidValueError, match="is a PFNN"):
        to_surrogate(pfnn, Heat())
    own = transfer(
        to_surrogate(model_of(Heat(), [2, 5, 1]), Heat()), Heat(), method="warm_start",
        settings={"points": 20, "steps": 1},
    ).surrogate  # fmt: skip
    hard = fit(Heat(), width=5, depth=1, points=20, steps=1)
    with pytest.raises(InvalidValueError, match="meets start and edges by an ansatz"):
        to_network(hard, model_of(Heat(), [2, 5, 1]))
    with pytest.raises(InvalidValueError, match="others"):
        to_network(own, model_of(Heat(), [2, 5, 1], "sin"))


def test_a_periodic_network_is_taken() -> None:
    model = model_of(BurgersPeriodic(nu=0.1), [3, 6, 1])
    model.net.apply_feature_transform(
        lambda x: torch.cat([torch.sin(pi * x[:, :1]), torch.cos(pi * x[:, :1]), x[:, 1:]], 1)
    )
    surrogate = to_surrogate(model, BurgersPeriodic(nu=0.1))
    assert surrogate.network.inputs == 3


def test_what_goes_back_is_asked_for_in_a_sentence() -> None:
    model = model_of(Heat(), [2, 5, 1])
    surrogate = to_surrogate(model, Heat())
    with pytest.raises(InvalidValueError, match="expected the DeepXDE model or network"):
        to_network(surrogate, "model")
    with pytest.raises(InvalidValueError, match="expected a surrogate"):
        to_network(model, model)  # type: ignore[arg-type]


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_may_be_off(off: Any) -> None:
    dde.config.set_default_float("float64")
    model = model_of(Heat(), [2, 5, 1])
    model.net.apply_output_transform(lambda x, u: x[:, 1:] * u)
    expected = to_surrogate(model, Heat())
    with off():
        found = to_surrogate(model, Heat())
        back = Model(data(Heat(), reference=False, num_domain=9), to_network(found, model))
    assert torch.equal(found.weights, expected.weights)
    assert found.assessment == expected.assessment and found.assessment is not None
    back.compile("adam", lr=1e-3, verbose=0)
    back.train(iterations=1, verbose=0)
