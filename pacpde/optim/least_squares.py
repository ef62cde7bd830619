"""The least-squares problem of an optimiser, in the flat vector of trainable weights alone.

Frozen weights are not in the vector, so no optimiser can move them.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from pacpde.networks.batch import Batch
from pacpde.networks.frozen import insert
from pacpde.networks.linear_head import LinearHead
from pacpde.networks.protocol import Network
from pacpde.networks.stacking import Stackable
from pacpde.residuals.factors import residuals
from pacpde.residuals.jacobian import MEMORY, Jacobian, linearise, split
from pacpde.residuals.terms import Anchor, Term


@dataclass(frozen=True)
class LeastSquares(Stackable):
    """½‖r(x)‖² + Σ strength (x − centre)² over the trainable entries x of `weights`.

    Leading dimensions [...] are a stack of problems, see `stack`.

    Attributes:
        weights: the whole vector [..., size]; its trainable entries are overwritten by x.
        trainable_mask: the trainable entries, bool [..., size], as many in each of a stack.
        anchor: over the trainable entries, in their order.
        memory_bytes: bytes that its Jacobian may take; a normal matrix with its factor as many.
    """

    stacked = ("weights", "trainable_mask", "terms", "anchor")

    network: Network
    weights: torch.Tensor
    trainable_mask: torch.Tensor
    terms: Sequence[Term]
    anchor: Anchor | None = None
    memory_bytes: int = MEMORY

    def within(self, memory_bytes: int) -> "LeastSquares":
        """The same problem, with terms so small that their Jacobians fit into `memory_bytes`."""
        return replace(
            self, terms=split(self.network, self.terms, memory_bytes), memory_bytes=memory_bytes
        )

    def with_linear_head(self) -> "LeastSquares":
        """The same problem, in the features of the head that alone moves, computed once.

        The same object where another weight moves, or where they take more than `memory_bytes`.
        """
        indices = self.trainable_indices
        if indices is None or self.weights.dim() > 1 or indices.dim() > 1:
            return self
        room, terms = self.memory_bytes, []
        for term in self.terms:
            batch = term.batch
            if type(batch) is not Batch:
                return self
            width = len(indices) // self.network.outputs
            room -= batch.inputs[..., 0].numel() * width * self.weights.element_size()
            if room < 0:
                return self
            with torch.no_grad():
                split = self.network.split_head(self.weights, batch.inputs, batch.names, indices)
            if split is None:
                return self
            base, features = split
            by_column = features.mT.contiguous().mT  # a column of the Jacobian in one piece
            own = replace(batch, inputs=by_column, offset=batch.fields(base))
            terms.append(replace(term, batch=own))
        if not terms:
            return self
        head = LinearHead(terms[0].batch.inputs.shape[-1], self.network.outputs)
        whole = torch.ones_like(self.x0, dtype=torch.bool)
        return replace(self, network=head, weights=self.x0, trainable_mask=whole, terms=terms)

    @property
    def is_least_squares(self) -> bool:
        """Whether `linearise` gives the residuals: of a cross-entropy, it gives other rows."""
        return all(term.is_least_squares for term in self.terms)

    @cached_property
    def trainable_indices(self) -> torch.Tensor | None:
        """Positions of the trainable entries, [n_trainable], or [stack, n_trainable] where they
        differ; None where all entries are trainable.
        """
        if bool(self.trainable_mask.all()):
            return None
        masks = self.trainable_mask.reshape(-1, self.trainable_mask.shape[-1])
        if bool((masks == masks[0]).all()):
            return masks[0].nonzero()[:, 0]
        return masks.nonzero()[:, 1].reshape(len(masks), -1)

    @property
    def x0(self) -> torch.Tensor:
        """The trainable entries of `weights`, [..., n_trainable]."""
        return self.weights[self.trainable_mask].reshape(*self.weights.shape[:-1], -1).clone()

    def insert(self, x: torch.Tensor) -> torch.Tensor:
        """The whole vector with x in its trainable entries; frozen ones keep every bit."""
        indices = self.trainable_indices
        return x if indices is None else insert(self.weights, indices, x)

    def linearise(self, x: torch.Tensor) -> tuple[torch.Tensor, Jacobian]:
        """Data residuals [..., rows] and their Jacobian [..., rows, n_trainable] at x; see
        `pacpde.residuals.jacobian.linearise` where they are not `is_least_squares`.
        """
        with torch.no_grad():
            weights = self.insert(x)
            return linearise(
                self.network, weights, self.terms, self.trainable_indices, self.memory_bytes
            )

    def residuals(self, x: torch.Tensor) -> torch.Tensor:
        """Data residuals [..., rows] at x."""
        return residuals(self.network, self.insert(x), self.terms)

    def losses(self, x: torch.Tensor) -> torch.Tensor:
        """½‖r‖² plus the anchor at x [..., n_trainable], one a problem."""
        with torch.no_grad():
            return self._loss(x)

    def loss(self, x: torch.Tensor) -> float:
        """½‖r‖² plus the anchor at x [n_trainable]."""
        return float(self.losses(x))

    def loss_and_gradient(self, x: torch.Tensor) -> tuple[float, torch.Tensor]:
        """The loss and its gradient [n_trainable] at x, by autograd."""
        leaf = x.detach().clone().requires_grad_(True)
        value = self._loss(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        return float(value.detach()), gradient

    def _loss(self, x: torch.Tensor) -> torch.Tensor:
        r = self.residuals(x)
        value = (r * r).sum(-1) / 2
        if self.anchor is not None:
            value = value + (self.anchor.strength * (x - self.anchor.centre) ** 2).sum(-1)
        return value

    @property
    def batch_key(self) -> Hashable:
        """Problems with equal keys can be stacked."""
        anchor = None if self.anchor is None else self.anchor.uniform
        keys = tuple(term.batch_key for term in self.terms)
        where = str(self.weights.device), self.weights.dtype
        return self.network, int(self.trainable_mask.sum()), anchor, keys, where

    def select(self, chosen: torch.Tensor) -> "LeastSquares":
        return self if len(chosen) == len(self.weights) else super().select(chosen)
