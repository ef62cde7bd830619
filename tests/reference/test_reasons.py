"""Why there is no certificate, in a sentence that names the cause; else the best there is."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError, PacpdeError, SolverError
from pacpde.physics import Axis, Dirichlet, Evolution, Problem
from pacpde.physics.elementary import log, sin
from pacpde.problems import Burgers, Lorenz
from pacpde.reference import certificate, solve, worst_field_error

Physics = Callable[..., Any]


@pytest.fixture
def family() -> Callable[..., Problem]:
    """Makes a problem of a right-hand side, a start and scales."""

    def made(
        rhs: Physics, initial: Physics = lambda self, x: sin(pi * x), scales: Any = (1.0,)
    ) -> Problem:
        body = {
            "name": "test_reasons",
            "axes": (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0)),
            "conditions": lambda self: [Dirichlet("x", 0.0)],
            "scales": scales,
            "rhs": rhs,
            "initial": initial,
        }
        return dataclass(frozen=True)(type("Reasons", (Evolution,), body))()

    return made


def diffusion(self, u, d):
    return d(u, "xx")


def test_a_mixed_derivative_in_a_rhs_is_refused_with_advice(
    family: Callable[..., Problem],
) -> None:
    with pytest.raises(
        SolverError, match=r"mixed derivative txx, .*as a Problem, whose `residual`"
    ):
        solve(family(lambda self, u, d: d(u, "xxt") - d(u, "x")))


@pytest.mark.parametrize(
    ("rhs", "initial", "told"),
    [
        (lambda s, u, d: None, None, "rhs gave None for the field 'u'.*lack a `return`"),
        (lambda s, u, d: d(u, "xx")[:3], None, r"rhs .* gives an array of shape \(3,\)"),
        (lambda s, u, d: log(u - 2), None, "rhs gives nan for the field 'u' at t = 0, x = "),
        (diffusion, lambda s, x: None, "initial gave None for the field 'u'.*lack a `return`"),
        (diffusion, lambda s, x: x[:5], r"initial .* gives an array of shape \(5,\)"),
        (diffusion, lambda s, x: 1 / x, "initial gives inf for the field 'u' at x = 0"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_physics_that_gives_no_numbers_is_named(
    family: Callable[..., Problem], rhs: Physics, initial: Physics | None, told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told) as caught:
        solve(family(rhs, initial) if initial else family(rhs), tolerance=1e-6)
    assert "grows without bound" not in str(caught.value)


@pytest.mark.parametrize("scales", [(-1.0,), (0.0,), (float("inf"),), ("a",)])
def test_scales_that_are_no_sizes_are_refused(family: Callable, scales: Any) -> None:
    with pytest.raises(PacpdeError, match=r"scale .* for the field 'u', expected"):
        family(diffusion, scales=scales)


def test_the_cap_of_unknowns_is_told_as_such(
    family: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "UNKNOWNS", 150)
    with pytest.raises(SolverError, match=r"\(192\) would have 192 unknowns, and 150 is") as caught:
        solve(family(diffusion, lambda self, x: 1.0 * (x > 0.3337)), tolerance=1e-6)
    assert "inf" not in str(caught.value) and "larger tolerance" not in str(caught.value)


def exact_lorenz(problem: Problem, steps: int) -> np.ndarray:
    """By the classical Runge–Kutta method with 64-bit mantissas, at 1,001 times."""
    sigma, rho, beta = (np.longdouble(v) for v in problem.coefficients.values())

    def rates(u: np.ndarray) -> np.ndarray:
        x, y, z = u
        return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])

    u, h = np.array(problem.initial_fields(), np.longdouble), np.longdouble(3) / steps
    found = [u]
    for k in range(1, steps + 1):
        one = rates(u)
        two = rates(u + h / 2 * one)
        three = rates(u + h / 2 * two)
        u = u + h / 6 * (one + 2 * two + 2 * three + rates(u + h * three))
        if k % (steps // 1000) == 0:
            found.append(u)
    return np.array(found, float).T


def test_the_best_certificate_is_taken_where_the_wanted_one_is_not_met() -> None:
    problem = Lorenz(rho=28.0)
    with pytest.raises(SolverError, match=r"not certified to 1e-12: the best .* is \d"):
        solve(problem, tolerance=1e-12)
    reference = solve(problem, tolerance=1e-12, loosest=1e-2)
    # h⁴ = (3/60,000)⁴ ≈ 6e-18 of derivatives of 1e4 and growth of e^(0.9·3): below 1e-12
    error = worst_field_error(reference.values, exact_lorenz(problem, 60_000))
    assert 1e-12 < error <= reference.certified_error < 1e-10
    assert "finest" in reference.tolerances["limit"]


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_a_reference_is_the_same_with_gradients_off(off: Callable) -> None:
    problem = Burgers(nu=0.1)
    expected = solve(problem, tolerance=1e-4)
    with off():
        found = solve(problem, tolerance=1e-4)
    assert np.array_equal(found.values, expected.values)
    assert found.tolerances == expected.tolerances
