"""The Fisher–KPP equation: a front of growth that travels."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, exp, sqrt, stacked


@dataclass(frozen=True)
class FisherKPP(Evolution):
    """u_t = Du_xx + ru(1 − u) on t∈[0,3], x∈[−10,10]: a travelling front, exact at both ends.

    Exact: (1 + exp(√(r/6D) x − 5rt/6))⁻², with the speed 5√(rD/6). Ablowitz & Zeppetella, Bull.
    Math. Biol. 41 (1979), doi:10.1007/BF02462380.
    """

    name = "fisher_kpp"
    axes = (Axis("t", 0.0, 3.0), Axis("x", -10.0, 10.0))

    D: float = coefficient(1.0, lower=0.05, upper=5.0, meaning="diffusivity D")
    r: float = coefficient(1.0, lower=0.1, upper=3.0, meaning="growth rate r")

    def conditions(self) -> list[Condition]:
        return [
            Dirichlet("x-", lambda t: self.front(t, -10.0)),
            Dirichlet("x+", lambda t: self.front(t, 10.0)),
        ]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.D * d(u, "xx") + self.r * u * (1 - u)

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return self.front(0.0, x)

    def front(self, t: Array, x: Array) -> Array:
        """The travelling front at t and x, numbers or arrays that broadcast."""
        return (1 + exp(sqrt(self.r / (6 * self.D)) * x - 5 / 6 * self.r * t)) ** -2

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        return stacked(self.front(t, x))
