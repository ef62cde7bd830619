"""Fits of one start, with everything that they have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.residuals.task import Task
from pacpde.residuals.terms import Anchor
from pacpde.training.config import TrainingConfig
from pacpde.training.trainer import FitResult, Monitor, Phase, minimise


@dataclass(frozen=True)
class Trainer:
    """Fits the free weights of one start to whatever task.

    Attributes:
        free: which weights may move, bool [size]; all by default.
        anchor: over the free weights.
        wrap: what is fitted in place of a task.
        stage: names the last of its fits, and begins the names of those before it.
    """

    start: Surrogate
    recipe: TrainingConfig
    seed: int
    monitor: Monitor | None
    free: torch.Tensor | None = None
    anchor: Anchor | None = None
    wrap: Callable[[Task], Task] = lambda task: task
    stage: str = "calibrate"

    @stepwise
    def fit(
        self,
        task: Task,
        phases: Sequence[Phase],
        stage: str | None = None,
        weights: torch.Tensor | None = None,
        estimate: bool = True,
    ) -> Steps[FitResult]:
        """From `weights`, the start's by default; the frozen among them are those of the start.

        `estimate` asks for the error of the result.
        """
        return steps_of(minimise)(
            self.start.network,
            self.wrap(task),
            self.start.weights if weights is None else weights,
            phases,
            stage=stage or self.stage,
            seed=self.seed,
            tolerance=self.recipe.tolerance,
            free=self.free,
            optimiser=self.recipe.make_optimiser(),
            anchor=self.anchor,
            monitor=self.monitor,
            estimate=estimate,
        )
