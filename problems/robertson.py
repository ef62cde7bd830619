"""Robertson's chemical kinetics."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class Robertson(Evolution):
    """a' = −k₁a + k₃bc, b' = k₁a − k₃bc − k₂b², c' = k₂b² on t∈[0,40] from (1, 0, 0).

    Three species with rates from 0.04 to 3e7, so that b changes within 1e-3 and a within 10: a
    stiff system. a + b + c stays 1. Robertson, The solution of a set of reaction rate equations
    (1966); at t = 40 (0.7158, 9.185e-6, 0.2842), Hairer & Wanner, Solving ODEs II (1996), IV.1.
    """

    name = "robertson"
    axes = (Axis("t", 0.0, 40.0),)
    fields = ("a", "b", "c")
    scales = (1.0, 3e-5, 0.3)

    k1: float = coefficient(0.04, lower=0.01, upper=0.2, meaning="rate of a → b, k₁")
    k2: float = coefficient(3e7, lower=1e5, upper=1e8, meaning="rate of b + b → c + b, k₂")
    k3: float = coefficient(1e4, lower=1e2, upper=1e5, meaning="rate of b + c → a + c, k₃")

    def rhs(self, u: Any, d: Derivative) -> Any:
        a, b, c = u
        forward, square, back = self.k1 * a, self.k2 * b * b, self.k3 * b * c
        return back - forward, forward - back - square, square

    def initial(self, *space: Array) -> Any:
        return 1.0, 0.0, 0.0
