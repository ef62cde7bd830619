"""Problems that are no evolution, each with an exact solution; loaded as a plugin."""

from dataclasses import dataclass
from math import pi

import numpy as np

from pacpde.physics import (
    Axis,
    Dirichlet,
    Neumann,
    Periodic,
    PointValue,
    Problem,
    Robin,
    coefficient,
)
from pacpde.physics.elementary import cos, cosh, exp, sin

SQUARE = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))


@dataclass(frozen=True)
class Poisson(Problem):
    """u_xx = −(kπ)² sin kπx, u = 0 at 0, 2u + u_x given at 1: u = sin kπx."""

    name = "test_poisson"
    axes = (Axis("x", 0.0, 1.0),)
    k: float = coefficient(3.0, lower=0.1, upper=12.0, meaning="waves")

    def residual(self, u, d):
        x = d.coordinates["x"]
        return d(u, "xx") + (self.k * pi) ** 2 * sin(self.k * pi * x)

    def conditions(self):
        end = self.k * pi
        return [
            Dirichlet("x-", 0.0),
            Robin("x+", 2.0, 1.0, float(2 * np.sin(end) + end * np.cos(end))),
        ]

    def exact(self, x):
        return np.sin(self.k * pi * x)[None]


@dataclass(frozen=True)
class Bratu(Problem):
    """u'' + λ eᵘ = 0, u = 0 at both ends: the lower branch, which ends at λ = 3.5138."""

    name = "test_bratu"
    axes = (Axis("x", 0.0, 1.0),)
    lam: float = coefficient(2.0, lower=0.1, upper=3.51, meaning="λ")

    def residual(self, u, d):
        return d(u, "xx") + self.lam * exp(u)

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def exact(self, x):
        theta = 1.0
        for _ in range(3000):
            theta = np.sqrt(2 * self.lam) * np.cosh(theta / 4)
        return -2 * np.log(np.cosh((x - 0.5) * theta / 2) / np.cosh(theta / 4))[None]


@dataclass(frozen=True)
class Layer(Problem):
    """−ε u'' + u' = 1, u = 0 at both ends: a layer of width ε at 1."""

    name = "test_layer"
    axes = (Axis("x", 0.0, 1.0),)
    eps: float = coefficient(1e-2, lower=1e-3, upper=1.0, meaning="diffusivity ε")

    def residual(self, u, d):
        return -self.eps * d(u, "xx") + d(u, "x") - 1

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def exact(self, x):
        end = np.exp(-1 / self.eps)
        return (x - (np.exp((x - 1) / self.eps) - end) / (1 - end))[None]


@dataclass(frozen=True)
class Mixed(Problem):
    """Δu = (k² − 1) eᵏˣ sin y with another condition at each end: u = eᵏˣ sin y."""

    name = "test_mixed"
    axes = SQUARE
    k: float = coefficient(1.0, lower=0.1, upper=8.0, meaning="growth")

    def residual(self, u, d):
        x, y = d.coordinates["x"], d.coordinates["y"]
        return d(u, "xx") + d(u, "yy") - (self.k**2 - 1) * exp(self.k * x) * sin(y)

    def conditions(self):
        k = self.k
        return [
            Dirichlet("x-", lambda y: sin(y)),
            Neumann("x+", lambda y: k * np.exp(k) * sin(y)),
            Robin("y-", 1.0, 2.0, lambda x: -2 * exp(k * x)),
            Dirichlet("y+", lambda x: exp(k * x) * np.sin(1.0)),
        ]

    def exact(self, x, y):
        return (np.exp(self.k * x) * np.sin(y))[None]


@dataclass(frozen=True)
class Helmholtz(Problem):
    """Δu + k² u = (k² − 5π²) sin πx sin 2πy, u = 0 on the edge."""

    name = "test_helmholtz"
    axes = SQUARE
    k: float = coefficient(10.0, lower=8.0, upper=30.0, meaning="wave number k")

    def residual(self, u, d):
        x, y = d.coordinates["x"], d.coordinates["y"]
        force = (self.k**2 - 5 * pi**2) * sin(pi * x) * sin(2 * pi * y)
        return d(u, "xx") + d(u, "yy") + self.k**2 * u - force

    def conditions(self):
        return [Dirichlet("boundary", 0.0)]

    def exact(self, x, y):
        return (np.sin(pi * x) * np.sin(2 * pi * y))[None]


@dataclass(frozen=True)
class Plate(Problem):
    """Δ²u = q, clamped: u = a sin²πx sin²πy."""

    name = "test_plate"
    axes = SQUARE
    a: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="deflection")

    def residual(self, u, d):
        x, y = d.coordinates["x"], d.coordinates["y"]
        waves = [cos(2 * pi * x), cos(2 * pi * y)]
        bumps = [sin(pi * x) ** 2, sin(pi * y) ** 2]
        load = 8 * pi**4 * (waves[0] * waves[1] - waves[0] * bumps[1] - bumps[0] * waves[1])
        return d(u, "xxxx") + 2 * d(u, "xxyy") + d(u, "yyyy") - self.a * load

    def conditions(self):
        return [Dirichlet("boundary", 0.0), Neumann("boundary", 0.0)]

    def exact(self, x, y):
        return self.a * (np.sin(pi * x) ** 2 * np.sin(pi * y) ** 2)[None]


@dataclass(frozen=True)
class Kovasznay(Problem):
    """Steady Navier–Stokes behind a grid; Kovasznay, Proc. Camb. Phil. Soc. 44 (1948)."""

    name = "test_kovasznay"
    axes = (Axis("x", -0.5, 1.0), Axis("y", -0.5, 1.5))
    fields = ("u", "v", "p")
    scales = (1.0, 1.0, 1.0)
    re: float = coefficient(20.0, lower=5.0, upper=60.0, meaning="Reynolds number")

    @property
    def decay(self):
        return float(self.re / 2 - np.sqrt(self.re**2 / 4 + 4 * pi**2))

    def residual(self, fields, d):
        u, v, p = fields
        return (
            u * d(u, "x") + v * d(u, "y") + d(p, "x") - (d(u, "xx") + d(u, "yy")) / self.re,
            u * d(v, "x") + v * d(v, "y") + d(p, "y") - (d(v, "xx") + d(v, "yy")) / self.re,
            d(u, "x") + d(v, "y"),
        )

    def conditions(self):
        decay = self.decay

        def velocity(x, y):
            wave = exp(decay * x)
            return 1 - wave * cos(2 * pi * y), decay / (2 * pi) * wave * sin(2 * pi * y)

        corner = {"x": -0.5, "y": -0.5}
        pressure = float((1 - np.exp(-decay)) / 2)
        return [
            Dirichlet("boundary", velocity, field=("u", "v")),
            PointValue(corner, pressure, field="p"),
        ]

    def exact(self, x, y):
        wave = np.exp(self.decay * x)
        u = 1 - wave * np.cos(2 * pi * y)
        v = self.decay / (2 * pi) * wave * np.sin(2 * pi * y)
        return np.stack(np.broadcast_arrays(u, v, (1 - wave**2) / 2 + 0 * y))


@dataclass(frozen=True)
class Channel(Kovasznay):
    """The same flow, periodic in y."""

    name = "test_channel"
    axes = (Axis("x", -0.5, 1.0), Axis("y", -0.5, 0.5))

    def conditions(self):
        return [Periodic("y"), *(replaced(one) for one in super().conditions())]


def replaced(condition):
    """A condition at "boundary" at the ends of x alone."""
    if isinstance(condition, Dirichlet):
        return Dirichlet("x", condition.value, condition.field)
    return condition


@dataclass(frozen=True)
class Unpinned(Kovasznay):
    """The same flow without a value of the pressure."""

    name = "test_unpinned"

    def conditions(self):
        return super().conditions()[:1]


@dataclass(frozen=True)
class Advection(Problem):
    """u_t + c u_x = 0 with an inflow, written as a residual: u = sin 3(x − ct)."""

    name = "test_advection"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    c: float = coefficient(1.0, lower=0.1, upper=3.0, meaning="speed c")

    def residual(self, u, d):
        return d(u, "t") + self.c * d(u, "x")

    def conditions(self):
        return [
            Dirichlet("t-", lambda x: sin(3 * x)),
            Dirichlet("x-", lambda t: -sin(3 * self.c * t)),
        ]

    def exact(self, t, x):
        return np.sin(3 * (x - self.c * t))[None]


@dataclass(frozen=True)
class Flux(Problem):
    """u_t = q_x, q = κ u_x: a row without a rate of change; u = sin πx exp(−κπ²t)."""

    name = "test_flux"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    fields = ("u", "q")
    scales = (1.0, 1.0)
    kappa: float = coefficient(0.1, lower=0.01, upper=0.5, meaning="diffusivity κ")

    def residual(self, fields, d):
        u, q = fields
        return d(u, "t") - d(q, "x"), q - self.kappa * d(u, "x")

    def conditions(self):
        return [
            Dirichlet("t-", lambda x: sin(pi * x), field="u"),
            Dirichlet("x", 0.0, field="u"),
        ]

    def exact(self, t, x):
        decay = np.exp(-self.kappa * pi**2 * t)
        u, q = np.sin(pi * x) * decay, self.kappa * pi * np.cos(pi * x) * decay
        return np.stack([u, q])


@dataclass(frozen=True)
class Vortices(Kovasznay):
    """Taylor–Green vortices with u_x + v_y = 0 as a row: p is open up to a function of t."""

    name = "test_vortices"
    axes = (Axis("t", 0.0, 0.5), Axis("x", 0.0, 2 * pi), Axis("y", 0.0, 2 * pi))

    def residual(self, fields, d):
        u, v, _ = fields
        first, second, third = super().residual(fields, d)
        return first + d(u, "t"), second + d(v, "t"), third

    def conditions(self):
        return [
            Periodic("x"),
            Periodic("y"),
            Dirichlet("t-", lambda x, y: (-cos(x) * sin(y), sin(x) * cos(y)), field=("u", "v")),
        ]

    def exact(self, t, x, y):
        decay = np.exp(-2 * t / self.re)
        u, v = -np.cos(x) * np.sin(y) * decay, np.sin(x) * np.cos(y) * decay
        return np.stack([u, v, -(np.cos(2 * x) + np.cos(2 * y)) / 4 * decay**2])


@dataclass(frozen=True)
class Needle(Problem):
    """u'' = f with f a needle of width w at 0.37: coarse nodes do not see it."""

    name = "test_needle"
    axes = (Axis("x", 0.0, 1.0),)
    width: float = coefficient(2e-3, lower=1e-4, upper=0.1, meaning="width")

    def residual(self, u, d):
        x = (d.coordinates["x"] - 0.37) / self.width
        return d(u, "xx") + exp(-(x**2)) / self.width

    def conditions(self):
        return [Dirichlet("x", 0.0)]


@dataclass(frozen=True)
class Wrong(Poisson):
    """An `exact` with a slip in it."""

    name = "test_wrong"

    def exact(self, x):
        return np.sin(self.k * pi * x)[None] * 1.1


@dataclass(frozen=True)
class Corners(Problem):
    """Δu = −1, u = 0 on the edge: the corners leave algebraic accuracy."""

    name = "test_corners"
    axes = SQUARE

    def residual(self, u, d):
        return d(u, "xx") + d(u, "yy") + 1

    def conditions(self):
        return [Dirichlet("boundary", 0.0)]

    def exact(self, x, y):
        """Timoshenko & Goodier, Theory of Elasticity, §109: of 400 terms of the series in x."""
        shape = np.broadcast_shapes(np.shape(x), np.shape(y))
        x, y = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
        total = x * (1 - x) / 2
        for n in range(1, 800, 2):
            a = n * pi
            ratio = (np.exp(-a * y) + np.exp(-a * (1 - y))) / (1 + np.exp(-a))
            total = total - 4 / a**3 * np.sin(a * x) * ratio
        return total[None]


@dataclass(frozen=True)
class Cavity(Kovasznay):
    """The regularised cavity: u = 16 x² (1 − x)² on the lid; Shen, J. Comput. Phys. 95 (1991)."""

    name = "test_cavity"
    axes = SQUARE
    re: float = coefficient(100.0, lower=1.0, upper=1000.0, meaning="Reynolds number")

    def conditions(self):
        return [
            Dirichlet("y+", lambda x: (16 * x**2 * (1 - x) ** 2, 0 * x), field=("u", "v")),
            Dirichlet("y-", 0.0, field=("u", "v")),
            Dirichlet("x", 0.0, field=("u", "v")),
            PointValue({"x": 0.0, "y": 0.0}, 0.0, field="p"),
        ]

    def exact(self, x, y):
        return None


@dataclass(frozen=True)
class BenjaminBonaMahony(Problem):
    """u_t + u_x + u u_x = u_xxt: a solitary wave of the speed c, whose u_t stands in two terms."""

    name = "test_benjamin_bona_mahony"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -4.0, 6.0))
    c: float = coefficient(1.5, lower=1.2, upper=3.0, meaning="speed")

    def wave(self, t, x):
        return 3 * (self.c - 1) / cosh(0.5 * (1 - 1 / self.c) ** 0.5 * (x - self.c * t)) ** 2

    def residual(self, u, d):
        return d(u, "t") + d(u, "x") + u * d(u, "x") - d(u, "xxt")

    def conditions(self):
        return [Dirichlet("t-", lambda x: self.wave(0.0, x)), Dirichlet("x", self.wave)]

    def exact(self, t, x):
        return self.wave(t, x)[None]
