"""The Lorenz-96 system with six variables."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class Lorenz96(Evolution):
    """xₖ' = (xₖ₊₁ − xₖ₋₂) xₖ₋₁ − xₖ + F, k = 1…6 in a circle, on t∈[0,2] from (3, 6, 2, −1, 4, 1).

    Values of the weather along a circle of latitude; chaotic for F = 8. Lorenz, Predictability: a
    problem partly solved (ECMWF, 1996), eq. (1).
    """

    name = "lorenz96"
    axes = (Axis("t", 0.0, 2.0),)
    fields = ("x1", "x2", "x3", "x4", "x5", "x6")
    scales = (5.0, 5.0, 5.0, 5.0, 5.0, 5.0)

    forcing: float = coefficient(8.0, lower=0.0, upper=10.0, meaning="forcing F")

    def rhs(self, u: Any, d: Derivative) -> Any:
        return tuple((u[k - 5] - u[k - 2]) * u[k - 1] - u[k] + self.forcing for k in range(len(u)))

    def initial(self, *space: Array) -> Any:
        return 3.0, 6.0, 2.0, -1.0, 4.0, 1.0
