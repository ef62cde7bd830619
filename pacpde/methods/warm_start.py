"""From the source's weights, all of them free."""

from dataclasses import dataclass, replace

import torch

from pacpde.methods.approach import Approach
from pacpde.methods.base import Context, Method, Transferred, finish
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.task import Task


@dataclass(frozen=True)
class WarmStart(Method):
    """min over w of L_T(w) from w_S; the source is forgotten.

    Attributes:
        continuation: walk the coefficients where a direct fit fails, as PAC does.
    """

    name = "warm_start"
    summary = "min L_T(w) from the source's weights, all free; the source is forgotten"

    continuation: bool = True

    def run(self, source: Surrogate, target: Task, context: Context) -> Transferred:
        recipe = self.recipe(context)
        approach = Approach(recipe, context.seed, context.monitor, self.continuation)
        start = replace(source, memories={}, history=(), seconds=0.0)
        fits = approach.run(start, target, torch.ones_like(source.weights, dtype=torch.bool))
        return Transferred(
            finish(start, target, recipe.again(target), fits, "calibrated"),
            source.parameters,
            sum(made.steps for made in fits),
            sum(made.evaluations for made in fits),
            {"calibrate": sum(made.seconds for made in fits)},
            {"trained": source},
        )
