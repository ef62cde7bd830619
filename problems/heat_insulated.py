"""The heat equation between insulated ends."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Evolution, Neumann, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, exp, stacked


@dataclass(frozen=True)
class HeatInsulated(Evolution):
    """u_t = αu_xx on t∈[0,1], x∈[0,1]; u(0,x) = ½ + cos πx + ½ cos 3πx, u_x = 0 at both ends.

    Exact: ½ + cos πx e^{−απ²t} + ½ cos 3πx e^{−9απ²t}; the heat ∫u stays ½.
    """

    name = "heat_insulated"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    alpha: float = coefficient(0.1, lower=1e-3, upper=10.0, meaning="diffusivity α")

    def conditions(self) -> list[Condition]:
        return [Neumann("x", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.alpha * d(u, "xx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return 0.5 + cos(pi * x) + 0.5 * cos(3 * pi * x)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        rate = self.alpha * pi**2
        modes = cos(pi * x) * exp(-rate * t) + 0.5 * cos(3 * pi * x) * exp(-9 * rate * t)
        return stacked(0.5 + modes)
