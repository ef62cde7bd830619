"""The damped harmonic oscillator."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array, cos, exp, sin, sqrt, stacked


@dataclass(frozen=True)
class DampedOscillator(Evolution):
    """x'' = −2δx' − ω²x on t∈[0,1]; x = 1, x' = 0 at t = 0.

    Exact: e^{−δt} (cos φt + (δ/φ) sin φt) with φ = √(ω² − δ²). With δ = 2 and ω = 20 a common test
    of networks: Moseley et al., Adv. Comput. Math. 49 (2023), doi:10.1007/s10444-023-10065-9.
    """

    name = "damped_oscillator"
    axes = (Axis("t", 0.0, 1.0),)
    fields = ("x",)
    order = 2

    delta: float = coefficient(2.0, lower=0.0, upper=4.0, meaning="damping δ")
    omega: float = coefficient(20.0, lower=5.0, upper=80.0, meaning="frequency without damping ω")

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -2 * self.delta * d(u, "t") - self.omega**2 * u

    def initial(self, *space: Array) -> Any:
        return 1.0, 0.0

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        (t,) = coordinates
        phi = sqrt(self.omega**2 - self.delta**2)
        return stacked(exp(-self.delta * t) * (cos(phi * t) + self.delta / phi * sin(phi * t)))
