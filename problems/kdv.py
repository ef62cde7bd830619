"""The Korteweg–de Vries equation: a wave that falls apart into solitons."""

from dataclasses import dataclass
from math import pi
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos


@dataclass(frozen=True)
class KdV(Evolution):
    """u_t = −u u_x − νu_xxx on t∈[0,1], x∈[−1,1], periodic; u(0,x) = cos πx.

    ∫u and ∫u² over x stay constant. Zabusky & Kruskal, Phys. Rev. Lett. 15 (1965),
    doi:10.1103/PhysRevLett.15.240, eq. (1) with ν = 0.022²; the front of t ≈ 1/π becomes a row of
    solitons.
    """

    name = "kdv"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))

    nu: float = coefficient(0.022**2, lower=1e-4, upper=0.1, meaning="dispersion ν")

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -u * d(u, "x") - self.nu * d(u, "xxx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return cos(pi * x)
