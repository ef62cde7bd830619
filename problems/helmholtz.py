"""The Helmholtz equation on a square."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, sin, stacked


@dataclass(frozen=True)
class Helmholtz(Problem):
    """u_xx + u_yy + k²u = q(x,y) on x,y∈[−1,1]; u exact on the boundary.

    q is that of the exact solution sin(aπx) sin(bπy). Wang et al., SIAM J. Sci. Comput. 43 (2021),
    doi:10.1137/20M1318043, section 4.1, with a = 1, b = 4, k = 1, where u is 0 on the boundary.
    """

    name = "helmholtz"
    axes = (Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0))

    k: float = coefficient(1.0, lower=0.0, upper=25.0, meaning="wave number k")
    a: float = coefficient(1.0, lower=0.5, upper=6.0, meaning="waves along x, a")
    b: float = coefficient(4.0, lower=0.5, upper=6.0, meaning="waves along y, b")

    def residual(self, u: Any, d: Derivative) -> Any:
        x, y = d.coordinates["x"], d.coordinates["y"]
        factor = self.k**2 - pi**2 * (self.a**2 + self.b**2)
        return d(u, "xx") + d(u, "yy") + self.k**2 * u - factor * self.waves(x, y)

    def conditions(self) -> list[Condition]:
        return [Dirichlet("boundary", self.waves)]

    def waves(self, x: Array, y: Array) -> Array:
        """The exact solution at x and y, numbers or arrays that broadcast."""
        return sin(self.a * pi * x) * sin(self.b * pi * y)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        return stacked(self.waves(*coordinates))
