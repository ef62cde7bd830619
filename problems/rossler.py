"""The Rössler system."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class Rossler(Evolution):
    """x' = −y − z, y' = x + ay, z' = b + z(x − c) on t∈[0,6] from (1, 1, 1).

    Chaotic for a = b = 0.2, c = 5.7: x and y turn about 0, and z leaves the plane for a short time
    in each turn. Rössler, Phys. Lett. A 57 (1976), doi:10.1016/0375-9601(76)90101-8.
    """

    name = "rossler"
    axes = (Axis("t", 0.0, 6.0),)
    fields = ("x", "y", "z")
    scales = (2.0, 2.0, 0.2)

    a: float = coefficient(0.2, lower=0.0, upper=0.5, meaning="growth of the turns a")
    b: float = coefficient(0.2, lower=0.0, upper=2.0, meaning="source of z, b")
    c: float = coefficient(5.7, lower=1.0, upper=20.0, meaning="threshold of x, c")

    def rhs(self, u: Any, d: Derivative) -> Any:
        x, y, z = u
        return -y - z, x + self.a * y, self.b + z * (x - self.c)

    def initial(self, *space: Array) -> Any:
        return 1.0, 1.0, 1.0
