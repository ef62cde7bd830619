"""Continuation in the coefficients: steps from a solved problem to another.

A steep target that is fitted at once may end in a wrong minimum; continuation avoids it. Each step
predicts the weights by the tangent of the path and corrects them by a short fit. The step is

- halved where the prediction is far off, or where the corrector misses its held-out residual;
- doubled where the corrector meets it;
- kept, with more points, where the corrector nearly meets it.

Allgower & Georg 1990, "Numerical Continuation Methods", chapters 2 and 6.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Protocol

import torch

from pacpde.errors import InvalidValueError
from pacpde.optim.stepwise import Steps, Work, steps_of, stepwise
from pacpde.physics.problem import Problem
from pacpde.physics.way import interpolate
from pacpde.training.trainer import FitResult

RUNG_FACTOR = 3.0  # at most between two rungs of an automatic ladder, of a positive coefficient
LINEAR_RUNGS = 3  # of one that is not positive, or of the time span
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

    def correct(
        self, weights: torch.Tensor, problem: Problem, number: int, seconds: float = 0.0
    ) -> FitResult:
        """A fit of a problem from these weights, the `number`-th along the path.

        Args:
            seconds: that the search of these weights took; those of the fit go on from there.
        """
        ...

    def is_near(self, fit: FitResult, problem: Problem) -> bool:
        """Whether a correction is near the path although its residual is not as small as asked."""
        ...

    def add_points(self) -> bool:
        """Give the next corrections more points; False once they have all."""
        ...


def ladder(source: Problem, target: Problem, values: Sequence[float] | None) -> list[Problem]:
    """The problems of a ladder from source to target, which is the last one.

    Args:
        values: of what the target changes, one coefficient or the end of the time span, between
            source and target; the target's own may stand last. None for as many equal steps (of
            the logarithm, for positive coefficients) that none exceeds a factor of `RUNG_FACTOR`.

    Raises:
        InvalidValueError: the target changes nothing, or more than the values can be of; or they
            do not lead from source to target.

    Example:
        >>> [rung.nu for rung in ladder(Burgers(nu=0.1), Burgers(nu=0.01), [0.03])]
        [0.03, 0.01]
    """
    changed = [
        name for name, end in target.coefficients.items() if end != source.coefficients[name]
    ]
    longer = _span_end(target) != _span_end(source)
    if not changed and not longer:
        raise InvalidValueError(
            f"the ladder has no rungs: the target is the source's own problem, {source}."
        )
    if values is None:
        return _automatic(source, target, changed)
    if len(changed) + longer > 1:
        also = [*changed, *(["the time span"] if longer else [])]
        raise InvalidValueError(
            f"the ladder has values, and the target changes {' and '.join(also)}: give a target "
            "that changes one of them, or ladder=auto."
        )
    if changed:
        (name,) = changed
        start, end = source.coefficients[name], target.coefficients[name]
    else:
        name, start, end = "until", _span_end(source), _span_end(target)
    inner = list(values[:-1]) if values and values[-1] == end else list(values)
    way = [start, *inner, end]
    upwards = end > start
    if any((after > before) != upwards or after == before for before, after in
           pairwise(way)):  # fmt: skip
        raise InvalidValueError(
            f"the ladder is {', '.join(f'{value:g}' for value in values)}, expected values of "
            f"{name} that lead from the source's {start:g} to the target's {end:g}, each beyond "
            "the one before."
        )
    if changed:
        return [*(target.with_coefficients(**{name: value}) for value in inner), target]
    return [*(replace(target, until=value) for value in inner), target]


def _span_end(problem: Problem) -> float:
    """End of the time span; 0 of a problem without a time."""
    time = problem.domain.time
    return 0.0 if time is None else float(time.upper)


def _automatic(source: Problem, target: Problem, changed: Sequence[str]) -> list[Problem]:
    """Equal steps, as few as `RUNG_FACTOR` allows."""
    count = 1
    for name in changed:
        start, end = source.coefficients[name], target.coefficients[name]
        steps = LINEAR_RUNGS
        if start > 0 and end > 0:
            steps = math.ceil(abs(math.log(end / start)) / math.log(RUNG_FACTOR) - 1e-9)
        count = max(count, steps)
    first, last = _span_end(source), _span_end(target)
    if first != last:
        count = max(count, LINEAR_RUNGS)
    rungs = []
    for number in range(1, count):
        rung = interpolate(source, target, number / count)
        if first != last:
            rung = replace(rung, until=first + (last - first) * number / count)
        rungs.append(rung)
    return [*rungs, target]


@stepwise
def follow(
    source: Problem, target: Problem, path: Path, control: StepControl
) -> Steps[tuple[list[FitResult], FitResult | None]]:
    """Predict and correct at points from source to target.

    Predictions, those of steps that are too long too, count in the seconds of the next correction.

    Returns:
        Every attempt, and the last accepted one: at the target unless the path was lost.
    """
    attempts: list[FitResult] = []
    accepted: FitResult | None = None
    position, step, last, searched = 0.0, control.first_step, source, 0.0
    predict: Callable[[Problem], Prediction] | None = None
    while position < 1 and step >= control.min_step:
        next_position = min(position + step, 1.0)
        problem = interpolate(source, target, next_position)
        if predict is None:
            found = yield Work(partial(path.tangent, accepted, last))
            predict, searched = found.value, searched + found.seconds
        predicted = yield Work(partial(predict, problem))
        prediction, searched = predicted.value, searched + predicted.seconds
        if prediction.held_out > control.max_prediction_residual and step > control.min_step:
            step /= 2
            continue
        fit = yield from steps_of(path.correct)(
            prediction.weights, problem, len(attempts), searched
        )
        attempts.append(fit)
        searched = 0.0
        limit = control.max_residual
        while limit < fit.held_out <= NEAR * limit and path.add_points():
            fit = yield from steps_of(path.correct)(fit.weights, problem, len(attempts))
            attempts.append(fit)
        if fit.held_out <= limit or (yield Work(partial(path.is_near, fit, problem))).value:
            accepted, position, last, predict = fit, next_position, problem, None
            step *= 2
        else:
            step /= 2
    return attempts, accepted
