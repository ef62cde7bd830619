"""Poisson's equation on a square."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import cos, exp, sin, stacked


@dataclass(frozen=True)
class Poisson(Problem):
    """u_xx + u_yy = f(x,y) on x,y∈[0,1]; u = 0 on the boundary.

    f is that of the exact solution e^{ax} sin πx sin πy:
    e^{ax} sin πy ((a² − 2π²) sin πx + 2aπ cos πx).
    """

    name = "poisson"
    axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))

    a: float = coefficient(1.0, lower=-5.0, upper=5.0, meaning="growth of the source a")

    def residual(self, u: Any, d: Derivative) -> Any:
        x, y = d.coordinates["x"], d.coordinates["y"]
        along = (self.a**2 - 2 * pi**2) * sin(pi * x) + 2 * self.a * pi * cos(pi * x)
        return d(u, "xx") + d(u, "yy") - exp(self.a * x) * sin(pi * y) * along

    def conditions(self) -> list[Condition]:
        return [Dirichlet("boundary", 0.0)]

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        x, y = coordinates
        return stacked(exp(self.a * x) * sin(pi * x) * sin(pi * y))
