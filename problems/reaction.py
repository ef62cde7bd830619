"""Logistic growth at every place by itself."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, exp, stacked


@dataclass(frozen=True)
class Reaction(Evolution):
    """u_t = ρu(1 − u) on t∈[0,1], x∈[0,2π], periodic; u(0,x) = h(x) = exp(−8(x − π)²/π²).

    Exact: h e^{ρt} / (h e^{ρt} + 1 − h). The slope of h jumps by 3e-3 where the ends of x meet.
    Krishnapriyan et al., NeurIPS 2021 (arXiv 2109.01050), appendix; fits to the whole span at once
    fall into u = 0 for ρ ≥ 5.
    """

    name = "reaction"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 2 * pi))

    rho: float = coefficient(5.0, lower=0.1, upper=10.0, meaning="growth rate ρ")

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.rho * u * (1 - u)

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return exp(-8 * (x - pi) ** 2 / pi**2)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        h, growth = self.initial(x), exp(self.rho * t)
        return stacked(h * growth / (h * growth + 1 - h))
