"""Calibrate: train only the freed weights on the target."""

from collections.abc import Sequence

import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import Optimiser
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac.prune import SOURCE
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor
from pacpde.training.trainer import FitResult, Monitor, Phase, minimise


@stepwise
def calibrate(
    surrogate: Surrogate,
    target: Task,
    phases: Sequence[Phase],
    *,
    strength: float = 1e-9,
    stage: str = "calibrate",
    seed: int = 0,
    tolerance: float = 1e-2,
    optimiser: Optimiser | None = None,
    monitor: Monitor | None = None,
) -> Steps[FitResult]:
    """min over w_P of L_T(w_U + w_P) + λ‖w_P‖² from w_P = 0 (PAC-Net, stage 3).

    The kept weights are not among the free parameters, so that the source stays to the last bit.

    Args:
        strength: λ, without a ½. PAC-Net's 0.01 is for its own losses; ours are mean squared
            residuals that end near 1e-7, and 1e-9 is our choice.
    """
    free = ~surrogate.retained[SOURCE].mask
    return steps_of(minimise)(
        surrogate.network,
        target,
        surrogate.weights,
        phases,
        stage=stage,
        seed=seed,
        tolerance=tolerance,
        free=free,
        optimiser=optimiser,
        anchor=Anchor.at(torch.zeros_like(surrogate.weights[free]), strength),
        monitor=monitor,
    )
