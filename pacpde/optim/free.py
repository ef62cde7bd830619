"""The least-squares problem an optimiser sees: a flat vector of free parameters and nothing else.

Frozen weights are not in the vector, so no optimiser can move them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from pacpde.networks.mlp import MLP
from pacpde.objective.blocks import Anchor, Block
from pacpde.objective.jacobian import MEMORY, Jacobian, linearise, residuals, split


@dataclass(frozen=True)
class LeastSquares:
    """½‖r(x)‖² + Σ strength (x − centre)² over the free entries x of `weights`.

    Attributes:
        weights: the whole vector [size]; its free entries are overwritten by x.
        free: which entries are free, bool [size].
        anchor: over the free entries, in their order.
        memory: bytes that its Jacobian may take.
    """

    network: MLP
    weights: torch.Tensor
    free: torch.Tensor
    blocks: Sequence[Block]
    anchor: Anchor | None = None
    memory: int = MEMORY

    def within(self, memory: int) -> "LeastSquares":
        """The same problem, its Jacobian in as many pieces as `memory` (bytes) asks for."""
        return replace(self, blocks=split(self.network, self.blocks, memory), memory=memory)

    @cached_property
    def indices(self) -> torch.Tensor | None:
        """Positions of the free entries; None where all are free."""
        return None if bool(self.free.all()) else self.free.nonzero()[:, 0]

    @property
    def start(self) -> torch.Tensor:
        """The free entries of `weights`, [free]."""
        return self.weights[self.free].clone()

    def insert(self, x: torch.Tensor) -> torch.Tensor:
        """The whole vector with x in its free entries; frozen ones keep every bit."""
        if self.indices is None:
            return x
        return self.weights.index_copy(0, self.indices, x)

    def linearise(self, x: torch.Tensor) -> tuple[torch.Tensor, Jacobian]:
        """Data residuals [rows] and their Jacobian [rows, free] at x."""
        with torch.no_grad():
            weights = self.insert(x)
            return linearise(self.network, weights, self.blocks, self.indices, self.memory)

    def residuals(self, x: torch.Tensor) -> torch.Tensor:
        """Data residuals [rows] at x."""
        return residuals(self.network, self.insert(x), self.blocks)

    def loss(self, x: torch.Tensor) -> float:
        """½‖r‖² plus the anchor at x."""
        with torch.no_grad():
            return float(self._loss(x))

    def loss_and_gradient(self, x: torch.Tensor) -> tuple[float, torch.Tensor]:
        """The loss and its gradient [free] at x, by autograd."""
        leaf = x.detach().clone().requires_grad_(True)
        value = self._loss(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        return float(value.detach()), gradient

    def _loss(self, x: torch.Tensor) -> torch.Tensor:
        r = self.residuals(x)
        value = (r @ r) / 2
        if self.anchor is not None:
            value = value + (self.anchor.strength * (x - self.anchor.centre) ** 2).sum()
        return value
