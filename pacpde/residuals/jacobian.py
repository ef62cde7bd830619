"""The Jacobian of stacked residual terms in the trainable parameters.

Where memory holds all of it, it is written out once; else it stays in factors, its products with
vectors need nothing else, and its normal matrices are added up from as many columns or rows at a
time as memory allows. Columns of frozen weights are never formed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import torch

from pacpde.networks.frozen import insert
from pacpde.networks.protocol import Columns, Factors, Network
from pacpde.networks.stacking import Stackable
from pacpde.residuals.factors import Streamed, gauss_newton_rows
from pacpde.residuals.terms import Term

MEMORY = 2**30  # bytes of Jacobian held at a time
PIECE = 2**27  # bytes of it written out at a time where not all of it is held
STRIPES = 6  # in which a symmetric product is formed, so that only its lower half is


def linearise(
    network: Network,
    weights: torch.Tensor,
    terms: Sequence[Term],
    trainable_indices: torch.Tensor | None = None,
    memory_bytes: int = MEMORY,
) -> tuple[torch.Tensor, "Jacobian"]:
    """Residuals [..., rows] and their Jacobian [..., rows, trainable].

    Of a term that is no sum of squares by nature, these are its `gauss_newton` rows: Jᵀr is the
    gradient of the loss all the same, and JᵀJ its generalised Gauss–Newton matrix.

    Args:
        weights: the whole flat vector, [..., size].
        trainable_indices: sorted indices of the trainable parameters, [trainable], or
            [stack, trainable] where they differ; all of them by default.
        memory_bytes: bytes that may be taken at a time. What fits is kept: all of the Jacobian, or
            its factors; else the factors are computed anew, term by term, at every use.
    """
    streamed = Streamed(network, weights, terms)
    rows = sum(term.n_components * term.batch.size for term in terms)
    jacobian = Jacobian(network, weights[..., :0], rows, streamed, trainable_indices, memory_bytes)
    r: list[torch.Tensor] = []
    if jacobian.bytes <= memory_bytes:
        matrix = jacobian.written(_collecting(streamed, r), rows)
        return torch.cat(r, -1), replace(jacobian, parts=(), matrix=matrix)
    if sum(network.factor_bytes(term.batch.inputs) for term in terms) <= memory_bytes:
        parts = list(_collecting(streamed, r))
        return torch.cat(r, -1), replace(jacobian, parts=parts)
    return gauss_newton_rows(network, weights, terms), jacobian


def _collecting(streamed: Streamed, r: list[torch.Tensor]) -> Iterator[Factors]:
    """The factors of one term after the other; appends their residuals to `r`."""
    for number in range(len(streamed)):
        rows, part = streamed.linearised(number)
        r.append(rows)
        yield part


def split(network: Network, terms: Sequence[Term], memory_bytes: int) -> list[Term]:
    """The same residuals in terms whose factors need an eighth of the memory at most each."""
    parts: list[Term] = []
    for term in terms:
        size = term.batch.size
        count = min(size, -(-8 * network.factor_bytes(term.batch.inputs) // memory_bytes))
        ends = [size * k // count for k in range(count + 1)]
        parts += [term.subset(slice(*pair)) for pair in pairwise(ends)] if count > 1 else [term]
    return parts


@dataclass(frozen=True)
class Jacobian(Stackable):
    """∂r/∂(trainable parameters), [..., rows, trainable].

    Attributes:
        like: empty tensor [..., 0] of the right device, dtype and stack.
        rows: number of residuals.
        parts: its factors, where they are needed.
        trainable_indices: sorted indices of the trainable parameters, [trainable] or
            [stack, trainable]; None for all.
        memory_bytes: bytes of the dense matrix that may be formed at a time.
        matrix: Jᵀ, [..., trainable, rows], if it fits into memory.
    """

    stacked = ("like", "parts", "matrix")

    network: Network
    like: torch.Tensor
    rows: int
    parts: Sequence[Factors]
    trainable_indices: torch.Tensor | None = None
    memory_bytes: int = MEMORY
    matrix: torch.Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, trainable), of every one of a stack."""
        indices = self.trainable_indices
        return self.rows, self.network.size if indices is None else indices.shape[-1]

    @property
    def bytes(self) -> int:
        """Bytes of the dense Jacobian, of the whole stack."""
        return self._column_bytes(self.rows) * self.shape[1]

    def select(self, chosen: torch.Tensor) -> "Jacobian":
        indices = self.trainable_indices  # one list for all, or one each
        own = indices[chosen] if self._differing and indices is not None else indices
        return replace(super().select(chosen), trainable_indices=own)

    def times(self, v: torch.Tensor) -> torch.Tensor:
        """J v, [..., rows], for v [..., trainable]."""
        if self.matrix is not None:
            return (v.unsqueeze(-2) @ self.matrix).squeeze(-2)
        direction = self._whole(v)
        return torch.cat([part.times(direction) for part in self.parts], -1)

    def transposed_times(self, y: torch.Tensor) -> torch.Tensor:
        """Jᵀ y, [..., trainable], for y [..., rows]."""
        if self.matrix is not None:
            return (self.matrix @ y.unsqueeze(-1)).squeeze(-1)
        total = y.new_zeros(*y.shape[:-1], self.network.size)
        start = 0
        for part in self.parts:
            part.add_transposed(y[..., start : start + part.rows], total)
            start += part.rows
        if self.trainable_indices is None:
            return total
        if self._differing:
            return total.gather(-1, self.trainable_indices)
        return total[..., self.trainable_indices]

    def dense(self) -> torch.Tensor:
        """The dense matrix, [..., rows, trainable]."""
        matrix = self.matrix
        return (self.written(self.parts, self.rows) if matrix is None else matrix).mT

    def gram(self) -> torch.Tensor:
        """J Jᵀ, [..., rows, rows]; only its lower half is right."""
        total = self.like.new_zeros(*self.like.shape[:-1], self.rows, self.rows)
        if self.matrix is not None:
            add_lower(total, self.matrix.mT)
            return total
        limit = max(1, self._piece // self._column_bytes(self.rows))
        if self._differing:
            limit = self.network.size  # their columns are picked once all are written
        group: list[Columns] = []
        for columns in self._columns(limit):
            if group and sum(own.count for own in group) + columns.count > limit:
                add_lower(total, self.written(self.parts, self.rows, group).mT)
                group = []
            group.append(columns)
        add_lower(total, self.written(self.parts, self.rows, group).mT)
        return total

    def normal(self) -> torch.Tensor:
        """Jᵀ J, [..., trainable, trainable]; only its lower half is right."""
        _, size = self.shape
        total = self.like.new_zeros(*self.like.shape[:-1], size, size)
        if self.matrix is not None:
            add_lower(total, self.matrix)
            return total
        columns = self._columns(size)
        for part in self.parts:
            step = max(1, self._piece // (self._column_bytes(size) * part.n_components))
            for start in range(0, part.points, step):
                rows = part.subset(slice(start, start + step))
                add_lower(total, self.written([rows], rows.rows, columns))
        return total

    def written(
        self, parts: Iterable[Factors], rows: int, columns: Sequence[Columns] | None = None
    ) -> torch.Tensor:
        """The transposed Jacobian of some parts, [..., columns, rows], with some or all columns."""
        columns = self._columns(self.shape[1]) if columns is None else columns
        count = sum(own.count for own in columns)
        matrix = self.like.new_empty(*self.like.shape[:-1], count, rows)
        row = 0
        for part in parts:
            column = 0
            for own in columns:
                part.write(own, matrix[..., column : column + own.count, row : row + part.rows])
                column += own.count
            row += part.rows
        if self._differing and self.trainable_indices is not None:
            return matrix.take_along_dim(self.trainable_indices[..., None], -2)
        return matrix

    def _column_bytes(self, length: int) -> int:
        """Bytes of a column of this length, of the whole stack."""
        return self.like.element_size() * length * prod(self.like.shape[:-1])

    @property
    def _piece(self) -> int:
        """Bytes written out at a time where not all of it is."""
        return min(self.memory_bytes, PIECE)

    @property
    def _differing(self) -> bool:
        """Whether every one of the stack has trainable parameters of its own."""
        return self.trainable_indices is not None and self.trainable_indices.dim() > 1

    def _whole(self, v: torch.Tensor) -> torch.Tensor:
        """A vector of trainable entries in a whole one, zero elsewhere."""
        if self.trainable_indices is None:
            return v
        zeros = v.new_zeros(*v.shape[:-1], self.network.size)
        return insert(zeros, self.trainable_indices, v)

    def _columns(self, limit: int) -> list[Columns]:
        """Its columns, at most `limit` at a time; all of the network's where a stack's differ."""
        indices = None if self._differing else self.trainable_indices
        return self.network.columns(indices, limit, self.like.device)


def add_lower(matrix: torch.Tensor, a: torch.Tensor) -> None:
    """matrix += a aᵀ, in stripes that end at the diagonal."""
    size = a.shape[-2]
    ends = [size * k // STRIPES for k in range(STRIPES + 1)]
    for start, end in pairwise(ends):
        if end > start:
            stripe = matrix[..., start:end, :end]
            add = stripe.addmm_ if stripe.dim() == 2 else stripe.baddbmm_
            add(a[..., start:end, :], a[..., :end, :].mT)
