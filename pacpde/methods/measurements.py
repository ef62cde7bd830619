"""Measurements, checked, and weighed by their noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pacpde.errors import InvalidValueError
from pacpde.physics.numbers import as_floats
from pacpde.physics.problem import Problem
from pacpde.residuals.measurements import Measurements

Noise = float | Sequence[float] | np.ndarray


@dataclass(frozen=True)
class WeightedMeasurements:
    """Measured points and values, each different one once.

    Attributes:
        weights: of the residuals (u − y) / scale, [labels, fields]; their mean square is 1. They
            are all 1 where the noise is not known.
        noise: standard deviation of a weighted residual; None where it is not known.
        copies: how many of the given measurements repeat the point and the values of another.
    """

    problem: Problem
    labels: Measurements
    weights: np.ndarray
    noise: float | None
    copies: int

    @classmethod
    def of(
        cls,
        problem: Problem,
        points: np.ndarray,
        values: np.ndarray,
        noise: Noise | None = None,
    ) -> "WeightedMeasurements":
        """Checked: points [labels, axes], values [labels, fields] or [labels] for one field.

        Args:
            noise: standard deviation of the values, in their units: a number, one a field, or one
                a value.
        """
        at = as_floats(points, "the points of the measurements")
        found = as_floats(values, "the measured values")
        found = found[:, None] if found.ndim == 1 else found
        at = _checked(problem, at, found)
        weights, size = _weights(problem, noise, found)
        _, first = np.unique(np.hstack([at, found]), axis=0, return_index=True)
        first = np.sort(first)
        labels = Measurements(at[first], found[first])
        return cls(problem, labels, weights[first], size, len(at) - len(first))

    @property
    def rows(self) -> int:
        """Number of measured values: points times fields."""
        return int(self.labels.values.size)

    def remarks(self, unknowns: int) -> list[str]:
        """Notes for the user on the identification of `unknowns` coefficients, a sentence each."""
        found = []
        if self.copies:
            total = len(self.labels.points) + self.copies
            found.append(
                f"{self.copies} of the {total} measurements repeat the point and the values of "
                "another, and do not count: a copy is no second measurement."
            )
        places = len(np.unique(self.labels.points, axis=0))
        if places * len(self.problem.fields) <= unknowns:
            found.append(
                f"all measurements are of {places} point{'s' * (places > 1)}, which "
                f"{unknowns} coefficient{'s' * (unknowns > 1)} can always meet: whether the "
                "equation holds is not tested. Measure at more points."
            )
        return found

    def weighted(self, rows: np.ndarray) -> np.ndarray:
        """Rows [rows, ...] of residuals in scales, field after field, by their weights."""
        return (rows.T * self.weights.T.ravel()).T

    def by_label(self, rows: np.ndarray) -> np.ndarray:
        """The same rows [rows] as [labels, fields]."""
        return rows.reshape(self.weights.T.shape).T


def _checked(problem: Problem, at: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The points, a rounding error outside the box moved onto its edge."""
    axes, fields = len(problem.axes), len(problem.fields)
    if at.ndim != 2 or at.shape[1] != axes or found.shape != (len(at), fields):
        raise InvalidValueError(
            f"the measurements have points {at.shape} and values {found.shape}, expected "
            f"[labels, {axes}] ({', '.join(problem.domain.names)}) and [labels, {fields}]."
        )
    _check_finite(problem, at, found)
    outside = problem.domain.outside(at)
    if outside:
        raise InvalidValueError(f"measurements: {outside}: remove them.")
    return problem.domain.clipped(at)


def _check_finite(problem: Problem, at: np.ndarray, found: np.ndarray) -> None:
    """Refuse missing numbers, and say which they are."""
    missing = {
        name: np.flatnonzero(~np.isfinite(column))
        for name, column in zip(
            (*problem.domain.names, *problem.fields), np.hstack([at, found]).T, strict=True
        )
    }
    incomplete = {name: rows for name, rows in missing.items() if len(rows)}
    if not incomplete:
        return
    where = " and ".join(
        f"of {name} in {len(rows)} of the {len(at)} measurements (first at index {rows[0]})"
        for name, rows in incomplete.items()
    )
    remedy = "leave those measurements out."
    if len(problem.fields) > 1 and set(incomplete) <= set(problem.fields):
        remedy = (
            f"each needs a number for all of {', '.join(problem.fields)}. Leave those measurements "
            "out; or keep their other values: write a typical size for what is missing, and give "
            "noise as one number a value, there a thousand times that size."
        )
    raise InvalidValueError(f"the measurements hold nan or inf, {where}: {remedy}")


def _weights(
    problem: Problem, noise: Noise | None, values: np.ndarray
) -> tuple[np.ndarray, float | None]:
    """Weights [labels, fields] of mean square 1, and the noise of a weighted miss."""
    if noise is None:
        return np.ones_like(values), None
    try:
        deviation = np.broadcast_to(as_floats(noise, "the noise levels"), values.shape)
    except ValueError as error:
        raise InvalidValueError(
            f"noise does not fit values of shape {values.shape} ({error}): expected a number, one "
            "for each field, or one for each value."
        ) from error
    if not (np.isfinite(deviation).all() and (deviation > 0).all()):
        raise InvalidValueError(
            "noise holds a number that is not positive and finite: expected standard deviations in "
            "the units of the values; leave it out where they are not known."
        )
    weights = np.asarray(problem.scales) / deviation
    size = float(np.sqrt(np.mean(weights**2)))
    return weights / size, 1 / size
