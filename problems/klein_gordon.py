"""The nonlinear Klein–Gordon equation with a forcing."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, stacked


@dataclass(frozen=True)
class KleinGordon(Evolution):
    """u_tt = u_xx − γu³ + f(t,x) on t∈[0,1], x∈[0,1]; values at t = 0 and at both ends.

    f, start and edges are those of the exact solution x cos ωt + (tx)³. Wang et al., SIAM J. Sci.
    Comput. 43 (2021), doi:10.1137/20M1318043, section 4.2, with ω = 5π and γ = 1.
    """

    name = "klein_gordon"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    order = 2

    omega: float = coefficient(5 * pi, lower=1.0, upper=30.0, meaning="frequency ω")
    gamma: float = coefficient(1.0, lower=0.0, upper=10.0, meaning="strength of the cube γ")

    def conditions(self) -> list[Condition]:
        return [
            Dirichlet("x-", 0.0),
            Dirichlet("x+", lambda t: cos(self.omega * t) + t**3),
        ]

    def rhs(self, u: Any, d: Derivative) -> Any:
        t, x = d.coordinates["t"], d.coordinates["x"]
        oscillation, cube = x * cos(self.omega * t), t**3 * x**3
        accelerated = 6 * t * x**3 - self.omega**2 * oscillation
        forcing = accelerated - 6 * t**3 * x + self.gamma * (oscillation + cube) ** 3
        return d(u, "xx") - self.gamma * u * u * u + forcing

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return x, 0.0

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        return stacked(x * cos(self.omega * t) + (t * x) ** 3)
