"""The approach to a target that PAC and its rivals share: how the free weights get there.

Weights that solve the source are a good start for a near target. For a far one they may be worse
than random ones: a steep front, or another orbit, is then fitted in the wrong place, and stays
there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from pacpde.errors import unknown
from pacpde.methods.recipe import Recipe
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.blocks import Anchor
from pacpde.objective.task import PhysicsTask, Task
from pacpde.optim.continuation import Follower, between, follow
from pacpde.optim.fit import FitResult, Monitor, Phase, minimise
from pacpde.physics.problem import Problem

WAYS = ("grow", "walk", "straight")
# Tolerances that a probe, or a point on the path, may miss by: its few points leave that much
# noise, and a false front leaves ten times more.
ACCEPT = 4


def check_way(way: str) -> None:
    if way not in WAYS:
        raise unknown("approach", way, WAYS)


@dataclass(frozen=True)
class Approach:
    """Fits the free weights to a target.

    Attributes:
        way: what follows where a short probe of the target fails. "grow": the phases of a fit from
            random weights, from the source's: few points first, drawn anew often, the plain
            ansatz, a time span that grows. "walk": continuation in the coefficients, with steps
            chosen by residuals. "straight": nothing, and no probe.
        stations: walk in so many equal steps, whatever comes of them, instead.
        anchor: over the free weights.
        wrap: what is fitted in place of a task, on the way as well as in the end.
    """

    recipe: Recipe
    seed: int
    monitor: Monitor
    way: str = "grow"
    stations: int | None = None
    anchor: Anchor | None = None
    wrap: Callable[[Task], Task] = lambda task: task

    def run(self, start: Surrogate, target: Task, free: torch.Tensor) -> list[FitResult]:
        """Every fit on the way, the last one the target's."""
        fits: list[FitResult] = []
        weights, phases = start.weights, self.recipe.again(target)
        if isinstance(target, PhysicsTask) and target.physics:
            if self.way == "walk" or self.stations is not None:
                fits, reached = self._walk(start, target, free)
                if reached:  # as far as the path led, even where that is short of the target
                    weights = reached.weights
            elif self.way == "grow":
                fits = [self._probe(start, target, weights, free, "calibrate.0")]
                if fits[0].held_out <= ACCEPT * self.recipe.tolerance:
                    weights = fits[0].weights
                else:
                    phases = self.recipe.first(target)
        fits.append(self._fit(start, target, weights, free, phases, "calibrate"))
        return fits

    def _probe(
        self,
        start: Surrogate,
        target: PhysicsTask,
        weights: torch.Tensor,
        free: torch.Tensor,
        stage: str,
    ) -> FitResult:
        """A short fit to the equation alone."""
        task = replace(target, labels=None)
        return self._fit(start, task, weights, free, self.recipe.probe(task), stage)

    def _walk(
        self, start: Surrogate, target: PhysicsTask, free: torch.Tensor
    ) -> tuple[list[FitResult], FitResult | None]:
        def correct(problem: Problem, here: FitResult | None, attempt: int) -> FitResult:
            weights = start.weights if here is None else here.weights
            there = replace(target, problem=problem)
            return self._probe(start, there, weights, free, f"calibrate.{attempt}")

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
