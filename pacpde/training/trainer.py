"""The trainer: phases of optimiser steps on fresh points, stopped on held-out residuals."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.assessment import Assessment
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import State, near_state
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.stepwise import StepRequest, Steps, Work, steps_of, stepwise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Anchor
from pacpde.runtime import generator
from pacpde.training.callbacks import Callback, FitState
from pacpde.training.config import TrainingConfig
from pacpde.training.posterior import CrossValidation
from pacpde.training.schedule import Phase, in_time_windows

DEVICE_ERRORS = (torch.AcceleratorError, torch.OutOfMemoryError)
GAIN = 0.95  # a refresh gains where the held-out residual falls below this share


@dataclass(frozen=True)
class FitResult:
    """The result of a fit.

    Attributes:
        weights: the whole vector [size]; frozen entries keep every bit.
        outcome: see `Outcome`; where the device was lost, the weights are on the CPU.
        held_out: root mean square held-out residual at `weights`.
        steps, evaluations: of the optimiser, and of the residuals.
        seconds: that it took, without its assessment, errors against a reference and callbacks of
            the user.
        history: one entry a refresh: stage, step, seconds, held_out, solver where the optimiser
            chose one, and what callbacks added, such as error.
        assessment: of `weights`; None where they are not worth one (diverged, device lost, or above
            `assess_below`).
        sampling: of the last phase, which says in which ansatz `weights` are a solver.
        cross_validation: of a fit to labels alone whose penalty was chosen.
    """

    weights: torch.Tensor
    outcome: Outcome
    held_out: float
    steps: int
    evaluations: int
    seconds: float
    history: tuple[dict[str, Any], ...]
    assessment: Assessment | None = None
    sampling: SamplingSpec = field(default_factory=SamplingSpec)
    cross_validation: CrossValidation | None = None


class Spent(NamedTuple):
    """What fits took together, see `FitResult`."""

    seconds: float
    steps: int
    evaluations: int

    @classmethod
    def on(cls, fits: Sequence[FitResult]) -> "Spent":
        return cls(
            sum(fit.seconds for fit in fits),
            sum(fit.steps for fit in fits),
            sum(fit.evaluations for fit in fits),
        )


@dataclass(frozen=True)
class Trainer:
    """Fits the trainable weights of one surrogate, to one task after the other.

    Attributes:
        surrogate: gives network and weights; frozen weights stay those of it, to the last bit.
        config: optimiser, schedule and tolerance.
        seed: of the points.
        callbacks: called in this order, see `Callback`.
        trainable_mask: which weights may move, bool [size]; all by default.
        anchor: penalty over the trainable weights, in their order.
        task_transform: what is fitted in place of a task.
        stage: names the last fit, and begins the names of those before it.
        prior_weights: whose sizes say how far each weight is expected to move in a fit to labels
            alone, [size]; the surrogate's by default.

    Example:
        >>> trainer = Trainer(surrogate, TrainingConfig(steps=20))
        >>> task = PhysicsTask(surrogate.problem)
        >>> trainer.fit(task, trainer.config.phases.warm_start(task)).outcome
        <Outcome.CONVERGED: 'converged'>
    """

    surrogate: Surrogate
    config: TrainingConfig
    seed: int = 0
    callbacks: Sequence[Callback] = ()
    trainable_mask: torch.Tensor | None = None
    anchor: Anchor | None = None
    task_transform: Callable[[Task], Task] = lambda task: task
    stage: str = "calibrate"
    prior_weights: torch.Tensor | None = None

    @property
    def mask(self) -> torch.Tensor:
        """True for each trainable weight, bool [size]."""
        if self.trainable_mask is not None:
            return self.trainable_mask
        return torch.ones_like(self.surrogate.weights, dtype=torch.bool)

    @stepwise
    def fit(
        self,
        task: Task,
        phases: Sequence[Phase],
        stage: str | None = None,
        weights: torch.Tensor | None = None,
        near: bool = False,
        assess_below: float = math.inf,
        seconds: float = 0.0,
    ) -> Steps[FitResult]:
        """Minimise ½‖r‖² of a task, plus the anchor, phase after phase.

        Args:
            phases: see `Schedule`.
            stage: a name of its own for this fit.
            weights: where to start, [size]; the surrogate's by default.
            near: whether the weights at the start were predicted from a near solution, so that the
                optimiser may take long steps at once.
            assess_below: held-out residual above which the result is not assessed: another fit
                follows in any case.
            seconds: that the search of the weights at the start took; those of the fit go on from
                there.

        Raises:
            InvalidValueError: no weight may move.
        """
        stage, task = stage or self.stage, self.task_transform(task)
        network, mask, whole = self.surrogate.network, self.mask, phases[-1].sampling
        tolerance = self.config.tolerance
        if network.time_windows > 1 and task.solves_equation:
            phases = in_time_windows(phases, network.time_windows)
        weights = self.surrogate.weights if weights is None else weights
        if not bool(mask.any()):
            raise InvalidValueError(f"{stage}: no weight is trainable: change the sparsity.")
        optimiser = self.config.optimiser_object
        solved = repr(task.problem) if task.solves_equation else ""
        fit = FitState(
            stage,
            sum(phase.steps for phase in phases if not phase.spare),
            [solved, network, self.seed, phases, repr(optimiser)],
            weights,
            weights,
            lambda: task.solver(network, fit.best, fit.sampling),
            seconds=seconds,
            optimiser_state=near_state(optimiser) if near else {},
        )
        for callback in self.callbacks:
            yield from steps_of(callback.on_start)(fit)
        best_on_cpu = fit.best.cpu()  # out of a lost device's reach
        while fit.phase < len(phases) and not fit.done:
            phase = phases[fit.phase]
            fit.sampling = sampling = phase.sampling
            rng = generator(
                self.seed, _purpose(stage), f"phase {fit.phase}", f"refresh {fit.refresh}"
            )
            steps = min(phase.refresh, phase.steps - fit.refresh * phase.refresh)
            trainable, anchor = mask, self.anchor
            if phase.window is not None:
                window = network.window(phase.window)
                trainable = torch.zeros_like(mask)
                trainable[window] = mask[window]
                anchor = anchor and anchor.select(trainable[mask])
                if fit.refresh == 0 and phase.from_previous and bool(mask[window].all()):
                    fit.weights = fit.weights.clone()
                    fit.weights[window] = fit.weights[network.window(phase.window - 1)]
            try:
                terms = yield Work(partial(task.terms, network, fit.weights, sampling, rng))
                problem = LeastSquares(network, fit.weights, trainable, terms.value, anchor)
                request = StepRequest(
                    optimiser, problem, problem.x0, steps, fit.optimiser_state or None
                )
                stepped = yield request
                weights = problem.insert(stepped.value.x)
                held_out = yield Work(partial(task.held_out, network, weights, sampling))
                _advance(fit, weights, stepped.value.state, phases, held_out.value, tolerance)
                best_on_cpu = fit.best.cpu()
            except DEVICE_ERRORS:
                fit.best, fit.device_lost, fit.done = best_on_cpu, True, True
                break
            fit.steps += stepped.value.steps
            fit.evaluations += stepped.value.evaluations
            fit.stalled = stepped.value.stalled
            fit.seconds += terms.seconds + stepped.seconds + held_out.seconds
            entry = {"stage": stage, "step": fit.steps, "seconds": fit.seconds}
            solver = stepped.value.solver_entry
            fit.history.append({**entry, "held_out": held_out.value, **solver})
            for callback in self.callbacks:
                yield from steps_of(callback.on_refresh)(fit)
        assessment = None
        if not fit.device_lost and not math.isnan(fit.held_out):
            try:
                # of a part, or not measured yet where a callback ended the fit between two phases
                if phases[-1].window is not None or math.isinf(fit.held_out):
                    measured = yield Work(partial(task.held_out, network, fit.best, whole))
                    fit.held_out = measured.value
                    fit.seconds += measured.seconds
                if math.isfinite(fit.held_out) and fit.held_out <= assess_below:
                    assessed = yield Work(partial(task.assess, network, fit.best, whole))
                    assessment = assessed.value
            except DEVICE_ERRORS:
                fit.best, fit.device_lost = best_on_cpu, True
        return FitResult(
            fit.best,
            _outcome(fit, assessment, tolerance),
            fit.held_out,
            fit.steps,
            fit.evaluations,
            fit.seconds,
            tuple(fit.history),
            assessment,
            whole,
        )


def _purpose(stage: str) -> str:
    """What the random numbers of a stage are drawn for: its first name, so that they stay."""
    return re.sub(r"\.cold_start$", ".grow", stage)


def _advance(
    fit: FitState,
    weights: torch.Tensor,
    state: State,
    phases: Sequence[Phase],
    held_out: float,
    limit: float,
) -> None:
    """Take over an optimiser's result, keep the best weights, and move to the next refresh.

    Args:
        limit: held-out residual above which a time window is not solved.
    """
    phase = phases[fit.phase]
    if not math.isfinite(held_out):
        fit.done, fit.held_out = True, math.nan
        return
    fit.weights, fit.optimiser_state = weights, state
    fit.waited = 0 if held_out < GAIN * fit.held_out else fit.waited + 1
    if held_out < fit.held_out:
        fit.best, fit.held_out = weights, held_out
    fit.refresh += 1
    over = fit.refresh * phase.refresh >= phase.steps
    waited = 0 < phase.patience <= fit.waited
    if over or waited or held_out < phase.target_residual:
        missed = fit.held_out > limit
        fit.done = phase.spare and missed
        fit.phase, fit.refresh, fit.waited = fit.phase + 1, 0, 0
        if fit.phase < len(phases) and phases[fit.phase].spare and not missed:
            fit.phase += 1
        if fit.phase < len(phases) and not fit.done:  # another ansatz or time window: measure anew
            if phases[fit.phase].window != phase.window:
                fit.weights, fit.optimiser_state = fit.best, {}
            fit.best, fit.held_out = fit.weights, math.inf


def regraded(outcome: Outcome, assessment: Assessment | None, tolerance: float) -> Outcome:
    """The outcome by a smaller tolerance than that of the fit: one that converged may miss it."""
    met = assessment is None or assessment.meets(tolerance)
    return Outcome.NOT_CONVERGED if outcome == Outcome.CONVERGED and not met else outcome


def _outcome(fit: FitState, assessment: Assessment | None, tolerance: float) -> Outcome:
    if fit.device_lost:
        return Outcome.DEVICE_LOST
    if assessment is None:
        return Outcome.NOT_CONVERGED if math.isfinite(fit.held_out) else Outcome.DIVERGED
    outcome = assessment.outcome(tolerance)
    return Outcome.STALLED if fit.stalled and outcome == Outcome.NOT_CONVERGED else outcome
