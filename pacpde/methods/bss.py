"""Batch spectral shrinkage: directions that features hardly use are given up."""

from dataclasses import dataclass, replace

import torch
from numpy.random import Generator

from pacpde.checks import check_count, check_nonnegative
from pacpde.errors import InvalidValueError
from pacpde.methods.base import TransferContext
from pacpde.methods.feature_tuning import FeatureTuning
from pacpde.networks.heads import ExtendedNetwork
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.augmented_task import ExtraTerms
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Term

POINTS = 256  # a batch of features


@dataclass(frozen=True)
class BSS(FeatureTuning):
    """min over w of L_T(w) + η Σ of the k smallest σ_i²(F), F the features of a batch, from w_S.

    Chen et al., NeurIPS 2019. Features are the units of the last hidden layer at points of the
    target, drawn anew with its collocation points. η = 0.001 and k = 1 are theirs.

    Attributes:
        shrink: η.
        smallest: k.
    """

    name = "bss"
    summary = "min L_T + η Σ of the k smallest σ²(F): directions that features hardly use shrink"

    shrink: float = 1e-3
    smallest: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nonnegative("shrink (η)", self.shrink)
        check_count("smallest", self.smallest, 1)

    def check_network(self, network: Network) -> None:
        if self.smallest > network.n_features:
            raise InvalidValueError(
                f"smallest is {self.smallest}, expected a whole number from 1 to "
                f"{network.n_features}, the features of this network."
            )

    def extra_terms(
        self, source: Surrogate, extended: ExtendedNetwork, target: Task, context: TransferContext
    ) -> ExtraTerms:
        def terms(weights: torch.Tensor, sampling: SamplingSpec, rng: Generator) -> list[Term]:
            points = target.sample_inputs(POINTS, rng)
            batch, features = self.features(source, extended, points, weights)
            _, _, vectors = torch.linalg.svd(features, full_matrices=False)
            smallest = vectors[-self.smallest :].mT
            return [SpectralTerm(batch, smallest, weight=2 * self.shrink)]

        return terms


@dataclass(frozen=True)
class SpectralTerm(Term):
    """½ weight · Σ over k of σ_k² of a batch of features [points, features].

    σ² = ‖F v‖² with the right singular vector v, and d(σ²) = 2 (F v)ᵀ dF v: the vectors of the
    features at hand give value and slope.

    Attributes:
        vectors: right singular vectors of the smallest values, [features, k].
    """

    vectors: torch.Tensor

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        return fields.select(-3, 0) @ self.vectors * self.weight**0.5

    @property
    def n_components(self) -> int:
        return self.vectors.shape[-1]

    def subset(self, points: slice) -> "SpectralTerm":
        return replace(self, batch=self.batch.subset(points))  # a sum over points, not a mean
