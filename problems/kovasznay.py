"""The Kovasznay flow: the steady Navier–Stokes equations behind a grid."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, PointValue, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, exp, sin, sqrt, stacked


@dataclass(frozen=True)
class Kovasznay(Problem):
    """uu_x + vu_y + p_x − ∇²u/Re = 0, v alike, u_x + v_y = 0 on x∈[−½,1], y∈[−½,1½].

    u and v are exact on the boundary, p at (1, 0). Exact: u = 1 − e^{λx} cos 2πy,
    v = (λ/2π) e^{λx} sin 2πy, p = ½(1 − e^{2λx}) with λ = Re/2 − √(Re²/4 + 4π²). Kovasznay, Proc.
    Camb. Phil. Soc. 44 (1948), doi:10.1017/S0305004100023999.
    """

    name = "kovasznay"
    axes = (Axis("x", -0.5, 1.0), Axis("y", -0.5, 1.5))
    fields = ("u", "v", "p")

    reynolds: float = coefficient(20.0, lower=5.0, upper=200.0, meaning="Reynolds number Re")

    def residual(self, u: Any, d: Derivative) -> Any:
        u, v, p = u
        return (
            u * d(u, "x") + v * d(u, "y") + d(p, "x")
            - (d(u, "xx") + d(u, "yy")) / self.reynolds,
            u * d(v, "x") + v * d(v, "y") + d(p, "y")
            - (d(v, "xx") + d(v, "yy")) / self.reynolds,
            d(u, "x") + d(v, "y"),
        )  # fmt: skip

    def conditions(self) -> list[Condition]:
        return [
            Dirichlet("boundary", lambda x, y: self.flow(x, y)[:2], field=("u", "v")),
            PointValue({"x": 1.0, "y": 0.0}, self.flow(1.0, 0.0)[2], field="p"),
        ]

    def flow(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """u, v and p at x and y, numbers or arrays that broadcast."""
        rate = self.reynolds / 2 - sqrt(self.reynolds**2 / 4 + 4 * pi**2)
        decay = exp(rate * x)
        u = 1 - decay * cos(2 * pi * y)
        v = rate / (2 * pi) * decay * sin(2 * pi * y)
        return u, v, (1 - decay**2) / 2

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        return stacked(*self.flow(*coordinates))
