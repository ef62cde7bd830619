"""Learning without forgetting: the source's answers, kept by a second head."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from pacpde.methods.augmented_fine_tuning import AugmentedFineTuning, points_of
from pacpde.methods.base import TransferContext, check_strength
from pacpde.networks.outputs import Widened, as_head, widen
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.augmented_task import ExtraTerms
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import LabelTerm, Term


@dataclass(frozen=True)
class LwF(AugmentedFineTuning):
    """min of L_T(body, head_T) + λ mean (u(body, head_S) − u_S)² over the source's points.

    Li & Hoiem, ECCV 2016 (arXiv 1606.09282). Source and target share the body, each has a head, and
    both start as the source's. They distil class probabilities of the new task's images; here the
    source's values are distilled at points of its own domain, drawn anew with the target's.

    Attributes:
        distil: λ; 1 is theirs. Ours weighs mean squared values in scales of the fields.
    """

    name = "lwf"
    summary = "min L_T + λ mean (u_S-head − u_S)²: a second head goes on answering for the source"

    distil: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strength("distil (λ)", self.distil)

    def wide(self, source: Surrogate) -> tuple[Widened, torch.Tensor]:
        weight, bias = source.network.matrices(source.weights)[-1]
        wide = widen(source.network, source.weights, weight, bias)
        return wide, torch.ones_like(wide.weights, dtype=torch.bool)

    def more(
        self, source: Surrogate, wide: Widened, target: Task, context: TransferContext
    ) -> ExtraTerms:
        def terms(
            weights: torch.Tensor, draw: SamplingSpec, rng: np.random.Generator
        ) -> list[Term]:
            points = target.runtime.tensor(points_of(context.source_task, draw.points, rng))
            values = source.at(points)
            batch = as_head(source.ansatz.batch(points), 1)
            return [LabelTerm(batch, values, 2 * self.distil)]  # a loss is ½ mean r²

        return terms

    def retain_source(self, source: Surrogate, wide: Widened, weights: torch.Tensor) -> Surrogate:
        last = source.network.layers[-1]
        own = weights[wide.own]
        own[last.weights] = weights[wide.more].flatten()
        own[last.biases] = weights[wide.constants]
        return replace(source, weights=own, retained={})
