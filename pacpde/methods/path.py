"""The path of solutions from source to target, found in the free weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from pacpde.methods.recipe import Recipe
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.blocks import Anchor
from pacpde.objective.task import PhysicsTask, Task
from pacpde.optim.continuation import Prediction
from pacpde.optim.fit import FitResult, Monitor, Phase, minimise
from pacpde.optim.tangent import tangent
from pacpde.physics.problem import Problem
from pacpde.runtime import generator

SHARES = (0.35, 0.7, 1.0)  # of the points, that a corrector is given


@dataclass(frozen=True)
class Fitter:
    """Fits the free weights of one start to whatever task.

    Attributes:
        free: which weights may move, bool [size].
        anchor: over the free weights.
        wrap: what is fitted in place of a task.
        stage: names the last of them, and begins the names of those before it.
    """

    start: Surrogate
    free: torch.Tensor
    recipe: Recipe
    seed: int
    monitor: Monitor
    anchor: Anchor | None = None
    wrap: Callable[[Task], Task] = lambda task: task
    stage: str = "calibrate"

    def fit(
        self, task: Task, weights: torch.Tensor, phases: Sequence[Phase], stage: str
    ) -> FitResult:
        """From `weights`; the frozen among them are those of the start."""
        return minimise(
            self.start.network,
            self.wrap(task),
            weights,
            phases,
            stage=stage,
            seed=self.seed,
            tolerance=self.recipe.tolerance,
            free=self.free,
            optimiser=self.recipe.make_optimiser(),
            anchor=self.anchor,
            monitor=self.monitor,
        )


@dataclass
class SolutionPath:
    """Predictions by the tangent, corrections by short fits to the equation alone.

    Attributes:
        enough: held-out residual at which a correction ends.
        level: which of `SHARES` of the points corrections are given; it only rises.
    """

    fitter: Fitter
    target: PhysicsTask
    enough: float
    level: int = 0

    def tangent(self, here: FitResult | None, problem: Problem) -> Callable[[Problem], Prediction]:
        fitter = self.fitter
        predict = tangent(
            fitter.start.network,
            here.weights if here else fitter.start.weights,
            fitter.free,
            fitter.wrap(self._task(problem)),
            self._phase.draw,
            generator(fitter.seed, "tangent"),
            int(fitter.recipe.memory * 2**29),
        )
        return lambda ahead: predict(ahead, fitter.wrap(self._task(ahead)))

    def correct(self, start: torch.Tensor, problem: Problem, attempt: int) -> FitResult:
        stage = f"{self.fitter.stage}.walk.{attempt}"
        return self.fitter.fit(self._task(problem), start, [self._phase], stage)

    def harder(self) -> bool:
        self.level += 1
        return self.level < len(SHARES)

    @property
    def _phase(self) -> Phase:
        share = SHARES[min(self.level, len(SHARES) - 1)]
        return self.fitter.recipe.correction(self.target, share, self.enough)

    def _task(self, problem: Problem) -> PhysicsTask:
        return replace(self.target, problem=problem, labels=None)
