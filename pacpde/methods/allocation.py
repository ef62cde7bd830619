"""A pruned source allocated: what PAC keeps of it."""

from dataclasses import replace

from pacpde.methods.base import build_surrogate
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE, allocate
from pacpde.residuals.task import Task
from pacpde.training.config import TrainingConfig
from pacpde.training.trainer import CONVERGED, FitResult, Monitor


@stepwise
def allocate_source(
    pruned: Surrogate,
    task: Task,
    recipe: TrainingConfig,
    *,
    stage: str,
    seed: int,
    monitor: Monitor,
) -> Steps[tuple[Surrogate, list[FitResult]]]:
    """A pruned source allocated, its retained source solved by the ansatz in which it was.

    Where the kept weights do not find back from where pruning left them, they are fitted by the
    phases of a fit from random weights.

    Returns:
        The surrogate, and every fit that was tried, the one it is of last.
    """
    fits: list[FitResult] = []
    for name, way in ((stage, recipe.restored), (f"{stage}.grow", recipe.first)):
        phases = way(task)
        made = yield from steps_of(allocate)(
            pruned,
            task,
            phases,
            stage=name,
            seed=seed,
            tolerance=recipe.tolerance,
            optimiser=recipe.make_optimiser(),
            monitor=monitor,
        )
        better = not fits or made.held_out < fits[-1].held_out
        fits = [*fits, made] if better else [made, *fits]
        if made.outcome == CONVERGED or phases == recipe.first(task):
            break
    surrogate = build_surrogate(pruned, task, phases, fits, "allocated")
    solver = replace(
        surrogate.retained[SOURCE],
        ansatz=surrogate.ansatz,
        outcome=surrogate.outcome,
        assessment=surrogate.assessment,
    )
    return replace(surrogate, retained={SOURCE: solver}), fits
