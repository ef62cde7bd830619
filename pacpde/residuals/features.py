"""Terms on hidden features: outputs of a network that pass on its last hidden layer."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

import torch

from pacpde.networks.ansatz import Batch
from pacpde.networks.stacking import Stackable


@dataclass(frozen=True)
class FeatureTerm(Stackable):
    """½ Σ_c weight_c · mean over points of (F_c − target_c)²: features held where they were.

    Attributes:
        values: target features, [..., points, features].
        weights: one a feature, [features].
    """

    stacked = ("batch", "values")

    batch: Batch
    values: torch.Tensor
    weights: torch.Tensor

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        difference = fields.select(-3, 0) - self.values
        return difference * (self.weights / self.batch.size).sqrt()

    @property
    def n_components(self) -> int:
        return self.values.shape[-1]

    def subset(self, points: slice) -> "FeatureTerm":
        batch = self.batch.subset(points)
        weights = self.weights * batch.size / self.batch.size
        return replace(self, batch=batch, values=self.values[..., points, :], weights=weights)

    @property
    def batch_key(self) -> Hashable:
        return "features", id(self), self.batch.batch_key  # never stacked


@dataclass(frozen=True)
class SpectralTerm(Stackable):
    """½ weight · Σ over k of σ_k² of a batch of features [points, features].

    σ² = ‖F v‖² with the right singular vector v, and d(σ²) = 2 (F v)ᵀ dF v: the vectors of the
    features at hand give value and slope.

    Attributes:
        vectors: right singular vectors of the smallest values, [features, k].
    """

    stacked = ("batch",)

    batch: Batch
    vectors: torch.Tensor
    weight: float

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        return fields.select(-3, 0) @ self.vectors * self.weight**0.5

    @property
    def n_components(self) -> int:
        return self.vectors.shape[-1]

    def subset(self, points: slice) -> "SpectralTerm":
        return replace(self, batch=self.batch.subset(points))

    @property
    def batch_key(self) -> Hashable:
        return "spectral", id(self), self.batch.batch_key  # never stacked
