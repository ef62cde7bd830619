"""A pruned source allocated: what PAC keeps of it."""

from collections.abc import Sequence
from dataclasses import replace

from pacpde.methods.base import best_last, build_surrogate
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE, allocate
from pacpde.residuals.task import Task
from pacpde.training.callbacks import Callback
from pacpde.training.config import TrainingConfig
from pacpde.training.restarts import ENDED_WELL, windowed_phases
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult


@stepwise
def allocate_source(
    pruned: Surrogate,
    task: Task,
    config: TrainingConfig,
    *,
    stage: str,
    seed: int,
    callbacks: Sequence[Callback],
) -> Steps[tuple[Surrogate, list[FitResult]]]:
    """A pruned source allocated, its retained source solved by the ansatz in which it was.

    The fit starts from the pruned weights. Where it does not converge, others take the phases of a
    fit from random weights, and then those of its first restart.

    Returns:
        The surrogate, and every fit, the one that gave its weights last.
    """
    fits: list[FitResult] = []
    phases: Sequence[Phase] = config.phases.after_pruning(task)
    cold = config.phases.cold_start(task)
    tries = [(stage, phases)]
    if cold != phases:
        tries.append((f"{stage}.cold_start", cold))
    for name, phases in [*tries, *windowed_phases(task, config, stage)]:
        fit = yield from steps_of(allocate)(
            pruned,
            task,
            phases,
            stage=name,
            seed=seed,
            config=config,
            callbacks=callbacks,
        )
        fits = best_last(fits, [fit])
        if fit.outcome in ENDED_WELL:
            break
    surrogate = build_surrogate(pruned, task, fits, "allocated")
    solver = replace(
        surrogate.retained[SOURCE],
        ansatz=surrogate.ansatz,
        outcome=surrogate.outcome,
        assessment=surrogate.assessment,
    )
    return replace(surrogate, retained={SOURCE: solver}), fits
