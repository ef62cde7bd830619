"""The Allen–Cahn equation: two phases with thin walls between them."""

from dataclasses import dataclass
from math import pi
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos


@dataclass(frozen=True)
class AllenCahn(Evolution):
    """u_t = εu_xx + κ(u − u³) on t∈[0,1], x∈[−1,1], periodic; u(0,x) = x² cos πx.

    Walls of a width √(ε/κ) form. The slope of the start jumps by 4 where the ends of x meet. Raissi
    et al., J. Comput. Phys. 378 (2019), doi:10.1016/j.jcp.2018.10.045, section 3.2.1, with ε = 1e-4
    and κ = 5.
    """

    name = "allen_cahn"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))

    epsilon: float = coefficient(1e-4, lower=5e-5, upper=0.1, meaning="diffusivity ε")
    kappa: float = coefficient(5.0, lower=0.1, upper=10.0, meaning="reaction rate κ")

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.epsilon * d(u, "xx") + self.kappa * (u - u * u * u)

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return x**2 * cos(pi * x)
