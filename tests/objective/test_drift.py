"""The drift of an ODE solution is its error, as an independent solver finds it."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pacpde import fit
from pacpde.networks.constraints import PhysicsAnsatz
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.drift import drift
from pacpde.objective.task import Draw, PhysicsTask
from pacpde.problems import Burgers, Lorenz

SMALL = {"width": 12, "depth": 2, "points": 60, "steps": 15}


@pytest.fixture(scope="module")
def fitted() -> Surrogate:
    """Lorenz at ρ = 28 on a short span, fitted to some digits."""
    return fit(Lorenz(rho=28.0, until=0.5), seed=0, frequency=1.0, **SMALL)


def error_of(surrogate: Surrogate, t: np.ndarray) -> float:
    problem = surrogate.problem
    assert isinstance(problem, Lorenz)

    def rate(_: float, u: np.ndarray) -> list[float]:
        x, y, z = u
        return [
            problem.sigma * (y - x),
            x * (problem.rho - z) - y,
            x * y - problem.beta * z,
        ]

    made = solve_ivp(rate, (0, t[-1]), [-8, 7, 27], "Radau", t, rtol=1e-12, atol=1e-12)
    return float(np.linalg.norm(surrogate(t) - made.y) / np.linalg.norm(made.y))


def test_it_is_the_error(fitted: Surrogate) -> None:
    """Of the fit, and of the same weights shaken, as long as the error is small."""
    assert isinstance(fitted.ansatz, PhysicsAnsatz)
    t = np.linspace(0, 0.5, 1001)
    for shake in (0.0, 1e-6, 1e-4):
        noise = np.random.default_rng(0).normal(0, shake, fitted.parameters)
        weights = fitted.weights + torch.tensor(noise)
        moved = Surrogate(fitted.network, fitted.ansatz, weights)
        found, expected = drift(fitted.network, weights, fitted.ansatz), error_of(moved, t)
        assert 1e-9 < expected < 1e-2
        # of first order in the error, which is below 1e-2
        assert found == pytest.approx(expected, rel=0.05)


def test_a_small_residual_that_grows_is_not_convergence() -> None:
    """A tolerance of 100 scales a unit of time is met at once, by a solution that is wrong."""
    made = fit(Lorenz(rho=28.0), seed=0, tolerance=100.0, **{**SMALL, "steps": 1})
    assert made.history[-1]["held_out"] < 100
    assert made.outcome == "drifted"


def test_it_is_told_of_odes_alone() -> None:
    task = PhysicsTask(Burgers())
    assert task.drift(None, None, Draw()) == 0.0  # type: ignore[arg-type]
