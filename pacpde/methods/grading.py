"""Grading: relative L2 errors of surrogates on the grid of a reference, and the time to them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.domain import mesh
from pacpde.physics.numbers import relative_l2
from pacpde.physics.problem import Problem
from pacpde.reference import Reference, field_errors
from pacpde.runtime import Runtime

WRONG = 1e-2  # true error above which a fit that looks converged is not the solution
THIN = 65  # points an axis, about, at which a fit is graded on its way


@dataclass(frozen=True)
class Errors:
    """Relative L2 errors of a surrogate.

    Attributes:
        total: of all fields taken together, as they are. A field that is small beside another
            hardly counts in it.
        by_field: field → error in its own size.
    """

    total: float
    by_field: Mapping[str, float]

    @property
    def worst(self) -> float:
        """The largest of any field."""
        return max(self.by_field.values())


def is_contradicted(outcome: str, error: float | None) -> bool:
    """Whether a fit looks converged and is, by its true error, not the solution that grades it."""
    return outcome == Outcome.CONVERGED and error is not None and not error <= WRONG


def errors_of(surrogate: Surrogate, reference: Reference | None) -> Errors | None:
    """The errors on the reference's grid; None without a reference."""
    if reference is None:
        return None
    problem = reference.problem
    points, expected = _on_grid(reference)
    fields = surrogate.at(surrogate.runtime.tensor(points)).cpu().numpy()
    by_field = field_errors(fields.T, expected.T, problem.scales)
    return Errors(relative_l2(fields, expected), dict(zip(problem.fields, by_field, strict=True)))


def error_of(surrogate: Surrogate, reference: Reference | None) -> float | None:
    """Relative L2 error of all fields taken together; None without a reference."""
    errors = errors_of(surrogate, reference)
    return None if errors is None else errors.total


def error_on_thin_grid(
    target: Problem, runtime: Runtime, reference: Reference | None
) -> Callable[[Surrogate], float] | None:
    """Error of a surrogate, taken as a solver of the target, on a part of the reference's grid.

    It is cheap enough for every refresh of a fit. None without a reference.
    """
    if reference is None:
        return None
    points, expected = _on_grid(reference, THIN)
    there = runtime.tensor(points)

    def error(surrogate: Surrogate) -> float:
        return relative_l2(surrogate.with_problem(target).at(there).cpu().numpy(), expected)

    return error


def _on_grid(reference: Reference, most: float = inf) -> tuple[np.ndarray, np.ndarray]:
    """Points [points, axes] of a reference's grid and its values there [points, fields].

    Args:
        most: about so many points an axis.
    """
    axes = list(reference.axes.values())
    cuts = tuple(slice(None, None, max(1, int(len(axis) // most))) for axis in axes)
    points = mesh([axis[cut] for axis, cut in zip(axes, cuts, strict=True)])
    values = np.stack([field[cuts].ravel() for field in reference.fields.values()], -1)
    return points.reshape(-1, points.shape[-1]), values


def target_part(
    history: Sequence[Mapping[str, Any]],
) -> tuple[np.ndarray, np.ndarray, float]:
    """The part of a transfer's history that fits the target; entries before have no error.

    Returns:
        Seconds since that fit began, the errors then, and the seconds spent on the source before.
    """
    before = max((entry["seconds"] for entry in history if entry.get("error") is None), default=0.0)
    graded = [entry for entry in history if entry.get("error") is not None]
    seconds = np.array([entry["seconds"] - before for entry in graded], float)
    return seconds, np.array([entry["error"] for entry in graded], float), float(before)


def seconds_to_error(
    history: Sequence[Mapping[str, Any]], thresholds: Iterable[float]
) -> dict[str, float]:
    """Error, as text → seconds of fitting the target until it; one never reached is absent."""
    seconds, errors, _ = target_part(history)
    reached = {threshold: np.flatnonzero(errors <= threshold) for threshold in thresholds}
    return {f"{t:g}": float(seconds[steps[0]]) for t, steps in reached.items() if len(steps)}
