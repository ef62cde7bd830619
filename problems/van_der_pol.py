"""The van der Pol oscillator."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class VanDerPol(Evolution):
    """x' = y, y' = μ(1 − x²)y − x on t∈[0,10] from (2, 0).

    Its limit cycle has a period of 6.66 for μ = 1. It is stiff for large μ: with μ = 1000 x stays
    near 2, and y near −2/(3μ). van der Pol, Phil. Mag. 2 (1926), doi:10.1080/14786442608564127.
    """

    name = "van_der_pol"
    axes = (Axis("t", 0.0, 10.0),)
    fields = ("x", "y")
    scales = (2.0, 2.0)

    mu: float = coefficient(1.0, lower=0.0, upper=1000.0, meaning="strength of the damping μ")

    def rhs(self, u: Any, d: Derivative) -> Any:
        x, y = u
        return y, self.mu * (1 - x * x) * y - x

    def initial(self, *space: Array) -> Any:
        return 2.0, 0.0
