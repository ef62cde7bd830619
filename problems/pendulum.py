"""The pendulum, for large angles."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array, sin


@dataclass(frozen=True)
class Pendulum(Evolution):
    """θ'' = −ω² sin θ on t∈[0,10]; θ = θ₀, θ' = 0 at t = 0.

    Exact: 2 arcsin(k cd(ωt, k)) with k = sin(θ₀/2) and Jacobi's function cd = cn/dn. Landau &
    Lifshitz, Mechanics (1976), section 11.
    """

    name = "pendulum"
    axes = (Axis("t", 0.0, 10.0),)
    fields = ("theta",)
    order = 2

    omega: float = coefficient(1.0, lower=0.1, upper=5.0, meaning="frequency of small swings ω")
    theta0: float = coefficient(1.0, lower=0.1, upper=0.95 * pi, meaning="angle at the start θ₀")

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -(self.omega**2) * sin(u)

    def initial(self, *space: Array) -> Any:
        return self.theta0, 0.0

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        from scipy.special import ellipj  # it takes a third of a second to import

        (t,) = coordinates
        k = np.sin(self.theta0 / 2)
        _, cn, dn, _ = ellipj(self.omega * np.asarray(t), k**2)
        return np.asarray(2 * np.arcsin(k * cn / dn))[None]
