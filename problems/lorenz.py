"""The Lorenz system."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class Lorenz(Evolution):
    """x' = σ(y−x), y' = x(ρ−z)−y, z' = xy−βz on t∈[0,3] from (−8, 7, 27).

    Lorenz, J. Atmos. Sci. 20 (1963), eq. (25)–(27). Chaotic above ρ ≈ 24.74 for σ = 10, β = 8/3;
    fits grow their time span, since the whole span at once ends in a wrong minimum.
    """

    name = "lorenz"
    axes = (Axis("t", 0.0, 3.0),)
    fields = ("x", "y", "z")
    scales = (20.0, 20.0, 20.0)
    time_scale = 1.0
    time_windows = 24
    recipe = {
        "width": 40,
        "depth": 3,
        "activation": "sin",
        "frequency": 4.0,
        "points": 200,
        "tolerance": 1e-3,  # another orbit has been met with a residual of 8e-3
    }

    sigma: float = coefficient(10.0, lower=0.1, upper=50.0, meaning="Prandtl number σ")
    rho: float = coefficient(15.0, lower=0.1, upper=100.0, meaning="relative Rayleigh number ρ")
    beta: float = coefficient(8 / 3, lower=0.1, upper=10.0, meaning="aspect ratio β")

    def rhs(self, u: Any, d: Derivative) -> Any:
        x, y, z = u
        return (
            self.sigma * (y - x),
            x * (self.rho - z) - y,
            x * y - self.beta * z,
        )

    def initial(self, *space: Array) -> Any:
        return (-8.0, 7.0, 27.0)
