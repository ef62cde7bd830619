"""The Jacobian of stacked residual terms in the free parameters.

Where memory holds all of it, it is written out once; else it stays in factors, its products with
vectors need nothing else, and its normal matrices are added up from as many columns or rows at a
time as memory allows. Columns of frozen weights are never formed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

import torch

from pacpde.networks.mlp import MLP
from pacpde.networks.reparametrised import Reparametrised
from pacpde.networks.stacking import Stackable
from pacpde.residuals.factors import Columns, Factors, Streamed, factor_bytes, residuals
from pacpde.residuals.terms import Term

MEMORY = 2**30  # bytes of Jacobian held at a time
PIECE = 2**27  # bytes of it written out at a time where not all of it is held
STRIPES = 6  # in which a symmetric product is formed, so that only its lower half is
GATHERED = 0.4  # share of free weights below which single columns are cheaper than whole layers


def linearise(
    network: MLP,
    weights: torch.Tensor,
    terms: Sequence[Term],
    free: torch.Tensor | None = None,
    memory_bytes: int = MEMORY,
) -> tuple[torch.Tensor, "Jacobian"]:
    """Residuals [..., rows] and their Jacobian [..., rows, free].

    Args:
        weights: the whole flat vector, [..., size].
        free: sorted indices of the free parameters, [free], or [stack, free] where they differ;
            all of them by default.
        memory_bytes: bytes that may be taken at a time. What fits is kept: all of the Jacobian, or
            its factors; else they are made anew, term by term, whenever they are asked for.
    """
    if isinstance(network, Reparametrised):
        return _linearise_reparametrised(network, weights, terms, free, memory_bytes)
    streamed = Streamed(network, weights, terms)
    rows = sum(term.n_components * term.batch.size for term in terms)
    jacobian = Jacobian(network, weights[..., :0], rows, streamed, free, memory_bytes)
    if jacobian.bytes <= memory_bytes:
        r: list[torch.Tensor] = []
        matrix = jacobian.written(_noted(streamed, r), rows)
        return torch.cat(r, -1), replace(jacobian, parts=(), matrix=matrix)
    if sum(factor_bytes(network, term) for term in terms) <= memory_bytes:
        r = []
        parts = list(_noted(streamed, r))
        return torch.cat(r, -1), replace(jacobian, parts=parts)
    return residuals(network, weights, terms), jacobian


def _linearise_reparametrised(
    network: Reparametrised,
    weights: torch.Tensor,
    terms: Sequence[Term],
    free: torch.Tensor | None,
    memory_bytes: int,
) -> tuple[torch.Tensor, "Jacobian"]:
    """Through the effective weights, whose Jacobian is written out whole."""
    effective = network.effective(weights)
    r, jacobian = linearise(network.inner, effective, terms, None, memory_bytes)
    whole = network.vjp_weights(jacobian.dense(), weights)
    if free is None:
        free = torch.arange(network.size, device=weights.device)
    if free.dim() > 1:
        matrix = whole.take_along_dim(free[..., None, :], -1)
    else:
        matrix = whole[..., free]
    matrix = matrix.mT.contiguous()
    return r, replace(jacobian, network=network, parts=(), free=free, matrix=matrix)


def _noted(streamed: Streamed, r: list[torch.Tensor]) -> Iterator[Factors]:
    """The factors of one term after the other; notes their residuals."""
    for number in range(len(streamed)):
        rows, part = streamed.linearised(number)
        r.append(rows)
        yield part


def split(network: MLP, terms: Sequence[Term], memory_bytes: int) -> list[Term]:
    """The same residuals in terms whose factors need an eighth of the memory at most each."""
    parts: list[Term] = []
    for term in terms:
        size = term.batch.size
        count = min(size, -(-8 * factor_bytes(network, term) // memory_bytes))
        ends = [size * k // count for k in range(count + 1)]
        parts += [term.subset(slice(*pair)) for pair in pairwise(ends)] if count > 1 else [term]
    return parts


Piece = tuple[int, Columns]  # of one layer


@dataclass(frozen=True)
class Jacobian(Stackable):
    """∂r/∂(free parameters), [..., rows, free].

    Attributes:
        like: nothing, [..., 0], of the right device, dtype and stack.
        rows: how many.
        parts: its factors, where they are needed.
        free: sorted indices of the free parameters, [free] or [stack, free]; None for all.
        memory_bytes: bytes of it that may be written out at a time.
        matrix: Jᵀ, [..., free, rows], where memory holds all of it.
    """

    stacked = ("like", "parts", "matrix")

    network: MLP
    like: torch.Tensor
    rows: int
    parts: Sequence[Factors]
    free: torch.Tensor | None = None
    memory_bytes: int = MEMORY
    matrix: torch.Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, free), of every one of a stack."""
        return self.rows, self.network.size if self.free is None else self.free.shape[-1]

    @property
    def bytes(self) -> int:
        """Of all of it, and of the whole stack."""
        return self.like.element_size() * prod(self.shape) * self._count

    def select(self, chosen: torch.Tensor) -> "Jacobian":
        free = self.free  # one list for all, or one each
        own = free[chosen] if free is not None and free.dim() > 1 else free
        return replace(super().select(chosen), free=own)

    def times(self, v: torch.Tensor) -> torch.Tensor:
        """J v, [..., rows], for v [..., free]."""
        if self.matrix is not None:
            return (v.unsqueeze(-2) @ self.matrix).squeeze(-2)
        matrices = self.network.matrices(self._whole(v))
        found = []
        for part in self.parts:
            total: Any = 0
            for (inputs, delta), (weight, bias) in zip(part.layers, matrices, strict=True):
                moved = weight.unsqueeze(-3) @ inputs
                moved[..., : part.images, :, :] += bias[..., None, :, None]
                total = total + torch.einsum("...sokn,...son->...kn", delta, moved)
            found.append(total.flatten(-2))
        return torch.cat(found, -1)

    def transposed_times(self, y: torch.Tensor) -> torch.Tensor:
        """Jᵀ y, [..., free], for y [..., rows]."""
        if self.matrix is not None:
            return (self.matrix @ y.unsqueeze(-1)).squeeze(-1)
        whole = y.new_zeros(*y.shape[:-1], self.network.size)
        matrices = self.network.matrices(whole)
        start = 0
        for part in self.parts:
            own = y[..., start : start + part.rows].unflatten(
                -1, (1, 1, part.n_components, part.points)
            )
            start += part.rows
            for (inputs, delta), (weight, bias) in zip(part.layers, matrices, strict=True):
                pulled = (delta * own).sum(-2)  # [..., S, out, N]
                weight += (pulled @ inputs.mT).sum(-3)
                bias += pulled[..., : part.images, :, :].sum((-3, -1))
        if self.free is None:
            return whole
        return whole.gather(-1, self.free) if self._differing else whole[..., self.free]

    def dense(self) -> torch.Tensor:
        """All of it, [..., rows, free]."""
        matrix = self.matrix
        return (self.written(self.parts, self.rows) if matrix is None else matrix).mT

    def gram(self) -> torch.Tensor:
        """J Jᵀ, [..., rows, rows]; only its lower half is right."""
        rows, _ = self.shape
        found = self.like.new_zeros(*self.like.shape[:-1], rows, rows)
        if self.matrix is not None:
            add_lower(found, self.matrix.mT)
            return found
        limit = max(1, self._piece // (self.like.element_size() * rows * self._count))
        if self._differing:
            limit = self.network.size  # their columns are picked once all are written
        waiting: list[Piece] = []
        for number, at in self._pieces(limit):
            if waiting and sum(columns.count for _, columns in waiting) + at.count > limit:
                add_lower(found, self.written(self.parts, rows, waiting).mT)
                waiting = []
            waiting.append((number, at))
        add_lower(found, self.written(self.parts, rows, waiting).mT)
        return found

    def normal(self) -> torch.Tensor:
        """Jᵀ J, [..., free, free]; only its lower half is right."""
        _, free = self.shape
        found = self.like.new_zeros(*self.like.shape[:-1], free, free)
        if self.matrix is not None:
            add_lower(found, self.matrix)
            return found
        for part in self.parts:
            size = self.like.element_size() * free * part.n_components * self._count
            step = max(1, self._piece // size)
            for start in range(0, part.points, step):
                some = part.subset(slice(start, start + step))
                add_lower(found, self.written([some], some.rows))
        return found

    @property
    def _count(self) -> int:
        """Of the stack."""
        return prod(self.like.shape[:-1])

    @property
    def _piece(self) -> int:
        """Bytes written out at a time where not all of it is."""
        return min(self.memory_bytes, PIECE)

    @property
    def _differing(self) -> bool:
        """Whether every one of the stack has free parameters of its own."""
        return self.free is not None and self.free.dim() > 1

    def _whole(self, v: torch.Tensor) -> torch.Tensor:
        """A vector of free entries in a whole one, zero elsewhere."""
        if self.free is None:
            return v
        whole = v.new_zeros(*v.shape[:-1], self.network.size)
        if self._differing:
            return whole.scatter(-1, self.free, v)
        return whole.index_copy(-1, self.free, v)

    def written(
        self, parts: Iterable[Factors], rows: int, pieces: Sequence[Piece] | None = None
    ) -> torch.Tensor:
        """Some columns, or all, of some parts of so many rows, transposed: [..., columns, rows]."""
        pieces = self._pieces(self.shape[1]) if pieces is None else pieces
        count = sum(at.count for _, at in pieces)
        found = self.like.new_empty(*self.like.shape[:-1], count, rows)
        row = 0
        for part in parts:
            column = 0
            for number, at in pieces:
                target = found[..., column : column + at.count, row : row + part.rows]
                part.write(number, at, target)
                column += at.count
            row += part.rows
        if self._differing:
            assert self.free is not None
            return found.take_along_dim(self.free[..., None], -2)
        return found

    def _pieces(self, limit: int) -> list[Piece]:
        """Layers with their free columns, at most `limit` at a time."""
        found = []
        for number, (layer, chosen) in enumerate(
            zip(self.network.layers, self._chosen, strict=True)
        ):
            if len(chosen) == 0:
                continue
            few = len(chosen) < GATHERED * (layer.biases.stop - layer.start)
            split = len(chosen) > limit
            for part in chosen.split(limit) if split else (chosen,):
                found.append((number, Columns.of(layer, part, few or split)))
        return found

    @cached_property
    def _chosen(self) -> list[torch.Tensor]:
        """Free positions inside each layer; all where they differ."""
        if self.free is None or self._differing:
            device = self.like.device
            return [
                torch.arange(layer.biases.stop - layer.start, device=device)
                for layer in self.network.layers
            ]
        return [
            self.free[(self.free >= layer.start) & (self.free < layer.biases.stop)] - layer.start
            for layer in self.network.layers
        ]


def add_lower(matrix: torch.Tensor, a: torch.Tensor) -> None:
    """matrix += a aᵀ, in stripes that end at the diagonal."""
    size = a.shape[-2]
    ends = [size * k // STRIPES for k in range(STRIPES + 1)]
    for start, end in pairwise(ends):
        if end > start:
            stripe = matrix[..., start:end, :end]
            add = stripe.addmm_ if stripe.dim() == 2 else stripe.baddbmm_
            add(a[..., start:end, :], a[..., :end, :].mT)
