"""The approach to a target that PAC and its rivals share: how the free weights get there.

Weights that solve the source are a good start for a near target. For a far one they may be worse
than random ones: a steep front, or another orbit, is then fitted in the wrong place, and stays
there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from pacpde.errors import unknown
from pacpde.methods.base import Context, Method
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


@dataclass(frozen=True)
class Approach:
    """Fits the free weights to a target.

    Attributes:
        way: what follows where a short probe of the target fails. "grow": the phases of a fit from
            random weights, from the source's: few points first, drawn anew often, the plain
            ansatz, a time span that grows; where that fails too, walk. "walk": continuation in the
            coefficients, with steps chosen by residuals. "straight": nothing, and no probe.
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
        weights = start.weights
        if isinstance(target, PhysicsTask) and target.physics:
            if self.way == "walk" or self.stations is not None:
                fits, reached = self._walk(start, target, free, Follower(accept=self._accept))
                if reached:  # as far as the path led, even where that is short of the target
                    weights = reached.weights
            elif self.way == "grow":
                fits, reached = self._grow(start, target, free)
                if reached is None:
                    return fits
                weights = reached.weights
        phases = self.recipe.again(target)
        fits.append(self._fit(start, target, weights, free, phases, "calibrate"))
        return fits

    @property
    def _accept(self) -> float:
        return ACCEPT * self.recipe.tolerance

    def _grow(
        self, start: Surrogate, target: PhysicsTask, free: torch.Tensor
    ) -> tuple[list[FitResult], FitResult | None]:
        """The fits that were tried, and the one to go on from; None where the last did it all."""
        probe = self._probe(start, target, start.weights, free, "calibrate.0")
        if probe.held_out <= self._accept:
            return [probe], probe
        phases = self.recipe.first(target)
        grown = self._fit(start, target, start.weights, free, phases, "calibrate.grow")
        if grown.held_out <= self._accept:
            return [probe, grown], None
        half = Follower(first=0.5, accept=self._accept)
        walked, reached = self._walk(start, target, free, half)
        better = reached if walked and walked[-1] is reached else None  # at the target itself
        return [probe, grown, *walked], better or grown

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
        self, start: Surrogate, target: PhysicsTask, free: torch.Tensor, follower: Follower
    ) -> tuple[list[FitResult], FitResult | None]:
        def correct(problem: Problem, here: FitResult | None, attempt: int) -> FitResult:
            weights = start.weights if here is None else here.weights
            there = replace(target, problem=problem)
            return self._probe(start, there, weights, free, f"calibrate.walk.{attempt}")

        if self.stations is not None:
            fits: list[FitResult] = []
            for k in range(1, self.stations):
                ahead = between(start.problem, target.problem, k / self.stations)
                fits.append(correct(ahead, fits[-1] if fits else None, k))
            return fits, fits[-1] if fits else None
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


@dataclass(frozen=True)
class Approaching(Method):
    """A way to transfer that fits free weights to the target from where they are.

    Attributes:
        approach: what follows where a direct fit fails: "grow", "walk" or "straight"; see
            `Approach`.
    """

    approach: str = "grow"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.approach not in WAYS:
            raise unknown("approach", self.approach, WAYS)

    def fits(
        self, start: Surrogate, target: Task, free: torch.Tensor, context: Context, **others: Any
    ) -> list[FitResult]:
        """Every fit on the way; `others` are attributes of `Approach`."""
        approach = Approach(
            self.recipe(context), context.seed, context.monitor, self.approach, **others
        )
        return approach.run(start, target, free)
