"""The Taylor–Green vortex: the Navier–Stokes equations in time, with pressure."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Neumann, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, exp, sin, stacked


@dataclass(frozen=True)
class TaylorGreen(Problem):
    """u_t + uu_x + vu_y + p_x − ν∇²u = 0, v alike, u_x + v_y = 0 on t∈[0,1], x,y∈[0,π].

    A vortex between walls without friction: u = v_x = 0 at the ends of x, v = u_y = 0 at those of
    y; p is given at x = 0. Exact: u = sin x cos y e^{−2νt}, v = −cos x sin y e^{−2νt},
    p = ¼(cos 2x + cos 2y) e^{−4νt}. Taylor & Green, Proc. R. Soc. A 158 (1937),
    doi:10.1098/rspa.1937.0036.
    """

    name = "taylor_green"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, pi), Axis("y", 0.0, pi))
    fields = ("u", "v", "p")

    nu: float = coefficient(0.1, lower=1e-3, upper=2.0, meaning="viscosity ν")

    def residual(self, u: Any, d: Derivative) -> Any:
        u, v, p = u
        return (
            d(u, "t") + u * d(u, "x") + v * d(u, "y") + d(p, "x")
            - self.nu * (d(u, "xx") + d(u, "yy")),
            d(v, "t") + u * d(v, "x") + v * d(v, "y") + d(p, "y")
            - self.nu * (d(v, "xx") + d(v, "yy")),
            d(u, "x") + d(v, "y"),
        )  # fmt: skip

    def conditions(self) -> list[Condition]:
        return [
            Dirichlet("t-", lambda x, y: sin(x) * cos(y), field="u"),
            Dirichlet("t-", lambda x, y: -cos(x) * sin(y), field="v"),
            Dirichlet("x", 0.0, field="u"),
            Neumann("x", 0.0, field="v"),
            Dirichlet("y", 0.0, field="v"),
            Neumann("y", 0.0, field="u"),
            Dirichlet("x-", lambda t, y: self._pressure(t, 0 * y, y), field="p"),
        ]

    def _pressure(self, t: Array, x: Array, y: Array) -> Array:
        return (cos(2 * x) + cos(2 * y)) * exp(-4 * self.nu * t) / 4

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x, y = coordinates
        decay = exp(-2 * self.nu * t)
        return stacked(sin(x) * cos(y) * decay, -cos(x) * sin(y) * decay, self._pressure(t, x, y))
