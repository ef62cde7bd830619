"""The estimated error of evolutions of all kinds, against exact solutions."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest

from pacpde.networks.surrogate import Surrogate
from pacpde.physics import (
    Axis,
    Dirichlet,
    Evolution,
    Neumann,
    Periodic,
    Problem,
    Robin,
    coefficient,
)
from pacpde.physics.elementary import cos, cosh, exp, sin, sqrt
from pacpde.residuals.error_estimate import error_estimate
from tests.residuals.given import given
from tests.residuals.manufactured import disturbed, evolution, true_error

Case = tuple[Problem, Any]


def axes(time: float, *space: tuple[float, float]) -> list[Axis]:
    named = zip("xy"[: len(space)], space, strict=True)
    return [Axis("t", 0.0, time), *(Axis(name, *ends) for name, ends in named)]


def kdv() -> Case:
    """Third derivative, periodic."""

    def exact(t: Any, x: Any) -> Any:
        return cos(pi * (x - 0.3 * t)) + 0.5 * sin(2 * pi * x)

    def rates(u: Any, d: Any) -> Any:
        return (-u[0] * d(u[0], "x") - 0.022**2 * d(u[0], "xxx"),)

    return evolution(axes(1.0, (-1, 1)), exact, rates, [Periodic("x")]), exact


def kdv_between_walls() -> Case:
    """Third derivative, with one condition at one end and two at the other, moving in time."""

    def exact(t: Any, x: Any) -> Any:
        return sin(3 * x - t)

    def rates(u: Any, d: Any) -> Any:
        return (-u[0] * d(u[0], "x") - 0.01 * d(u[0], "xxx"),)

    conditions = [
        Dirichlet("x-", lambda t: sin(-t)),
        Dirichlet("x+", lambda t: sin(3 - t)),
        Neumann("x+", lambda t: 3 * cos(3 - t)),
    ]
    return evolution(axes(1.0, (0, 1)), exact, rates, conditions), exact


def kuramoto_sivashinsky() -> Case:
    """Fourth derivative, periodic, with growing waves."""

    def exact(t: Any, x: Any) -> Any:
        return cos(x) * (1 + sin(x)) * cos(t + 0 * x)

    def rates(u: Any, d: Any) -> Any:
        return (-6 * u[0] * d(u[0], "x") - 0.4 * d(u[0], "xx") - 0.05 * d(u[0], "xxxx"),)

    return evolution(axes(1.0, (0, 2 * pi)), exact, rates, [Periodic("x")]), exact


def plate() -> Case:
    """Fourth derivative with values and slopes at both ends."""

    def exact(t: Any, x: Any) -> Any:
        return 10 * (x * (1 - x)) ** 2 * (1 + t)

    def rates(u: Any, d: Any) -> Any:
        return (-0.02 * d(u[0], "xxxx"),)

    conditions = [Dirichlet("x"), Neumann("x")]
    return evolution(axes(1.0, (0, 1)), exact, rates, conditions), exact


def allen_cahn() -> Case:
    def exact(t: Any, x: Any) -> Any:
        return cos(pi * x) * (1 - 0.5 * t)

    def rates(u: Any, d: Any) -> Any:
        return (1e-4 * d(u[0], "xx") + 5 * (u[0] - u[0] ** 3),)

    return evolution(axes(1.0, (-1, 1)), exact, rates, [Periodic("x")]), exact


def wave() -> Case:
    def exact(t: Any, x: Any) -> Any:
        return sin(pi * x) * cos(2 * pi * t) + 0.5 * sin(4 * pi * x) * cos(8 * pi * t)

    def start(x: Any) -> Any:
        return sin(pi * x) + 0.5 * sin(4 * pi * x), 0 * x

    def rates(u: Any, d: Any) -> Any:
        return (4 * d(u[0], "xx"),)

    conditions = [Dirichlet("x")]
    return evolution(axes(1.0, (0, 1)), exact, rates, conditions, 2, start), exact


def klein_gordon() -> Case:
    """Order 2 with an edge that moves in time."""

    def exact(t: Any, x: Any) -> Any:
        return x * cos(5 * pi * t) + (t * x) ** 3

    def start(x: Any) -> Any:
        return x, 0 * x

    def rates(u: Any, d: Any) -> Any:
        return (d(u[0], "xx") - u[0] ** 3,)

    conditions = [Dirichlet("x-"), Dirichlet("x+", lambda t: cos(5 * pi * t) + t**3)]
    return evolution(axes(1.0, (0, 1)), exact, rates, conditions, 2, start), exact


def damped_wave() -> Case:
    """Order 2 with d(u, "t") in its right-hand side, insulated ends."""

    def exact(t: Any, x: Any) -> Any:
        return cos(pi * x) * exp(-t) + 1

    def start(x: Any) -> Any:
        return cos(pi * x) + 1, -cos(pi * x)

    def rates(u: Any, d: Any) -> Any:
        return (4 * d(u[0], "xx") - 2 * d(u[0], "t"),)

    return evolution(axes(1.0, (0, 1)), exact, rates, [Neumann("x")], 2, start), exact


def beam() -> Case:
    """Order 2, fourth derivative, clamped."""

    def exact(t: Any, x: Any) -> Any:
        return 10 * (x * (1 - x)) ** 2 * cos(6 * t)

    def start(x: Any) -> Any:
        return 10 * (x * (1 - x)) ** 2, 0 * x

    def rates(u: Any, d: Any) -> Any:
        return (-0.2 * d(u[0], "xxxx"),)

    conditions = [Dirichlet("x"), Neumann("x")]
    return evolution(axes(1.0, (0, 1)), exact, rates, conditions, 2, start), exact


def schroedinger() -> Case:
    """Two fields; a soliton, which touches the seam with 0.7 per cent of its height."""

    def exact(t: Any, x: Any) -> Any:
        return 2 / cosh(x) * cos(t / 2), 2 / cosh(x) * sin(t / 2)

    def start(x: Any) -> Any:
        return 2 / cosh(x), 0 * x

    def rates(u: Any, d: Any) -> Any:
        square = u[0] ** 2 + u[1] ** 2
        return -0.5 * d(u[1], "xx") - square * u[1], 0.5 * d(u[0], "xx") + square * u[0]

    problem = evolution(axes(pi / 2, (-5, 5)), exact, rates, [Periodic("x")], 1, start)
    return problem, exact


def convection() -> Case:
    """Fifty radians of a wave: many steps are needed."""

    def exact(t: Any, x: Any) -> Any:
        return sin(x - 50 * t)

    def rates(u: Any, d: Any) -> Any:
        return (-50 * d(u[0], "x"),)

    return evolution(axes(1.0, (0, 2 * pi)), exact, rates, [Periodic("x")]), exact


def inflow() -> Case:
    """A condition at one end alone."""

    def exact(t: Any, x: Any) -> Any:
        return sin(4 * (x - 2 * t))

    def rates(u: Any, d: Any) -> Any:
        return (-2 * d(u[0], "x"),)

    conditions = [Dirichlet("x-", lambda t: sin(-8 * t))]
    return evolution(axes(1.0, (0, 1)), exact, rates, conditions), exact


def heat_loss() -> Case:
    """An insulated end, and one with a Robin condition that moves in time."""

    def exact(t: Any, x: Any) -> Any:
        return exp(-t) * cos(2 * x) + 1

    def rates(u: Any, d: Any) -> Any:
        return (0.3 * d(u[0], "xx"),)

    def outside(t: Any) -> Any:
        return 2 * (exp(-t) * np.cos(2) + 1) - 2 * exp(-t) * np.sin(2)

    conditions = [Neumann("x-"), Robin("x+", 2.0, 1.0, outside)]
    return evolution(axes(1.0, (0, 1)), exact, rates, conditions), exact


def two_fields() -> Case:
    """Fields with conditions of their own."""

    def exact(t: Any, x: Any) -> Any:
        return exp(-t) * cos(pi * x) + 2, sin(pi * x) * t

    def start(x: Any) -> Any:
        return cos(pi * x) + 2, 0 * x

    def rates(u: Any, d: Any) -> Any:
        both = u[0] * u[1]
        return 0.1 * d(u[0], "xx") - both, 0.2 * d(u[1], "xx") + both - u[1]

    conditions = [Neumann("x", field="u"), Dirichlet("x", field="v")]
    return evolution(axes(1.0, (0, 1)), exact, rates, conditions, 1, start), exact


def flat_wave() -> Case:
    """Order 2 in a square."""
    frequency = pi * sqrt(5.0)

    def exact(t: Any, x: Any, y: Any) -> Any:
        return sin(pi * x) * sin(2 * pi * y) * cos(frequency * t)

    def start(x: Any, y: Any) -> Any:
        return sin(pi * x) * sin(2 * pi * y), 0 * x * y

    def rates(u: Any, d: Any) -> Any:
        return (d(u[0], "xx") + d(u[0], "yy"),)

    space = (0, 1), (0, 1)
    problem = evolution(axes(1.0, *space), exact, rates, [Dirichlet("boundary")], 2, start)
    return problem, exact


def oscillator() -> Case:
    """An ODE of order 2."""

    def exact(t: Any) -> Any:
        return exp(-t) * cos(20 * t)

    def rates(u: Any, d: Any) -> Any:
        return (-2 * d(u[0], "t") - 401 * u[0],)

    return evolution(axes(3.0), exact, rates, [], 2, lambda: (1.0, -1.0)), exact


CASES = [
    kdv, kdv_between_walls, kuramoto_sivashinsky, plate, allen_cahn, wave, klein_gordon,
    damped_wave, beam, schroedinger, convection, inflow, heat_loss, two_fields, oscillator,
]  # fmt: skip


def estimated(found: Surrogate) -> float:
    error = error_estimate(found)
    assert error is not None
    return error


@pytest.mark.parametrize("case", [*CASES, pytest.param(flat_wave, marks=pytest.mark.slow)])
def test_it_is_the_error(case: Any) -> None:
    problem, exact = case()
    found, true = disturbed(problem, exact)
    # of first order in an error of 1e-3, and of the second order of the grid
    assert estimated(found) == pytest.approx(true, rel=0.05)


def test_a_soliton_that_is_late() -> None:
    """It moves too slowly, by half a per cent: only a small residual says so."""

    def soliton(t: Any, x: Any) -> Any:
        return 48 / cosh(2 * (x - 16 * t + 4)) ** 2

    def rates(u: Any, d: Any) -> Any:
        return (-u[0] * d(u[0], "x") - d(u[0], "xxx"),)

    problem = evolution(axes(0.5, (-10, 10)), soliton, rates, [Periodic("x")])

    def late(t: Any, x: Any) -> Any:
        return soliton(0.995 * t, x)

    true = true_error(problem, soliton, late)
    assert 0.01 < true < 0.1
    assert estimated(given(problem, late)) == pytest.approx(true, rel=0.2)  # of first order


@dataclass(frozen=True)
class Trap(Evolution):
    """u' = 1 − u, and a narrow range of u where it is below 0: u stays at its lower end."""

    name = "test_trap_of_an_estimate"
    axes = (Axis("t", 0.0, 3.0),)
    width: float = coefficient(2e-3, lower=1e-4, upper=1.0, meaning="width")

    def rhs(self, u: Any, d: Any) -> Any:
        return 1 - u - 0.505 * exp(-(((u - 0.5) / self.width) ** 2))

    def initial(self) -> Any:
        return 0.0


def test_an_error_that_first_order_does_not_hold_for_is_not_estimated() -> None:
    """u = 1 − e^(−t) goes through the trap, by an error of 0.6; first order says 0.1."""
    assert estimated(given(Trap(), lambda t: 1 - exp(-t))) == np.inf


def test_small_errors_beside_a_trap_are_estimated() -> None:
    """Before it, up to t = 0.6, u = 1 − e^(−t) is the solution."""

    def through(t: Any) -> Any:
        return 1 - exp(-t)

    def beside(t: Any) -> Any:
        return through(t) * (1 + 1e-3 * t)

    t = np.linspace(0, 0.6, 1001)
    true = np.linalg.norm(beside(t) - through(t)) / np.linalg.norm(through(t))
    assert estimated(given(Trap(until=0.6), beside)) == pytest.approx(true, rel=0.05)


def test_what_starts_wrong_grows() -> None:
    """Solutions of Klein–Gordon's type with u_tt = 9 u: an error e^(3t) of the start alone."""

    def exact(t: Any, x: Any) -> Any:
        return cos(2 * pi * x) * exp(-3 * t)

    def start(x: Any) -> Any:
        return cos(2 * pi * x), -3 * cos(2 * pi * x)

    def rates(u: Any, d: Any) -> Any:
        return (9 * u[0] + 0 * d(u[0], "xx"),)

    problem = evolution(axes(2.0, (0, 1)), exact, rates, [Periodic("x")], 2, start)

    def wrong(t: Any, x: Any) -> Any:
        return exact(t, x) + 1e-6 * cos(2 * pi * x) * exp(3 * t)

    true = true_error(problem, exact, wrong)
    assert estimated(given(problem, wrong)) == pytest.approx(true, rel=0.05)


def test_a_short_pulse_of_an_edge_is_seen() -> None:
    """u_t + u_x = 0 with a pulse of the width 4e-3 that comes in at one end, and is left out."""

    def pulse(t: Any) -> Any:
        return 5 * exp(-(((t - 0.2037) / 4e-3) ** 2))

    def exact(t: Any, x: Any) -> Any:
        return sin(pi * (x - t)) + pulse(t - x)

    def rates(u: Any, d: Any) -> Any:
        return (-d(u[0], "x"),)

    def without(t: Any, x: Any) -> Any:
        return sin(pi * (x - t))

    edge = Dirichlet("x-", lambda t: sin(-pi * t) + pulse(t))
    problem = evolution(axes(1.0, (0, 1)), without, rates, [edge])
    # the pulse passes four fifths of the box, for which it takes four fifths of the time
    true = (0.8**2 / 2 * 25 * 4e-3 * (pi / 2) ** 0.5) ** 0.5 / 0.5**0.5 / 0.8**0.5
    found = estimated(given(problem, without))
    assert found > 0.3 * true  # the grid spreads it in space


def unstable(rate: float) -> Case:
    """u' = k (u − sin t) + cos t: errors grow by e^(2k)."""

    def exact(t: Any) -> Any:
        return sin(t)

    def rates(u: Any, d: Any) -> Any:
        return (rate * u[0],)

    return evolution(axes(2.0), exact, rates, []), exact


@pytest.mark.parametrize("rate", [5.0, 8.0])
def test_what_is_left_of_an_oscillating_residual_that_grows(rate: float) -> None:
    """Nearly all of the residual of 1e-6 sin 5t cancels: the rest grows to no more than that."""
    problem, exact = unstable(rate)

    def wrong(t: Any) -> Any:
        return sin(t) + 1e-6 * sin(5 * t)

    true = true_error(problem, exact, wrong)
    assert estimated(given(problem, wrong)) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize(("rate", "least", "most"), [(10.0, 1e-10, 1e-7), (20.0, 1e-2, 1e3)])
def test_rounding_that_grows_counts(rate: float, least: float, most: float) -> None:
    """The residual of the solution is 0, as far as numbers tell; e^(2k) is 5e8 and 2e17."""
    problem, exact = unstable(rate)
    assert least < estimated(given(problem, exact)) < most
