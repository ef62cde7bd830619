"""The Jacobian of stacked residual terms in the trainable parameters.

Where memory holds all of it, it is written out once; else it stays in factors, its products with
vectors need nothing else, and its normal matrices are added up from as many columns or rows at a
time as memory allows. Columns of frozen weights are never formed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import prod

import torch

from pacpde.networks.frozen import insert
from pacpde.networks.protocol import Columns, Factors, Network
from pacpde.networks.row_sums import RowSums
from pacpde.networks.stacking import Stackable
from pacpde.residuals.factors import Streamed, gauss_newton_rows
from pacpde.residuals.terms import Term

MEMORY = 2**30  # bytes of Jacobian held at a time
PIECE = 2**27  # bytes of it written out at a time where not all of it is held
WITHOUT_NORMAL = 1.3  # of the memory is for factors where a normal matrix does not fit
PARTS = 32  # into which factors that fill the memory are split
SHARED = 4  # parts of a Jacobian that a row of its sketch has rows of
LEAST_SUMS = 256  # rows of a sketch that the rows of a small part go to at least
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
        memory_bytes: bytes that may be taken at a time. What fits is retained: all of the Jacobian,
            or its factors, or those of the first terms; those of the others are computed anew, term
            by term, at every use.
    """
    streamed = Streamed(network, weights, terms)
    rows = sum(term.n_components * term.batch.size for term in terms)
    jacobian = Jacobian(network, weights[..., :0], rows, streamed, trainable_indices, memory_bytes)
    r: list[torch.Tensor] = []
    if jacobian.bytes <= memory_bytes:
        matrix = jacobian.written(_collecting(streamed, r), rows)
        return torch.cat(r, -1), replace(
            jacobian, parts=(), matrix=matrix, taken_bytes=jacobian.bytes
        )
    sizes = [network.factor_bytes(term.batch.inputs) for term in terms]
    has_normal = jacobian.has_room(min(jacobian.shape))
    room = memory_bytes if has_normal else int(WITHOUT_NORMAL * memory_bytes)
    if sum(sizes) <= room:
        parts = list(_collecting(streamed, r))
        return torch.cat(r, -1), replace(jacobian, parts=parts, taken_bytes=sum(sizes))
    # while factors are computed, what they are computed from takes thrice their memory
    anew = 4 * max(sizes)
    totals = [total for total in accumulate(sizes) if total + anew <= room]
    first = list(_collecting(streamed, r, len(totals)))
    r.append(gauss_newton_rows(network, weights, terms[len(totals) :]))
    return torch.cat(r, -1), replace(
        jacobian,
        parts=replace(streamed, retained=first),
        taken_bytes=anew + (totals[-1] if totals else 0),
    )


def _collecting(
    streamed: Streamed, r: list[torch.Tensor], count: int | None = None
) -> Iterator[Factors]:
    """The factors of one term after the other; appends their residuals to `r`."""
    for number in range(len(streamed))[:count]:
        rows, part = streamed.linearised(number)
        r.append(rows)
        yield part


def split(network: Network, terms: Sequence[Term], memory_bytes: int) -> list[Term]:
    """The same residuals in terms whose factors need 1/PARTS of the memory at most each."""
    parts: list[Term] = []
    for term in terms:
        size = term.batch.size
        count = min(size, -(-PARTS * network.factor_bytes(term.batch.inputs) // memory_bytes))
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
        memory_bytes: bytes of the dense matrix that may be formed at a time, and as many for a
            normal matrix.
        matrix: Jᵀ, [..., trainable, rows], if it fits into memory.
        taken_bytes: of the matrix, or of the factors that are retained or computed at a time.
    """

    stacked = ("like", "parts", "matrix")

    network: Network
    like: torch.Tensor
    rows: int
    parts: Sequence[Factors]
    trainable_indices: torch.Tensor | None = None
    memory_bytes: int = MEMORY
    matrix: torch.Tensor | None = None
    taken_bytes: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, trainable), of every one of a stack."""
        indices = self.trainable_indices
        return self.rows, self.network.size if indices is None else indices.shape[-1]

    @property
    def bytes(self) -> int:
        """Bytes of the dense Jacobian, of the whole stack."""
        return self._column_bytes(self.rows) * self.shape[1]

    def has_room(self, size: int) -> bool:
        """Whether a normal matrix [size, size] and its factor fit into memory."""
        return 2 * self.like.element_size() * size**2 <= self.memory_bytes

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
        return self._trainable(total)

    def normal_times(self, v: torch.Tensor) -> torch.Tensor:
        """Jᵀ J v, [..., trainable], for v [..., trainable]; factors are computed once for it."""
        if self.matrix is not None:
            return self.transposed_times(self.times(v))
        direction = self._whole(v)
        total = torch.zeros_like(direction)
        for part in self.parts:
            part.add_transposed(part.times(direction), total)
        return self._trainable(total)

    def sketch(self, n_sums: int) -> torch.Tensor:
        """A matrix A of few rows with AᵀA near JᵀJ, [..., n_sums, trainable], see `RowSums`.

        It costs about a product; the signs and places are the same at every call.
        """
        random = torch.Generator(device="cpu").manual_seed(0)
        columns = self._columns(self.shape[1])
        count = sum(own.count for own in columns)
        total = self.like.new_zeros(*self.like.shape[:-1], n_sums, count)
        if self.matrix is not None:
            places = torch.arange(n_sums, device="cpu")
            sums = RowSums.random(1, self.rows, places, random).to(self.like)
            place, sign = sums.by_row(self.rows)
            step = max(1, self._piece // self._column_bytes(self.rows))
            for start in range(0, count, step):
                rows = (self.matrix[..., start : start + step, :] * sign).mT
                total[..., start : start + step].index_add_(-2, place[0], rows)
            return total
        first = 0
        for part in self.parts:
            # a part of many goes to some of the sums alone, so that not all are read for each
            share = max(LEAST_SUMS, SHARED * n_sums * part.rows // self.rows)
            places = torch.arange(min(share, n_sums, part.points), device="cpu")
            places = (first + places) % n_sums
            first += len(places)
            sums = RowSums.random(part.n_components, part.points, places, random).to(self.like)
            start = 0
            for own in columns:
                part.add_sums(own, sums, total[..., start : start + own.count])
                start += own.count
        if self._differing and self.trainable_indices is not None:
            return total.take_along_dim(self.trainable_indices.unsqueeze(-2), -1)
        return total

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

    def _trainable(self, whole: torch.Tensor) -> torch.Tensor:
        """The trainable entries of a whole vector."""
        if self.trainable_indices is None:
            return whole
        if self._differing:
            return whole.gather(-1, self.trainable_indices)
        return whole[..., self.trainable_indices]

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
