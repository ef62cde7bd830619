"""The focusing nonlinear Schrödinger equation: a breathing soliton."""

from dataclasses import dataclass
from math import pi
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, Periodic, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cosh


@dataclass(frozen=True)
class Schrodinger(Evolution):
    """i h_t = −½h_xx − κ|h|²h, h = u + iv, on t∈[0,π/2], x∈[−5,5], periodic; h(0,x) = 2/cosh x.

    On the whole line, with κ = 1, it is 4 e^{it/2} (cosh 3x + 3 e^{4it} cosh x) / (cosh 4x +
    4 cosh 2x + 3 cos 4t), Satsuma & Yajima, Suppl. Prog. Theor. Phys. 55 (1974),
    doi:10.1143/PTPS.55.284; the box changes that by 1e-2. ∫|h|² over x stays constant. The slope of
    the start jumps by 0.05 where the ends of x meet. Raissi et al., J. Comput. Phys. 378 (2019),
    doi:10.1016/j.jcp.2018.10.045, section 3.1.1.
    """

    name = "schrodinger"
    axes = (Axis("t", 0.0, pi / 2), Axis("x", -5.0, 5.0))
    fields = ("u", "v")

    kappa: float = coefficient(1.0, lower=0.1, upper=2.0, meaning="strength of focusing κ")

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        u, v = u
        density = self.kappa * (u * u + v * v)
        return -0.5 * d(v, "xx") - density * v, 0.5 * d(u, "xx") + density * u

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return 2 / cosh(x), 0 * x
