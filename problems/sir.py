"""An epidemic among the susceptible, the infectious and the recovered."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class SIR(Evolution):
    """s' = −βsi, i' = βsi − γi, r' = γi on t∈[0,60] days from (0.99, 0.01, 0).

    Shares of a population: susceptible, infectious, recovered. s + i + r and s + i − (γ/β) ln s
    stay constant. Kermack & McKendrick, Proc. R. Soc. A 115 (1927), doi:10.1098/rspa.1927.0118.
    """

    name = "sir"
    axes = (Axis("t", 0.0, 60.0),)
    fields = ("s", "i", "r")
    scales = (1.0, 0.3, 1.0)

    beta: float = coefficient(0.4, lower=0.05, upper=2.0, meaning="rate of infection β, 1/day")
    gamma: float = coefficient(0.1, lower=0.02, upper=1.0, meaning="rate of recovery γ, 1/day")

    def rhs(self, u: Any, d: Derivative) -> Any:
        s, i, _ = u
        infected, recovered = self.beta * s * i, self.gamma * i
        return -infected, infected - recovered, recovered

    def initial(self, *space: Array) -> Any:
        return 0.99, 0.01, 0.0
