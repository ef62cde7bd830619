"""The logistic function and what is made of it: sigmoid, softplus, swish."""

import torch
from torch.nn.functional import logsigmoid

from pacpde.networks.activations.base import Activation, Slopes


def _sigmoid(z: torch.Tensor, order: int) -> Slopes:
    """σ and its derivatives; with g = σ' = σ(1 − σ) and h = 1 − 2σ: g' = gh, h' = −2g."""
    f = torch.sigmoid(z)
    g, h = f * (1 - f), 1 - 2 * f
    slopes = [f, g]
    if order > 1:
        slopes.append(g * h)
    if order > 2:
        slopes.append(g * (1 - 6 * g))
    if order > 3:
        slopes.append(slopes[2] * (1 - 12 * g))
    if order > 4:
        slopes.append(g * (1 - 30 * g + 120 * g * g))
    return slopes[: order + 1]


class Sigmoid(Activation):
    """f(z) = σ(z) = 1/(1 + exp(−z))."""

    name = "sigmoid"

    def value(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(z)

    def derivatives(self, z: torch.Tensor, order: int) -> Slopes:
        return _sigmoid(z, order)


class Softplus(Activation):
    """f(z) = log(1 + exp z), so that f' = σ."""

    name = "softplus"

    def value(self, z: torch.Tensor) -> torch.Tensor:
        return -logsigmoid(-z)

    def derivatives(self, z: torch.Tensor, order: int) -> Slopes:
        return [self.value(z), *_sigmoid(z, order - 1)]


class Swish(Activation):
    """f(z) = z σ(z), so that f⁽ᵏ⁾ = z σ⁽ᵏ⁾ + k σ⁽ᵏ⁻¹⁾ (Ramachandran et al. 2017, 1710.05941)."""

    name = "swish"

    def value(self, z: torch.Tensor) -> torch.Tensor:
        return z * torch.sigmoid(z)

    def derivatives(self, z: torch.Tensor, order: int) -> Slopes:
        s = _sigmoid(z, order)
        return [z * s[0], *(z * s[k] + k * s[k - 1] for k in range(1, order + 1))]
