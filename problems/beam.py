"""The Euler–Bernoulli beam, clamped at both ends."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, Neumann, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, cosh, sin, sinh, stacked

K = 4.730040744862704  # the first root of cos k cosh k = 1
RATIO = float((np.cosh(K) - np.cos(K)) / (np.sinh(K) - np.sin(K)))


@dataclass(frozen=True)
class Beam(Evolution):
    """u_tt = −c² u_xxxx on t∈[0,1], x∈[0,1]; u = u_x = 0 at both ends; at rest at t = 0.

    The start is the first mode X(x) = (cosh kx − cos kx − r (sinh kx − sin kx)) / 1.588, with
    k = 4.7300 and r = (cosh k − cos k) / (sinh k − sin k). Exact: X(x) cos(ck²t). Timoshenko,
    Vibration problems in engineering (1937), section 55.
    """

    name = "beam"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    order = 2

    c: float = coefficient(0.2, lower=0.02, upper=1.0, meaning="stiffness c = √(EI/ρA)")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0), Neumann("x", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -(self.c**2) * d(u, "xxxx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        mode = cosh(K * x) - cos(K * x) - RATIO * (sinh(K * x) - sin(K * x))
        return mode / 1.588, 0.0

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        return stacked(self.initial(x)[0] * cos(self.c * K**2 * t))
