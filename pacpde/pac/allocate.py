"""Allocate: retrain the kept weights on the source, the others at 0."""

from collections.abc import Sequence

from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import Optimiser
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac.prune import SOURCE
from pacpde.residuals.task import Task
from pacpde.training.trainer import FitResult, Monitor, Phase, minimise


@stepwise
def allocate(
    surrogate: Surrogate,
    source: Task,
    phases: Sequence[Phase],
    *,
    stage: str = "allocate",
    seed: int = 0,
    tolerance: float = 1e-2,
    optimiser: Optimiser | None = None,
    monitor: Monitor | None = None,
) -> Steps[FitResult]:
    """min over w_U of L_S(w_U) with w_P = 0 (PAC-Net, stage 2), for a pruned surrogate."""
    return steps_of(minimise)(
        surrogate.network,
        source,
        surrogate.weights,
        phases,
        stage=stage,
        seed=seed,
        tolerance=tolerance,
        free=surrogate.retained[SOURCE].mask,
        optimiser=optimiser,
        monitor=monitor,
    )
