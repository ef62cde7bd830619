"""Fits as generators: they yield requests for long computations, and their runner computes these.

A function marked `stepwise` is written as a generator that yields requests. Called as usual it runs
alone. `steps_of(function)(...)` is the generator itself: `yield from` it in another stepwise
function, or give it to a `BatchScheduler`, which serves the requests of many fits together.
"""

import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import torch

from pacpde.errors import SolverError
from pacpde.optim.base import Optimiser, Progress, State
from pacpde.optim.least_squares import LeastSquares
from pacpde.runtime import gradients

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class StepRequest:
    """Steps of an optimiser; those of several fits may be computed as a stack."""

    optimiser: Optimiser
    problem: LeastSquares
    x: torch.Tensor
    steps: int
    state: State | None

    def compute(self) -> Progress:
        return self.optimiser.run(self.problem, self.x, self.steps, self.state)


@dataclass(frozen=True)
class Work:
    """Any other computation that takes long; it is computed by itself."""

    compute: Callable[[], Any]


Request = StepRequest | Work


@dataclass(frozen=True)
class Answer:
    """The result of a request, and the seconds that it took; in a stack, its share of them."""

    value: Any
    seconds: float


Steps = Generator[Request, Answer, T]


def stepwise(function: Callable[P, Steps[T]]) -> Callable[P, T]:
    """A generator function that can be called as usual, and then runs alone.

    Example:
        >>> @stepwise
        ... def total(numbers):
        ...     first = yield Work(lambda: sum(numbers))
        ...     return first.value
        >>> total([1, 2])
        3
    """

    @wraps(function)
    def alone(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_alone(function(*args, **kwargs))

    alone.steps = function  # type: ignore[attr-defined]
    return alone


def steps_of(function: Callable[P, T]) -> Callable[P, Steps[T]]:
    """The generator of a stepwise function or method.

    Of any other function it is one that asks for nothing: its fits run alone.
    """
    own = getattr(function, "__func__", function)
    steps = getattr(own, "steps", None)
    if steps is None:
        return _plain(function)
    bound = getattr(function, "__self__", None)
    return steps if bound is None else steps.__get__(bound)


def _plain(function: Callable[P, T]) -> Callable[P, Steps[T]]:
    def steps(*args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        return without_stop_iteration(partial(function, *args, **kwargs))
        yield  # unreachable: it makes this a generator

    return steps


def without_stop_iteration(compute: Callable[[], T]) -> T:
    """What a function of the user returns; a StopIteration of it is raised as another error.

    Python would take it for the end of the generator, or of a loop, that the fit runs in.
    """
    try:
        return compute()
    except StopIteration as error:
        frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
        place = f"{frame.f_code.co_name} ({frame.f_code.co_filename}, line {line})"
        raise SolverError(
            f"{place} raised {error!r}, which Python takes for the end of a loop: catch it there, "
            "as next(values, None) does, or raise another error; `fit.done = True` ends a fit."
        ) from error


def run_alone(steps: Steps[T]) -> T:
    """Serve the requests of one generator as they come."""
    answer: Answer | None = None
    failed: BaseException | None = None
    with gradients():
        while True:
            try:
                request = steps.throw(failed) if failed else steps.send(answer)  # type: ignore
            except StopIteration as ended:
                return ended.value
            answer, failed = None, None
            clock = time.perf_counter()
            try:
                value = without_stop_iteration(request.compute)
            except BaseException as error:
                failed = error
            else:
                answer = Answer(value, time.perf_counter() - clock)
