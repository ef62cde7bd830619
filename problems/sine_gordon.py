"""The sine-Gordon equation: a breather and a kink."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, arctan, cos, cosh, exp, sin, sqrt, stacked


class _ExactAtEdges(Evolution):
    """u_tt = u_xx − sin u, with a solution that is known at the start and at the edges."""

    axes = (Axis("t", 0.0, 6.0), Axis("x", -10.0, 10.0))
    order = 2

    @abstractmethod
    def solution(self, t: Array, x: Array) -> Array:
        """u at t and x, numbers or arrays that broadcast."""

    def conditions(self) -> list[Condition]:
        return [
            Dirichlet("x-", lambda t: self.solution(t, -10.0)),
            Dirichlet("x+", lambda t: self.solution(t, 10.0)),
        ]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return d(u, "xx") - sin(u)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        return stacked(self.solution(t, x))


@dataclass(frozen=True)
class SineGordon(_ExactAtEdges):
    """u_tt = u_xx − sin u on t∈[0,6], x∈[−10,10]: a breather at rest, exact at start and edges.

    Exact: 4 arctan(s cos ωt / (ω cosh sx)) with s = √(1 − ω²). Ablowitz et al., Phys. Rev. Lett. 30
    (1973), doi:10.1103/PhysRevLett.30.1262.
    """

    name = "sine_gordon"
    scales = (3.0,)

    omega: float = coefficient(0.6, lower=0.2, upper=0.95, meaning="frequency ω")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return self.solution(0.0, x), 0.0

    def solution(self, t: Array, x: Array) -> Array:
        """The breather at t and x, numbers or arrays that broadcast."""
        s = sqrt(1 - self.omega**2)
        return 4 * arctan(s * cos(self.omega * t) / (self.omega * cosh(s * x)))


@dataclass(frozen=True)
class SineGordonKink(_ExactAtEdges):
    """u_tt = u_xx − sin u on t∈[0,6], x∈[−10,10]: a kink of speed c, exact at start and edges.

    Exact: 4 arctan(e^y), y = (x − ct) / √(1 − c²). Perring & Skyrme, Nucl. Phys. 31 (1962),
    doi:10.1016/0029-5582(62)90774-5.
    """

    name = "sine_gordon_kink"
    scales = (6.0,)

    c: float = coefficient(0.3, lower=-0.9, upper=0.9, meaning="speed c")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        shift = 1 / sqrt(1 - self.c**2)
        return self.solution(0.0, x), -2 * self.c * shift / cosh(shift * x)

    def solution(self, t: Array, x: Array) -> Array:
        """The kink at t and x, numbers or arrays that broadcast."""
        return 4 * arctan(exp((x - self.c * t) / sqrt(1 - self.c**2)))
