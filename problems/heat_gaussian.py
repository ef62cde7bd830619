"""The heat equation from a Gaussian whose width is a coefficient."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, exp, sqrt, stacked

IMAGES = 16  # on either side; the next is exp(−40) of the first where αt ≤ 6


@dataclass(frozen=True)
class HeatGaussian(Evolution):
    """u_t = αu_xx on t∈[0,1], x∈[−1,1]; u(0,x) = exp(−x²/(2w²)), u(t,±1) = 0.

    Exact up to the start at the edges, at most 8e-12: the sum over images at 2k of
    (−1)^k (w/s) exp(−(x − 2k)²/(2s²)) with s² = w² + 2αt. Carslaw & Jaeger, Conduction of heat in
    solids (1959), section 10.10.
    """

    name = "heat_gaussian"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))

    alpha: float = coefficient(0.05, lower=1e-3, upper=5.0, meaning="diffusivity α")
    w: float = coefficient(0.1, lower=0.02, upper=0.14, meaning="width of the start w")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.alpha * d(u, "xx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return exp(-(x**2) / (2 * self.w**2))

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        square = self.w**2 + 2 * self.alpha * t
        images = sum(
            (-1) ** abs(k) * exp(-((x - 2 * k) ** 2) / (2 * square))
            for k in range(-IMAGES, IMAGES + 1)
        )
        return stacked(self.w / sqrt(square) * images)
