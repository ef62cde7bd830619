"""Conditions at the edges and equations of second order, against exact solutions."""

from dataclasses import dataclass
from math import cosh, pi, sinh
from typing import ClassVar

import numpy as np
import pytest
from scipy.optimize import brentq

from pacpde.physics import Axis, Dirichlet, Evolution, Neumann, Problem, Robin, coefficient
from pacpde.physics.elementary import cos, exp, sin
from pacpde.reference import Reference, solve, worst_field_error
from pacpde.reference.grid import space_axes
from pacpde.reference.method_of_lines import MethodOfLines

T, X = Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0)


@dataclass(frozen=True)
class Insulated(Evolution):
    """u_t = κ u_xx, ∂u/∂n = 0: u = 1 + cos πx exp(−κπ²t)."""

    name = "test_edges_insulated"
    axes = (T, X)
    kappa: float = coefficient(0.2, lower=0.01, upper=5.0, meaning="diffusivity")

    def rhs(self, u, d):
        return self.kappa * d(u, "xx")

    def initial(self, x):
        return 1 + cos(pi * x)

    def conditions(self):
        return [Neumann("x")]

    def exact(self, t, x):
        return (1 + np.cos(pi * x) * np.exp(-self.kappa * pi**2 * t))[None]


@dataclass(frozen=True)
class RobinEnd(Insulated):
    """u = 0 at x = 0, h u + u_x = 0 at x = 1: sin μx exp(−κμ²t) with μ cos μ + h sin μ = 0."""

    name = "test_edges_robin"
    loss: float = coefficient(2.0, lower=0.0, upper=50.0, meaning="loss h")

    @property
    def mode(self):
        return brentq(lambda mu: mu * np.cos(mu) + self.loss * np.sin(mu), 0.5, pi, xtol=1e-15)

    def initial(self, x):
        return sin(self.mode * x)

    def conditions(self):
        return [Dirichlet("x-", 0.0), Robin("x+", a=self.loss, b=1.0)]

    def exact(self, t, x):
        return (np.sin(self.mode * x) * np.exp(-self.kappa * self.mode**2 * t))[None]


@dataclass(frozen=True)
class Driven(Insulated):
    """Stokes' layer exp(−kx) cos(kx − ωt), ω = 2κk², driven at one end, its flux at the other."""

    name = "test_edges_driven"
    k: float = coefficient(3.0, lower=0.5, upper=6.0, meaning="wave number")

    def initial(self, x):
        return exp(-self.k * x) * cos(self.k * x)

    def conditions(self):
        k = self.k
        omega = 2 * self.kappa * k**2
        return [
            Dirichlet("x-", lambda t: cos(omega * t)),
            Neumann("x+", lambda t, x: -k * exp(-k * x) * (cos(k * x - omega * t)
                                                           + sin(k * x - omega * t))),
        ]  # fmt: skip

    def exact(self, t, x):
        phase = self.k * x - 2 * self.kappa * self.k**2 * t
        return (np.exp(-self.k * x) * np.cos(phase))[None]


@dataclass(frozen=True)
class Inflow(Evolution):
    """u_t = −c u_x with u = sin ωt at x = 0 and none at x = 1: sin ω(t − x/c)."""

    name = "test_edges_inflow"
    axes = (T, X)
    c: float = coefficient(1.0, lower=0.5, upper=20.0, meaning="speed")
    omega: float = coefficient(5.0, lower=0.1, upper=15.0, meaning="frequency")

    def rhs(self, u, d):
        return -self.c * d(u, "x")

    def initial(self, x):
        return -sin(self.omega * x / self.c)

    def conditions(self):
        return [Dirichlet("x-", lambda t: sin(self.omega * t))]

    def exact(self, t, x):
        return np.sin(self.omega * (t - x / self.c))[None]


@dataclass(frozen=True)
class TwoKinds(Evolution):
    """u_t = κ u_xx + a v_x, v_t = κ v_xx − a u_x: u is held, v is insulated."""

    name = "test_edges_two"
    axes = (T, X)
    fields = ("u", "v")
    kappa: float = coefficient(0.1, lower=0.01, upper=1.0, meaning="diffusivity")
    a: float = coefficient(0.5, lower=0.0, upper=3.0, meaning="coupling")

    def rhs(self, fields, d):
        u, v = fields
        return (
            self.kappa * d(u, "xx") + self.a * d(v, "x"),
            self.kappa * d(v, "xx") - self.a * d(u, "x"),
        )

    def initial(self, x):
        return sin(pi * x), cos(pi * x)

    def conditions(self):
        return [Dirichlet("x", 0.0, field="u"), Neumann("x", 0.0, field="v")]

    def exact(self, t, x):
        decay = np.exp(-(self.kappa * pi**2 + self.a * pi) * t)
        return np.stack([np.sin(pi * x) * decay, np.cos(pi * x) * decay])


@dataclass(frozen=True)
class Dispersive(Evolution):
    """u_t = −u_xxx, one condition at x = 0 and two at x = 1: sin(kx + k³t)."""

    name = "test_edges_dispersive"
    axes = (Axis("t", 0.0, 0.2), X)
    k: float = coefficient(2.0, lower=0.5, upper=3.0, meaning="wave number")

    def rhs(self, u, d):
        return -d(u, "xxx")

    def initial(self, x):
        return sin(self.k * x)

    def conditions(self):
        k = self.k
        return [
            Dirichlet("x", lambda t, x: sin(k * x + k**3 * t)),
            Neumann("x+", lambda t, x: k * cos(k * x + k**3 * t)),
        ]

    def exact(self, t, x):
        return np.sin(self.k * x + self.k**3 * t)[None]


BETA = 4.730040744862704  # cos β cosh β = 1
RATIO = (cosh(BETA) - np.cos(BETA)) / (sinh(BETA) - np.sin(BETA))


def beam_mode(x):
    """The first mode of a beam clamped at 0 and 1."""
    growing, falling = exp(BETA * x), exp(-BETA * x)
    bent = (growing + falling) / 2 - cos(BETA * x)
    return bent - RATIO * ((growing - falling) / 2 - sin(BETA * x))


@dataclass(frozen=True)
class Film(Evolution):
    """u_t = −κ u_xxxx, clamped: the beam's mode, decaying like exp(−κβ⁴t)."""

    name = "test_edges_film"
    axes = (T, X)
    kappa: float = coefficient(2e-3, lower=1e-4, upper=0.02, meaning="stiffness")

    def rhs(self, u, d):
        return -self.kappa * d(u, "xxxx")

    def initial(self, x):
        return beam_mode(x)

    def conditions(self):
        return [Dirichlet("x", 0.0), Neumann("x", 0.0)]

    def exact(self, t, x):
        return (beam_mode(x) * np.exp(-self.kappa * BETA**4 * t))[None]


@dataclass(frozen=True)
class Beam(Film):
    """u_tt = −κ u_xxxx, clamped: the mode, times cos √κ β² t."""

    name = "test_edges_beam"
    order: ClassVar[int] = 2

    def initial(self, x):
        return beam_mode(x), 0.0

    def exact(self, t, x):
        return (beam_mode(x) * np.cos(self.kappa**0.5 * BETA**2 * t))[None]


@dataclass(frozen=True)
class TwoModes(Evolution):
    """u_tt = c² u_xx, held: sin πx cos cπt + ½ sin 4πx sin 4cπt."""

    name = "test_edges_modes"
    axes = (T, X)
    order = 2
    c: float = coefficient(2.0, lower=0.1, upper=5.0, meaning="speed")

    def rhs(self, u, d):
        return self.c**2 * d(u, "xx")

    def initial(self, x):
        return sin(pi * x), 2 * pi * self.c * sin(4 * pi * x)

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def exact(self, t, x):
        slow = np.sin(pi * x) * np.cos(self.c * pi * t)
        return (slow + 0.5 * np.sin(4 * pi * x) * np.sin(4 * self.c * pi * t))[None]


@dataclass(frozen=True)
class KleinGordon(Evolution):
    """u_tt = u_xx − u³ + f so that u = x cos 5πt + (xt)³, with values at both ends.

    Wang, Teng & Perdikaris, SIAM J. Sci. Comput. 43 (2021), section 4.2.
    """

    name = "test_edges_klein_gordon"
    axes = (T, X)
    order = 2

    def rhs(self, u, d):
        t, x = d.coordinates["t"], d.coordinates["x"]
        own = x * cos(5 * pi * t) + (x * t) ** 3
        forcing = -25 * pi**2 * x * cos(5 * pi * t) + 6 * x**3 * t - 6 * t**3 * x + own**3
        return d(u, "xx") - u**3 + forcing

    def initial(self, x):
        return x, 0.0 * x

    def conditions(self):
        return [Dirichlet("x-", 0.0), Dirichlet("x+", lambda t: cos(5 * pi * t) + t**3)]

    def exact(self, t, x):
        return (x * np.cos(5 * pi * t) + (x * t) ** 3)[None]


@dataclass(frozen=True)
class Telegraph(Evolution):
    """u_tt = u_xx − 2a u_t − 2b u_tx + f, driven and with a Robin end: exp(−t) sin(x + 2t)."""

    name = "test_edges_telegraph"
    axes = (T, X)
    order = 2
    a: float = coefficient(0.5, lower=0.0, upper=5.0, meaning="damping")
    b: float = coefficient(0.3, lower=0.0, upper=1.0, meaning="transport")

    def rhs(self, u, d):
        t, x = d.coordinates["t"], d.coordinates["x"]
        s, c = exp(-t) * sin(x + 2 * t), exp(-t) * cos(x + 2 * t)
        forcing = -3 * s - 4 * c + s + 2 * self.a * (2 * c - s) + 2 * self.b * (-c - 2 * s)
        return d(u, "xx") - 2 * self.a * d(u, "t") - 2 * self.b * d(u, "tx") + forcing

    def initial(self, x):
        return sin(x), 2 * cos(x) - sin(x)

    def conditions(self):
        return [
            Dirichlet("x-", lambda t: exp(-t) * sin(2 * t)),
            Robin("x+", a=1.0, b=2.0,
                  value=lambda t, x: exp(-t) * (sin(x + 2 * t) + 2 * cos(x + 2 * t))),
        ]  # fmt: skip

    def exact(self, t, x):
        return (np.exp(-t) * np.sin(x + 2 * t))[None]


@dataclass(frozen=True)
class Plate(Evolution):
    """u_t = κ (u_xx + u_yy), every end of another kind: exp(−κ(a² + b²)t) cos ax sin(by + 1)."""

    name = "test_edges_plate"
    axes = (T, X, Axis("y", -1.0, 0.5))
    kappa: float = coefficient(0.1, lower=0.01, upper=1.0, meaning="diffusivity")
    a: float = coefficient(2.0, lower=0.1, upper=4.0, meaning="wave number in x")
    b: float = coefficient(1.5, lower=0.1, upper=4.0, meaning="wave number in y")

    def rhs(self, u, d):
        return self.kappa * (d(u, "xx") + d(u, "yy"))

    def decay(self, t):
        return exp(-self.kappa * (self.a**2 + self.b**2) * t)

    def initial(self, x, y):
        return cos(self.a * x) * sin(self.b * y + 1)

    def conditions(self):
        a, b = self.a, self.b

        def loss(t, x, y):
            return self.decay(t) * sin(b * y + 1) * (2 * cos(a * x) - a * sin(a * x))

        def flux(t, x, y):
            return self.decay(t) * cos(a * x) * b * cos(b * y + 1)

        return [
            Neumann("x-", 0.0),
            Robin("x+", a=2.0, b=1.0, value=loss),
            Dirichlet("y-", lambda t, x, y: self.decay(t) * cos(a * x) * sin(b * y + 1)),
            Neumann("y+", flux),
        ]

    def exact(self, t, x, y):
        decay = np.exp(-self.kappa * (self.a**2 + self.b**2) * t)
        return (decay * np.cos(self.a * x) * np.sin(self.b * y + 1))[None]


@dataclass(frozen=True)
class Oscillator(Evolution):
    """u″ = −ω²u − 2γ u′ from 1 at rest, below critical damping."""

    name = "test_edges_oscillator"
    axes = (Axis("t", 0.0, 3.0),)
    order = 2
    omega: float = coefficient(10.0, lower=5.0, upper=40.0, meaning="frequency")
    gamma: float = coefficient(0.5, lower=0.0, upper=4.0, meaning="damping")

    def rhs(self, u, d):
        return -(self.omega**2) * u - 2 * self.gamma * d(u, "t")

    def initial(self):
        return 1.0, 0.0

    def exact(self, t):
        own = (self.omega**2 - self.gamma**2) ** 0.5
        return (np.exp(-self.gamma * t) * (np.cos(own * t) + self.gamma / own * np.sin(own * t)))[
            None
        ]


FAMILIES = [
    Insulated, RobinEnd, Driven, Inflow, TwoKinds, Dispersive, Film, Beam, TwoModes, KleinGordon,
    Telegraph, Plate, Oscillator,
]  # fmt: skip


def error_of(reference: Reference) -> float:
    grid = np.meshgrid(*reference.axes.values(), indexing="ij")
    return worst_field_error(reference.values, reference.problem.exact(*grid))


# driven edges take an explicit method many steps at 1e-10
DRIVEN = {KleinGordon: 1e-7, Telegraph: 1e-7}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_meets_its_exact_solution(family: type[Problem]) -> None:
    tolerance = DRIVEN.get(family, 1e-9)
    reference = solve(family(), tolerance=tolerance)
    assert error_of(reference) <= reference.certified_error <= tolerance


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_certificates_are_true_for_random_coefficients(family: type[Problem]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(1 if family in DRIVEN else 3):
        chosen = {
            name: rng.uniform(about.lower, about.upper) for name, about in family.declared().items()
        }
        reference = solve(family(**chosen), tolerance=1e-5)
        assert error_of(reference) <= reference.certified_error <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_the_jacobian_of_its_rates(family: type[Problem]) -> None:
    problem = family()
    sizes = {axis.name: 10 if len(problem.axes) < 3 else 7 for axis in problem.domain.space}
    system = MethodOfLines(problem, space_axes(problem, sizes))
    rng = np.random.default_rng(0)
    y, t = system.start + 0.3 * system.scale * rng.standard_normal(system.start.shape), 0.4
    steps = np.diag(1e-5 * system.scale)
    expected = np.stack(
        [(system.rates(t, y + e) - system.rates(t, y - e)) / (2 * e.sum()) for e in steps], 1
    )
    found = system.jacobian(t, y)
    # central differences of cubic rates err by (1e-5)² of the third derivative
    assert np.abs(found - expected).max() < 1e-8 * np.abs(expected).max()


@pytest.mark.parametrize("family", [RobinEnd, Driven, Inflow, Dispersive, Film])
def test_edges_hold_their_conditions_for_any_unknowns(family: type[Problem]) -> None:
    problem = family()
    system = MethodOfLines(problem, space_axes(problem, {"x": 14}))
    t = 0.37
    u = system.unpack(t, np.random.default_rng(0).standard_normal(system.start.shape))[0]
    slope = system.space[0].matrices(1)[1] @ u
    for edge in problem.boundary.edges:
        end = -1 if edge.upper else 0
        outwards = 1 if edge.upper else -1
        held = edge.a * u[end] + edge.b * outwards * slope[end]
        value = edge.value_at({"t": t, "x": float(edge.upper)})
        # rounding of a first derivative of random values, N² = 200 of them
        assert held == pytest.approx(value, abs=1e-9)


def test_spectra_are_those_of_the_equations() -> None:
    """Film: −κ(βₖ)⁴, real; dispersive: all to the left, where nodes as unknowns go right."""
    film = Film()
    system = MethodOfLines(film, space_axes(film, {"x": 40}))
    values = np.linalg.eigvals(system.jacobian(0.0, system.start))
    assert np.abs(values.imag).max() == 0 and values.real.max() < 0
    assert values.real.max() == pytest.approx(-film.kappa * BETA**4, rel=1e-8)
    dispersive = Dispersive()
    system = MethodOfLines(dispersive, space_axes(dispersive, {"x": 40}))
    assert np.linalg.eigvals(system.jacobian(0.0, system.start)).real.max() < -1


def test_an_explicit_method_is_taken_for_what_oscillates() -> None:
    explicit = {TwoModes, KleinGordon, Telegraph, Inflow, Beam}
    for family in FAMILIES:
        problem = family()
        sizes = {axis.name: 20 for axis in problem.domain.space}
        system = MethodOfLines(problem, space_axes(problem, sizes))
        assert system.explicit == (family in explicit), family.name
