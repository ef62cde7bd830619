"""Methods that solve for the target and fit no network."""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from pacpde.errors import InvalidValueError
from pacpde.methods.base import Method, MethodResult, TransferContext
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.training.callbacks import FitState
from pacpde.training.config import TrainingConfig


@dataclass(frozen=True)
class UnfittedMethod(Method):
    """Base class: the target's equation is solved at once, and no network is fitted to it.

    A subclass defines `solve` and `unused_because`. Steps and settings of fits are refused, and so
    is a target without an equation.

    Attributes:
        unused_because: why settings of fits have no effect.
    """

    labels_suffice = False
    unused_because: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None:
            raise InvalidValueError(f"{self.name} takes no steps of a fit: leave steps out.")

    @property
    def unused_settings(self) -> Mapping[str, str]:
        return dict.fromkeys((one.name for one in fields(TrainingConfig)), self.unused_because)

    @abstractmethod
    def solve(self, source: Surrogate, target: Task, context: TransferContext) -> MethodResult:
        """The solution of a target that has an equation, as `result_of` it."""

    def run(self, source: Surrogate, target: Task, context: TransferContext) -> MethodResult:
        if not target.solves_equation:
            raise InvalidValueError(f"{self.name} solves an equation, and here there is none.")
        result = self.solve(source, target, context)
        solved = result.surrogate
        notes = target.misfits(solved, SamplingSpec())
        return replace(result, surrogate=solved.with_notes(notes))

    def result_of(
        self, solved: Surrogate, n_solved: int = 0, **snapshots: Surrogate
    ) -> MethodResult:
        """The result without a fit: no steps, and the seconds of the solution.

        Args:
            n_solved: number of weights that were solved for.
            snapshots: as of `MethodResult`.
        """
        return MethodResult(solved, n_solved, 0, 0, {"calibrate": solved.seconds}, snapshots)


def timed(solve: Callable[[], Surrogate]) -> Surrogate:
    """A solution, with the seconds that it took."""
    clock = time.perf_counter()
    solved = solve()
    return replace(solved, seconds=time.perf_counter() - clock)


def told_once(solved: Surrogate, stage: str, context: TransferContext) -> Surrogate:
    """A surrogate that no fit ended in, with an entry of its history, of which callbacks know."""
    entry = {
        "stage": stage, "step": solved.steps, "seconds": solved.seconds,
        "held_out": solved.held_out,
    }  # fmt: skip
    weights = solved.weights
    state = FitState(stage, 0, (), weights, weights, lambda: solved, history=[entry])
    for callback in context.callbacks:
        callback.on_refresh(state)
    return replace(solved, history=(*solved.history, entry))
