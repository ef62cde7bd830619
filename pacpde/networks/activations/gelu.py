"""The Gaussian error linear unit."""

from math import pi

import torch

from pacpde.networks.activations.base import Activation, Slopes


class GELU(Activation):
    """f(z) = z Φ(z) with the normal distribution Φ (Hendrycks & Gimpel 2016, arXiv 1606.08415).

    f⁽ᵏ⁾ = z Φ⁽ᵏ⁾ + k Φ⁽ᵏ⁻¹⁾, where Φ' = φ and φ⁽ᵏ⁺¹⁾ = −z φ⁽ᵏ⁾ − k φ⁽ᵏ⁻¹⁾.
    """

    name = "gelu"

    def value(self, z: torch.Tensor) -> torch.Tensor:
        return z * torch.special.ndtr(z)

    def derivatives(self, z: torch.Tensor, order: int) -> Slopes:
        density = torch.exp(-z * z / 2) / (2 * pi) ** 0.5
        normal = [torch.special.ndtr(z), density, -z * density]
        for k in range(1, order - 1):
            normal.append(-z * normal[-1] - k * normal[-2])
        return [z * normal[0], *(z * normal[k] + k * normal[k - 1] for k in range(1, order + 1))]
