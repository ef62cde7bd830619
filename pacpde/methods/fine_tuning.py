"""Fine-tuning: some of the source's weights, or all of them, go on to the target."""

from dataclasses import dataclass

import torch

from pacpde.methods.base import MethodResult, TransferContext, build_surrogate
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor


@dataclass(frozen=True)
class FineTuning(ContinuationMethod):
    """min over the free w of L_T(w) + penalty, from w_S; the source is forgotten.

    A subclass says which weights are free, and where they are held.
    """

    def free(self, source: Surrogate) -> torch.Tensor:
        """Which weights move, bool [size]."""
        return torch.ones_like(source.weights, dtype=torch.bool)

    def anchor(self, source: Surrogate, context: TransferContext) -> Anchor | None:
        """Where each weight, free or not, [size], is held, if anywhere."""
        return None

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        free, held = self.free(source), self.anchor(source, context)
        anchor = None if held is None else held.select(free)
        start = source.reset()
        fits = yield from steps_of(self.fits)(start, target, free, context, anchor=anchor)
        surrogate = build_surrogate(
            start, target, self.config(context).phases.warm_start(target), fits, "calibrated"
        )
        return MethodResult.of(surrogate, int(free.sum()), fits, trained=source)
