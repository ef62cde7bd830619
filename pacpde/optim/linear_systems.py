"""Damped normal equations of one linearisation: (JᵀJ + S + μI) δ = −g.

S = 2·strength of the anchor, g = Jᵀr + S(x − centre) the slope of the loss. They are solved
densely in the smaller of residual and parameter space, or by conjugate gradients on products with
J and Jᵀ where even the smaller matrix would not fit into memory. Leading dimensions [...] are a
stack of systems, each with a damping of its own.
"""

from abc import ABC, abstractmethod
from copy import copy
from typing import Self

import torch

from pacpde.residuals.jacobian import Jacobian
from pacpde.residuals.terms import Anchor


class NormalSystem(ABC):
    """The linear system of one linearisation, which is solved for several dampings."""

    name: str
    STACKED: tuple[str, ...] = ("r", "stiffness", "anchor_grad", "gradient")

    def __init__(
        self, r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        self.r, self.jacobian = r, jacobian
        self.stiffness = torch.zeros_like(x) if anchor is None else 2 * anchor.strength
        self.anchor_grad = self.stiffness * (0 if anchor is None else x - anchor.centre)
        self.gradient = jacobian.transposed_times(r) + self.anchor_grad

    def select(self, chosen: torch.Tensor) -> Self:
        """The systems of some of a stack, before they are damped."""
        some = copy(self)
        some.jacobian = self.jacobian.select(chosen)
        for name in self.STACKED:
            setattr(some, name, getattr(self, name)[chosen])
        return some

    def solve(self, damping: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The step [..., n_trainable], and the descent [...] of the loss the linear model promises.

        Args:
            damping: μ, [...].
        """
        self.damp(damping)
        step = self.step()
        # gᵀδ + ½ δᵀ(JᵀJ + S)δ, where (JᵀJ + S)δ = −g − μδ
        promised = (damping * (step * step).sum(-1) - (self.gradient * step).sum(-1)) / 2
        return step, promised

    @abstractmethod
    def damp(self, damping: torch.Tensor) -> None:
        """Make ready for a damping."""

    @abstractmethod
    def step(self) -> torch.Tensor:
        """−(JᵀJ + S + μI)⁻¹ g, [..., n_trainable]."""

    @abstractmethod
    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        """−(JᵀJ + S + μI)⁻¹ Jᵀ r, [..., n_trainable], for other residuals."""


class Dense(NormalSystem):
    """Solves by Cholesky of a matrix [..., n, n]; only its lower half is valid."""

    STACKED = (*NormalSystem.STACKED, "matrix", "diagonal")
    matrix: torch.Tensor
    diagonal: torch.Tensor

    def factorise(self, shift: torch.Tensor) -> None:
        """Replace the diagonal of the matrix by `shift`, [..., n], and factorise it."""
        self.matrix.diagonal(dim1=-2, dim2=-1).copy_(shift)
        # LAPACK goes down columns: it sees the transpose, and copies nothing crosswise
        self.upper, info = torch.linalg.cholesky_ex(self.matrix.mT, upper=True)
        self.failed = info > 0

    def substitute(self, right: torch.Tensor) -> torch.Tensor:
        """matrix⁻¹ right, [..., n]; nan, which no step survives, where it was not positive."""
        half = torch.linalg.solve_triangular(self.upper.mT, right[..., None], upper=False)
        found = torch.linalg.solve_triangular(self.upper, half, upper=True)[..., 0]
        return torch.where(self.failed[..., None], torch.nan, found)


class ParameterSpace(Dense):
    """Solves by Cholesky of JᵀJ + S + μI, [..., n_trainable, n_trainable]."""

    name = "parameter space"

    def __init__(
        self, r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        super().__init__(r, jacobian, anchor, x)
        self.matrix = jacobian.normal()
        self.diagonal = self.matrix.diagonal(dim1=-2, dim2=-1) + self.stiffness

    def damp(self, damping: torch.Tensor) -> None:
        self.factorise(self.diagonal + damping[..., None])

    def step(self) -> torch.Tensor:
        return -self.substitute(self.gradient)

    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        return -self.substitute(self.jacobian.transposed_times(r))


class ResidualSpace(Dense):
    """Solves by Cholesky of JJᵀ + sI, [..., rows, rows], where S = (s − μ)I.

    δ = −a/s − Jᵀ(JJᵀ + sI)⁻¹(r − J a/s), a the gradient of the anchor.
    """

    name = "residual space"

    def __init__(
        self, r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        super().__init__(r, jacobian, anchor, x)
        self.anchored = anchor is not None
        self.matrix = jacobian.gram()
        self.diagonal = self.matrix.diagonal(dim1=-2, dim2=-1).clone()

    def damp(self, damping: torch.Tensor) -> None:
        self.own = (self.stiffness[..., 0] + damping)[..., None]
        self.factorise(self.diagonal + self.own)

    def step(self) -> torch.Tensor:
        if not self.anchored:
            return self.step_for(self.r)
        shift = self.anchor_grad / self.own
        return self.step_for(self.r - self.jacobian.times(shift)) - shift

    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        return -self.jacobian.transposed_times(self.substitute(r))


class Krylov(NormalSystem):
    """Solves by conjugate gradients; no matrix is formed.

    Attributes:
        accuracy: relative residual at which the iteration ends.
        iterations: maximal number of iterations.
    """

    name = "conjugate gradients"
    accuracy = 1e-3
    iterations = 200

    def damp(self, damping: torch.Tensor) -> None:
        self.own = self.stiffness + damping[..., None]

    def step(self) -> torch.Tensor:
        return self._solved(-self.gradient)

    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        return self._solved(-self.jacobian.transposed_times(r))

    def _solved(self, right: torch.Tensor) -> torch.Tensor:
        """(JᵀJ + S + μI)⁻¹ right, by Hestenes & Stiefel (1952)."""
        found, rest, way = torch.zeros_like(right), right.clone(), right.clone()
        size = first = (rest * rest).sum(-1, keepdim=True)
        for _ in range(self.iterations):
            going = size > self.accuracy**2 * first  # not where nothing is asked, or nan
            if not bool(going.any()):
                break
            moved = self.jacobian.times(way)
            turned = self.jacobian.transposed_times(moved) + self.own * way
            share = torch.where(going, size / (way * turned).sum(-1, keepdim=True), 0)
            found += share * way
            rest -= share * turned
            before, size = size, (rest * rest).sum(-1, keepdim=True)
            way = rest + (size / before) * way
        return found


def normal_system(
    r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
) -> NormalSystem:
    """The cheapest way that fits into the Jacobian's memory."""
    rows, n_trainable = jacobian.shape
    few_rows = rows < n_trainable and (anchor is None or anchor.uniform)
    size = rows if few_rows else n_trainable
    if 2 * r.element_size() * size**2 > jacobian.memory_bytes:  # the matrix and its factor
        return Krylov(r, jacobian, anchor, x)
    return (ResidualSpace if few_rows else ParameterSpace)(r, jacobian, anchor, x)
