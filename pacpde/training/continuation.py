"""Continuation in the coefficients: steps from a solved problem to another.

A steep target that is fitted at once may end in a wrong minimum; continuation avoids it. Each step
predicts the weights by the tangent of the path and corrects them by a short fit. The step is

- halved where the prediction is far off, or where the corrector misses its held-out residual;
- doubled where the corrector meets it;
- kept, with more points, where the corrector nearly meets it.

Allgower & Georg 1990, "Numerical Continuation Methods", chapters 2 and 6.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.problem import Problem
from pacpde.training.trainer import FitResult

NEAR = 3  # times the limit: a correction that ends below this wants points, not a shorter step


@dataclass(frozen=True)
class StepControl:
    """Step sizes along a path of solutions.

    Attributes:
        first_step: length of the first step, as a share of the way.
        min_step: a step below this ends the path as lost.
        max_prediction_residual: held-out residual of a prediction above which a step is too long
            to be tried.
        max_residual: held-out residual below which a point on the path counts as solved.
    """

    first_step: float = 1.0
    min_step: float = 1 / 64
    max_prediction_residual: float = 0.5
    max_residual: float = 2e-2


@dataclass(frozen=True)
class Prediction:
    """Weights ahead on the path, and their held-out residual there."""

    weights: torch.Tensor
    held_out: float


class Path(Protocol):
    """Predictor and corrector of the solutions along a path."""

    def tangent(self, fit: FitResult | None, problem: Problem) -> Callable[[Problem], Prediction]:
        """The predictor at the last accepted fit (None at the source) and its problem."""
        ...

    def correct(self, weights: torch.Tensor, problem: Problem, number: int) -> FitResult:
        """A fit of a problem from these weights, the `number`-th along the path."""
        ...

    def is_near(self, fit: FitResult, problem: Problem) -> bool:
        """Whether a correction is near the path although its residual is not as small as asked."""
        ...

    def add_points(self) -> bool:
        """Give the next corrections more points; False once they have all."""
        ...


def interpolate(source: Problem, target: Problem, share: float) -> Problem:
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
    source: Problem, target: Problem, path: Path, control: StepControl
) -> Steps[tuple[list[FitResult], FitResult | None]]:
    """Predict and correct at points from source to target.

    Returns:
        Every attempt, and the last accepted one: at the target unless the path was lost.
    """
    attempts: list[FitResult] = []
    accepted: FitResult | None = None
    position, step, last = 0.0, control.first_step, source
    predict: Callable[[Problem], Prediction] | None = None
    while position < 1 and step >= control.min_step:
        next_position = min(position + step, 1.0)
        problem = interpolate(source, target, next_position)
        predict = predict or path.tangent(accepted, last)
        prediction = predict(problem)
        if prediction.held_out > control.max_prediction_residual and step > control.min_step:
            step /= 2
            continue
        fit = yield from steps_of(path.correct)(prediction.weights, problem, len(attempts))
        attempts.append(fit)
        limit = control.max_residual
        while limit < fit.held_out <= NEAR * limit and path.add_points():
            fit = yield from steps_of(path.correct)(fit.weights, problem, len(attempts))
            attempts.append(fit)
        if fit.held_out <= limit or (yield from steps_of(path.is_near)(fit, problem)):
            accepted, position, last, predict = fit, next_position, problem, None
            step *= 2
        else:
            step /= 2
    return attempts, accepted
