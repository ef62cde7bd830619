"""Allocate: retrain the kept weights on the source, the others at 0."""

from collections.abc import Sequence

from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac.prune import SOURCE
from pacpde.residuals.task import Task
from pacpde.training.callbacks import Callback
from pacpde.training.config import TrainingConfig
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Trainer


@stepwise
def allocate(
    surrogate: Surrogate,
    source: Task,
    phases: Sequence[Phase],
    *,
    config: TrainingConfig | None = None,
    stage: str = "allocate",
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
) -> Steps[FitResult]:
    """min over w_U of L_S(w_U) with w_P = 0 (PAC-Net, stage 2), for a pruned surrogate.

    Args:
        source: the task of the source.
        phases: of the fit, such as `config.phases.after_pruning(source)`.
        config: gives optimiser and tolerance; the defaults where it is left out.
        stage, seed, callbacks: see `Trainer`.
    """
    mask = surrogate.retained[SOURCE].mask
    trainer = Trainer(surrogate, config or TrainingConfig(), seed, callbacks, mask)
    return steps_of(trainer.fit)(source, phases, stage)
