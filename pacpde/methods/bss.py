"""Batch spectral shrinkage: directions that features hardly use are given up."""

from dataclasses import dataclass

import numpy as np
import torch

from pacpde.errors import InvalidValueError, check_count
from pacpde.methods.base import TransferContext, check_strength
from pacpde.methods.feature_tuning import FeatureTuning
from pacpde.networks.outputs import Widened
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.augmented_task import ExtraTerms
from pacpde.residuals.features import SpectralTerm
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
        check_strength("shrink (η)", self.shrink)
        check_count("smallest", self.smallest, 1)

    def check_network(self, network: Network) -> None:
        if self.smallest > network.neurons.widths[-1]:
            raise InvalidValueError(
                f"smallest is {self.smallest}, expected a whole number from 1 to "
                f"{network.neurons.widths[-1]}, the features of this network."
            )

    def extra_terms(
        self, source: Surrogate, wide: Widened, target: Task, context: TransferContext
    ) -> ExtraTerms:
        def terms(
            weights: torch.Tensor, sampling: SamplingSpec, rng: np.random.Generator
        ) -> list[Term]:
            points = target.sample_inputs(POINTS, rng)
            batch, features = self.features(source, wide, points, weights)
            _, _, vectors = torch.linalg.svd(features, full_matrices=False)
            return [SpectralTerm(batch, vectors[-self.smallest :].mT, 2 * self.shrink)]

        return terms
