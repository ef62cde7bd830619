"""Fine-tuning: some of the source's weights, or all of them, go on to the target."""

from dataclasses import dataclass, replace

import torch

from pacpde.methods.approach import Approach, check_way
from pacpde.methods.base import Context, Method, Transferred, finish
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.blocks import Anchor
from pacpde.objective.task import Task


@dataclass(frozen=True)
class FineTuning(Method):
    """min over the free w of L_T(w) + penalty, from w_S; the source is forgotten.

    A subclass says which weights are free, and where they are held.

    Attributes:
        approach: what follows where a direct fit fails, as in PAC; see `Approach`.
    """

    approach: str = "grow"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_way(self.approach)

    @property
    def fixed(self) -> int | None:
        """Equal steps to walk in; None to choose them by residuals."""
        return None

    def free(self, source: Surrogate) -> torch.Tensor:
        """Which weights move, bool [size]."""
        return torch.ones_like(source.weights, dtype=torch.bool)

    def anchor(self, source: Surrogate, context: Context) -> Anchor | None:
        """Where each weight, free or not, [size], is held, if anywhere."""
        return None

    def run(self, source: Surrogate, target: Task, context: Context) -> Transferred:
        recipe, free = self.recipe(context), self.free(source)
        held = self.anchor(source, context)
        anchor = None if held is None else held.members(free)
        approach = Approach(
            recipe, context.seed, context.monitor, self.approach, self.fixed, anchor
        )
        start = replace(source, memories={}, history=(), seconds=0.0)
        fits = approach.run(start, target, free)
        return Transferred(
            finish(start, target, recipe.again(target), fits, "calibrated"),
            int(free.sum()),
            sum(made.steps for made in fits),
            sum(made.evaluations for made in fits),
            {"calibrate": sum(made.seconds for made in fits)},
            {"trained": source},
        )
