"""Features narrower than the grids and steps: found before anything is certified."""

from dataclasses import dataclass
from math import pi

import numpy as np
import pytest
from scipy.optimize import brentq

from pacpde.errors import SolverError
from pacpde.physics import Axis, Dirichlet, Evolution, Neumann, Problem, coefficient
from pacpde.physics.elementary import cos, exp, sin
from pacpde.problems import Burgers, Heat2D, Lorenz
from pacpde.reference import solve, worst_field_error
from pacpde.reference.grid import space_axes
from pacpde.reference.method_of_lines import MethodOfLines
from pacpde.reference.ode import integrate
from pacpde.reference.probes import missed_feature

PLACE = 0.3712345
SPACING = {"x": "nodes in x", "t": "steps in time", "either": ""}


def bump(x, place, width):
    """A Gaussian of area 1."""
    return exp(-(((x - place) / width) ** 2)) / (width * pi**0.5)


@dataclass(frozen=True)
class Narrow(Evolution):
    """u_t = α u_xx and something narrow, from sin πx between walls."""

    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    width: float = coefficient(1e-3, lower=1e-6, upper=1.0, meaning="width")

    def initial(self, x):
        return sin(pi * x)


@dataclass(frozen=True)
class Needle(Narrow):
    """A source that is narrow in space."""

    name = "test_narrow_needle"

    def rhs(self, u, d):
        return 0.1 * d(u, "xx") + bump(d.coordinates["x"], PLACE, self.width)

    def exact(self, t, x):
        found = np.sin(pi * x) * np.exp(-0.1 * pi**2 * t)
        for k in range(1, 400):
            decay = 0.1 * (k * pi) ** 2
            mode = 2 * np.exp(-((k * pi * self.width / 2) ** 2)) * np.sin(k * pi * PLACE)
            found += mode / decay * (1 - np.exp(-decay * t)) * np.sin(k * pi * x)
        return found[None]


@dataclass(frozen=True)
class Flash(Narrow):
    """A source that is narrow in time."""

    name = "test_narrow_flash"

    def rhs(self, u, d):
        at = d.coordinates
        return 0.1 * d(u, "xx") + sin(pi * at["x"]) * bump(at["t"], 0.4123, self.width)


@dataclass(frozen=True)
class Spark(Narrow):
    """A source that is narrow in space and time."""

    name = "test_narrow_spark"

    def rhs(self, u, d):
        at = d.coordinates
        spark = bump(at["x"], PLACE, self.width) * bump(at["t"], 0.4123, self.width)
        return 0.1 * d(u, "xx") + spark


@dataclass(frozen=True)
class Barrier(Narrow):
    """A diffusivity that is small on a narrow place."""

    name = "test_narrow_barrier"

    def rhs(self, u, d):
        hole = exp(-(((d.coordinates["x"] - PLACE) / self.width) ** 2))
        return 0.1 * (1 - 0.99 * hole) * d(u, "xx")


@dataclass(frozen=True)
class NarrowStart(Narrow):
    """A start with a narrow peak."""

    name = "test_narrow_start"

    def rhs(self, u, d):
        return 0.1 * d(u, "xx")

    def initial(self, x):
        return sin(pi * x) + exp(-(((x - PLACE) / self.width) ** 2))


@dataclass(frozen=True)
class Pulse(Narrow):
    """u' = −u and a pulse in time."""

    name = "test_narrow_pulse"
    axes = (Axis("t", 0.0, 1.0),)

    def conditions(self):
        return []

    def rhs(self, u, d):
        return -u + bump(d.coordinates["t"], 0.4123, self.width)

    def initial(self):
        return 1.0


@dataclass(frozen=True)
class Threshold(Narrow):
    """u' = −u and a reaction in a narrow range of u."""

    name = "test_narrow_threshold"
    axes = (Axis("t", 0.0, 1.0),)

    def conditions(self):
        return []

    def rhs(self, u, d):
        return -u + 1e3 * exp(-(((u - 0.7123) / self.width) ** 2))

    def initial(self):
        return 1.0


@dataclass(frozen=True)
class Trap(Narrow):
    """u' = 1 − u, and a narrow range of u where it is below 0: u stays at its lower end."""

    name = "test_narrow_trap"
    axes = (Axis("t", 0.0, 3.0),)

    def conditions(self):
        return []

    def rhs(self, u, d):
        return 1 - u - 0.505 * exp(-(((u - 0.5) / self.width) ** 2))

    def initial(self):
        return 0.0


@dataclass(frozen=True)
class TrapInSpace(Trap):
    """The same at every place, which diffusion joins."""

    name = "test_narrow_trap_in_space"
    axes = (Axis("t", 0.0, 3.0), Axis("x", 0.0, 1.0))

    def conditions(self):
        return [Neumann("x", 0.0)]

    def rhs(self, u, d):
        return 0.01 * d(u, "xx") + super().rhs(u, d)

    def initial(self, x):
        return 0.1 * cos(pi * x)


@dataclass(frozen=True)
class Needle2D(Narrow):
    """A source that is narrow in both directions of a plane."""

    name = "test_narrow_plane"
    axes = (*Narrow.axes, Axis("y", 0.0, 1.0))

    def conditions(self):
        return [Dirichlet("x", 0.0), Dirichlet("y", 0.0)]

    def rhs(self, u, d):
        at = d.coordinates
        needle = bump(at["x"], PLACE, self.width) * bump(at["y"], 0.6712, self.width)
        return 0.1 * (d(u, "xx") + d(u, "yy")) + needle

    def initial(self, x, y):
        return sin(pi * x) * sin(pi * y)


@dataclass(frozen=True)
class Tap(Narrow):
    """Heat that comes in at an end for a moment."""

    name = "test_narrow_tap"

    def rhs(self, u, d):
        return 0.1 * d(u, "xx")

    def conditions(self):
        return [
            Dirichlet("x-", 0.0),
            Neumann("x+", lambda t: -pi * exp(-0.1 * pi**2 * t) + bump(t, 0.4123, self.width)),
        ]


@dataclass(frozen=True)
class Nail(Narrow):
    """A plane whose lower edge is warm at a narrow place."""

    name = "test_narrow_nail"
    axes = (*Narrow.axes, Axis("y", 0.0, 1.0))

    def rhs(self, u, d):
        return 0.1 * (d(u, "xx") + d(u, "yy"))

    def initial(self, x, y):
        return sin(pi * x) * sin(pi * y)

    def conditions(self):
        return [
            Dirichlet("x", 0.0),
            Dirichlet("y-", lambda x: exp(-(((x - PLACE) / self.width) ** 2))),
            Dirichlet("y+", 0.0),
        ]


@pytest.mark.parametrize(
    ("family", "width", "axis"),
    [
        (Needle, 1e-4, "x"),
        (Flash, 1e-4, "t"),
        (Spark, 1e-3, "either"),
        (Barrier, 1e-4, "x"),
        (NarrowStart, 1e-4, "x"),
        (Pulse, 1e-4, "t"),
        (Pulse, 1e-5, "t"),
        (Threshold, 1e-5, "t"),
        (Needle2D, 1e-3, "x"),
        (Tap, 1e-4, "t"),
        (Nail, 1e-3, "x"),
    ],
)
def test_what_is_narrower_than_every_grid_is_not_certified(
    family: type[Narrow], width: float, axis: str
) -> None:
    with pytest.raises(SolverError, match=f"feature narrower than .* {SPACING[axis]}"):
        solve(family(width=width), tolerance=1e-4)


@pytest.mark.parametrize("loosest", [None, 0.1])
def test_not_even_the_loosest_certificate_is_given_blind(loosest: float | None) -> None:
    with pytest.raises(SolverError, match=r"nothing up to 0\.1 can be certified"):
        solve(Needle(width=1e-4), tolerance=1e-3, loosest=loosest)


@pytest.mark.parametrize(
    ("family", "width"),
    [(Trap, 1e-4), (Trap, 1e-6), pytest.param(TrapInSpace, 1e-5, marks=pytest.mark.slow)],
)
def test_a_missed_range_of_the_fields_leaves_no_certificate(
    family: type[Narrow], width: float
) -> None:
    """A solution that steps over it ends at 0.95 in place of 0.5, by a mean as small as `width`."""
    with pytest.raises(SolverError, match=r"nothing up to 0\.1 can be certified"):
        solve(family(width=width), loosest=0.1)


def test_a_range_of_the_fields_that_steps_see_is_certified() -> None:
    """The end is the root of the right-hand side below 0.5."""
    end = brentq(lambda u: 1 - u - 0.505 * np.exp(-(((u - 0.5) / 2e-3) ** 2)), 0.49, 0.5)
    reference = solve(Trap(width=2e-3))
    assert abs(reference(3.0)[0] - end) < 1e-10


@pytest.mark.parametrize("width", [0.05, 0.02])
def test_what_a_finer_grid_resolves_is_certified_and_right(width: float) -> None:
    reference = solve(Needle(width=width), tolerance=1e-6)
    exact = reference.problem.exact(*np.meshgrid(*reference.axes.values(), indexing="ij"))
    assert worst_field_error(reference.values, exact) <= reference.certified_error <= 1e-6


@pytest.mark.parametrize("problem", [Burgers(nu=0.1), Heat2D(), Lorenz()], ids=str)
def test_resolved_problems_have_nothing_between_their_nodes(problem: Problem) -> None:
    sizes = {
        axis.name: 32 if len(problem.domain.space) == 1 else 12 for axis in problem.domain.space
    }
    integrated = integrate(MethodOfLines(problem, space_axes(problem, sizes)), 1e-6)
    found = missed_feature(problem, integrated, np.asarray(problem.scales), 1e-9)
    # a thousandth of the integrator's tolerance, whose steps are ever less smooth than that
    assert found.error < 1e-9


def test_probes_draw_the_same_points_each_time() -> None:
    told: list[str] = []
    for _ in range(2):
        with pytest.raises(SolverError) as caught:
            solve(Pulse(width=1e-4), tolerance=1e-3)
        told.append(str(caught.value))
    assert told[0] == told[1]
