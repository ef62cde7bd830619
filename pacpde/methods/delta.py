"""DELTA: a penalty on changes of those features that the source needs."""

from dataclasses import dataclass

import torch
from numpy.random import Generator

from pacpde.checks import check_nonnegative
from pacpde.methods.base import TransferContext
from pacpde.methods.feature_tuning import FeatureTuning
from pacpde.networks.heads import ExtendedNetwork
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.augmented_task import ExtraTerms
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Anchor, LabelTerm, Term

POINTS = 64  # at which features are compared; every feature is a row at each


@dataclass(frozen=True)
class DELTA(FeatureTuning):
    """min over w of L_T(w) + (α/2) Σ_c W_c mean (F_c(w) − F_c(w_S))² + (β/2)‖w_head‖², from w_S.

    Li et al., ICLR 2019 (arXiv 1901.09229). F are feature maps; here the units of the last hidden
    layer, at points of the target. W_c is by how much the source's loss rises without the feature;
    the softmax that makes it attention in their classifier is replaced by each feature's share of
    all rises, times their number. α and β are ours, see `L2SP`.

    Attributes:
        alpha, beta: α and β.
    """

    name = "delta"
    summary = "min L_T + (α/2) Σ W_c (F_c − F_c,S)²: a penalty on features that the source needs"

    alpha: float = 1e-6
    beta: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nonnegative("alpha (α)", self.alpha)
        check_nonnegative("beta (β)", self.beta)

    def anchor(self, source: Surrogate, context: TransferContext) -> Anchor:
        extended = self.extended_network(source)
        strength = torch.zeros_like(extended.weights)
        strength[extended.original_indices[source.network.head]] = self.beta / 2
        return Anchor(strength, torch.zeros_like(extended.weights))

    def extra_terms(
        self, source: Surrogate, extended: ExtendedNetwork, target: Task, context: TransferContext
    ) -> ExtraTerms:
        attention = _attention(source, context.source_task, context.seed) * self.alpha

        def terms(weights: torch.Tensor, sampling: SamplingSpec, rng: Generator) -> list[Term]:
            points = target.sample_inputs(POINTS, rng)
            batch, features = self.features(source, extended, points, extended.weights)
            return [LabelTerm(batch, features, weight=attention)]

        return terms


def _attention(source: Surrogate, task: Task, seed: int) -> torch.Tensor:
    """How much the source needs each feature, [features], 1 on average."""
    sampling = SamplingSpec(odd=source.ansatz.odd)
    before = task.held_out(source.network, source.weights, sampling) ** 2
    rises = []
    for unit in range(source.network.n_features):
        weights = source.weights.clone()
        source.network.head_matrix(weights)[0][:, unit] = 0
        rises.append(max(task.held_out(source.network, weights, sampling) ** 2 - before, 0.0))
    found = source.weights.new_tensor(rises)
    return found / found.mean() if bool(found.any()) else torch.ones_like(found)
