"""Transfers from a solver in random windows: the target gets random neurons of its own.

Steps in all weights of thousands of random neurons take long, and lose the digits that fitted heads
have. A target is solved as its source was, see `pacpde.training.random_windows`: time window after
time window, by the heads of new neurons.
"""

from dataclasses import replace

import torch

from pacpde.methods.base import Method, MethodResult, TransferContext, build_surrogate
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.residuals.task import Task
from pacpde.training.config import TrainingConfig
from pacpde.training.random_windows import (
    are_allowed,
    are_held_by,
    in_random_windows,
    kept_places,
)
from pacpde.training.restarts import rank_of
from pacpde.training.trainer import FitResult, regraded

FORGET, SEPARATE, BESIDE = "forget", "separate", "beside"


@stepwise
def moved_windows(
    method: Method, source: Surrogate, task: Task, context: TransferContext
) -> Steps[tuple[MethodResult | None, list[FitResult]]]:
    """The result in random windows; None where the method goes its own way, or the result is wrong.

    `PAC` keeps the source's neurons in the same windows, all of their weights bit for bit: the new
    neurons solve for the rest. Nothing is pruned, and no allocate is needed.

    Returns:
        The result, and the fits that were given up, where it is wrong.
    """
    way, config = method.random_windows_way, context.config
    if way is None or method.changed_options or not are_held_by(source):
        return None, []
    if not are_allowed(task, config):
        return None, []
    tries = yield from steps_of(in_random_windows)(
        task, config, context.seed, context.callbacks, "calibrate.random",
        source if way == BESIDE else None,
    )  # fmt: skip
    if not tries:
        return None, []
    blank, own, fit = min(tries, key=lambda each: rank_of(each[-1]))
    if fit.assessment is None or not fit.assessment.meets(TrainingConfig.tolerance):
        return None, [each for *_, each in tries]
    fits = [each for *_, each in tries if each is not fit]
    fits.append(replace(fit, outcome=regraded(fit.outcome, fit.assessment, config.tolerance)))
    solver = build_surrogate(blank, own, fits, "calibrated")
    solver = replace(solver, outcomes={"source": source.outcome, **solver.outcomes})
    n_trainable = solver.network.time_windows * _heads(solver, source if way == BESIDE else None)
    snapshots = {"trained": source}
    if way != FORGET:
        kept = RetainedSolver.separate(source)
        if way == BESIDE:
            mask = torch.zeros_like(solver.weights, dtype=torch.bool)
            mask[kept_places(source, solver.network).to(mask.device)] = True
            kept = replace(kept, mask=mask, weights=None)
        solver = replace(solver, retained={SOURCE: kept})
        snapshots["allocated"] = source
    return MethodResult.of(solver, n_trainable, fits, **snapshots), []


def _heads(solver: Surrogate, beside: Surrogate | None) -> int:
    """Number of weights of a window that are fitted."""
    part, _ = solver.network.in_parts[0]
    if beside is None:
        return (part.n_features + 1) * part.outputs
    return (part.n_features - beside.network.in_parts[0][0].n_features) * part.outputs
