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

from pacpde.optim.cholesky import Cholesky
from pacpde.optim.conjugate_gradients import conjugate_gradients
from pacpde.optim.sketched_inverse import SketchedInverse
from pacpde.residuals.jacobian import Jacobian
from pacpde.residuals.terms import Anchor

USED = 1.6  # of both halves of the memory; the rest is for what products form
FEWEST = 16  # rows of a sketch that are worth it
SUMS = 8  # rows of a sketch that pay, in square roots of the number of residuals


class NormalSystem(ABC):
    """The linear system of one linearisation, which is solved for several dampings.

    Attributes:
        iterations: of all solutions so far, where they are iterative.
        residual: the largest relative residual that an iteration has ended with.
    """

    name: str
    iterations: int = 0
    residual: float = 0.0
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
        self.factor = Cholesky.of(self.matrix, shift)


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
        return -self.factor.solve(self.gradient)

    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        return -self.factor.solve(self.jacobian.transposed_times(r))


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
        return -self.jacobian.transposed_times(self.factor.solve(r))


class Krylov(NormalSystem):
    """Solves by conjugate gradients; the matrix is not formed.

    They are preconditioned by the inverse that a sketch of J gives, of as many rows as pay and fit
    into the memory of a normal matrix; without one where only few do.

    Attributes:
        accuracy: relative residual at which the iteration ends.
        max_iterations: of a solution.
    """

    name = "conjugate gradients"
    accuracy = 1e-3
    max_iterations = 200

    def __init__(
        self, r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        super().__init__(r, jacobian, anchor, x)
        self.inverse: SketchedInverse | None = None
        n_sums = self._sums()
        if n_sums >= FEWEST:
            self.inverse = SketchedInverse(jacobian, n_sums, anchor is None or anchor.uniform)

    def select(self, chosen: torch.Tensor) -> Self:
        some = super().select(chosen)
        if self.inverse is not None:
            some.inverse = self.inverse.select(chosen)
        return some

    def damp(self, damping: torch.Tensor) -> None:
        self.own = self.stiffness + damping[..., None]
        if self.inverse is not None:
            self.inverse.damp(self.own)

    def step(self) -> torch.Tensor:
        return self._solved(-self.gradient)

    def step_for(self, r: torch.Tensor) -> torch.Tensor:
        return self._solved(-self.jacobian.transposed_times(r))

    def _solved(self, right: torch.Tensor) -> torch.Tensor:
        """(JᵀJ + S + μI)⁻¹ right."""
        solved = conjugate_gradients(
            lambda v: self.jacobian.normal_times(v) + self.own * v,
            right,
            self.accuracy,
            self.max_iterations,
            None if self.inverse is None else self.inverse.times,
        )
        self.iterations += solved.iterations
        self.residual = max(self.residual, solved.residual)
        return solved.x

    def _sums(self) -> int:
        """Rows of a sketch that pay, and whose sketch, matrix and factor fit into memory."""
        rows, n_trainable = self.jacobian.shape
        room = USED * self.jacobian.memory_bytes - self.jacobian.taken_bytes
        numbers = max(0.0, room / (self.r.element_size() * self.r[..., 0].numel()))
        # m (n + 2 m) = numbers
        fitting = (n_trainable**2 / 16 + numbers / 2) ** 0.5 - n_trainable / 4
        return int(min(fitting, rows / 2, n_trainable / 2, SUMS * rows**0.5))


def normal_system(
    r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
) -> NormalSystem:
    """The cheapest way that fits into the Jacobian's memory."""
    rows, n_trainable = jacobian.shape
    few_rows = rows < n_trainable and (anchor is None or anchor.uniform)
    if not jacobian.has_room(rows if few_rows else n_trainable):
        return Krylov(r, jacobian, anchor, x)
    return (ResidualSpace if few_rows else ParameterSpace)(r, jacobian, anchor, x)
