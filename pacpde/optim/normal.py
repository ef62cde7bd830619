"""Damped normal equations of one linearisation: (JᵀJ + S + μI) δ = −g.

S = 2·strength of the anchor, g = Jᵀr + S(x − centre) the slope of the loss. They are solved
densely in the smaller of residual and parameter space, or by conjugate gradients on products with
J and Jᵀ where even the smaller matrix would not fit into memory.
"""

from abc import ABC, abstractmethod

import torch

from pacpde.objective.blocks import Anchor
from pacpde.objective.jacobian import Jacobian


class NormalSystem(ABC):
    """One linearisation, solved anew for each damping."""

    name: str

    def __init__(
        self, r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        self.r, self.jacobian = r, jacobian
        self.stiffness = x.new_zeros(len(x)) if anchor is None else 2 * anchor.strength
        self.pull = self.stiffness * (0 if anchor is None else x - anchor.centre)
        self.gradient = jacobian.transposed_times(r) + self.pull

    def solve(self, damping: float) -> tuple[torch.Tensor, float]:
        """The step [free], and the descent of the loss that the linear model promises for it."""
        self.damp(damping)
        step = self.step()
        # gᵀδ + ½ δᵀ(JᵀJ + S)δ, where (JᵀJ + S)δ = −g − μδ
        promised = (damping * (step @ step) - self.gradient @ step) / 2
        return step, float(promised)

    @abstractmethod
    def damp(self, damping: float) -> None:
        """Make ready for a damping."""

    @abstractmethod
    def step(self) -> torch.Tensor:
        """−(JᵀJ + S + μI)⁻¹ g, [free]."""

    @abstractmethod
    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        """−(JᵀJ + S + μI)⁻¹ Jᵀ r, [free], for other residuals."""


class ParameterSpace(NormalSystem):
    """By Cholesky of JᵀJ + S + μI, [free, free]."""

    name = "parameter space"

    def __init__(
        self, r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        super().__init__(r, jacobian, anchor, x)
        self.matrix = jacobian.normal()
        self.diagonal = self.matrix.diagonal() + self.stiffness

    def damp(self, damping: float) -> None:
        self.matrix.diagonal().copy_(self.diagonal + damping)
        self.factor = _cholesky(self.matrix)

    def step(self) -> torch.Tensor:
        return -_substitute(self.factor, self.gradient)

    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        return -_substitute(self.factor, self.jacobian.transposed_times(r))


class ResidualSpace(NormalSystem):
    """By Cholesky of JJᵀ + sI, [rows, rows], where S = (s − μ)I.

    δ = −pull/s − Jᵀ(JJᵀ + sI)⁻¹(r − J pull/s).
    """

    name = "residual space"

    def __init__(
        self, r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        super().__init__(r, jacobian, anchor, x)
        self.pulled = None if anchor is None else jacobian.times(self.pull)
        self.matrix = jacobian.gram()
        self.diagonal = self.matrix.diagonal().clone()

    def damp(self, damping: float) -> None:
        self.own = self.stiffness[0] + damping
        self.matrix.diagonal().copy_(self.diagonal + self.own)
        self.factor = _cholesky(self.matrix)

    def step(self) -> torch.Tensor:
        if self.pulled is None:
            return self.step_for(self.r)
        return self.step_for(self.r - self.pulled / self.own) - self.pull / self.own

    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        return -self.jacobian.transposed_times(_substitute(self.factor, r))


class Krylov(NormalSystem):
    """By conjugate gradients; no matrix is formed.

    Attributes:
        accuracy: relative residual at which they end.
        iterations: at most so many.
    """

    name = "conjugate gradients"
    accuracy = 1e-3
    iterations = 200

    def damp(self, damping: float) -> None:
        self.own = self.stiffness + damping

    def step(self) -> torch.Tensor:
        return self._solved(-self.gradient)

    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        return self._solved(-self.jacobian.transposed_times(r))

    def _solved(self, right: torch.Tensor) -> torch.Tensor:
        """(JᵀJ + S + μI)⁻¹ right, by Hestenes & Stiefel (1952)."""
        found, rest, way = torch.zeros_like(right), right.clone(), right.clone()
        size = first = rest @ rest
        for _ in range(self.iterations):
            if not size > self.accuracy**2 * first:  # also where nothing is asked, or nan
                break
            moved = self.jacobian.times(way)
            turned = self.jacobian.transposed_times(moved) + self.own * way
            share = size / (way @ turned)
            found += share * way
            rest -= share * turned
            before, size = size, rest @ rest
            way = rest + (size / before) * way
        return found


def normal_system(
    r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
) -> NormalSystem:
    """The cheapest way that fits into the Jacobian's memory."""
    rows, free = jacobian.shape
    uniform = anchor is None or bool((anchor.strength == anchor.strength[0]).all())
    kind = ResidualSpace if rows < free and uniform else ParameterSpace
    size = rows if kind is ResidualSpace else free
    if 2 * r.element_size() * size**2 > jacobian.memory:  # the matrix and its factor
        return Krylov(r, jacobian, anchor, x)
    return kind(r, jacobian, anchor, x)


def _cholesky(matrix: torch.Tensor) -> torch.Tensor:
    """The factor; nan, which no step survives, where the matrix is not positive to rounding."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    return torch.full_like(matrix, torch.nan) if int(info) else factor


def _substitute(factor: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.cholesky_solve(right[:, None], factor)[:, 0]
