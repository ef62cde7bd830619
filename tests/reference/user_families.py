"""Families as a user would write them, each with an exact solution; loaded as a plugin."""

from dataclasses import dataclass
from math import pi

import numpy as np

from pacpde.physics import Axis, Dirichlet, Evolution, Periodic, coefficient
from pacpde.physics.elementary import cos, exp, sin


@dataclass(frozen=True)
class Drift(Evolution):
    """u_t = −c u_x + κ u_xx, periodic on [0, 2π], from sin x + ½ cos 3x: not odd about 0."""

    name = "test_drift"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 2 * pi))
    c: float = coefficient(2.0, lower=-10.0, upper=10.0, meaning="speed")
    kappa: float = coefficient(0.1, lower=1e-4, upper=1.0, meaning="diffusivity")

    def conditions(self):
        return [Periodic("x")]

    def rhs(self, u, d):
        return -self.c * d(u, "x") + self.kappa * d(u, "xx")

    def initial(self, x):
        return sin(x) + 0.5 * cos(3 * x)

    def exact(self, t, x):
        y = x - self.c * t
        slow, fast = np.exp(-self.kappa * t), np.exp(-9 * self.kappa * t)
        return (slow * np.sin(y) + 0.5 * fast * np.cos(3 * y))[None]


@dataclass(frozen=True)
class Ramp(Evolution):
    """u_t = κ u_xx, u = 1 and 2 at the edges: a ramp and a decaying mode."""

    name = "test_ramp"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))
    kappa: float = coefficient(0.3, lower=1e-3, upper=10.0, meaning="diffusivity")

    def conditions(self):
        return [Dirichlet("x-", 1.0), Dirichlet("x+", 2.0)]

    def rhs(self, u, d):
        return self.kappa * d(u, "xx")

    def initial(self, x):
        return 1.5 + 0.5 * x + sin(pi * x)

    def exact(self, t, x):
        return (1.5 + 0.5 * x + np.sin(pi * x) * np.exp(-self.kappa * pi**2 * t))[None]


@dataclass(frozen=True)
class Wave(Evolution):
    """z_t = z_xx + (1 − |z|²) z + iωz with z = u + iv, periodic: the plane wave with k = ½.

    Kopell & Howard, Stud. Appl. Math. 52 (1973): z = √(1 − k²) exp(i(kx + ωt)).
    """

    name = "test_wave"
    axes = (Axis("t", 0.0, 2.0), Axis("x", 0.0, 4 * pi))
    fields = ("u", "v")
    scales = (1.0, 1.0)
    omega: float = coefficient(1.5, lower=0.0, upper=5.0, meaning="frequency")

    def conditions(self):
        return [Periodic("x")]

    def rhs(self, u, d):
        u, v = u
        growth = 1 - u * u - v * v
        return (
            d(u, "xx") + growth * u - self.omega * v,
            d(v, "xx") + growth * v + self.omega * u,
        )

    def initial(self, x):
        return 0.75**0.5 * cos(x / 2), 0.75**0.5 * sin(x / 2)

    def exact(self, t, x):
        phase = x / 2 + self.omega * t
        return 0.75**0.5 * np.stack([np.cos(phase), np.sin(phase)])


@dataclass(frozen=True)
class Forced(Evolution):
    """u_t = κ u_xx + f(t, x), f made so that u = cos 3t (1 − x²)."""

    name = "test_forced"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))
    kappa: float = coefficient(0.3, lower=1e-3, upper=10.0, meaning="diffusivity")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        t, x = d.coordinates["t"], d.coordinates["x"]
        forcing = -3 * sin(3 * t) * (1 - x**2) + 2 * self.kappa * cos(3 * t)
        return self.kappa * d(u, "xx") + forcing

    def initial(self, x):
        return 1 - x**2

    def exact(self, t, x):
        return (np.cos(3 * t) * (1 - x**2))[None]


@dataclass(frozen=True)
class Sheared(Evolution):
    """u_t = κ (u_xx + u_yy + u_xy), x held and y periodic where `exact` is sin πx; mixed term.

    Periodic in both: u = sin(x + y) exp(−3κt).
    """

    name = "test_sheared"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 2 * pi), Axis("y", 0.0, 2 * pi))
    kappa: float = coefficient(0.2, lower=1e-3, upper=1.0, meaning="diffusivity")

    def conditions(self):
        return [Periodic("x"), Periodic("y")]

    def rhs(self, u, d):
        return self.kappa * (d(u, "xx") + d(u, "yy") + d(u, "xy"))

    def initial(self, x, y):
        return sin(x + y)

    def exact(self, t, x, y):
        return (np.sin(x + y) * np.exp(-3 * self.kappa * t))[None]


@dataclass(frozen=True)
class Tube(Evolution):
    """u_t = κ (u_xx + u_yy), held in x∈[0,1] and periodic in y: sin πx (1 + ½ cos y) decaying."""

    name = "test_tube"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0), Axis("y", 0.0, 2 * pi))
    kappa: float = coefficient(0.1, lower=1e-3, upper=1.0, meaning="diffusivity")

    def conditions(self):
        return [Dirichlet("x", 0.0), Periodic("y")]

    def rhs(self, u, d):
        return self.kappa * (d(u, "xx") + d(u, "yy"))

    def initial(self, x, y):
        return sin(pi * x) * (1 + 0.5 * cos(y))

    def exact(self, t, x, y):
        along = 1 + 0.5 * np.cos(y) * np.exp(-self.kappa * t)
        return (np.sin(pi * x) * np.exp(-self.kappa * pi**2 * t) * along)[None]


@dataclass(frozen=True)
class Stiff(Evolution):
    """u' = −λ (u − cos t) − sin t from 1: u = cos t, too stiff for an explicit method."""

    name = "test_stiff"
    axes = (Axis("t", 0.0, 3.0),)
    rate: float = coefficient(1e5, lower=1.0, upper=1e8, meaning="stiffness λ")

    def rhs(self, u, d):
        t = d.coordinates["t"]
        return -self.rate * (u - cos(t)) - sin(t)

    def initial(self):
        return 1.0

    def exact(self, t):
        return np.cos(t)[None]


@dataclass(frozen=True)
class Explosion(Evolution):
    """u' = u² from 1: u = 1/(1 − t), which ends at t = 1."""

    name = "test_explosion"
    axes = (Axis("t", 0.0, 2.0),)

    def rhs(self, u, d):
        return u * u

    def initial(self):
        return 1.0

    def exact(self, t):
        return 1 / (1 - t)[None]


@dataclass(frozen=True)
class Ignition(Evolution):
    """u_t = u_xx + a u², held: ends before t = 1 for a = 100 (Fujita 1966)."""

    name = "test_ignition"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    a: float = coefficient(100.0, lower=0.0, upper=1e3, meaning="reaction rate")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        return d(u, "xx") + self.a * u * u

    def initial(self, x):
        return sin(pi * x)


@dataclass(frozen=True)
class Spike(Evolution):
    """u_t = κ u_xx from a Gaussian of width 0.02 that coarse grids do not see."""

    name = "test_spike"
    axes = (Axis("t", 0.0, 0.01), Axis("x", -1.0, 1.0))
    kappa: float = coefficient(0.01, lower=1e-4, upper=1.0, meaning="diffusivity")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        return self.kappa * d(u, "xx")

    def initial(self, x):
        return exp(-(((x - 0.07) / 0.02) ** 2))

    def exact(self, t, x):
        wide = 0.02**2 + 4 * self.kappa * t
        return (0.02 / np.sqrt(wide) * np.exp(-((x - 0.07) ** 2) / wide))[None]


@dataclass(frozen=True)
class Jump(Evolution):
    """u_t = u_xx from 1, held at 0: the start contradicts the edges, so no spectral accuracy."""

    name = "test_jump"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        return d(u, "xx")

    def initial(self, x):
        return 1.0 + 0 * x
