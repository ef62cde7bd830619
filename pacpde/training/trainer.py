"""Fits: phases of optimiser steps on fresh points, stopped on held-out residuals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.assessment import Assessment
from pacpde.networks.mlp import MLP
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import Optimiser, State, optimisers
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.stepwise import StepRequest, Steps, Work, stepwise
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Anchor
from pacpde.runtime import generator
from pacpde.training.callbacks import Progress, Update
from pacpde.training.resume import ResumeState

CONVERGED, NOT_CONVERGED = "converged", "not_converged"
STALLED, DIVERGED = "stalled", "diverged"
DRIFTED, DEVICE_LOST = "drifted", "device_lost"
PATH_LOST = "path_lost"  # of continuation in the coefficients
FELL_SHORT = (NOT_CONVERGED, STALLED, DIVERGED, DRIFTED, DEVICE_LOST, PATH_LOST)
LOST = (torch.AcceleratorError, torch.OutOfMemoryError)


@dataclass(frozen=True)
class Phase:
    """Some steps of one kind.

    Attributes:
        steps: at most so many.
        refresh: new points every so many steps; between them the optimiser sees a fixed problem.
        draw: points, symmetry and horizon.
        enough: go on to the next phase once the held-out residual is below this.
        patience: end after so many refreshes without a held-out gain of 5 %; 0 never.
    """

    steps: int
    refresh: int
    draw: SamplingSpec
    enough: float = 0.0
    patience: int = 0


Watch = Callable[[Surrogate], float]


@dataclass(frozen=True)
class Monitor:
    """Who looks on while a fit runs.

    Attributes:
        progress: called with an `Update` after every refresh.
        journal: keeps its state.
        watch: surrogate → error against the reference, measured outside the clock; it only
            grades, nothing stops or selects on it.
    """

    progress: Progress | None = None
    journal: ResumeState | None = None
    watch: Watch | None = None


@dataclass(frozen=True)
class FitResult:
    """Where a fit ended.

    Attributes:
        weights: the whole vector; frozen entries keep every bit.
        outcome: "converged" (see `Assessment.meets`, and the estimated error is below
            `ERROR_LIMIT`), "not_converged" (steps used up), "stalled" (no way down), "diverged"
            (not a number), "drifted" (the residual is below the tolerance, the estimated error is
            not below its limit) or "device_lost" (the GPU failed or ran out of memory:
            the best weights so far, on the CPU).
        held_out: root mean square held-out residual at `weights`.
        assessment: of `weights`; None where they are not worth one (diverged, device lost).
        history: one entry a refresh: stage, step, seconds, held_out, solver where the optimiser
            chose one, and error where watched.
    """

    weights: torch.Tensor
    outcome: str
    held_out: float
    steps: int
    evaluations: int
    seconds: float
    history: tuple[dict[str, Any], ...]
    assessment: Assessment | None = None


@dataclass
class _Position:
    """All that a fit needs to go on exactly where it stopped."""

    weights: torch.Tensor
    best: torch.Tensor
    phase: int = 0
    refresh: int = 0
    steps: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    held_out: float = math.inf
    waited: int = 0
    stalled: bool = False
    lost: bool = False
    done: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    state: State = field(default_factory=dict)
    saved: torch.Tensor = field(init=False)  # the best on the CPU, out of a lost device's reach

    def __post_init__(self) -> None:
        self.saved = self.best.cpu()

    NUMBERS = (
        "phase", "refresh", "steps", "evaluations", "seconds", "held_out", "waited", "stalled",
        "done", "history",
    )  # fmt: skip

    def save(self, journal: ResumeState, name: str) -> None:
        tensors = {"weights": self.weights, "best": self.best}
        tensors |= {f"state/{key}": value for key, value in self.state.items()}
        journal.write(name, tensors, {key: getattr(self, key) for key in self.NUMBERS})

    @classmethod
    def load(cls, journal: ResumeState, name: str, like: torch.Tensor) -> "_Position | None":
        found = journal.read(name)
        if found is None:
            return None
        tensors, about = found
        tensors = {key: value.to(like.device) for key, value in tensors.items()}
        state = {k.removeprefix("state/"): v for k, v in tensors.items() if k.startswith("state/")}
        return cls(tensors["weights"], tensors["best"], state=state, **about)


@stepwise
def minimise(
    network: MLP,
    task: Task,
    weights: torch.Tensor,
    phases: Sequence[Phase],
    *,
    stage: str,
    seed: int,
    tolerance: float,
    free: torch.Tensor | None = None,
    optimiser: Optimiser | None = None,
    anchor: Anchor | None = None,
    monitor: Monitor | None = None,
    estimate: bool = True,
) -> Steps[FitResult]:
    """Fit the free entries of `weights` [size] to a task.

    Args:
        stage: names the fit in progress, journal and random numbers.
        tolerance: held-out residual, as a share of the equation's terms, below which it counts as
            converged.
        free: which entries may move, bool [size]; all by default.
        anchor: over the free entries, in their order.
        estimate: whether the error is estimated; a point on the way to another needs none.
    """
    optimiser = optimiser or optimisers.get("levenberg_marquardt")()
    monitor = monitor or Monitor()
    if monitor.journal is not None:  # of this fit and no other, whatever its key leaves out
        solved = repr(getattr(task, "problem", None))
        inputs = [solved, network, seed, phases, type(optimiser).__name__, weights.tolist()]
        monitor = replace(monitor, journal=monitor.journal.of(inputs))
    free = torch.ones_like(weights, dtype=torch.bool) if free is None else free
    if not bool(free.any()):
        raise InvalidValueError(f"{stage}: no parameter is free to move; change the sparsity.")
    position = monitor.journal and _Position.load(monitor.journal, stage, weights)
    position = position or _Position(weights, weights)
    total = sum(phase.steps for phase in phases)
    while position.phase < len(phases) and not position.done:
        phase = phases[position.phase]
        rng = generator(seed, stage, f"phase {position.phase}", f"refresh {position.refresh}")
        steps = min(phase.refresh, phase.steps - position.refresh * phase.refresh)
        try:
            terms = yield Work(partial(task.terms, network, position.weights, phase.draw, rng))
            problem = LeastSquares(network, position.weights, free, terms.value, anchor)
            ran = yield StepRequest(
                optimiser, problem, problem.start, steps, position.state or None
            )
            made, weights = ran.value, problem.insert(ran.value.x)
            held_out = yield Work(partial(task.held_out, network, weights, phase.draw))
            _advance(position, weights, made.state, phases, held_out.value)
        except LOST:
            position.best = position.saved
            position.lost = position.done = True
            break
        position.steps += made.steps
        position.evaluations += made.evaluations
        position.stalled = made.stalled
        position.seconds += terms.seconds + ran.seconds + held_out.seconds
        error = None
        if monitor.watch is not None:
            solver = task.solver(network, position.best, phase.draw)
            error = (yield Work(partial(monitor.watch, solver))).value
        _note(position, stage, total, held_out.value, made.solver, error, monitor)
    assessment = None
    if not position.lost and math.isfinite(position.held_out):
        try:
            assessed = yield Work(
                partial(task.assess, network, position.best, phases[-1].draw, estimate)
            )
            assessment = assessed.value
        except LOST:
            position.best, position.lost = position.saved, True
    return FitResult(
        position.best,
        _outcome(position, assessment, tolerance),
        position.held_out,
        position.steps,
        position.evaluations,
        position.seconds,
        tuple(position.history),
        assessment,
    )


def _advance(
    position: _Position,
    weights: torch.Tensor,
    state: State,
    phases: Sequence[Phase],
    held_out: float,
) -> None:
    """Take over an optimiser's result, keep the best weights, and move to the next refresh."""
    phase = phases[position.phase]
    if not math.isfinite(held_out):
        position.done, position.held_out = True, math.nan
        return
    position.weights, position.state = weights, state
    position.waited = 0 if held_out < 0.95 * position.held_out else position.waited + 1
    if held_out < position.held_out:
        position.best, position.held_out = weights, held_out
        position.saved = weights.cpu()
    position.refresh += 1
    over = position.refresh * phase.refresh >= phase.steps
    waited = 0 < phase.patience <= position.waited
    if over or waited or held_out < phase.enough:
        position.phase, position.refresh, position.waited = position.phase + 1, 0, 0
        if position.phase < len(phases):  # another ansatz or horizon: measure anew
            position.best, position.held_out = weights, math.inf
            position.saved = weights.cpu()


def _note(
    position: _Position,
    stage: str,
    total: int,
    measured: float,
    solver: str,
    error: float | None,
    monitor: Monitor,
) -> None:
    """Write history, progress and journal."""
    entry: dict[str, Any] = {
        "stage": stage,
        "step": position.steps,
        "seconds": position.seconds,
        "held_out": measured,
    }
    if solver:
        entry["solver"] = solver
    if error is not None:
        entry["error"] = error
    position.history.append(entry)
    if monitor.journal is not None:
        position.save(monitor.journal, stage)
    if monitor.progress is not None:
        monitor.progress(Update(stage, position.steps, total, measured, position.seconds))


def _outcome(position: _Position, assessment: Assessment | None, tolerance: float) -> str:
    if position.lost:
        return DEVICE_LOST
    if assessment is None:
        return DIVERGED
    if assessment.meets(tolerance):
        return DRIFTED if assessment.drifted else CONVERGED
    return STALLED if position.stalled else NOT_CONVERGED
