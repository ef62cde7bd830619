"""Burgers' equation from −sin πx, with walls and periodic."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from scipy.special import ive

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, sin

# ways to `cole_hopf`, by the time and by ν times the time
EARLY, LATE = 2.0, 0.1
STEP = 0.02  # of nodes
BLOCK = 1000  # points at a time
WAVES = 16  # of which the last one has fallen to e^(−0.1 (15 π)²) = 1e-96


def cole_hopf(nu: float, t: np.ndarray, x: np.ndarray, nodes: int = 300) -> np.ndarray:
    """The solution from −sin πx on the line; shape of t and x. Cole (1951), Hopf (1950).

    To rounding, in three ways. Early by Gauss–Hermite quadrature, as in Basdevant et al., Computers
    & Fluids 14 (1986), eq. (9): it agrees to 2e-15 between 100 and 300 nodes at ν = 0.01/π. For the
    thin peaks of its integrand at later times its nodes are too far apart, and equal steps follow.
    Where few waves are left, their series gives u however small it is.
    """
    t, x = np.broadcast_arrays(np.asarray(t, float), np.asarray(x, float))
    late = nu * t > LATE
    early = (t > 0) & (t <= EARLY) & ~late
    between = (t > EARLY) & ~late
    u = np.asarray(-np.sin(pi * x))
    if early.any():
        z, weights = np.polynomial.hermite.hermgauss(nodes)
        u[early] = _by_quadrature(nu, t[early], x[early], z, np.log(weights))
    if between.any():
        # as far as a peak may be, and e^(−z²) beyond it
        end = 7 + min(1 / np.sqrt(4 * nu * t[between].min()), 1 / np.sqrt(pi * nu))
        z = np.arange(-end, end, STEP)
        u[between] = _by_quadrature(nu, t[between], x[between], z, -(z**2))
    if late.any():
        u[late] = _by_waves(nu, t[late], x[late])
    return u


def _by_quadrature(
    nu: float, t: np.ndarray, x: np.ndarray, z: np.ndarray, log_weights: np.ndarray
) -> np.ndarray:
    """By nodes z for ∫ e^(−z²) f(z) dz; t and x are [points].

    Exponents are taken relative to the largest one at each point, so that small ν does not
    underflow.
    """
    u = np.empty_like(x)
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        y = x[part, None] - z * np.sqrt(4 * nu * t[part, None])
        exponent = log_weights - np.cos(pi * y) / (2 * pi * nu)
        density = np.exp(exponent - exponent.max(-1, keepdims=True))
        u[part] = -(np.sin(pi * y) * density).sum(-1) / density.sum(-1)
    return u


def _by_waves(nu: float, t: np.ndarray, x: np.ndarray) -> np.ndarray:
    """u = −2ν θ_x/θ of the heat equation's θ, whose waves begin as Bessel functions of 1/(2πν)."""
    k = np.arange(WAVES)
    signs = np.where(k % 2, -2.0, 2.0)
    start = signs * ive(k, 1 / (2 * pi * nu))
    start[0] /= 2
    waves = start * np.exp(-nu * (pi * k) ** 2 * t[:, None])
    phase = pi * k * x[:, None]
    slope = (k * waves * np.sin(phase)).sum(-1)
    return np.asarray(2 * pi * nu * slope / (waves * np.cos(phase)).sum(-1))


@dataclass(frozen=True)
class Burgers(Evolution):
    """u_t = −u u_x + ν u_xx on t∈[0,1], x∈[−1,1]; u(0,x) = −sin πx, u(t,±1) = 0.

    The solution is odd in x and forms a front of width ~2ν at x = 0 near t = 1/π. Exact by the
    Cole–Hopf transform (Basdevant et al. 1986, doi:10.1016/0045-7930(86)90036-8).
    """

    name = "burgers"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))
    odd = ("x",)
    recipe = {"width": 30, "depth": 4, "points": 2000}

    nu: float = coefficient(0.01 / pi, lower=5e-4, upper=1.0, meaning="viscosity ν")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -u * d(u, "x") + self.nu * d(u, "xx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return -sin(pi * x)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        return cole_hopf(self.nu, t, x)[None]


@dataclass(frozen=True)
class BurgersPeriodic(Burgers):
    """u_t = −u u_x + ν u_xx on t∈[0,1], x∈[−1,1], periodic in x; u(0,x) = −sin πx.

    Odd and periodic, so that it has the solution of `Burgers` without walls being imposed.
    """

    name = "burgers_periodic"

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]
