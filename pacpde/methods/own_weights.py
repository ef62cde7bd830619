"""A target beside other solvers in one set of weights: it gets weights that none of them uses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from pacpde.methods.base import TransferContext
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac.mask import score_mask
from pacpde.pac.reinit import reinit_dead_neurons
from pacpde.pac.scores import SCORES
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor
from pacpde.training.trainer import FitResult

if TYPE_CHECKING:
    from pacpde.methods.pac import PAC


def uses(surrogate: Surrogate) -> torch.Tensor:
    """Number of retained solvers that use each weight, int [size]."""
    return torch.stack([solver.mask for solver in surrogate.retained.values()]).sum(0)


def n_unused(surrogate: Surrogate) -> int:
    """Number of weights that no retained solver uses."""
    return int((uses(surrogate) == 0).sum())


def missing_neurons(surrogate: Surrogate, count: int, most: int) -> int:
    """How many neurons each hidden layer lacks until `count` weights are unused, `most` at most."""
    unused, size = n_unused(surrogate), surrogate.parameters
    added = 0
    while unused < count and added < most:
        added += 1
        unused = n_unused(surrogate) + surrogate.network.enlarged(added)[0].size - size
    return added


@stepwise
def fit_beside(
    method: "PAC",
    before: Surrogate,
    task: Task,
    context: TransferContext,
    count: int,
    if_solved: bool = False,
) -> Steps[tuple[Surrogate, Sequence[FitResult], torch.Tensor]]:
    """Fit a target in all weights that no retained solver uses, then in `count` of them.

    The weights that it depends on least are set to 0, and its own are fitted once more without them
    (Mallya & Lazebnik 2018, arXiv 1711.05769, for tasks in a row).

    Args:
        before: the other solvers; its weights are where the fits start.
        if_solved: take `count` weights only where the target is still solved in these.

    Returns:
        Where the fits started from, the fits, and which weights are the target's own, bool [size].
    """
    config = method.config(context)
    used = uses(before) > 0
    before = reinit_dead_neurons(
        before, used, context.seed, method.reinit_scale, config.frequency, method.reinit_mode
    )
    own = ~used
    trainer = method.trainer(before, own, context, anchor=_anchor(before, own, method.strength))
    fits = yield from steps_of(method.fits)(trainer, task)
    solved = fits[-1].outcome == Outcome.CONVERGED
    if count >= int(own.sum()) or (if_solved and not solved):
        return before, fits, own
    phases = config.phases.warm_start(task)
    weights = fits[-1].weights
    reached = task.solver(before.network, weights, phases[-1].sampling)
    scores = SCORES["sensitivity"](reached, task, context.seed)
    scores = torch.where(~used, scores, -torch.inf)
    fewer = score_mask(before.network, scores, 1 - count / len(weights))
    weights = torch.where(used | fewer, weights, torch.zeros_like(weights))
    trainer = method.trainer(
        before, fewer, context, anchor=_anchor(before, fewer, method.strength), stage="keep"
    )
    kept = yield from steps_of(trainer.fit)(task, phases, weights=weights)
    if if_solved and kept.outcome != Outcome.CONVERGED:
        return before, [kept, *fits], own
    return before, [*fits, kept], fewer


def _anchor(surrogate: Surrogate, trainable: torch.Tensor, strength: float) -> Anchor | None:
    return Anchor.at(torch.zeros_like(surrogate.weights[trainable]), strength)
