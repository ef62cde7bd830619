"""The approach to a target that warm start and PAC share: continuation, then the full fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from pacpde.methods.recipe import Recipe
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.blocks import Anchor
from pacpde.objective.task import PhysicsTask, Task
from pacpde.optim.continuation import Follower, between, follow
from pacpde.optim.fit import FitResult, Monitor, Phase, minimise
from pacpde.physics.problem import Problem

# Tolerances that a point on the path may miss by: its few points leave that much noise, and a
# false front leaves ten times more.
ACCEPT = 4


@dataclass(frozen=True)
class Approach:
    """Fits the free weights to a target, walking the coefficients where a direct fit fails.

    Attributes:
        continuation: walk; otherwise fit the target straight.
        stations: walk in so many equal steps, whatever comes of them, rather than by residuals.
        anchor: over the free weights.
        wrap: what is fitted in place of a task, on the way as well as in the end.
    """

    recipe: Recipe
    seed: int
    monitor: Monitor
    continuation: bool = True
    stations: int | None = None
    anchor: Anchor | None = None
    wrap: Callable[[Task], Task] = lambda task: task

    def run(self, start: Surrogate, target: Task, free: torch.Tensor) -> list[FitResult]:
        """Every fit on the way, the last one the target's."""
        fits: list[FitResult] = []
        weights = start.weights
        if self.continuation and isinstance(target, PhysicsTask) and target.physics:
            fits, reached = self._walk(start, target, free)
            if reached:  # as far as the path led, even where that is short of the target
                weights = reached.weights
        phases = self.recipe.again(target)
        fits.append(self._fit(start, target, weights, free, phases, "calibrate"))
        return fits

    def _walk(
        self, start: Surrogate, target: PhysicsTask, free: torch.Tensor
    ) -> tuple[list[FitResult], FitResult | None]:
        def correct(problem: Problem, here: FitResult | None, attempt: int) -> FitResult:
            task = replace(target, problem=problem, labels=None)
            weights = start.weights if here is None else here.weights
            phases = self.recipe.probe(task)
            return self._fit(start, task, weights, free, phases, f"calibrate.{attempt}")

        if self.stations is not None:
            fits: list[FitResult] = []
            for k in range(1, self.stations):
                ahead = between(start.problem, target.problem, k / self.stations)
                fits.append(correct(ahead, fits[-1] if fits else None, k))
            return fits, fits[-1] if fits else None
        follower = Follower(accept=ACCEPT * self.recipe.tolerance)
        return follow(start.problem, target.problem, correct, follower)

    def _fit(
        self,
        start: Surrogate,
        task: Task,
        weights: torch.Tensor,
        free: torch.Tensor,
        phases: Sequence[Phase],
        stage: str,
    ) -> FitResult:
        return minimise(
            start.network,
            self.wrap(task),
            weights,
            phases,
            stage=stage,
            seed=self.seed,
            tolerance=self.recipe.tolerance,
            free=free,
            optimiser=self.recipe.make_optimiser(),
            anchor=self.anchor,
            monitor=self.monitor,
        )
