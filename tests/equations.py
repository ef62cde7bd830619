"""Equations with known solutions, for tests: other orders, systems, constraints, conditions.

None has a name of its own, so that they stay out of the registry of families.
"""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from scipy.optimize import brentq

from pacpde.physics import (
    Axis,
    Dirichlet,
    Evolution,
    Neumann,
    PointValue,
    Problem,
    Robin,
    coefficient,
)
from pacpde.physics.elementary import cos, cosh, exp, sin, sinh

T, X, Y = Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)


@dataclass(frozen=True)
class Wave(Evolution):
    """u_tt = c² u_xx between fixed ends: sin πx cos πct."""

    axes = (T, X)
    order = 2
    c: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="speed")

    def rhs(self, u: Any, d: Any) -> Any:
        return self.c**2 * d(u, "xx")

    def initial(self, *space: Any) -> Any:
        return sin(pi * space[0]), 0.0

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0)]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return (np.sin(pi * x) * np.cos(pi * self.c * t))[None]


@dataclass(frozen=True)
class TwoModes(Wave):
    """sin πx cos πct + ½ sin 3πx cos 3πct."""

    def initial(self, *space: Any) -> Any:
        (x,) = space
        return sin(pi * x) + 0.5 * sin(3 * pi * x), 0.0

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        two = np.sin(3 * pi * x) * np.cos(3 * pi * self.c * t) / 2
        return super().exact(t, x) + two


@dataclass(frozen=True)
class DrivenWave(Evolution):
    """u_tt = u_xx, driven at x = 0, with a given slope at x = 1: sin 2(t − x)."""

    axes = (T, X)
    order = 2

    def rhs(self, u: Any, d: Any) -> Any:
        return d(u, "xx")

    def initial(self, *space: Any) -> Any:
        (x,) = space
        return sin(-2 * x), 2 * cos(2 * x)

    def conditions(self) -> Any:
        return [
            Dirichlet("x-", lambda t: sin(2 * t)),
            Neumann("x+", lambda t: -2 * cos(2 * (t - 1))),
        ]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return np.sin(2 * (t - x))[None]


@dataclass(frozen=True)
class Insulated(Evolution):
    """u_t = 0.1 u_xx, insulated at both ends: cos πx and its decay."""

    axes = (T, X)

    def rhs(self, u: Any, d: Any) -> Any:
        return 0.1 * d(u, "xx")

    def initial(self, *space: Any) -> Any:
        return cos(pi * space[0])

    def conditions(self) -> Any:
        return [Neumann("x")]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return (np.cos(pi * x) * np.exp(-0.1 * pi**2 * t))[None]


@dataclass(frozen=True)
class InsulatedFlow(Evolution):
    """u_t = 0.1 u_xx − u u_x + f, insulated; u = e^(−t) p(x) is even about no end.

    p has a third derivative at both ends, which no function that is even about them has.
    """

    axes = (T, X)

    def rhs(self, u: Any, d: Any) -> Any:
        t, x = d.coordinates["t"], d.coordinates["x"]
        p, slope, bend = self.profile(x)
        source = -exp(-t) * (p + 0.1 * bend) + exp(-2 * t) * p * slope
        return 0.1 * d(u, "xx") - u * d(u, "x") + source

    @staticmethod
    def profile(x: Any) -> Any:
        """p, p', p'' of p = x² (3 − 2x) + 4 x³ (1 − x)²."""
        p = x**2 * (3 - 2 * x) + 4 * (x**3 - 2 * x**4 + x**5)
        slope = 6 * x - 6 * x**2 + 4 * (3 * x**2 - 8 * x**3 + 5 * x**4)
        return p, slope, 6 - 12 * x + 4 * (6 * x - 24 * x**2 + 20 * x**3)

    def initial(self, *space: Any) -> Any:
        return self.profile(space[0])[0]

    def conditions(self) -> Any:
        return [Neumann("x")]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return (np.exp(-t) * self.profile(x)[0])[None]


LOSS = 2.0  # of heat, through the Robin end
ROOT = brentq(lambda k: k * np.tan(k) - LOSS, 0.1, 1.5)  # k tan k = loss


@dataclass(frozen=True)
class RobinEnd(Evolution):
    """u_t = 0.3 u_xx, insulated at 0, 2u + u_x = 0 at 1: cos kx and its decay, k tan k = 2."""

    axes = (T, X)

    def rhs(self, u: Any, d: Any) -> Any:
        return 0.3 * d(u, "xx")

    def initial(self, *space: Any) -> Any:
        return cos(ROOT * space[0])

    def conditions(self) -> Any:
        return [Neumann("x-"), Robin("x+", LOSS, 1.0)]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return (np.cos(ROOT * x) * np.exp(-0.3 * ROOT**2 * t))[None]


@dataclass(frozen=True)
class DrivenHeat(Evolution):
    """u_t = 0.2 u_xx + f between u = sin t and u = 0: sin t (1 − x)²."""

    axes = (T, X)

    def rhs(self, u: Any, d: Any) -> Any:
        t, x = d.coordinates["t"], d.coordinates["x"]
        return 0.2 * d(u, "xx") + cos(t) * (1 - x) ** 2 - 0.4 * sin(t)

    def initial(self, *space: Any) -> Any:
        return 0.0 * space[0]

    def conditions(self) -> Any:
        return [Dirichlet("x-", lambda t: sin(t)), Dirichlet("x+", 0.0)]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return (np.sin(t) * (1 - x) ** 2)[None]


CLAMPED = 4.730040744862704  # β of the first mode of a beam of length 1, cosh β cos β = 1


@dataclass(frozen=True)
class Beam(Evolution):
    """u_tt = −u_xxxx, clamped at both ends: its first mode, with the period 2π/β²."""

    axes = (Axis("t", 0.0, 0.2), X)
    order = 2

    def mode(self, x: Any) -> Any:
        b = CLAMPED
        share = (np.cos(b) - np.cosh(b)) / (np.sin(b) - np.sinh(b))
        return (cosh(b * x) - cos(b * x) - share * (sinh(b * x) - sin(b * x))) / 1.6

    def rhs(self, u: Any, d: Any) -> Any:
        return -d(u, "xxxx")

    def initial(self, *space: Any) -> Any:
        return self.mode(space[0]), 0.0

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0), Neumann("x", 0.0)]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return (self.mode(x) * np.cos(CLAMPED**2 * t))[None]


@dataclass(frozen=True)
class Inflow(Evolution):
    """u_t = −u_x with a value where it flows in: sin 3(t − x)."""

    axes = (T, X)

    def rhs(self, u: Any, d: Any) -> Any:
        return -d(u, "x")

    def initial(self, *space: Any) -> Any:
        return sin(-3 * space[0])

    def conditions(self) -> Any:
        return [Dirichlet("x-", lambda t: sin(3 * t))]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return np.sin(3 * (t - x))[None]


@dataclass(frozen=True)
class TwoKinds(Evolution):
    """Two fields that diffuse: u between fixed ends, v insulated."""

    axes = (T, X)
    fields = ("u", "v")
    scales = (1.0, 1.0)

    def rhs(self, u: Any, d: Any) -> Any:
        return 0.1 * d(u[0], "xx"), 0.1 * d(u[1], "xx")

    def initial(self, *space: Any) -> Any:
        (x,) = space
        return sin(pi * x), cos(pi * x)

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0, field="u"), Neumann("x", 0.0, field="v")]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        t, x = at
        return np.stack([np.sin(pi * x), np.cos(pi * x)]) * np.exp(-0.1 * pi**2 * t)


@dataclass(frozen=True)
class Rod(Problem):
    """u_xx + e^x = 0, u = 1 at 0, u + u_x = 0 at 1."""

    axes = (X,)

    def residual(self, u: Any, d: Any) -> Any:
        return d(u, "xx") + exp(d.coordinates["x"])

    def conditions(self) -> Any:
        return [Dirichlet("x-", 1.0), Robin("x+", 1.0, 1.0)]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        (x,) = at
        return (2 + (np.e - 1) * x - np.exp(x))[None]


@dataclass(frozen=True)
class Poisson(Problem):
    """u_xx + u_yy + 2π² sin πx sin πy = 0 between walls of 0."""

    axes = (X, Y)

    def residual(self, u: Any, d: Any) -> Any:
        x, y = d.coordinates["x"], d.coordinates["y"]
        return d(u, "xx") + d(u, "yy") + 2 * pi**2 * sin(pi * x) * sin(pi * y)

    def conditions(self) -> Any:
        return [Dirichlet("boundary", 0.0)]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        x, y = at
        return (np.sin(pi * x) * np.sin(pi * y))[None]


@dataclass(frozen=True)
class Laplace(Problem):
    """u_xx + u_yy = 0 with e^x sin y + x on the boundary; its normal derivative at y = 1."""

    axes = (X, Y)

    def residual(self, u: Any, d: Any) -> Any:
        return d(u, "xx") + d(u, "yy")

    def conditions(self) -> Any:
        def value(x: Any, y: Any) -> Any:
            return exp(x) * sin(y) + x

        slope = Neumann("y+", lambda x, y: exp(x) * cos(y))
        return [Dirichlet("x", value), Dirichlet("y-", value), slope]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        x, y = at
        return (np.exp(x) * np.sin(y) + x)[None]


REYNOLDS = 20.0
RATE = REYNOLDS / 2 - np.sqrt(REYNOLDS**2 / 4 + 4 * pi**2)


@dataclass(frozen=True)
class Kovasznay(Problem):
    """Steady flow behind a grid (Kovasznay 1948): three fields, a constraint, a pinned pressure."""

    axes = (Axis("x", -0.5, 1.0), Axis("y", -0.5, 0.5))
    fields = ("u", "v", "p")
    scales = (1.0, 1.0, 1.0)

    def residual(self, u: Any, d: Any) -> Any:
        u, v, p = u
        return (
            u * d(u, "x") + v * d(u, "y") + d(p, "x") - (d(u, "xx") + d(u, "yy")) / REYNOLDS,
            u * d(v, "x") + v * d(v, "y") + d(p, "y") - (d(v, "xx") + d(v, "yy")) / REYNOLDS,
            d(u, "x") + d(v, "y"),
        )

    @staticmethod
    def velocity(x: Any, y: Any) -> Any:
        growth = exp(RATE * x)
        u = 1 - growth * cos(2 * pi * y)
        return u, RATE / (2 * pi) * growth * sin(2 * pi * y)

    def conditions(self) -> Any:
        return [
            Dirichlet("boundary", self.velocity, field=("u", "v")),
            PointValue({"x": 0.0, "y": 0.0}, 0.0, field="p"),
        ]

    def exact(self, *at: np.ndarray) -> np.ndarray:
        x, y = at
        return np.stack([*self.velocity(x, y), (1 - np.exp(2 * RATE * x)) / 2])


@dataclass(frozen=True)
class Level(Problem):
    """u_xx − m (u − 1) + π² cos πx = 0 between insulated ends: m alone tells the mean."""

    axes = (X,)
    m: float = coefficient(0.0, lower=0.0, upper=1.0, meaning="m")

    def residual(self, u: Any, d: Any) -> Any:
        return d(u, "xx") - self.m * (u - 1) + pi**2 * cos(pi * d.coordinates["x"])

    def conditions(self) -> Any:
        return [Neumann("x", 0.0)]


EVERY: tuple[type[Problem], ...] = (
    Wave, TwoModes, DrivenWave, Insulated, InsulatedFlow, RobinEnd, DrivenHeat, Beam, Inflow,
    TwoKinds, Rod, Poisson, Laplace, Kovasznay,
)  # fmt: skip
for family in (*EVERY, Level):
    family.name = f"_{family.__name__}"
