"""Learning without forgetting: a second head is fitted to the source's values."""

from dataclasses import dataclass, replace

import torch
from numpy.random import Generator

from pacpde.checks import check_nonnegative
from pacpde.methods.base import TransferContext
from pacpde.methods.fine_tuning import AugmentedFineTuning
from pacpde.networks.heads import ExtendedNetwork, HeadAnsatz
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
        check_nonnegative("distil (λ)", self.distil)

    def extended_network(self, source: Surrogate) -> ExtendedNetwork:
        weight, bias = source.network.head_matrix(source.weights)
        return ExtendedNetwork.of(source.network, source.weights, weight, bias)

    def trainable_mask(self, source: Surrogate) -> torch.Tensor:
        return torch.ones_like(self.extended_network(source).weights, dtype=torch.bool)

    def extra_terms(
        self, source: Surrogate, extended: ExtendedNetwork, target: Task, context: TransferContext
    ) -> ExtraTerms:
        head = HeadAnsatz(source.ansatz, source.network.outputs)

        def terms(weights: torch.Tensor, sampling: SamplingSpec, rng: Generator) -> list[Term]:
            inputs = context.source_task.sample_inputs(sampling.points, rng)
            points = target.runtime.tensor(inputs)
            # a loss is ½ mean r²
            return [LabelTerm.at(head, points, source.at(points), 2 * self.distil)]

        return terms

    def source_solver(self, source: Surrogate, weights: torch.Tensor) -> Surrogate:
        extended = self.extended_network(source)
        own = weights[extended.original_indices]
        matrix, bias = source.network.head_matrix(own)
        matrix.copy_(weights[extended.extra_weights])
        bias.copy_(weights[extended.extra_biases])
        return replace(source, weights=own, retained={})
