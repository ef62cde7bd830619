"""Convection of a wave at a constant speed."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, sin, stacked


@dataclass(frozen=True)
class Convection(Evolution):
    """u_t = −β u_x on t∈[0,1], x∈[0,2π], periodic; u(0,x) = sin x.

    Exact: sin(x − βt). Networks fitted to the whole span at once fail above β ≈ 10: Krishnapriyan
    et al., NeurIPS 2021 (arXiv 2109.01050), section 3.1.
    """

    name = "convection"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 2 * pi))

    beta: float = coefficient(30.0, lower=1.0, upper=80.0, meaning="speed β")

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -self.beta * d(u, "x")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return sin(x)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        return stacked(sin(x - self.beta * t))
