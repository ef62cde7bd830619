"""Calibrate: train only the freed weights on the target."""

from collections.abc import Sequence

import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac.prune import SOURCE
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor
from pacpde.training.callbacks import Callback
from pacpde.training.config import TrainingConfig
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Trainer


@stepwise
def calibrate(
    surrogate: Surrogate,
    target: Task,
    phases: Sequence[Phase],
    *,
    strength: float = 1e-9,
    config: TrainingConfig | None = None,
    stage: str = "calibrate",
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
) -> Steps[FitResult]:
    """min over w_P of L_T(w_U + w_P) + λ‖w_P‖² from w_P = 0 (PAC-Net, stage 3).

    The kept weights are not trainable, so that the source stays to the last bit.

    Args:
        target: the task of the target.
        phases: of the fit, such as `config.phases.warm_start(target)`.
        strength: λ, without a ½. PAC-Net's 0.01 is for its own losses; ours are mean squared
            residuals that end near 1e-7, and 1e-9 is our choice.
        config: gives optimiser and tolerance; the defaults where it is left out.
        stage, seed, callbacks: see `Trainer`.
    """
    mask = ~surrogate.retained[SOURCE].mask
    anchor = Anchor.at(torch.zeros_like(surrogate.weights[mask]), strength)
    trainer = Trainer(surrogate, config or TrainingConfig(), seed, callbacks, mask, anchor)
    return steps_of(trainer.fit)(target, phases, stage)
