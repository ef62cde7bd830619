"""A preconditioner of damped normal equations from a sketch of the Jacobian."""

from copy import copy
from typing import Self

import torch

from pacpde.optim.cholesky import Cholesky
from pacpde.residuals.jacobian import Jacobian, add_lower

ROUNDING = 100  # shift that a sketch needs, in units of the rounding of its largest eigenvalue
STRIPE = 2048  # columns of a scaled sketch that are formed at a time


class SketchedInverse:
    """(AᵀA + D)⁻¹ with the sketch A of J in place of J, and a diagonal D.

    By Woodbury it is D⁻¹ − D⁻¹Aᵀ(I + A D⁻¹Aᵀ)⁻¹A D⁻¹. Few rows do where the eigenvalues of JᵀJ fall
    below D fast, as those of residuals at points do (Frangella, Tropp & Udell 2021, arXiv
    2110.02820); sketches as preconditioners: Avron, Maymounkov & Toledo (2010), SIAM J. Sci.
    Comput. 32, 1217.

    Attributes:
        sketch: A, [..., sums, n_trainable].
    """

    def __init__(self, jacobian: Jacobian, n_sums: int, uniform: bool) -> None:
        """
        Args:
            uniform: whether D is a multiple of I at all times, so that A Aᵀ is formed once.
        """
        self.sketch = jacobian.sketch(n_sums)
        rounding = ROUNDING * torch.finfo(self.sketch.dtype).eps
        # the trace of AᵀA is no less than its largest eigenvalue
        trace = torch.linalg.vector_norm(self.sketch, dim=(-2, -1)) ** 2
        self.least = rounding * trace[..., None]
        self.uniform = uniform
        if uniform:
            self.gram = self._empty()
            add_lower(self.gram, self.sketch)
            self.diagonal = self.gram.diagonal(dim1=-2, dim2=-1).clone()

    def select(self, chosen: torch.Tensor) -> Self:
        """The preconditioners of some of a stack."""
        some = copy(self)
        for name in ("sketch", "least", *(("gram", "diagonal") if self.uniform else ())):
            setattr(some, name, getattr(self, name)[chosen])
        return some

    def damp(self, own: torch.Tensor) -> None:
        """Make ready for a diagonal D, [..., n_trainable]; what rounding hides is left out."""
        own = own.maximum(self.least)
        if self.uniform:
            self.own = own[..., :1]
            self.factor = Cholesky.of(self.gram, self.diagonal + self.own)
            return
        self.own = own
        scaled = self._empty()
        for start in range(0, own.shape[-1], STRIPE):
            stripe = slice(start, start + STRIPE)
            add_lower(scaled, self.sketch[..., stripe] / own[..., None, stripe].sqrt())
        self.factor = Cholesky.of(scaled, scaled.diagonal(dim1=-2, dim2=-1) + 1)

    def times(self, v: torch.Tensor) -> torch.Tensor:
        """(AᵀA + D)⁻¹ v, [..., n_trainable]."""
        scaled = v if self.uniform else v / self.own
        inner = self.factor.solve((self.sketch @ scaled.unsqueeze(-1)).squeeze(-1))
        outer = (inner.unsqueeze(-2) @ self.sketch).squeeze(-2)
        return (v - outer) / self.own

    def _empty(self) -> torch.Tensor:
        *stack, n_sums, _ = self.sketch.shape
        return self.sketch.new_zeros(*stack, n_sums, n_sums)
