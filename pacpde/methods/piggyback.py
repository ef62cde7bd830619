"""Piggyback: a mask over weights that never move."""

from dataclasses import dataclass, replace

import torch

from pacpde.errors import InvalidValueError
from pacpde.methods.base import Method, MethodResult, TransferContext, build_surrogate
from pacpde.networks.reparametrised import Masked
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.residuals.task import Task
from pacpde.training.config import TrainingConfig
from pacpde.training.trainer import Trainer

STEPS = 2000  # of Adam


@dataclass(frozen=True)
class Piggyback(Method):
    """min over scores s of L_T(W_S ⊙ 1[s > τ]), by Adam straight through the step; W_S stays.

    Mallya, Davis & Lazebnik, ECCV 2018 (arXiv 1801.06519), with their τ and start. They train a
    head and a bias besides; here biases stay, and the head is masked like every layer. A step
    function has no curvature, so Adam alone makes sense. A mask can only leave weights out: it
    picks a solver from those that the source contains, and need not contain the target.

    Attributes:
        steps: of Adam; None takes 2000.
        threshold: τ.
        start: of every score.
    """

    name = "piggyback"
    summary = "min L_T(W_S ⊙ 1[s > τ]) over scores s; the weights themselves stay"
    partial = True

    threshold: float = 5e-3
    start: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.start > self.threshold:
            raise InvalidValueError(
                f"start is {self.start}, expected a number above the threshold {self.threshold}: "
                "every weight is there in the beginning."
            )

    def config(self, context: TransferContext) -> TrainingConfig:
        return replace(context.config, optimiser="adam", steps=self.steps or STEPS)

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        config = self.config(context)
        network = Masked.of(source.network, threshold=self.threshold)
        scores = torch.full_like(source.weights[:1], self.start).expand(network.others)
        weights = torch.cat([source.weights, scores])
        free = torch.zeros_like(weights, dtype=torch.bool)
        free[source.network.size :] = True
        start = source.reset(network=network, weights=weights)
        trainer = Trainer(start, config, context.seed, context.callbacks, free)
        fits = [(yield from steps_of(trainer.fit)(target, config.phases.warm_start(target)))]
        ended = build_surrogate(start, target, config.phases.warm_start(target), fits, "calibrated")
        kept = {SOURCE: RetainedSolver.separate(source)}
        return MethodResult.of(
            replace(ended, retained=kept), int(free.sum()), fits, trained=source, allocated=source
        )
