"""Heads on frozen functions: residuals that are found by matrix products, and Gauss–Newton steps.

The fields and all their derivatives are linear in a head c, so that their jets at fixed points are
products with matrices that are computed once: jet = offset + s G c. Many targets are solved as a
stack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from pacpde.networks.batch import Batch
from pacpde.residuals.terms import Term

DAMPING = 1e-14  # over the largest diagonal entry of JᵀJ: what rounding asks for
SHORTEST = 1e-4  # share of a step that is tried
STEPS = 50  # of a target
ENOUGH = 1e-5  # share of ‖r‖² that a step promises, below which none is taken
LEAST = 1e-3  # share of ‖r‖² that a step with a matrix of its own is to gain
SLOW = 0.5  # promised share over that of the step before, above which the matrix is made anew
MEMORY = 2**28  # bytes of the Jacobians of a stack


@dataclass(frozen=True)
class HeadTerm:
    """A residual term at a head; the term may be one for many targets, with coefficient columns.

    Attributes:
        term: whose network is the head.
        functions: G, jets of m φ at its points, [channels, points, fields or 1, functions].
    """

    term: Term
    functions: torch.Tensor

    @classmethod
    def of(cls, term: Term, functions: torch.Tensor) -> "HeadTerm":
        """From jets of φ at all images of its points, [channels, images·points, functions]."""
        return cls(term, term.batch.multiplied(functions).contiguous())

    @property
    def batch(self) -> Batch:
        return self.term.batch

    def fields(self, heads: torch.Tensor) -> torch.Tensor:
        """Jets of the fields, [targets, channels, points, fields], of stacked heads."""
        channels, points, own, count = self.functions.shape
        if own == 1:
            flat = heads.flatten(0, 1) @ self.functions.reshape(-1, count).mT
            jets = flat.unflatten(-1, (channels, points)).unflatten(0, heads.shape[:2])
            jets = jets.movedim(1, -1)
        else:
            jets = torch.einsum("cnkf,bkf->bcnk", self.functions, heads)
        return self.batch.offset + self.batch.scale * jets

    def linearised(self, heads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Residuals [targets, components, points], and their slopes in the jets.

        Returns:
            The slopes are those in s⁻¹ jets, [components, targets, channels, points, fields].
        """
        leaf = self.fields(heads).detach().requires_grad_(True)
        with torch.enable_grad():
            rows = self.term.residual(leaf).mT
            each = [
                torch.autograd.grad(rows[..., k, :].sum(), leaf, retain_graph=True)[0]
                for k in range(rows.shape[-2])
            ]
        return rows.detach(), torch.stack(each) * self.batch.scale

    def jacobian(self, slopes: torch.Tensor) -> torch.Tensor:
        """∂r/∂c, [targets, components·points, fields·functions]."""
        own = self.functions.shape[2]
        blocks = []
        for component in slopes:
            fields = []
            for k, slope in enumerate(component.unbind(-1)):
                columns = slope[..., None].unbind(1)
                part = columns[0] * self.functions[0, :, k % own]
                for channel, column in enumerate(columns[1:], 1):
                    part.addcmul_(column, self.functions[channel, :, k % own])
                fields.append(part)
            blocks.append(torch.cat(fields, -1) if len(fields) > 1 else fields[0])
        return torch.cat(blocks, 1) if len(blocks) > 1 else blocks[0]

    def transposed(self, slopes: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Jᵀ r, [targets, fields, functions], for r [targets, components, points]."""
        weighted = (slopes * rows.movedim(1, 0)[:, :, None, :, None]).sum(0)
        channels, points, own, count = self.functions.shape
        if own == 1:
            flat = weighted.permute(0, 3, 1, 2).reshape(-1, channels * points)
            product = flat @ self.functions.reshape(-1, count)
            return product.unflatten(0, (rows.shape[0], -1))
        return torch.einsum("bcnk,cnkf->bkf", weighted, self.functions)

    def shares(self, heads: torch.Tensor) -> torch.Tensor:
        """Root mean square residuals of the worst row, over the size of its terms, [targets].

        As `pacpde.residuals.assess` has them: a term is a derivative times the row's slope in it.
        """
        rows, slopes = self.linearised(heads)
        linear = slopes * (self.fields(heads) / self.batch.scale)
        rest = rows.movedim(1, 0) - linear.sum((2, 4))
        sizes = linear.square().sum(3).sqrt().sum((2, 3)) + rest.norm(dim=-1)
        norms = rows.norm(dim=-1).mT
        return torch.where(norms == 0, 0.0, norms / sizes).amax(0)

    @property
    def rows(self) -> int:
        return self.term.n_components * self.batch.size


class Heads(NamedTuple):
    """What a stack of targets ends with.

    Attributes:
        heads: [targets, fields, functions].
        norms: ‖r‖, [targets].
        steps: Gauss–Newton steps of the slowest target.
    """

    heads: torch.Tensor
    norms: torch.Tensor
    steps: int


class _Linearised(NamedTuple):
    rows: list[torch.Tensor]
    slopes: list[torch.Tensor]
    loss: torch.Tensor


def chunk_size(terms: Sequence[HeadTerm], unknowns: int) -> int:
    """Targets whose Jacobians fit into memory together."""
    return max(1, MEMORY // target_bytes(terms, unknowns))


def target_bytes(terms: Sequence[HeadTerm], unknowns: int) -> int:
    """Memory of the Jacobian of a target and of its normal matrix."""
    rows = sum(term.rows for term in terms)
    return 8 * unknowns * (2 * rows + unknowns)


def solve_heads(
    terms: Sequence[HeadTerm],
    heads: torch.Tensor,
    steps: int = STEPS,
    factors: torch.Tensor | None = None,
) -> Heads:
    """min ‖r(c)‖² over the heads of a stack of targets, by Gauss–Newton steps.

    The gradient is that of each step; the matrix JᵀJ stays until steps become slow (Kelley 1995,
    chapter 5: chord steps), since it takes most of the time. A step that makes a target worse is
    tried again with the target's own matrix, and then with a quarter of its length.

    Args:
        terms: the residuals of all targets, as one.
        heads: to start from, [targets, fields, functions].
        steps: maximal number.
        factors: of matrices to begin with, as those of similar targets; see `factors_of`.
    """
    heads = heads.clone()
    now = _linearised(terms, heads)
    length = torch.ones_like(now.loss)
    before = torch.full_like(now.loss, torch.inf)
    going = now.loss > 0
    stale = torch.ones_like(going)  # whose matrix is to be made anew
    if factors is None:
        factors = heads.new_zeros(len(heads), heads[0].numel(), heads[0].numel())
    else:
        factors, stale = factors.clone(), torch.zeros_like(going)
    own = stale.clone()  # whose matrix is that of the target itself, as it is now
    taken = 0
    for _ in range(steps):
        again = (going & stale).nonzero()[:, 0]
        if len(again):
            factors[again] = _factors(terms, [s[:, again] for s in now.slopes])
            own[again] = True
        gradient = _gradient(terms, now)
        step = -solved(factors, gradient)
        promised = -(gradient * step).sum(-1) / now.loss
        going &= (promised > ENOUGH) & (length > SHORTEST)
        if not bool(going.any()):
            break
        moved = (length[:, None] * step).view_as(heads)
        trial = torch.where(going[:, None, None], heads + moved, heads)
        there = _linearised(terms, trial)
        taken += 1
        better = there.loss < now.loss
        ended = better & own & (there.loss > (1 - LEAST) * now.loss)  # by rounding, or nearly flat
        refused = going & ~better
        length = torch.where(refused & own, length / 4, length)
        length = torch.where(better, (2 * length).clamp(max=1.0), length)
        stale = (refused & ~own) | (better & ((promised > SLOW * before) | (length < 1)))
        own &= refused
        going &= ~ended
        before = torch.where(better, promised, torch.inf)
        heads = torch.where(better[:, None, None], trial, heads)
        now = _chosen(better, there, now)
    return Heads(heads, now.loss.sqrt(), taken)


def solved(factors: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """(L Lᵀ)⁻¹ right, [targets, unknowns], without a copy of the factors L."""
    half = torch.linalg.solve_triangular(factors, right[..., None], upper=False)
    return torch.linalg.solve_triangular(factors.mT, half, upper=True)[..., 0]


def factors_of(terms: Sequence[HeadTerm], heads: torch.Tensor) -> torch.Tensor:
    """The Cholesky factors of JᵀJ at heads, [targets, unknowns, unknowns]."""
    now = _linearised(terms, heads)
    return _factors(terms, now.slopes)


def gradients_of(
    terms: Sequence[HeadTerm], heads: torch.Tensor, rows: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Jᵀ v, [targets, unknowns], with J at heads and v [targets, components, points] a term."""
    now = _linearised(terms, heads)
    return _gradient(terms, now._replace(rows=list(rows)))


def _linearised(terms: Sequence[HeadTerm], heads: torch.Tensor) -> _Linearised:
    each = [term.linearised(heads) for term in terms]
    loss = torch.stack([rows.square().sum((1, 2)) for rows, _ in each]).sum(0)
    return _Linearised([rows for rows, _ in each], [slopes for _, slopes in each], loss)


def _gradient(terms: Sequence[HeadTerm], now: _Linearised) -> torch.Tensor:
    """Jᵀ r, [targets, unknowns]."""
    each = [
        term.transposed(slopes, rows)
        for term, slopes, rows in zip(terms, now.slopes, now.rows, strict=True)
    ]
    return torch.stack(each).sum(0).flatten(1)


def _chosen(better: torch.Tensor, new: _Linearised, old: _Linearised) -> _Linearised:
    """The new of those targets that are better, and the old of the others."""
    if bool(better.all()):
        return new
    rows = [
        torch.where(better[:, None, None], one, other)
        for one, other in zip(new.rows, old.rows, strict=True)
    ]
    slopes = [
        torch.where(better[:, None, None, None], one, other)
        for one, other in zip(new.slopes, old.slopes, strict=True)
    ]
    return _Linearised(rows, slopes, torch.where(better, new.loss, old.loss))


def _factors(terms: Sequence[HeadTerm], slopes: Sequence[torch.Tensor]) -> torch.Tensor:
    """The Cholesky factors of JᵀJ + μ max(diag) I, [targets, unknowns, unknowns]."""
    matrix = torch.zeros(())
    for term, own in zip(terms, slopes, strict=True):
        jacobian = term.jacobian(own)
        matrix = matrix + jacobian.mT @ jacobian
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    shift = DAMPING * diagonal.amax(-1)
    diagonal += shift[:, None]
    factor, info = torch.linalg.cholesky_ex(matrix)
    for _ in range(10):
        if not bool(info.any()):
            break
        shift = torch.where(info > 0, shift.clamp(min=1e-300) * 99.0, 0.0)
        diagonal += shift[:, None]
        factor, info = torch.linalg.cholesky_ex(matrix)
    return factor
