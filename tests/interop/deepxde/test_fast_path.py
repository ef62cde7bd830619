"""DeepXDE networks of every kind of problem in the second-order engine, and what holds exactly."""

import sys
from math import pi
from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch

from pacpde import transfer
from pacpde.errors import InvalidValueError, SolverError
from pacpde.interop.deepxde import Model, data, loss_names, solution, to_network, to_surrogate
from pacpde.interop.deepxde.conditions import input_names
from pacpde.physics import Problem, families
from pacpde.problems import BurgersPeriodic, Kovasznay, Poisson1D, Wave
from pacpde.residuals.terms import PhysicsTerm
from tests.interop.deepxde.exact_cases import insulated, robin, system, wave

SMALL = {"points": 150, "steps": 30}


def model_of(problem: Problem, width: int = 7) -> Any:
    """A random network, periodic where the problem is, with data of few points."""
    names, domain, periodic = input_names(problem), problem.domain, problem.boundary.periodic
    sizes = [len(names) + len(periodic), width, width, len(problem.fields)]
    net = dde.nn.FNN(sizes, "tanh", "Glorot normal")

    def circles(x: torch.Tensor) -> torch.Tensor:
        columns = []
        for name, column in zip(names, x.split(1, 1), strict=True):
            axis = domain.axis(name)
            angle = 2 * pi * (column - axis.lower) / axis.length
            columns += [angle.sin(), angle.cos()] if name in periodic else [column]
        return torch.cat(columns, 1)

    if periodic:
        net.apply_feature_transform(circles)
    model = dde.Model(data(problem, num_domain=20, reference=False), net)
    model.compile("adam", lr=1e-3, verbose=0)
    return model


def rows_by_jets(surrogate: Any, x: np.ndarray) -> np.ndarray:
    """The rows in their units at DeepXDE's points, [points, rows]."""
    names = input_names(surrogate.problem)
    points = torch.as_tensor(x[:, [names.index(own) for own in surrogate.problem.domain.names]])
    term = PhysicsTerm.at(surrogate.problem, surrogate.ansatz, points)
    batch = term.batch
    jet = batch.fields(surrogate.network.forward(surrogate.weights, batch.inputs, batch.names))
    return (term.residual(jet) * len(x) ** 0.5).numpy()


def rows_by_deepxde(model: Any, problem: Problem, x: np.ndarray) -> np.ndarray:
    rows = model.predict(x, operator=model.data.pde)
    return np.stack(problem.in_units([row[:, 0] for row in rows]), 1)


@pytest.mark.parametrize("name", families.names())
def test_every_family_has_losses_and_the_engine_the_same_rows(name: str) -> None:
    """Rows by jets against DeepXDE's autograd; sums are taken in another order."""
    dde.config.set_default_float("float64")
    problem = families.get(name)()
    model = model_of(problem)
    made = model.data
    found = model.outputs_losses_train(made.train_x, made.train_y, None)[1]
    assert len(found) == len(loss_names(problem)) and bool(found.isfinite().all())
    x = made.train_x[-20:]
    expected = rows_by_deepxde(model, problem, x)
    difference = np.abs(rows_by_jets(to_surrogate(model, problem), x) - expected).max()
    assert difference < 1e-12 * np.abs(expected).max()


def names_of(surrogate: Any) -> tuple[list[str], list[str]]:
    """The conditions that hold exactly, and those that are residual terms."""
    ansatz = surrogate.ansatz

    def spelt(boundary: Any) -> list[str]:
        edges = [
            f"{surrogate.problem.fields[one.field]}{'_n' if one.b else ''} {one.where}"
            for one in boundary.edges
        ]
        return edges + [f"{surrogate.problem.fields[one.field]} point" for one in boundary.points]

    return spelt(ansatz.exactly), spelt(ansatz.by_residual)


def with_transform(problem: Problem, transform: Any) -> Any:
    dde.config.set_default_float("float64")
    model = model_of(problem)
    model.net.apply_output_transform(transform)
    return model


def string(power: int) -> Any:
    """sin πx + tᵏ x (1 − x) N."""
    return lambda x, u: torch.sin(pi * x[:, :1]) + x[:, 1:] ** power * x[:, :1] * (1 - x[:, :1]) * u


def test_conditions_that_a_transform_meets_hold_exactly_and_the_others_are_terms() -> None:
    """By hand, one condition after the other."""
    for power, exactly, left in (
        (2, ["u t-", "u_n t-", "u x-", "u x+"], []),
        (1, ["u t-", "u x-", "u x+"], ["u_n t-"]),
        (0, ["u x-", "u x+"], ["u t-", "u_n t-"]),
    ):
        surrogate = to_surrogate(with_transform(Wave(), string(power)), Wave())
        assert names_of(surrogate) == (exactly, left)
    rod = with_transform(robin().problem, lambda x, u: torch.exp(x) + (x * (1 - x)) ** 2 * u)
    assert names_of(to_surrogate(rod, robin().problem)) == (["u_n x-", "u_n x+"], [])
    rod = with_transform(robin().problem, lambda x, u: torch.exp(x) + x * (1 - x) ** 2 * u)
    assert names_of(to_surrogate(rod, robin().problem)) == (["u_n x+"], ["u_n x-"])
    rod = with_transform(robin().problem, lambda x, u: 1.01 * torch.exp(x) + (x - x**2) ** 2 * u)
    assert names_of(to_surrogate(rod, robin().problem)) == ([], ["u_n x-", "u_n x+"])
    own = insulated().problem
    pinned = with_transform(own, lambda x, u: x**2 + (x - 0.25) * u)
    assert names_of(to_surrogate(pinned, own)) == (["u point"], ["u_n x-", "u_n x+"])
    free = with_transform(own, lambda x, u: x**2 + (x - 0.5) * u)
    assert names_of(to_surrogate(free, own)) == ([], ["u_n x-", "u_n x+", "u point"])
    plain = to_surrogate(model_of(own), own)
    assert names_of(plain) == ([], ["u_n x-", "u_n x+", "u point"])


def test_fields_may_have_factors_of_their_own() -> None:
    """u = sin(x + t) + t x (1 − x) N₁, v = N₂: rows by jets against DeepXDE's autograd."""
    problem = system().problem

    def transform(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        s, t = x[:, :1], x[:, 1:]
        return torch.cat([torch.sin(s + t) + t * s * (1 - s) * u[:, :1], u[:, 1:]], 1)

    model = with_transform(problem, transform)
    surrogate = to_surrogate(model, problem)
    assert names_of(surrogate)[0] == ["u t-", "u x-", "u x+"]
    x = model.data.train_x[-20:]
    np.testing.assert_allclose(
        rows_by_jets(surrogate, x), rows_by_deepxde(model, problem, x), rtol=1e-11, atol=1e-11
    )
    swapped = with_transform(problem, lambda x, u: u.flip(1))
    with pytest.raises(InvalidValueError, match="each field by its own output"):
        to_surrogate(swapped, problem)


def test_a_transform_that_opens_a_periodic_axis_is_refused() -> None:
    model = with_transform(BurgersPeriodic(), lambda x, u: x[:, :1] + u)
    with pytest.raises(InvalidValueError, match="periodic in x, and the network is not"):
        to_surrogate(model, BurgersPeriodic())


def losses(model: Any) -> np.ndarray:
    model.compile("adam", lr=1e-3, verbose=0)
    made = model.data
    return model.outputs_losses_train(made.train_x, made.train_y, None)[1].detach().numpy()


@pytest.mark.parametrize("transform", [None, string(2)])
def test_the_engine_solves_a_wave_from_deepxdes_network_and_gives_it_back(transform: Any) -> None:
    """Soft conditions, and those of a transform: DeepXDE's own losses of what comes back."""
    dde.config.set_default_float("float64")
    source, target = Wave(c=1.0), Wave(c=0.8)
    model = model_of(source, 14)
    if transform is not None:
        model.net.apply_output_transform(transform)
    result = transfer(
        to_surrogate(model, source), target, method="warm_start", settings=SMALL, reference=None
    )
    x = np.random.default_rng(0).uniform(size=(200, 2))
    back = Model(data(target, reference=False), to_network(result.surrogate, model))
    exact = np.sin(pi * x[:, 0]) * np.cos(0.8 * pi * x[:, 1])
    assert np.abs(back.predict(x)[:, 0] - exact).max() < 2e-2
    assert losses(back).max() < 1e-2 * losses(model).max()


def test_the_engine_solves_a_steady_problem_from_deepxdes_network() -> None:
    dde.config.set_default_float("float64")
    problem = Poisson1D(w=1.0)
    model = model_of(problem, 10)
    result = transfer(
        to_surrogate(model, problem), problem, method="warm_start", settings=SMALL, reference=None
    )
    x = np.linspace(-1, 1, 50)[:, None]
    back = Model(data(problem, reference=False), to_network(result.surrogate, model))
    np.testing.assert_allclose(back.predict(x), np.exp(-(x**2)), atol=1e-4)


@pytest.mark.parametrize("problem", [Poisson1D(), Kovasznay(), Wave()])
def test_references_are_the_metrics_of_steady_and_second_order_problems(problem: Any) -> None:
    dde.config.set_default_float("float64")
    made = data(problem, num_domain=30)
    names = input_names(problem)
    columns = [made.train_x[:, names.index(name)] for name in problem.domain.names]
    np.testing.assert_allclose(made.train_y, problem.exact(*columns).T, atol=1e-8)
    assert made.train_y.shape == (len(made.train_x), len(problem.fields))


def test_where_there_is_no_reference_the_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(problem: Problem, **settings: Any) -> Any:
        raise InvalidValueError("no solver takes this problem.")

    module = sys.modules["pacpde.interop.deepxde.data"]
    monkeypatch.setattr(module, "reference_for", refuse)
    with pytest.raises(InvalidValueError, match="no solver"):
        solution(wave().problem)
    with pytest.raises(SolverError, match=r"no solver takes this problem\. Or give reference=F"):
        data(wave().problem, num_domain=9)
