"""Flow in a cavity below a lid that moves: the steady Navier–Stokes equations."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Dirichlet, PointValue, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class Cavity(Problem):
    """uu_x + vu_y + p_x − ν∇²u = 0, v alike, u_x + v_y = 0 on x,y∈[0,1]; u = 4ax(1 − x) at y = 1.

    u and v are 0 on the other sides, p at (0, 0). The lid as in PINNacle (Hao et al., NeurIPS 2024,
    arXiv 2306.08827), with its coefficient a and ν = 1/100.
    """

    name = "cavity"
    axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    fields = ("u", "v", "p")
    scales = (1.0, 0.3, 0.1)

    a: float = coefficient(1.0, lower=0.1, upper=8.0, meaning="speed of the lid a")
    nu: float = coefficient(0.01, lower=1e-4, upper=1.0, meaning="viscosity ν")

    def residual(self, u: Any, d: Derivative) -> Any:
        u, v, p = u
        return (
            u * d(u, "x") + v * d(u, "y") + d(p, "x") - self.nu * (d(u, "xx") + d(u, "yy")),
            u * d(v, "x") + v * d(v, "y") + d(p, "y") - self.nu * (d(v, "xx") + d(v, "yy")),
            d(u, "x") + d(v, "y"),
        )

    def conditions(self) -> list[Condition]:
        return [
            Dirichlet("x", 0.0, field=("u", "v")),
            Dirichlet("y-", 0.0, field=("u", "v")),
            Dirichlet("y+", self.lid, field="u"),
            Dirichlet("y+", 0.0, field="v"),
            PointValue({"x": 0.0, "y": 0.0}, 0.0, field="p"),
        ]

    def lid(self, x: Array) -> Array:
        """Speed of the lid at x."""
        return 4 * self.a * x * (1 - x)


@dataclass(frozen=True)
class CavityRegularised(Cavity):
    """uu_x + vu_y + p_x − ν∇²u = 0 as `Cavity`, with the lid u = 16ax²(1 − x)².

    The slope of the lid is 0 in the corners, so that the flow is smooth there. Shen, J. Comput.
    Phys. 95 (1991), doi:10.1016/0021-9991(91)90261-I.
    """

    name = "cavity_regularised"

    def lid(self, x: Array) -> Array:
        return 16 * self.a * (x * (1 - x)) ** 2
