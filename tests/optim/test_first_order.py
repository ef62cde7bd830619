"""Adam and SOAP against their papers, and what their state does."""

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError, MissingPackageError
from pacpde.networks.ansatz import network_for
from pacpde.networks.table_ansatz import TableAnsatz
from pacpde.optim.base import optimiser_from
from pacpde.optim.first_order import SOAP, Adam, _to_layers, _to_vector
from pacpde.optim.least_squares import LeastSquares
from pacpde.residuals.terms import LabelTerm


@pytest.fixture
def problem() -> LeastSquares:
    """A regression of 20 points on 17 weights."""
    return regression(2, 1)


def regression(columns: int, targets: int) -> LeastSquares:
    rng = np.random.default_rng(4)
    inputs, outputs = rng.normal(size=(20, columns)), rng.normal(3, 2, size=(20, targets))
    ansatz = TableAnsatz.of(inputs, outputs)
    network = network_for(ansatz, 4, 1, "tanh")
    weights = torch.tensor(rng.normal(0, 1, network.size))
    term = LabelTerm.at(ansatz, torch.tensor(inputs), torch.tensor(outputs))
    return LeastSquares(network, weights, torch.ones(network.size, dtype=torch.bool), [term])


def by_the_paper(problem: LeastSquares, steps: int, lr: float) -> np.ndarray:
    """Kingma & Ba, algorithm 1, from the start of the problem."""
    x = problem.x0.numpy()
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, steps + 1):
        g = problem.loss_and_gradient(torch.tensor(x))[1].numpy()
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


def test_it_is_the_algorithm_of_the_paper(problem: LeastSquares) -> None:
    made = Adam(lr=0.01).run(problem, problem.x0, 30)
    expected = by_the_paper(problem, 30, 0.01)
    np.testing.assert_allclose(made.x.numpy(), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(made.state["iterate"], made.x)


def test_overshooting_returns_the_best_and_remembers_the_last(problem: LeastSquares) -> None:
    """Steps of 1 from a point near the minimum lead away from it."""
    near = Adam(lr=0.02).run(problem, problem.x0, 400).x
    wild = Adam(lr=1.0)
    made = wild.run(problem, near, 3)
    assert torch.equal(made.x, near)
    assert problem.loss(made.state["iterate"]) > 2 * made.loss
    again = wild.run(problem, made.x, 40, made.state)
    whole = wild.run(problem, near, 43)
    assert torch.equal(again.state["iterate"], whole.state["iterate"])
    assert again.loss == whole.loss <= made.loss


def test_another_point_than_the_one_it_returned_is_started_from(problem: LeastSquares) -> None:
    made = Adam().run(problem, problem.x0, 10)
    elsewhere = problem.x0 + 0.5
    moved = Adam().run(problem, elsewhere, 1, made.state)
    # one step is at most lr·(1 − β₁)/√(1 − β₂) = 3.2 lr a weight (section 2.1)
    assert float((moved.state["iterate"] - elsewhere).abs().max()) < 3.2e-3
    assert float(moved.state["step"]) == 11


def soap_by_the_paper(problem: LeastSquares, steps: int, lr: float) -> np.ndarray:
    """Vyas et al., algorithm 3, in the eigenbases of the first gradient, which moves nothing."""
    beta = 0.95
    layers = problem.network.layers
    x = problem.x0.numpy()

    def gradients(x: np.ndarray) -> list[np.ndarray]:
        g = problem.loss_and_gradient(torch.tensor(x))[1].numpy()
        return [
            np.hstack([g[y.weights].reshape(y.outputs, y.inputs), g[y.biases][:, None]])
            for y in layers
        ]

    first = gradients(x)
    bases = [[np.linalg.eigh(a)[1] for a in (g @ g.T, g.T @ g)] for g in first]
    m, v = [np.zeros_like(g) for g in first], [np.zeros_like(g) for g in first]
    for t in range(1, steps):
        rate = lr * np.sqrt(1 - beta**t) / (1 - beta**t)
        for k, g in enumerate(gradients(x)):
            left, right = bases[k]
            m[k] = beta * m[k] + (1 - beta) * g
            v[k] = beta * v[k] + (1 - beta) * (left.T @ g @ right) ** 2
            turned = left @ ((left.T @ m[k] @ right) / (np.sqrt(v[k]) + 1e-8)) @ right.T
            x[layers[k].weights] -= rate * turned[:, :-1].ravel()
            x[layers[k].biases] -= rate * turned[:, -1]
    return x


def test_soap_is_the_algorithm_of_the_paper() -> None:
    """On square gradients: others have null spaces, in which eigenvectors are arbitrary."""
    problem = regression(3, 5)
    made = SOAP(lr=0.01, frequency=1000).run(problem, problem.x0, 25)
    expected = soap_by_the_paper(problem, 25, 0.01)
    # eigenvectors are as exact as rounding by the smallest gap of eigenvalues; measured: 1e-8
    np.testing.assert_allclose(made.state["iterate"].numpy(), expected, rtol=1e-6, atol=1e-6)


def test_soap_turns_its_bases(problem: LeastSquares) -> None:
    made = SOAP(frequency=5).run(problem, problem.x0, 30)
    basis = made.state["0/Q0"]
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-5)  # made in float32
    still = SOAP(frequency=1000).run(problem, problem.x0, 30).state["0/Q0"]
    assert float((basis - still).abs().max()) > 0.1


def test_a_package_that_is_missing_is_named(
    problem: LeastSquares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'pacpde\[soap\]'"):
        SOAP().run(problem, problem.x0, 3)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("adam:lr=-1", "lr of Adam is -1.*expected a number above 0"),
        ("adam:betas=0.9", "betas of Adam is 0.9.*two numbers"),
        ({"name": "adam", "betas": [0.9, 2]}, r"betas of Adam is \[0.9, 2\]"),
        ({"name": "adam", "lr": "1e-3"}, "lr of Adam is '1e-3'"),
        ({"name": "adam", "lr": math.nan}, "lr of Adam is nan"),
        ("adam:lr=1e-3,lr=1e-2", "lr is given twice"),
        ("adam:lr", "the optimiser is 'adam:lr', expected a name with options"),
        ("soap:frequency=0", "frequency of SOAP is 0.*a whole number above 0"),
        ("lbfgs:history=1.5", "history of LBFGS is 1.5.*a whole number above 0"),
        ("ssbroyden:slope=1", "slope of SSBroyden is 1.*above 0 and below 1"),
        ("levenberg_marquardt:damping=-1", "damping of LevenbergMarquardt is -1"),  # ran for ever
        ("levenberg_marquardt:increase=1", "increase of LevenbergMarquardt is 1.*above 1"),
    ],
)
def test_options_that_no_optimiser_can_run_with_are_refused(wanted: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        optimiser_from(wanted)


def test_betas_of_a_record_are_a_list() -> None:
    assert optimiser_from({"name": "adam", "betas": [0.9, 0.99]}) is not None


def test_entries_of_no_layer_are_a_matrix_of_one_column(problem: LeastSquares) -> None:
    """Matrices of the layers hold every entry of the vector once, and give it back."""

    @dataclass(frozen=True)
    class Longer:
        layout: Any
        size: int

    layout = problem.network.layout
    for extra in (0, 3):
        network: Any = Longer(layout, problem.network.size + extra)
        weights = torch.arange(float(network.size))
        matrices = _to_layers(network, weights)
        assert torch.equal(_to_vector(network, matrices), weights)
        assert torch.equal(torch.cat([each.flatten() for each in matrices]).sort()[0], weights)
        rows = [each.shape[0] for each in matrices]
        assert rows == [layer.outputs for layer in problem.network.layers] + [extra] * (extra > 0)


def test_bases_may_turn_at_every_step(problem: LeastSquares) -> None:
    assert SOAP(frequency=1).run(problem, problem.x0, 3).steps == 3
    with pytest.raises(InvalidValueError, match="frequency of SOAP"):
        SOAP(frequency=0)
