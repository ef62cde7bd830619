"""The heat equation with an end that loses heat to its surroundings."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Evolution, Neumann, Robin, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, exp, stacked

MODES = 300  # later ones are below 1e-12 where αt ≥ 5e-5


@dataclass(frozen=True)
class HeatRobin(Evolution):
    """u_t = αu_xx on t∈[0,1], x∈[0,1]; u_x = 0 at x = 0, hu + u_x = 0 at x = 1.

    From u = 1 − hx²/(h + 2), which meets both. Exact: Σ aₙ cos λₙx e^{−αλₙ²t} over the roots of
    λ tan λ = h, with aₙ = 8h sin λₙ / ((h + 2) λₙ² (2λₙ + sin 2λₙ)). Carslaw & Jaeger, Conduction
    of heat in solids (1959), section 3.10.
    """

    name = "heat_robin"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    alpha: float = coefficient(0.5, lower=1e-2, upper=5.0, meaning="diffusivity α")
    h: float = coefficient(2.0, lower=0.1, upper=20.0, meaning="loss of heat h")

    def conditions(self) -> list[Condition]:
        return [Neumann("x-", 0.0), Robin("x+", self.h, 1.0, 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.alpha * d(u, "xx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return 1 - self.h / (self.h + 2) * x**2

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        roots = self._roots()
        weights = 8 * self.h * np.sin(roots) / ((self.h + 2) * roots**2)
        weights /= 2 * roots + np.sin(2 * roots)
        total = 0.0 * (t + x)
        for root, weight in zip(roots.tolist(), weights.tolist(), strict=True):
            total = total + weight * cos(root * x) * exp(-self.alpha * root**2 * t)
        started = 1.0 * (t > 0)
        return stacked(started * total + (1 - started) * self.initial(x))

    def _roots(self) -> np.ndarray:
        """Those of λ sin λ = h cos λ, one in each (nπ, nπ + π/2), by bisection [MODES]."""
        low = np.arange(MODES) * pi
        high = low + pi / 2
        for _ in range(60):
            middle = (low + high) / 2
            # λ tan λ grows in such an interval
            below = middle * np.abs(np.sin(middle)) < self.h * np.abs(np.cos(middle))
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray((low + high) / 2)
