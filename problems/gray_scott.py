"""The Gray–Scott reaction in two dimensions: a substance that feeds on another."""

from dataclasses import dataclass
from math import pi
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos


@dataclass(frozen=True)
class GrayScott(Evolution):
    """u_t = D∇²u − uv² + F(1 − u), v_t = ½D∇²v + uv² − (F + k)v on t∈[0,20], periodic in x, y.

    On x,y∈[−1,1], from u = 1 − ½g, v = ¼g with the bump g = cos⁴(πx/2) cos⁴(πy/2). Pearson,
    Science 261 (1993), doi:10.1126/science.261.5118.189, eq. (2), with a wider bump and diffusion
    in other units.
    """

    name = "gray_scott"
    axes = (Axis("t", 0.0, 20.0), Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0))
    fields = ("u", "v")
    scales = (1.0, 0.25)

    D: float = coefficient(2e-3, lower=2e-4, upper=0.1, meaning="diffusivity of u, D")
    F: float = coefficient(0.04, lower=0.0, upper=0.1, meaning="feed F")
    k: float = coefficient(0.06, lower=0.0, upper=0.1, meaning="removal of v, k")

    def conditions(self) -> list[Condition]:
        return [Periodic("x"), Periodic("y")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        u, v = u
        reaction = u * v * v
        return (
            self.D * (d(u, "xx") + d(u, "yy")) - reaction + self.F * (1 - u),
            self.D / 2 * (d(v, "xx") + d(v, "yy")) + reaction - (self.F + self.k) * v,
        )

    def initial(self, *space: Array) -> Any:
        x, y = space
        bump = (cos(pi * x / 2) * cos(pi * y / 2)) ** 4
        return 1 - bump / 2, bump / 4
