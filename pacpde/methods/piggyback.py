"""Piggyback: a mask over weights that never move."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from pacpde.errors import InvalidValueError
from pacpde.methods.base import TransferContext
from pacpde.methods.fine_tuning import TuningStart, WeightTuning
from pacpde.networks.reparametrised import Masked
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.task import Task
from pacpde.training.config import TrainingConfig

STEPS = 2000  # of Adam


@dataclass(frozen=True)
class Piggyback(WeightTuning):
    """min over scores s of L_T(W_S ⊙ 1[s > τ]), by Adam straight through the step; W_S stays.

    Mallya, Davis & Lazebnik, ECCV 2018 (arXiv 1801.06519), with their τ and start. They train a
    head and a bias besides; here biases stay, and the head is masked like every layer. A step
    function has no curvature, so Adam alone makes sense. A mask can only leave weights out: it
    picks a solver from those that the source contains, and need not contain the target.

    Attributes:
        steps: of Adam; None takes 2000.
        threshold: τ.
        initial_score: of every weight.
    """

    name = "piggyback"
    summary = "min L_T(W_S ⊙ 1[s > τ]) over scores s; the weights themselves stay"
    partial = True
    renamed_options = {"start": "initial_score"}

    threshold: float = 5e-3
    initial_score: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.initial_score > self.threshold:
            raise InvalidValueError(
                f"initial_score is {self.initial_score}, expected a number above the threshold "
                f"{self.threshold}: every weight is there in the beginning."
            )

    def config(self, context: TransferContext) -> TrainingConfig:
        config = replace(context.config, optimiser="adam", memory_gib=TrainingConfig.memory_gib)
        return config.with_steps(self.steps or STEPS)

    @property
    def unused_settings(self) -> Mapping[str, str]:
        why = "piggyback takes its own number of steps of Adam, as an option"
        return dict.fromkeys(("steps", "optimiser", "memory_gib"), why)

    def tuning_start(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> TuningStart:
        network = Masked.of(source.network, threshold=self.threshold)
        scores = torch.full_like(source.weights[:1], self.initial_score).expand(network.n_extra)
        weights = torch.cat([source.weights, scores])
        trainable = torch.zeros_like(weights, dtype=torch.bool)
        trainable[source.network.size :] = True
        return TuningStart(source.reset(network=network, weights=weights), trainable)

    def source_solver(self, source: Surrogate, weights: torch.Tensor) -> Surrogate:
        return source
