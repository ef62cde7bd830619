"""The heat equation with a source."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, exp, sin, stacked


@dataclass(frozen=True)
class HeatSource(Evolution):
    """u_t = αu_xx + q sin πx on t∈[0,1], x∈[0,1]; u(0,x) = sin 2πx, u(t,0) = u(t,1) = 0.

    Exact: sin 2πx e^{−4απ²t} + q sin πx (1 − e^{−απ²t}) / (απ²). Carslaw & Jaeger, Conduction of
    heat in solids (1959), section 3.14.
    """

    name = "heat_source"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    alpha: float = coefficient(0.2, lower=1e-2, upper=5.0, meaning="diffusivity α")
    q: float = coefficient(2.0, lower=-10.0, upper=10.0, meaning="strength of the source q")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.alpha * d(u, "xx") + self.q * sin(pi * d.coordinates["x"])

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return sin(2 * pi * x)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        rate = self.alpha * pi**2
        warmed = self.q / rate * (1 - exp(-rate * t)) * sin(pi * x)
        return stacked(sin(2 * pi * x) * exp(-4 * rate * t) + warmed)
