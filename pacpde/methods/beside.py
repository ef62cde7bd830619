"""Fine-tuning with other blocks beside the target's: what distillation and held features share."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pacpde.methods.approach import Approach, check_way
from pacpde.methods.base import Context, Method, Transferred, finish
from pacpde.networks.outputs import Widened
from pacpde.networks.surrogate import Memory, Surrogate
from pacpde.objective.beside import Beside, More
from pacpde.objective.blocks import Anchor
from pacpde.objective.task import Labels, PhysicsTask, TableTask, Task
from pacpde.pac import SOURCE


@dataclass(frozen=True)
class FineTuningBeside(Method):
    """min over w of L_T(w) + what stands beside it, from w_S, in a network with more outputs.

    Attributes:
        approach: what follows where a direct fit fails, as in PAC; see `Approach`.
    """

    approach: str = "grow"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_way(self.approach)

    @abstractmethod
    def wide(self, source: Surrogate) -> tuple[Widened, torch.Tensor]:
        """The wider network, and which of its weights are free."""

    @abstractmethod
    def more(self, source: Surrogate, wide: Widened, target: Task, context: Context) -> More:
        """The blocks beside the target's."""

    def anchor(self, source: Surrogate, wide: Widened) -> Anchor | None:
        """Where each weight of the wider network is held, if anywhere."""
        return None

    def remembered(
        self, source: Surrogate, wide: Widened, weights: torch.Tensor
    ) -> Surrogate | None:
        """What is left of the source in the wider network, where it is not just forgotten."""
        return None

    def run(self, source: Surrogate, target: Task, context: Context) -> Transferred:
        recipe = self.recipe(context)
        wide, free = self.wide(source)
        more = self.more(source, wide, target, context)
        held = self.anchor(source, wide)
        approach = Approach(
            recipe,
            context.seed,
            replace(context.monitor, watch=self._watch(context, wide)),
            self.approach,
            anchor=None if held is None else held.members(free),
            wrap=lambda task: Beside(task, source.network, wide, more),
        )
        changes: dict[str, Any] = {"memories": {}, "history": (), "seconds": 0.0}
        start = replace(source, network=wide.network, weights=wide.weights, **changes)
        fits = approach.run(start, target, free)
        ended = finish(start, target, recipe.again(target), fits, "calibrated")
        own = replace(ended, network=source.network, weights=ended.weights[wide.own])
        snapshots = {"trained": source}
        kept = self.remembered(source, wide, ended.weights)
        if kept is not None:
            own = replace(own, memories={SOURCE: Memory.apart(kept.ansatz, kept.weights)})
            snapshots["allocated"] = kept
        return Transferred(
            own,
            int(free[wide.own].sum()),
            sum(made.steps for made in fits),
            sum(made.evaluations for made in fits),
            {"calibrate": sum(made.seconds for made in fits)},
            snapshots,
        )

    def _watch(self, context: Context, wide: Widened) -> Any:
        """Grades the weights of the target's own network."""
        watch = context.monitor.watch
        return None if watch is None else lambda weights, draw: watch(weights[wide.own], draw)


def points_of(task: Task, count: int, rng: np.random.Generator) -> np.ndarray:
    """So many points of a task's domain, or rows of its table, [points, axes]."""
    if isinstance(task, PhysicsTask):
        return task.problem.domain.sample(count, rng)
    assert isinstance(task, TableTask)
    table: Labels = task.table
    chosen = rng.choice(len(table.points), min(count, len(table.points)), replace=False)
    return table.points[np.sort(chosen)]
