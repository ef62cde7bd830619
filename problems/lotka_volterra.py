"""The Lotka–Volterra equations: prey and predators."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class LotkaVolterra(Evolution):
    """x' = αx − βxy, y' = δxy − γy on t∈[0,5] from (1, 1).

    x counts prey, y predators. δx − γ ln x + βy − α ln y stays constant, so that orbits are closed.
    Lotka, PNAS 6 (1920), doi:10.1073/pnas.6.7.410; Volterra, Nature 118 (1926),
    doi:10.1038/118558a0.
    """

    name = "lotka_volterra"
    axes = (Axis("t", 0.0, 5.0),)
    fields = ("x", "y")
    scales = (3.0, 2.0)

    alpha: float = coefficient(1.5, lower=0.1, upper=5.0, meaning="growth rate of prey α")
    beta: float = coefficient(1.0, lower=0.1, upper=5.0, meaning="rate of predation β")
    gamma: float = coefficient(3.0, lower=0.1, upper=5.0, meaning="death rate of predators γ")
    delta: float = coefficient(1.0, lower=0.1, upper=5.0, meaning="growth of predators by prey δ")

    def rhs(self, u: Any, d: Derivative) -> Any:
        x, y = u
        return (self.alpha - self.beta * y) * x, (self.delta * x - self.gamma) * y

    def initial(self, *space: Array) -> Any:
        return 1.0, 1.0
