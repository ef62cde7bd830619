"""Steady convection and diffusion: a boundary layer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.physics import Axis, Derivative, Dirichlet, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import exp, stacked


@dataclass(frozen=True)
class ConvectionDiffusion(Problem):
    """u_x − εu_xx = 1 on x∈[0,1]; u = 0 at both ends.

    Exact: x − (e^{(x−1)/ε} − e^{−1/ε}) / (1 − e^{−1/ε}), with a layer of width ε at x = 1. Roos,
    Stynes & Tobiska, Robust numerical methods for singularly perturbed differential equations
    (2008), section I.1.
    """

    name = "convection_diffusion"
    axes = (Axis("x", 0.0, 1.0),)

    epsilon: float = coefficient(0.05, lower=2e-3, upper=1.0, meaning="diffusivity ε")

    def residual(self, u: Any, d: Derivative) -> Any:
        return d(u, "x") - self.epsilon * d(u, "xx") - 1

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0)]

    def exact(self, *coordinates: np.ndarray) -> np.ndarray:
        (x,) = coordinates
        least = exp(-1 / self.epsilon)
        return stacked(x - (exp((x - 1) / self.epsilon) - least) / (1 - least))
