"""The biharmonic equation: a clamped plate under a load."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Neumann, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, sin, stacked


@dataclass(frozen=True)
class Biharmonic(Problem):
    """u_xxxx + 2u_xxyy + u_yyyy = f(x,y) on x,y∈[0,1]; u = ∂u/∂n = 0 on the boundary.

    f is that of the exact solution (1 + sx) sin²πx sin²πy. Timoshenko & Woinowsky-Krieger, Theory
    of plates and shells (1959), section 21.
    """

    name = "biharmonic"
    axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))

    s: float = coefficient(1.0, lower=-0.9, upper=5.0, meaning="skewness of the load s")

    def residual(self, u: Any, d: Derivative) -> Any:
        x, y = d.coordinates["x"], d.coordinates["y"]
        (g, g1, g2, g3, g4), (h, _, h2, _, h4) = _profile(x), _profile(y)
        ramp = 1 + self.s * x
        along, along2 = ramp * g, ramp * g2 + 2 * self.s * g1
        along4 = ramp * g4 + 4 * self.s * g3
        load = along4 * h + 2 * along2 * h2 + along * h4
        return d(u, "xxxx") + 2 * d(u, "xxyy") + d(u, "yyyy") - load

    def conditions(self) -> list[Condition]:
        return [Dirichlet("boundary", 0.0), Neumann("boundary", 0.0)]

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        x, y = coordinates
        return stacked((1 + self.s * x) * _profile(x)[0] * _profile(y)[0])


def _profile(x: Array) -> tuple[Array, Array, Array, Array, Array]:
    """sin²πx and its four derivatives."""
    c, s = cos(2 * pi * x), sin(2 * pi * x)
    return (1 - c) / 2, pi * s, 2 * pi**2 * c, -4 * pi**3 * s, -8 * pi**4 * c
