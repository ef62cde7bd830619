"""The sine, for solutions that oscillate."""

import torch

from pacpde.networks.activations.base import Activation, Slopes


class Sine(Activation):
    """f(z) = sin z (Sitzmann et al. 2020, arXiv 2006.09661)."""

    name = "sin"

    def value(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sin(z)

    def derivatives(self, z: torch.Tensor, order: int) -> Slopes:
        s, c = torch.sin(z), torch.cos(z)
        return [s, c, -s, -c, s, c][: order + 1]
