"""The heat equation with one mode, with several, and in two dimensions: a linear control."""

from dataclasses import dataclass
from math import pi
from typing import Any, ClassVar

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, exp, sin, stacked


@dataclass(frozen=True)
class Heat(Evolution):
    """u_t = α u_xx on t∈[0,1], x∈[0,1]; u(0,x) = Σ a_k sin kπx, u(t,0) = u(t,1) = 0.

    Exact: Σ a_k sin(kπx) exp(−α k²π² t). This family has the one mode sin πx.
    """

    name = "heat"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    modes: ClassVar[dict[int, float]] = {1: 1.0}

    alpha: float = coefficient(0.4, lower=1e-3, upper=10.0, meaning="diffusivity α")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.alpha * d(u, "xx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return sum(a * sin(k * pi * x) for k, a in self.modes.items())

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x = coordinates
        return stacked(
            sum(
                a * sin(k * pi * x) * exp(-self.alpha * (k * pi) ** 2 * t)
                for k, a in self.modes.items()
            )
        )


@dataclass(frozen=True)
class HeatModes(Heat):
    """`Heat` with three modes: u(0,x) = sin πx + ½ sin 2πx + ¼ sin 4πx."""

    name = "heat_modes"
    modes = {1: 1.0, 2: 0.5, 4: 0.25}


@dataclass(frozen=True)
class Heat2D(Evolution):
    """u_t = α (u_xx + u_yy) on t∈[0,1], x,y∈[0,1]; u = sin πx sin πy at t = 0, 0 on the edges.

    Exact: sin πx sin πy exp(−2π²α t).
    """

    name = "heat2d"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))

    alpha: float = coefficient(0.1, lower=1e-3, upper=10.0, meaning="diffusivity α")

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0), Dirichlet("y", 0.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.alpha * (d(u, "xx") + d(u, "yy"))

    def initial(self, *space: Array) -> Any:
        x, y = space
        return sin(pi * x) * sin(pi * y)

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        t, x, y = coordinates
        return stacked(sin(pi * x) * sin(pi * y) * exp(-2 * pi**2 * self.alpha * t))
