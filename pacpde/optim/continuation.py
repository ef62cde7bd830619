"""Continuation in the coefficients: walk from a solved problem to another, step by step.

A steep target fitted at once ends in a wrong minimum; walked to, it does not. Steps are halved
when the corrector misses its held-out residual, and doubled when it meets it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pacpde.optim.fit import FitResult
from pacpde.physics.problem import Problem


@dataclass(frozen=True)
class Follower:
    """How to walk.

    Attributes:
        first: length of the first step, as a share of the way.
        least: a step below this ends the path as lost.
        accept: held-out residual at which a point on the path counts as reached.
    """

    first: float = 1.0
    least: float = 1 / 64
    accept: float = 2e-2


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


Corrector = Callable[[Problem, FitResult | None, int], FitResult]


def follow(
    source: Problem, target: Problem, correct: Corrector, follower: Follower
) -> tuple[list[FitResult], FitResult | None]:
    """Correct at points from source to target.

    Args:
        correct: (problem, the last accepted fit or None at the source, number of the attempt) →
            fit of that problem, started there.

    Returns:
        Every attempt, and the last accepted one: at the target unless the path was lost.
    """
    attempts: list[FitResult] = []
    here: FitResult | None = None
    share, step = 0.0, follower.first
    while share < 1 and step >= follower.least:
        ahead = min(share + step, 1.0)
        tried = correct(between(source, target, ahead), here, len(attempts))
        attempts.append(tried)
        if tried.held_out <= follower.accept:
            here, share, step = tried, ahead, 2 * step
        else:
            step /= 2
    return attempts, here
