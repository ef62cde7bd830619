"""How the trainable weights get from the source to a target; PAC and its rivals share it.

Weights that solve the source are a good start for a near target. For a far one they may be worse
than random ones: a steep front, or another orbit, is then fitted in the wrong place, and stays
there.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from pacpde.checks import check_choice, check_count
from pacpde.errors import InvalidValueError
from pacpde.methods.base import Method, best_last
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.problem import Problem
from pacpde.physics.way import interpolate
from pacpde.residuals.task import Task
from pacpde.training.config import TrainingConfig
from pacpde.training.continuation import StepControl, follow
from pacpde.training.cross_validation import fit_labels
from pacpde.training.path import SolutionPath
from pacpde.training.restarts import best_of, windowed_phases
from pacpde.training.trainer import FitResult, Trainer

MODES = ("adaptive", "adaptive_only", "cold_start", "fixed", "direct")
# Tolerances that a point on the path may miss by: few points leave that much noise, and a false
# front leaves ten times more.
ACCEPT = 4
ORBIT_STEP = 1 / 8  # shortest, where the time span is grown in pieces


def accepted_residual(config: TrainingConfig) -> float:
    """Held-out residual at which a solution on the path is taken as found."""
    return ACCEPT * max(config.tolerance, TrainingConfig.tolerance)


@dataclass(frozen=True)
class ContinuationStrategy:
    """Fits the trainable weights to a target.

    Attributes:
        mode: one of `MODES`:

            - "adaptive": fits along the path of solutions from source to target. The tangent
              predicts each step, residuals decide its length. Where the path is lost, or ends in a
              solution whose estimated error is too large, "cold_start", and where that fails too,
              the phases of the first restart.
            - "adaptive_only": the same without "cold_start"; it ends where the path ends.
            - "cold_start": the phases of a fit from random weights, but from the source's weights:
              few points first, which are drawn anew often, the plain ansatz, a growing time span.
            - "fixed": `stations` equal steps along the path, whatever the residuals are.
            - "direct": one fit to the target.

            A network of time windows is fitted to the target window after window, and where that
            does not converge by "cold_start".
        stations: number of equal steps.
    """

    trainer: Trainer
    mode: str = "adaptive"
    stations: int = 3

    @stepwise
    def run(self, target: Task) -> Steps[list[FitResult]]:
        """Every fit on the way, the last one the target's."""
        if not target.solves_equation or self.mode == "direct":
            return [(yield from self._last(target))]
        if self.mode == "cold_start":
            return [(yield from self._cold_start(target))]
        if self.trainer.surrogate.network.time_windows > 1:
            return (yield from self._in_time_windows(target))
        source, accepted = self.trainer.surrogate.problem, accepted_residual(self.trainer.config)
        path = SolutionPath(self.trainer, target, accepted)
        if self.mode == "fixed":
            fits = yield from self._fixed_steps(source, target.problem, path)
            return [*fits, (yield from self._last(target, fits[-1] if fits else None))]
        fits, here = yield from steps_of(follow)(
            source, target.problem, path, self._control(target)
        )
        lost = not fits or fits[-1] is not here
        if lost and self.mode == "adaptive":
            fits += yield from self._without_path(target)
            if fits[-1].held_out <= accepted:
                return fits
        if here is not None or self.mode == "adaptive_only":
            # as far as the path led, even where that is short of the target
            fits.append((yield from self._last(target, here)))
        if not lost and self.mode == "adaptive" and fits[-1].outcome == Outcome.DRIFTED:
            # residuals accepted every step, and the path led to another solution
            last = [fits[-1], *(yield from self._without_path(target))]
            best = last.pop(best_of(last))
            return [*fits[:-1], *last, best]
        if lost and fits[-1].outcome in (Outcome.NOT_CONVERGED, Outcome.STALLED):
            fits[-1] = replace(fits[-1], outcome=Outcome.PATH_LOST)
        return fits

    def _without_path(self, target: Task) -> Steps[list[FitResult]]:
        """A cold start, and where it fails the phases of the first restart."""
        accepted = accepted_residual(self.trainer.config)
        fits = [(yield from self._cold_start(target))]
        for stage, phases in windowed_phases(target, self.trainer.config, self.trainer.stage):
            if fits[-1].held_out <= accepted and fits[-1].outcome != Outcome.DRIFTED:
                break
            fits.append((yield from steps_of(self.trainer.fit)(target, phases, stage)))
        return fits

    def _control(self, target: Task) -> StepControl:
        """An orbit that parts from the source's is not found by ever shorter steps."""
        least = ORBIT_STEP if target.problem.time_windows > 1 else StepControl.min_step
        return StepControl(min_step=least, max_residual=accepted_residual(self.trainer.config))

    def _last(self, target: Task, after: FitResult | None = None) -> Steps[FitResult]:
        weights = after.weights if after else None
        phases = self.trainer.config.phases.warm_start(target)
        return steps_of(self.trainer.fit)(target, phases, weights=weights, near=after is not None)

    def _in_time_windows(self, target: Task) -> Steps[list[FitResult]]:
        """One window after the other, where the way of each is short: no steps on it are needed."""
        fits = [(yield from self._last(target))]
        if self.mode == "adaptive" and fits[0].outcome != Outcome.CONVERGED:
            fits = best_last(fits, [(yield from self._cold_start(target))])
        return fits

    def _cold_start(self, target: Task) -> Steps[FitResult]:
        phases = self.trainer.config.phases.cold_start(target)
        return steps_of(self.trainer.fit)(target, phases, f"{self.trainer.stage}.cold_start")

    def _fixed_steps(
        self, source: Problem, target: Problem, path: SolutionPath
    ) -> Steps[list[FitResult]]:
        """Equal steps, whatever comes of them; the last one, to the target, is left out."""
        fits: list[FitResult] = []
        for k in range(1, self.stations):
            weights = fits[-1].weights if fits else path.trainer.surrogate.weights
            ahead = interpolate(source, target, k / self.stations)
            fits.append((yield from steps_of(path.correct)(weights, ahead, k)))
        return fits


@dataclass(frozen=True)
class ContinuationMethod(Method):
    """A method that fits trainable weights to the target, from where they are.

    Attributes:
        continuation: how the target is reached: "adaptive", "adaptive_only", "cold_start", "fixed"
            or "direct"; see `ContinuationStrategy`.
        stations: number of steps of "fixed".
    """

    renamed_options = {"approach": "continuation"}
    renamed_values = {
        "continuation": {
            "follow": "adaptive",
            "walk": "adaptive_only",
            "grow": "cold_start",
            "steps": "fixed",
            "straight": "direct",
        }
    }

    fixes_penalty: ClassVar[tuple[str, ...] | None] = ("steps", "continuation")

    continuation: str = "adaptive"
    stations: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("continuation", self.continuation, MODES)
        check_count("stations", self.stations, 1)
        if self.stations != ContinuationMethod.stations and self.continuation != "fixed":
            raise InvalidValueError(
                f"stations is {self.stations}, which continuation={self.continuation} does not "
                "use: leave stations out, or give continuation=fixed."
            )

    def check(self, network: Network, physics: bool = True) -> None:
        super().check(network, physics)
        chosen = self.continuation, self.stations
        default = type(self).continuation, type(self).stations
        if not physics and chosen != default and self.continuation != "direct":
            raise InvalidValueError(
                f"continuation={self.continuation} follows the equation, which is left out: leave "
                "continuation out too."
            )

    @stepwise
    def fits(self, trainer: Trainer, target: Task) -> Steps[list[FitResult]]:
        if self.chooses_penalty(target, trainer.config):
            fit = yield from steps_of(fit_labels)(trainer, target)
            if fit is not None:
                return [fit]
        strategy = ContinuationStrategy(trainer, self.continuation, self.stations)
        return (yield from steps_of(strategy.run)(target))
