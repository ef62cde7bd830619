"""Symmetric matrices of which only the lower half is valid, factorised."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Cholesky:
    """matrix = UᵀU.

    Attributes:
        upper: U, [..., n, n].
        failed: where the matrix was not positive, bool [...].
    """

    upper: torch.Tensor
    failed: torch.Tensor

    @classmethod
    def of(cls, matrix: torch.Tensor, diagonal: torch.Tensor) -> "Cholesky":
        """The factor of a matrix [..., n, n] whose diagonal is replaced, in its place."""
        matrix.diagonal(dim1=-2, dim2=-1).copy_(diagonal)
        # LAPACK goes down columns: it sees the transpose, and copies nothing crosswise
        upper, info = torch.linalg.cholesky_ex(matrix.mT, upper=True)
        return cls(upper, info > 0)

    def solve(self, right: torch.Tensor) -> torch.Tensor:
        """matrix⁻¹ right, [..., n]; nan, which no step survives, where it was not positive."""
        half = torch.linalg.solve_triangular(self.upper.mT, right[..., None], upper=False)
        found = torch.linalg.solve_triangular(self.upper, half, upper=True)[..., 0]
        return torch.where(self.failed[..., None], torch.nan, found)
