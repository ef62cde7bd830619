"""Callbacks: objects that a fit calls while it runs, for progress, grading and resuming."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from pacpde.files import key_of
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import State
from pacpde.optim.stepwise import Steps, Work, stepwise
from pacpde.residuals.task import SamplingSpec


@dataclass
class FitState:
    """The state of a running fit: all that it needs to resume exactly.

    Attributes:
        stage: names the fit in progress, files and random numbers.
        total_steps: maximal number of optimiser steps.
        inputs: what the fit depends on beside its weights and what its caller knows.
        weights: now, the whole vector [size].
        best: those of the least held-out residual in this phase, [size].
        surrogate: makes the solver that `best` are the weights of.
        sampling: of the latest points.
        phase, refresh: number of the phase, and of the point set in it.
        steps, evaluations, seconds: spent so far; errors against a reference and callbacks of the
            user do not count in the seconds.
        held_out: root mean square held-out residual of `best`.
        waited: refreshes without a gain.
        done: take no more steps; a callback may set it.
        history: one entry a refresh, the latest last; a callback may add to it.
        optimiser_state: of the optimiser.
    """

    stage: str
    total_steps: int
    inputs: Any
    weights: torch.Tensor
    best: torch.Tensor
    surrogate: Callable[[], Surrogate]
    sampling: SamplingSpec = field(default_factory=SamplingSpec)
    phase: int = 0
    refresh: int = 0
    steps: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    held_out: float = math.inf
    waited: int = 0
    stalled: bool = False
    device_lost: bool = False
    done: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    optimiser_state: State = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """A short hash of `inputs` and of the weights at the start, where it is first read."""
        return key_of([*self.inputs, self.weights.tolist()])


class Callback:
    """Base class of callbacks: a fit calls its methods while it runs. Override what you need.

    Pass callbacks to `fit` and `transfer` by `callbacks=`. They may read the state of the fit, add
    to its history, and end it by `fit.done = True`; they must not change its weights.

    Attributes:
        target_only: it concerns fits to the target, none to the source.

    Example:
        >>> class Loss(Callback):
        ...     def on_refresh(self, fit):
        ...         fit.history[-1]["weights"] = float(fit.best.norm())
    """

    target_only = False

    def part(self, name: str) -> "Callback":
        """The callback of the fits of a part of the call, as of a rung of a ladder."""
        return self

    def on_start(self, fit: FitState) -> None:
        """Before the first step."""

    def on_refresh(self, fit: FitState) -> None:
        """After the steps on one set of points; the history has a new entry."""


@dataclass(frozen=True)
class ErrorHistory(Callback):
    """Adds the "error" against a reference to the history; nothing stops or selects on it.

    Attributes:
        error: surrogate → error.
    """

    error: Callable[[Surrogate], float]
    target_only = True

    @stepwise
    def on_refresh(self, fit: FitState) -> Steps[None]:
        measured = yield Work(lambda: self.error(fit.surrogate()))
        fit.history[-1]["error"] = measured.value


@dataclass(frozen=True)
class TimeLimit(Callback):
    """Ends fits when so many seconds have passed since it was made.

    Each fit ends after the steps on one set of points, with the best weights so far.

    Attributes:
        seconds: by the clock on the wall; `math.inf` for no limit.
        began: when it was made, by `time.perf_counter`.

    Example:
        >>> fit(Heat(alpha=0.4), callbacks=[TimeLimit(60.0)])
    """

    seconds: float
    began: float = field(default_factory=time.perf_counter, repr=False)

    @property
    def is_over(self) -> bool:
        return time.perf_counter() - self.began > self.seconds

    def on_refresh(self, fit: FitState) -> None:
        fit.done = fit.done or self.is_over


UNLIMITED = TimeLimit(math.inf)


@dataclass(frozen=True)
class Update:
    """A progress event: after so many of `total` steps at most, the residual `held_out`."""

    stage: str
    step: int
    total: int
    held_out: float
    seconds: float


Progress = Callable[[Update], None]


@dataclass(frozen=True)
class ProgressReport(Callback):
    """Calls a function with an `Update` after every refresh."""

    progress: Progress

    def part(self, name: str) -> "ProgressReport":
        return ProgressReport(prefixed(name, self.progress))

    def on_refresh(self, fit: FitState) -> None:
        held_out = fit.history[-1]["held_out"]
        self.progress(Update(fit.stage, fit.steps, fit.total_steps, held_out, fit.seconds))


def prefixed(name: object, progress: Progress) -> Progress:
    """Progress whose stages start with a name."""
    return lambda update: progress(replace(update, stage=f"{name}, {update.stage}"))
