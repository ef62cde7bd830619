"""The wave equation of a string, from one mode and from two."""

from dataclasses import dataclass
from math import pi
from typing import Any, ClassVar

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, sin, stacked


@dataclass(frozen=True)
class Wave(Evolution):
    """u_tt = c² u_xx on t∈[0,1], x∈[0,1]; u = sin πx, u_t = 0 at t = 0; u = 0 at both ends.

    Exact: Σ aₖ sin kπx cos kπct, here with the one mode sin πx.
    """

    name = "wave"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    order = 2
    modes: ClassVar[dict[int, float]] = {1: 1.0}

    c: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="speed c")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.c**2 * d(u, "xx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return sum(a * sin(k * pi * x) for k, a in self.modes.items()), 0.0

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        return stacked(
            sum(a * sin(k * pi * x) * cos(k * pi * self.c * t) for k, a in self.modes.items())
        )


@dataclass(frozen=True)
class WaveModes(Wave):
    """u_tt = c² u_xx as `Wave`, from u = sin πx + ½ sin 4πx.

    With c = 2 a common test of networks: Wang et al., J. Comput. Phys. 449 (2022),
    doi:10.1016/j.jcp.2021.110768, section 7.3.
    """

    name = "wave_modes"
    modes = {1: 1.0, 4: 0.5}

    c: float = coefficient(2.0, lower=0.1, upper=10.0, meaning="speed c")
