"""The cross-entropy of classes as a residual term."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Self

import torch

from pacpde.residuals.terms import Term


@dataclass(frozen=True)
class CrossEntropyTerm(Term):
    """−Σ y log p + ½ β |z|² at labelled points, with logits z and p = softmax(z).

    - `residual`: r = √(2 loss), one a point, so that ½‖r‖² is the mean loss.
    - `gauss_newton`: with the gradient g = p − y + β z and the Hessian H = diag p − p pᵀ + β I of
      the loss in the logits, and H = L Lᵀ by Cholesky, the rows are L⁻¹ g and their slopes Lᵀ. So
      the gradient in the weights is Jᵀ g exactly, and the curvature is Jᵀ H J, the generalised
      Gauss–Newton matrix (Schraudolph 2002, doi:10.1162/08997660260028683), J the Jacobian of z.

    H is singular without β, and where p is 0 or 1; the least multiple of I that Cholesky bears is
    added then. It changes the curvature by rounding, and the gradient not at all.

    Attributes:
        values: y, one-hot or other probabilities, [..., points, classes].
        logit_penalty: β; it bounds logits where classes are separable (logit penalty; Kornblith et
            al. 2021, arXiv 2010.16402).
    """

    stacked = ("batch", "values")
    is_least_squares = False

    values: torch.Tensor
    logit_penalty: float = 0.0

    @property
    def n_components(self) -> int:
        return self.values.shape[-1]

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        logits = fields.select(-3, 0)
        loss = -(self.values * torch.log_softmax(logits, -1)).sum(-1)
        loss = loss + self.logit_penalty / 2 * (logits**2).sum(-1)
        least = torch.finfo(loss.dtype).tiny  # a root of 0 has no slope
        return self.weighted((2 * loss).clamp(min=least).sqrt()[..., None])

    def gauss_newton(self, fields: torch.Tensor) -> torch.Tensor:
        logits = fields.select(-3, 0)
        z = logits.detach()
        p = torch.softmax(z, -1)
        gradient = p - self.values + self.logit_penalty * z
        least = 4 * self.n_components * torch.finfo(p.dtype).eps
        shift = max(self.logit_penalty, least)
        hessian = torch.diag_embed(p + shift) - p[..., :, None] * p[..., None, :]
        lower, _ = torch.linalg.cholesky_ex(hessian)
        values = torch.linalg.solve_triangular(lower, gradient[..., None], upper=False)[..., 0]
        slopes = ((logits - z)[..., None, :] @ lower)[..., 0, :]  # 0, with the slopes Lᵀ
        return self.weighted(values + slopes)

    def subset(self, points: slice) -> Self:
        return replace(super().subset(points), values=self.values[..., points, :])

    @property
    def batch_key(self) -> Hashable:
        return "classes", self.weight, self.logit_penalty, self.batch.batch_key
