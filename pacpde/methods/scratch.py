"""From random weights, without a source."""

from dataclasses import dataclass

from pacpde.methods.base import Method, MethodResult, TransferContext, train_from_scratch
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.residuals.task import Task


@dataclass(frozen=True)
class Scratch(Method):
    """min over w of L_T(w) from random weights, in the source's network; the source is not used."""

    name = "scratch"
    summary = "min L_T(w) from random weights: no transfer, the baseline"

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        config = self.config(context)
        surrogate, fit = yield from steps_of(train_from_scratch)(
            target,
            source.network,
            config,
            context.seed,
            context.callbacks,
            stage="scratch",
            budget=self.budget(source),
        )
        return MethodResult.of(surrogate, source.parameters, [fit])

    def budget(self, source: Surrogate) -> int:
        """Steps on top of the config's."""
        return 0
