"""The two-dimensional Burgers equations: a slanting front."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, exp, stacked


@dataclass(frozen=True)
class Burgers2D(Evolution):
    """u_t = −uu_x − vu_y + ν∇²u, v_t = −uv_x − vv_y + ν∇²v on t∈[0,½], x,y∈[0,1], exact at edges.

    Exact: u = ¾ − s, v = ¾ + s with s = ¼ / (1 + exp((4y − 4x − t)/(32ν))), a front of width 16ν.
    Fletcher, Int. J. Numer. Methods Fluids 3 (1983), doi:10.1002/fld.1650030302; Bahadır, Appl.
    Math. Comput. 137 (2003), doi:10.1016/S0096-3003(02)00091-7, problem 1.
    """

    name = "burgers2d"
    axes = (Axis("t", 0.0, 0.5), Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    fields = ("u", "v")

    nu: float = coefficient(0.02, lower=5e-3, upper=1.0, meaning="viscosity ν")

    def conditions(self) -> list[Condition]:
        return [
            Dirichlet("x-", lambda t, y: self.front(t, 0.0, y)),
            Dirichlet("x+", lambda t, y: self.front(t, 1.0, y)),
            Dirichlet("y-", lambda t, x: self.front(t, x, 0.0)),
            Dirichlet("y+", lambda t, x: self.front(t, x, 1.0)),
        ]

    def rhs(self, u: Any, d: Derivative) -> Any:
        u, v = u
        return (
            -u * d(u, "x") - v * d(u, "y") + self.nu * (d(u, "xx") + d(u, "yy")),
            -u * d(v, "x") - v * d(v, "y") + self.nu * (d(v, "xx") + d(v, "yy")),
        )

    def initial(self, *space: Array) -> Any:
        return self.front(0.0, *space)

    def front(self, t: Array, x: Array, y: Array) -> tuple[Array, Array]:
        """Both fields at t, x and y, numbers or arrays that broadcast."""
        s = 0.25 / (1 + exp((4 * y - 4 * x - t) / (32 * self.nu)))
        return 0.75 - s, 0.75 + s

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        return stacked(*self.front(*coordinates))
