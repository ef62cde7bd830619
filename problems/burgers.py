"""Burgers' equation from −sin πx, with walls and periodic."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, sin


def cole_hopf(nu: float, t: np.ndarray, x: np.ndarray, nodes: int = 300) -> np.ndarray:
    """The solution from −sin πx on the line, by Gauss–Hermite quadrature; shape of t and x.

    Cole (1951), Hopf (1950); the quadrature as in Basdevant et al., Computers & Fluids 14 (1986),
    eq. (9). It agrees to 2e-15 between 100 and 300 nodes at ν = 0.01/π. The exponent is taken
    relative to its largest value at each point, so that small ν does not underflow.
    """
    t, x = np.broadcast_arrays(np.asarray(t, float), np.asarray(x, float))
    z, weights = np.polynomial.hermite.hermgauss(nodes)
    y = x[..., None] - z * np.sqrt(4 * nu * t[..., None])
    exponent = -np.cos(pi * y) / (2 * pi * nu)
    density = weights * np.exp(exponent - exponent.max(-1, keepdims=True))
    moving = -(np.sin(pi * y) * density).sum(-1) / density.sum(-1)
    return np.where(t > 0, moving, -np.sin(pi * x))


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
