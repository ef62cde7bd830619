"""The hyperbolic tangent: its derivatives are polynomials in it."""

import torch

from pacpde.networks.activations.base import Activation, Slopes


class Tanh(Activation):
    """f(z) = tanh z; with g = f' = 1 − f²: f'' = −2fg, f''' = g(4 − 6g), ..."""

    name = "tanh"

    def value(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(z)

    def derivatives(self, z: torch.Tensor, order: int) -> Slopes:
        f = torch.tanh(z)
        g = 1 - f * f
        slopes = [f, g]
        if order > 1:
            slopes.append(-2 * f * g)
        if order > 2:
            slopes.append(g * (4 - 6 * g))
        if order > 3:
            slopes.append(slopes[2] * (4 - 12 * g))
        if order > 4:
            slopes.append(g * (16 - 120 * g * (1 - g)))
        return slopes
