"""The heat equation with an end whose temperature oscillates."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, cosh, sin, sinh, sqrt, stacked


@dataclass(frozen=True)
class HeatDriven(Evolution):
    """u_t = αu_xx on t∈[0,1], x∈[0,1]; u(t,0) = sin ωt, u(t,1) = 0.

    From its steady oscillation, which is exact: the imaginary part of
    e^{iωt} sinh(q(1 − x)) / sinh q with q = √(iω/α). Carslaw & Jaeger, Conduction of heat in solids
    (1959), section 3.6.
    """

    name = "heat_driven"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    alpha: float = coefficient(0.3, lower=2e-2, upper=5.0, meaning="diffusivity α")
    omega: float = coefficient(6.0, lower=0.5, upper=40.0, meaning="frequency ω")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x-", lambda t: sin(self.omega * t)), Dirichlet("x+", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.alpha * d(u, "xx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return self._oscillation(x)[1]

    def _oscillation(self, x: Array) -> tuple[Array, Array]:
        """Real and imaginary part of sinh(q(1 − x)) / sinh q."""
        p = sqrt(self.omega / (2 * self.alpha))  # q = p + ip

        def parts(z: Array) -> tuple[Array, Array]:
            return sinh(p * z) * cos(p * z), cosh(p * z) * sin(p * z)

        (a, b), (c, e) = parts(1 - x), parts(1.0)
        size = c**2 + e**2
        return (a * c + b * e) / size, (b * c - a * e) / size

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        real, imaginary = self._oscillation(x)
        return stacked(real * sin(self.omega * t) + imaginary * cos(self.omega * t))
