"""Measurements, checked, and weighed by their noise."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacpde.errors import InvalidValueError
from pacpde.physics.problem import Problem
from pacpde.residuals.measurements import Measurements, Noise


def measurements_of(
    data: Any, problem: Problem, *, labels: int = 0, noise: float = 0.0
) -> Measurements | None:
    """The measurements that a fit is given, in the form in which a task takes them; None if none.

    Each different one counts once. Where the noise is not given, different values at the same
    points tell it, if there are enough.

    Args:
        data: `Measurements`, or a file or a table of them, see `Measurements.of`.
        labels, noise: of labels that are to be drawn from a reference, which nothing draws here.
    """
    if data is None:
        return None
    if labels or noise:
        given = " and ".join(
            name for name, value in (("labels", labels), ("noise", noise)) if value
        )
        raise InvalidValueError(
            f"{given} given beside data: labels are drawn from the reference, with that noise. "
            "Leave out what is not meant; the noise of data is that of "
            "Measurements(points, values, noise)."
        )
    if not isinstance(data, Measurements):
        data = Measurements.of(data, problem)
    return data.checked(problem).without_copies().with_noise_of_repeats()


def given_values(
    problem: Problem, points: Any, values: Any, noise: Noise | None, data: Any
) -> tuple[np.ndarray, np.ndarray, Noise | None]:
    """(points, values, noise): those that are given one by one, or those of `data`."""
    if data is None:
        if points is None or values is None:
            raise InvalidValueError(
                "identify was called without all of its arguments: write identify(source, points, "
                "values), or identify(source, data=Measurements(points, values))."
            )
        return points, values, noise
    if not (points is None and values is None):
        raise InvalidValueError("points and values are given beside data: give one of them.")
    if not isinstance(data, Measurements):
        data = Measurements.of(data, problem, noise=noise)
    elif noise is not None and data.noise is not None:
        raise InvalidValueError("noise is given beside that of data: give it once.")
    return data.points, data.values, noise if data.noise is None else data.noise


@dataclass(frozen=True)
class WeightedMeasurements:
    """Measured points and values, each different one once.

    Attributes:
        labels: without their noise, which the weights have.
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
        given = Measurements(points, values, noise)
        _check_complete(problem, given)
        given = given.checked(problem)
        different = given.without_copies()
        weights, size = different.weights(problem.scales)
        labels = Measurements(different.points, different.values)
        return cls(problem, labels, weights, size, len(given.points) - len(labels.points))

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


def _check_complete(problem: Problem, measurements: Measurements) -> None:
    """Refuse measurements of some fields only, and say which are missing."""
    missing = {
        name: np.flatnonzero(np.isnan(column))
        for name, column in zip(problem.fields, measurements.values.T, strict=False)
    }
    incomplete = {name: rows for name, rows in missing.items() if len(rows)}
    if not incomplete:
        return
    where = " and ".join(
        f"of {name} in {len(rows)} of the {len(measurements.points)} measurements (first at index "
        f"{rows[0]})"
        for name, rows in incomplete.items()
    )
    raise InvalidValueError(
        f"the measurements hold nan or inf, {where}: each needs a number for all of "
        f"{', '.join(problem.fields)}. Leave those measurements out; or keep their other values: "
        "write a typical size for what is missing, and give noise as one number a value, there a "
        "thousand times that size."
    )
