"""Residuals of rows and conditions, as shares of the terms and fields, by formulas."""

import json
import math
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.networks.assessment import Assessment
from pacpde.physics import (
    Axis,
    Dirichlet,
    Evolution,
    Neumann,
    Periodic,
    PointValue,
    Problem,
    Robin,
    coefficient,
)
from pacpde.physics.elementary import cos, exp, sin
from pacpde.residuals.assess import assess
from tests.equations import Wave
from tests.residuals.given import given


@dataclass(frozen=True)
class Rod(Problem):
    """u'' + k² u = 0 on [0, 1]: u = sin kx; u = 0 at 0, u' + u at 1."""

    axes = (Axis("x", 0.0, 1.0),)
    k: float = coefficient(2.0, lower=0.1, upper=10.0, meaning="wave number")

    def residual(self, u: Any, d: Any) -> Any:
        return d(u, "xx") + self.k**2 * u

    def conditions(self) -> Any:
        k = self.k
        return [Dirichlet("x-"), Robin("x+", 1.0, 1.0, float(np.sin(k) + k * np.cos(k)))]


@dataclass(frozen=True)
class Flow(Problem):
    """(u, v) without divergence, and a pressure that is pinned; more rows than fields."""

    axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    fields = ("u", "v", "p")
    scales = (1.0, 1.0, 1.0)
    nu: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="viscosity")

    def residual(self, u: Any, d: Any) -> Any:
        u, v, p = u
        return (
            d(p, "x") - self.nu * (d(u, "xx") + d(u, "yy")),
            d(p, "y") - self.nu * (d(v, "xx") + d(v, "yy")),
            d(u, "x") + d(v, "y"),
            d(p, "xx") + d(p, "yy"),
        )

    def conditions(self) -> Any:
        return [
            Periodic("x"),
            Neumann("y-", field="p"),
            PointValue({"x": 0.5, "y": 0.5}, 0.0, field="p"),
        ]


@dataclass(frozen=True)
class Decay(Evolution):
    """u_t = −u at every place by itself, periodic: u = e^{−t}."""

    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    rate: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="rate")

    def rhs(self, u: Any, d: Any) -> Any:
        return -self.rate * u

    def initial(self, *space: Any) -> Any:
        return 1.0 + 0 * space[0]

    def conditions(self) -> Any:
        return [Periodic("x")]


for family in (Rod, Flow, Decay):
    family.name = family.__name__.lower()  # for messages; not registered


def residual(problem: Problem, function: Any) -> float:
    points = torch.from_numpy(problem.domain.sample(4096, np.random.default_rng(0)))
    return assess(given(problem, function), points, estimate=False).residual


def rms(function: Any, **ends: float) -> float:
    """Root mean square of a function of t and x over the unit square."""
    grid = (np.arange(400) + 0.5) / 400
    t, x = np.meshgrid(grid, grid)
    return float(np.sqrt(np.mean(function(**({"t": t, "x": x} | ends)) ** 2)))


def test_exact_solutions_have_no_residual() -> None:
    assert residual(Wave(c=2.0), lambda t, x: sin(pi * x) * cos(2 * pi * t)) < 1e-12
    assert residual(Rod(), lambda x: sin(2 * x)) < 1e-12
    assert residual(Flow(), lambda x, y: (1.0 + 0 * x, 1.0 + 0 * x, 0.0 * x)) == 0


def test_the_residual_of_order_two_is_a_share_of_its_terms() -> None:
    """u + δ t² meets the start and, at x = 0 and 1, misses the edges by δ t²."""
    delta = 1e-3
    found = residual(
        Wave(c=2.0), lambda t, x: sin(pi * x) * cos(2 * pi * t) + delta * t**2 * sin(2 * pi * x)
    )

    def row(t: Any, x: Any) -> Any:
        return delta * np.sin(2 * pi * x) * (2 + 4 * (2 * pi) ** 2 * t**2)

    terms = 2 * rms(lambda t, x: (2 * pi) ** 2 * np.sin(pi * x) * np.cos(2 * pi * t))
    # u_tt and 4 u_xx have one size in the solution; in δ t² sin 2πx they are of 1e-3 of it
    assert found == pytest.approx(rms(row) / terms, rel=1e-2)


@pytest.mark.parametrize("wrong", ["value", "rate", "edge"])
def test_soft_start_and_edges_count(wrong: str) -> None:
    """What solves the equation and misses a condition has the residual of the condition."""
    delta = 1e-2
    added = {
        "value": lambda t, x: delta * sin(2 * pi * x) * cos(4 * pi * t),
        "rate": lambda t, x: delta * sin(pi * x) * sin(2 * pi * t),
        "edge": lambda t, x: delta * (1 - x),
    }[wrong]
    found = residual(Wave(c=2.0), lambda t, x: sin(pi * x) * cos(2 * pi * t) + added(t, x))
    size = rms(lambda t, x: np.sin(pi * x) * np.cos(2 * pi * t))  # 1/2
    expected = {
        "value": delta / 2**0.5 / size,
        "rate": 2 * pi * delta / 2**0.5 / size,  # over the length of the time span
        "edge": delta / size,
    }[wrong]
    assert found == pytest.approx(expected, rel=2e-2)


def test_conditions_of_other_kinds_count() -> None:
    """sin kx + δ cos kx solves the equation of a rod, and misses both of its ends."""
    k, delta = 2.0, 1e-2
    grid = (np.arange(4000) + 0.5) / 4000
    size = np.sqrt(np.mean(np.sin(k * grid) ** 2))
    at_zero = delta / size
    slope = max(size, abs(k * np.cos(k)))
    at_one = delta * abs(np.cos(k) - k * np.sin(k)) / (size + slope)
    found = residual(Rod(), lambda x: sin(k * x) + delta * cos(k * x))
    assert found == pytest.approx(max(at_zero, at_one), rel=2e-2)
    found = residual(Rod(), lambda x: sin(k * x) + delta * sin(k * x))
    missed = delta * abs(np.sin(k) + k * np.cos(k))
    assert found == pytest.approx(missed / (size + slope), rel=3e-2)  # at_one alone


def test_seams_and_points_count() -> None:
    """A constant pressure solves all rows; a shear in x jumps where the box is periodic."""
    pinned = residual(Flow(), lambda x, y: (1.0 + 0 * x, 1.0 + 0 * x, 0.25 + 0 * x))
    assert pinned == pytest.approx(1.0)  # all of p's size
    seam = residual(Flow(), lambda x, y: (1.0 + 0.1 * y, 1.0 + 0.1 * x, 0.0 * x))
    size = np.sqrt(np.mean((1 + 0.1 * np.linspace(0, 1, 1001)) ** 2))
    assert seam == pytest.approx(0.1 / size, rel=1e-2)  # v jumps by 0.1


def test_a_seam_counts_where_the_equation_has_no_derivatives_across_it() -> None:
    """A jump of 0.1 e^{−t} between the ends of x, beside 0.029 of it at the start."""
    assert residual(Decay(), lambda t, x: exp(-t) + 0 * x) < 1e-12
    found = residual(Decay(), lambda t, x: exp(-t) * (0.95 + 0.1 * x))
    assert found == pytest.approx(0.1, rel=1e-2)


def test_a_row_with_terms_of_its_own_size_is_measured_by_them() -> None:
    """A constraint of small terms is not hidden behind larger rows."""
    found = residual(Flow(), lambda x, y: (1e-6 * sin(2 * pi * x), 1.0 + 0 * x, 0 * x))
    assert found == pytest.approx(1.0)  # u_x = 0 is missed by all of it


def test_a_solution_that_is_not_finite_is_said() -> None:
    assert residual(Rod(), lambda x: exp(1e4 * (x + 1))) == float("inf")


def test_a_pulse_of_an_edge_between_the_points_of_a_fit_counts() -> None:
    """Of width 3e-4 and height 30 in time: what nothing but the edge itself says."""
    unit = Wave(c=2.0).domain.sample(256, np.random.default_rng(0))
    times = np.sort(unit[:, 0])
    widest = int(np.diff(times).argmax())
    middle = float(times[widest : widest + 2].mean())
    assert times[widest + 1] - middle > 5 * 3e-4

    @dataclass(frozen=True)
    class Driven(Wave):
        def conditions(self) -> Any:
            pulse = Dirichlet("x-", lambda t: 30 * exp(-(((t - middle) / 3e-4) ** 2)))
            return [pulse, Dirichlet("x+")]

    Driven.name = "driven"
    problem = Driven(c=2.0)
    points = torch.from_numpy(unit)
    quiet = given(problem, lambda t, x: sin(pi * x) * cos(2 * pi * t))
    assert assess(quiet, points, estimate=False).residual < 1e-9
    closely = assess(quiet, points).residual
    pulse = 30 * (3e-4 * (pi / 2) ** 0.5) ** 0.5  # root mean square
    assert closely == pytest.approx(pulse / 0.5, rel=0.3)


def test_a_pulse_that_is_too_narrow_for_a_fit_is_named_with_its_width_and_its_points() -> None:
    """Of width 1e-4 in x, which random held-out points see, and no fit resolves."""

    @dataclass(frozen=True)
    class Lit(Wave):
        def rhs(self, u: Any, d: Any) -> Any:
            return super().rhs(u, d) + 100 * exp(-(((d.coordinates["x"] - 0.5) / 1e-4) ** 2))

    Lit.name = "lit"
    solver = given(Lit(c=2.0), lambda t, x: sin(pi * x) * cos(2 * pi * t))
    points = torch.from_numpy(Lit(c=2.0).domain.sample(4096, np.random.default_rng(0)))
    (note,) = [one for one in assess(solver, points, fit_points=2000).notes if "feature" in one]
    assert "near x = 0.5 the right-hand side has a feature of the width 0.0002 in x" in note
    assert "of 2,000 random points about 0.5 lie in it" in note
    dark = given(Wave(c=2.0), lambda t, x: sin(pi * x) * cos(2 * pi * t))
    assert not any("feature" in one for one in assess(dark, points, fit_points=2000).notes)


def test_an_assessment_comes_back_from_its_json() -> None:
    for residual, error in ((0.5, 0.25), (0.5, None), (math.inf, None)):
        about = Assessment(residual, error, ("a note",))
        known = json.loads(json.dumps(about.as_json(), allow_nan=False))
        assert known["residual"] == (0.5 if residual == 0.5 else None)
        assert known["error_estimate"] == error
        assert Assessment.from_json(known) == about
    assert Assessment(math.nan, math.nan).as_json()["residual"] is None
