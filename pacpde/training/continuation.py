"""Continuation in the coefficients: walk from a solved problem to another, step by step.

A steep target fitted at once ends in a wrong minimum; walked to, it does not. Each step starts
from the tangent of the path. It is halved where even the prediction is far off, or where the
corrector misses its held-out residual, and doubled where that is met (Allgower & Georg 1990,
"Numerical Continuation Methods", chapters 2 and 6). A corrector that nearly meets it goes on
with more points rather than from a shorter step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.problem import Problem
from pacpde.training.trainer import FitResult

NEAR = 3  # times what is accepted: a correction that ends there wants points, not a shorter step


@dataclass(frozen=True)
class StepControl:
    """How to walk.

    Attributes:
        first: length of the first step, as a share of the way.
        least: a step below this ends the path as lost.
        reach: held-out residual of a prediction above which a step is too long to be tried.
        accept: held-out residual at which a point on the path counts as reached.
    """

    first: float = 1.0
    least: float = 1 / 64
    reach: float = 0.5
    accept: float = 2e-2


@dataclass(frozen=True)
class Prediction:
    """Weights ahead on the path, and their held-out residual there."""

    weights: torch.Tensor
    held_out: float


class Path(Protocol):
    """What finds the solutions along a path."""

    def tangent(self, here: FitResult | None, problem: Problem) -> Callable[[Problem], Prediction]:
        """What predicts, from the last accepted fit and its problem; None at the source."""
        ...

    def correct(self, start: torch.Tensor, problem: Problem, attempt: int) -> FitResult:
        """A fit of a problem from these weights; `attempt` is its number."""
        ...

    def reached(self, tried: FitResult, problem: Problem) -> bool:
        """Whether a correction is near the path although its residual is not as small as asked."""
        ...

    def harder(self) -> bool:
        """Whether the next correction takes more effort; False once there is no more to take."""
        ...


def between(source: Problem, target: Problem, share: float) -> Problem:
    """The problem a share of the way along: geometric in positive coefficients, else linear."""
    values = {}
    for name, end in target.coefficients.items():
        start = source.coefficients[name]
        if start > 0 and end > 0:
            values[name] = start * (end / start) ** share if share < 1 else end
        else:
            values[name] = start + share * (end - start) if share < 1 else end
    return target.with_coefficients(**values)


@stepwise
def follow(
    source: Problem, target: Problem, path: Path, follower: StepControl
) -> Steps[tuple[list[FitResult], FitResult | None]]:
    """Predict and correct at points from source to target.

    Returns:
        Every attempt, and the last accepted one: at the target unless the path was lost.
    """
    attempts: list[FitResult] = []
    here: FitResult | None = None
    share, step, at = 0.0, follower.first, source
    predict: Callable[[Problem], Prediction] | None = None
    while share < 1 and step >= follower.least:
        ahead = min(share + step, 1.0)
        problem = between(source, target, ahead)
        predict = predict or path.tangent(here, at)
        predicted = predict(problem)
        if predicted.held_out > follower.reach and step > follower.least:
            step /= 2
            continue
        tried = yield from steps_of(path.correct)(predicted.weights, problem, len(attempts))
        attempts.append(tried)
        while follower.accept < tried.held_out <= NEAR * follower.accept and path.harder():
            tried = yield from steps_of(path.correct)(tried.weights, problem, len(attempts))
            attempts.append(tried)
        if tried.held_out <= follower.accept or (yield from steps_of(path.reached)(tried, problem)):
            here, share, step, at = tried, ahead, 2 * step, problem
            predict = None
        else:
            step /= 2
    return attempts, here
