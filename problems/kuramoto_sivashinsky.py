"""The Kuramoto–Sivashinsky equation: waves that turn chaotic."""

from dataclasses import dataclass
from math import pi
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, sin


@dataclass(frozen=True)
class KuramotoSivashinsky(Evolution):
    """u_t = −αu u_x − βu_xx − γu_xxxx on t∈[0,1], x∈[0,2π], periodic; u(0,x) = cos x (1 + sin x).

    Modes with wave numbers below √(β/γ) grow. With α = 100/16, β = 100/16², γ = 100/16⁴ it is the
    equation u_t + u u_x + u_xx + u_xxxx = 0 of [0, 32π] with t up to 100, and chaotic from t ≈ 0.4.
    Kassam & Trefethen, SIAM J. Sci. Comput. 26 (2005), doi:10.1137/S1064827502410633, section 5;
    in these units Wang et al., arXiv 2203.07404, section 4.
    """

    name = "kuramoto_sivashinsky"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 2 * pi))

    alpha: float = coefficient(100 / 16, lower=0.1, upper=10.0, meaning="strength of convection α")
    beta: float = coefficient(100 / 16**2, lower=0.01, upper=1.0, meaning="growth β")
    gamma: float = coefficient(100 / 16**4, lower=1e-3, upper=0.1, meaning="damping γ")

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -self.alpha * u * d(u, "x") - self.beta * d(u, "xx") - self.gamma * d(u, "xxxx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return cos(x) * (1 + sin(x))
