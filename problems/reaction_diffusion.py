"""Logistic growth with diffusion, periodic."""

from dataclasses import dataclass
from math import pi
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, exp


@dataclass(frozen=True)
class ReactionDiffusion(Evolution):
    """u_t = νu_xx + ρu(1 − u) on t∈[0,1], x∈[0,2π], periodic; u(0,x) = exp(−8(x − π)²/π²).

    The slope of the start jumps by 3e-3 where the ends of x meet. Krishnapriyan et al., NeurIPS
    2021 (arXiv 2109.01050), section 3.2.
    """

    name = "reaction_diffusion"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 2 * pi))

    nu: float = coefficient(3.0, lower=0.1, upper=10.0, meaning="diffusivity ν")
    rho: float = coefficient(5.0, lower=0.1, upper=10.0, meaning="growth rate ρ")

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return self.nu * d(u, "xx") + self.rho * u * (1 - u)

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return exp(-8 * (x - pi) ** 2 / pi**2)
