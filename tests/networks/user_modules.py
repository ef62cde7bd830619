"""Torch modules of a user."""

from dataclasses import dataclass

import torch
from torch import nn

from pacpde import ModuleNetwork


class Residual(nn.Module):
    """h ← h + gₖ sin(Wₖ h + bₖ), between two dense layers; the last is not the last registered."""

    def __init__(self, inputs: int = 2, outputs: int = 1, width: int = 16, blocks: int = 2) -> None:
        super().__init__()
        self.last = nn.Linear(width, outputs)
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.gains = nn.Parameter(torch.linspace(0.5, 1.0, blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(x))
        for gain, block in zip(self.gains, self.blocks, strict=True):
            h = h + gain * torch.sin(block(h))
        return self.last(h)


class Normalised(nn.Module):
    """Dense layers with normalisation, a gate and a softplus."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(2, width), nn.LayerNorm(width), nn.GELU(), nn.Linear(width, width), nn.SiLU(),
            nn.GroupNorm(2, width), nn.RMSNorm(width),
        )  # fmt: skip
        self.gate, self.scale = nn.Linear(2, width), nn.Parameter(torch.tensor(0.7))
        self.last = nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(self.gate(x))
        h = gate * self.body(x) + (1 - gate) / (1 + self.scale * gate**2)
        return self.last(nn.functional.softplus(h)) * x[:, :1] - x.sum(-1, keepdim=True)


class Fourier(nn.Module):
    """Sines and cosines at random frequencies, which are no weights, and a dense network."""

    def __init__(self, count: int = 6) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 * torch.randn(2, count))
        self.body = nn.Sequential(nn.Linear(2 * count, 8), nn.Tanh(), nn.Linear(8, 1))

    frequencies: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = x @ self.frequencies
        return self.body(torch.cat([torch.sin(z), torch.cos(z)], -1))


class Masked(nn.Module):
    """It fills a tensor in its place, and uses a weight that it has computed."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix, self.last = nn.Parameter(torch.randn(2, 6) / 2), nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x @ torch.exp(self.matrix)
        shifted = torch.tanh(h).clone()
        shifted[:, 0] = h[:, 0] ** 2
        return self.last(shifted)


class LeftProduct(nn.Module):
    """W tanh(V x) with matrices on the left of columns."""

    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(width, 2))
        self.last = nn.Parameter(torch.randn(1, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.last @ torch.tanh(self.first @ x[..., None]))[..., 0]


class Raised(nn.Module):
    """Σ gₖ tanh(Wx) and Σ (aₖ + tanh(Wx)), by constants of one dimension more."""

    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, width), nn.Linear(width, 1)
        self.gates = nn.Parameter(torch.randn(3, 1, width))
        self.register_buffer("steps", torch.randn(3, 1, width))

    steps: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(x))
        return self.last((h * self.gates).sum(0)) + self.last((self.steps + h).sum(0)) ** 2


def same_size() -> nn.Sequential:
    """Convolutions that keep the size: more is added at the upper end where the kernel is even."""
    return nn.Sequential(
        nn.Conv2d(1, 3, (4, 3), padding="same", dilation=(1, 2)), nn.Tanh(),
        nn.Conv2d(3, 2, 2, padding="same"), nn.Tanh(), nn.Flatten(), nn.Linear(60, 1),
    )  # fmt: skip


def convolutional() -> nn.Sequential:
    """A small network of images of 8 × 8."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding="valid"), nn.Tanh(), nn.Flatten(), nn.Linear(6, 2),
    )  # fmt: skip


@dataclass(frozen=True)
class ResidualNetwork(ModuleNetwork):
    """A kind of network of these modules."""

    name = "residual"

    inputs: int
    outputs: int
    width: int = 10

    def build_module(self) -> nn.Module:
        return Residual(self.inputs, self.outputs, self.width)
