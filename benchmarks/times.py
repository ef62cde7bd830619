"""Errors against the certified reference, and the seconds until they are small enough."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import Run

from pacpde import fit
from pacpde.datasets import reference_for
from pacpde.methods.grading import target_part
from pacpde.physics.numbers import relative_l2

Curve = list[tuple[float, float]]  # seconds, error


def reached(curve: Curve, threshold: float) -> float | None:
    """Seconds until the error was first below a threshold; None where it never was."""
    return next((seconds for seconds, error in curve if error <= threshold), None)


def seconds_to(curve: Curve, thresholds: Sequence[float]) -> dict[str, float | None]:
    """threshold → seconds until the error was first below it, or None."""
    return {f"{threshold:g}": reached(curve, threshold) for threshold in thresholds}


def median_seconds(times: Iterable[float | None]) -> float:
    """Where None is never, which is longer than anything."""
    return statistics.median(never_is_longest(times))


def never_is_longest(times: Iterable[float | None]) -> list[float]:
    return [math.inf if seconds is None else seconds for seconds in times]


def shown(seconds: float | None, otherwise: str = "never") -> str:
    """Seconds in a table."""
    return otherwise if seconds is None or math.isinf(seconds) else f"{seconds:.1f}"


def curve_of(history: Iterable[Mapping[str, Any]]) -> Curve:
    """(seconds, error) of a history, where it was graded."""
    return [
        (entry["seconds"], entry["error"]) for entry in history if entry.get("error") is not None
    ]


def on_target(result: Any) -> Curve:
    """(seconds on the target, error) of a transfer."""
    seconds, errors, _ = target_part(result.history)
    return list(zip(seconds.tolist(), errors.tolist(), strict=True))


def fitted(problem: Any, seed: int, **settings: Any) -> Run:
    """`pacpde.fit`, graded on the way: its curve, and how it ended."""
    surrogate = fit(problem, seed=seed, reference="auto", settings=settings)
    return {
        "curve": curve_of(surrogate.history),
        "seconds": surrogate.seconds,
        "steps": surrogate.steps,
        "held_out": surrogate.held_out,
        "outcome": surrogate.outcome,
        "parameters": surrogate.parameters,
    }


def grid_of(problem: Any) -> tuple[list[Any], Any]:
    """(coordinates, values [fields, points]) of the certified reference, on which fits are graded.

    Thinned to about 65 points an axis, as `pacpde.fit` does it for its history.
    """
    reference = reference_for(problem)
    axes = [axis[:: max(1, len(axis) // 65)] for axis in reference.axes.values()]
    flat = [part.ravel() for part in np.meshgrid(*axes, indexing="ij")]
    return flat, np.stack(reference(*flat))


def store_grid(problem: Any, path: Path) -> None:
    """points [n, axes] and values [n] of a problem of one field, for a process of its own."""
    axes, (values,) = grid_of(problem)
    np.savez(path, points=np.stack(axes, 1), values=values)


def error_on_grid(problem: Any) -> Callable[[Callable[..., Any]], float]:
    """Grades functions of the coordinates against the certified reference."""
    axes, expected = grid_of(problem)
    return lambda function: relative_l2(np.reshape(function(*axes), expected.shape), expected)
