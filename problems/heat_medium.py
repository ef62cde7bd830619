"""The heat equation in a medium whose conductivity varies."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, exp, log, sin, sqrt, stacked


@dataclass(frozen=True)
class HeatMedium(Evolution):
    """u_t = (k u_x)_x, k = α(1 + ax)², on t∈[0,1], x∈[0,1]; u(t,0) = u(t,1) = 0.

    The start is the first mode of the Cauchy–Euler equation, X(x) = sin(π ln(1 + ax) / ln(1 + a)) /
    √(1 + ax). Exact: X(x) e^{−λt} with λ = αa²(¼ + π²/ln²(1 + a)).
    """

    name = "heat_medium"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    alpha: float = coefficient(0.1, lower=1e-3, upper=2.0, meaning="conductivity at x = 0, α")
    a: float = coefficient(1.0, lower=0.1, upper=5.0, meaning="growth of the conductivity a")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        y = 1 + self.a * d.coordinates["x"]
        return self.alpha * y**2 * d(u, "xx") + 2 * self.alpha * self.a * y * d(u, "x")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        y = 1 + self.a * x
        return sin(pi * log(y) / log(1 + self.a)) / sqrt(y)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        rate = self.alpha * self.a**2 * (0.25 + (pi / log(1 + self.a)) ** 2)
        return stacked(self.initial(x) * exp(-rate * t))
