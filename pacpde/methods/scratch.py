"""From random weights, without a source."""

from dataclasses import dataclass, replace

from pacpde.methods.base import Context, Method, Transferred, finish
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.task import Task
from pacpde.optim.fit import minimise
from pacpde.runtime import generator


@dataclass(frozen=True)
class Scratch(Method):
    """min over w of L_T(w) from random weights, in the source's network; the source is not used."""

    name = "scratch"
    summary = "min L_T(w) from random weights: no transfer, the baseline"

    def run(self, source: Surrogate, target: Task, context: Context) -> Transferred:
        recipe = self.recipe(context)
        rng = generator(context.seed, "weights")
        weights = source.runtime.tensor(source.network.start(rng, recipe.frequency))
        phases = recipe.first(target)
        made = minimise(
            source.network,
            target,
            weights,
            phases,
            stage="scratch",
            seed=context.seed,
            tolerance=recipe.tolerance,
            optimiser=recipe.make_optimiser(),
            monitor=context.monitor,
        )
        blank = replace(source, weights=weights, memories={}, history=(), seconds=0.0)
        surrogate = finish(blank, target, phases, [made], "trained")
        return Transferred(
            surrogate,
            source.parameters,
            made.steps,
            made.evaluations,
            {"calibrate": made.seconds},
        )
