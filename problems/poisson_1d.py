"""Poisson's equation on an interval."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import exp, stacked


@dataclass(frozen=True)
class Poisson1D(Problem):
    """−u_xx = (2/w²)(1 − 2x²/w²) e^{−x²/w²} on x∈[−1,1]; u = e^{−1/w²} at both ends.

    Exact: e^{−x²/w²}, a peak of width w.
    """

    name = "poisson_1d"
    axes = (Axis("x", -1.0, 1.0),)

    w: float = coefficient(0.3, lower=0.05, upper=2.0, meaning="width of the peak w")

    def residual(self, u: Any, d: Derivative) -> Any:
        square = (d.coordinates["x"] / self.w) ** 2
        return d(u, "xx") + 2 / self.w**2 * (1 - 2 * square) * exp(-square)

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", exp(-1 / self.w**2))]

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        (x,) = coordinates
        return stacked(exp(-((x / self.w) ** 2)))
