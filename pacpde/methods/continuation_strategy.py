"""The approach to a target that PAC and its rivals share: how the free weights get there.

Weights that solve the source are a good start for a near target. For a far one they may be worse
than random ones: a steep front, or another orbit, is then fitted in the wrong place, and stays
there.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from pacpde.errors import check_count, unknown
from pacpde.methods.base import Method, TransferContext
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.problem import Problem
from pacpde.residuals.task import PhysicsTask, Task
from pacpde.training.config import TrainingConfig
from pacpde.training.continuation import StepControl, between, follow
from pacpde.training.fitter import Trainer
from pacpde.training.path import SolutionPath
from pacpde.training.trainer import NOT_CONVERGED, PATH_LOST, STALLED, FitResult

WAYS = ("follow", "walk", "grow", "steps", "straight")
# Tolerances that a point on the path may miss by: few points leave that much noise, and a false
# front leaves ten times more.
ACCEPT = 4
ORBIT_STEP = 1 / 8  # shortest, where the time span is grown in pieces


@dataclass(frozen=True)
class ContinuationStrategy:
    """Fits the free weights to a target.

    Attributes:
        way: "follow": the path of solutions from source to target, each step predicted by the
            tangent and as long as residuals allow; where the path is lost, "grow". "walk": the path
            alone, as far as it leads. "grow": the phases of a fit from random weights, from the
            source's: few points first, drawn anew often, the plain ansatz, a time span that grows.
            "steps": equal steps along the path, whatever comes of each. "straight": nothing.
        stations: equal steps.
    """

    fitter: Trainer
    way: str = "follow"
    stations: int = 3

    @stepwise
    def run(self, target: Task) -> Steps[list[FitResult]]:
        """Every fit on the way, the last one the target's."""
        if not isinstance(target, PhysicsTask) or not target.physics or self.way == "straight":
            return [(yield from self._last(target))]
        if self.way == "grow":
            return [(yield from self._grown(target))]
        source, path = self.fitter.start.problem, SolutionPath(self.fitter, target, self._accept)
        if self.way == "steps":
            fits = yield from self._steps(source, target.problem, path)
            return [*fits, (yield from self._last(target, fits[-1] if fits else None))]
        fits, here = yield from steps_of(follow)(
            source, target.problem, path, self._follower(target)
        )
        lost = not fits or fits[-1] is not here
        if lost and self.way == "follow":
            fits.append((yield from self._grown(target)))
            if fits[-1].held_out <= self._accept:
                return fits
        if here is not None or self.way == "walk":
            # as far as the path led, even where that is short of the target
            fits.append((yield from self._last(target, here)))
        if lost and fits[-1].outcome in (NOT_CONVERGED, STALLED):
            fits[-1] = replace(fits[-1], outcome=PATH_LOST)
        return fits

    @property
    def _accept(self) -> float:
        return ACCEPT * max(self.fitter.recipe.tolerance, TrainingConfig.tolerance)

    def _follower(self, target: PhysicsTask) -> StepControl:
        """An orbit that parts from the source's is not found by ever shorter steps."""
        least = ORBIT_STEP if target.problem.time_windows > 1 else StepControl.least
        return StepControl(least=least, accept=self._accept)

    def _last(self, target: Task, after: FitResult | None = None) -> Steps[FitResult]:
        weights = after.weights if after else None
        phases = self.fitter.recipe.again(target)
        return steps_of(self.fitter.fit)(target, phases, weights=weights)

    def _grown(self, target: PhysicsTask) -> Steps[FitResult]:
        phases = self.fitter.recipe.first(target)
        return steps_of(self.fitter.fit)(target, phases, f"{self.fitter.stage}.grow")

    def _steps(
        self, source: Problem, target: Problem, path: SolutionPath
    ) -> Steps[list[FitResult]]:
        """Equal steps, whatever comes of them; the last one, to the target, is left out."""
        fits: list[FitResult] = []
        for k in range(1, self.stations):
            weights = fits[-1].weights if fits else path.fitter.start.weights
            ahead = between(source, target, k / self.stations)
            fits.append((yield from steps_of(path.correct)(weights, ahead, k)))
        return fits


@dataclass(frozen=True)
class ContinuationMethod(Method):
    """A way to transfer that fits free weights to the target from where they are.

    Attributes:
        approach: how the target is reached: "follow", "walk", "grow", "steps" or "straight"; see
            `ContinuationStrategy`.
        stations: with "steps", how many; 1 goes straight.
    """

    approach: str = "follow"
    stations: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.approach not in WAYS:
            raise unknown("approach", self.approach, WAYS)
        check_count("stations", self.stations, 1)

    @stepwise
    def fits(
        self,
        start: Surrogate,
        target: Task,
        free: torch.Tensor,
        context: TransferContext,
        **others: Any,
    ) -> Steps[list[FitResult]]:
        """Every fit on the way; `others` are attributes of `Trainer`."""
        fitter = Trainer(start, self.recipe(context), context.seed, context.monitor, free, **others)
        return steps_of(ContinuationStrategy(fitter, self.approach, self.stations).run)(target)
