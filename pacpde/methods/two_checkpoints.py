"""A warm start, with the source's weights kept in a second file."""

from dataclasses import dataclass, replace

from pacpde.methods.base import MethodResult, TransferContext
from pacpde.methods.warm_start import WarmStart
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.residuals.task import Task


@dataclass(frozen=True)
class TwoCheckpoints(WarmStart):
    """Warm start beside an untouched copy of w_S: nothing is forgotten, at twice the storage.

    What PAC has to beat where a second set of weights is no trouble.
    """

    name = "two_checkpoints"
    summary = "warm start beside an untouched copy of the source: nothing forgotten, twice the size"

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        made = yield from steps_of(super().run)(source, target, context)
        retained = {SOURCE: RetainedSolver.separate(source)}
        return replace(
            made,
            surrogate=replace(made.surrogate, retained=retained),
            snapshots={**made.snapshots, "allocated": source},
        )
