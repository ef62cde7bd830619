"""Fine-tuning with other terms beside the target's: what distillation and held features share."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch

from pacpde.methods.base import MethodResult, TransferContext, build_surrogate
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.networks.outputs import Widened
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.residuals.augmented_task import AugmentedTask, ExtraTerms
from pacpde.residuals.task import Labels, PhysicsTask, TableTask, Task
from pacpde.residuals.terms import Anchor


@dataclass(frozen=True)
class AugmentedFineTuning(ContinuationMethod):
    """min over w of L_T(w) + what stands beside it, from w_S, in a network with more outputs."""

    @abstractmethod
    def wide(self, source: Surrogate) -> tuple[Widened, torch.Tensor]:
        """The wider network, and which of its weights are free."""

    @abstractmethod
    def more(
        self, source: Surrogate, wide: Widened, target: Task, context: TransferContext
    ) -> ExtraTerms:
        """The terms beside the target's."""

    def anchor(self, source: Surrogate, wide: Widened) -> Anchor | None:
        """Where each weight of the wider network is held, if anywhere."""
        return None

    def retain_source(
        self, source: Surrogate, wide: Widened, weights: torch.Tensor
    ) -> Surrogate | None:
        """What is left of the source in the wider network, where it is not just forgotten."""
        return None

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        wide, free = self.wide(source)
        more = self.more(source, wide, target, context)
        held = self.anchor(source, wide)

        def beside(task: Task) -> AugmentedTask:
            return AugmentedTask(task, source.network, wide, more)

        start = source.reset(network=wide.network, weights=wide.weights)
        anchor = None if held is None else held.select(free)
        fits = yield from steps_of(self.fits)(
            start, target, free, context, anchor=anchor, task_transform=beside
        )
        phases = self.config(context).phases.warm_start(target)
        surrogate = build_surrogate(start, beside(target), phases, fits, "calibrated")
        snapshots = {"trained": source}
        kept = self.retain_source(source, wide, fits[-1].weights)
        if kept is not None:
            retained = {SOURCE: RetainedSolver.separate(kept)}
            surrogate = replace(surrogate, retained=retained)
            snapshots["allocated"] = kept
        return MethodResult.of(surrogate, int(free[wide.own].sum()), fits, **snapshots)


def points_of(task: Task, count: int, rng: np.random.Generator) -> np.ndarray:
    """So many points of a task's domain, or rows of its table, [points, axes]."""
    if isinstance(task, PhysicsTask):
        return task.problem.domain.sample(count, rng)
    assert isinstance(task, TableTask)
    table: Labels = task.table
    chosen = rng.choice(len(table.points), min(count, len(table.points)), replace=False)
    return table.points[np.sort(chosen)]
