"""Measurements: points and values, with or without noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pacpde.datasets.load import labels_of
from pacpde.datasets.samples import read_samples
from pacpde.errors import InvalidValueError
from pacpde.files import short_hash
from pacpde.networks.batch import Ansatz
from pacpde.physics.numbers import as_floats
from pacpde.physics.problem import Problem
from pacpde.residuals.task import LabelRows
from pacpde.residuals.terms import LabelTerm, Term, WeightedLabelTerm
from pacpde.runtime import Runtime, generator

Noise = float | Sequence[float] | np.ndarray

HELD_OUT_SHARE = 0.2  # of the measurements, where a fit has no equation
MIN_REPEATS = 4  # degrees of freedom, a field, from which repeated points tell the noise
# root mean square residual, in units, to which a fit takes its equation for known beside values of
# known noise: each term is divided by its own
PHYSICS_NOISE = 1e-3
MISFIT = 3.0  # root mean square of (u − y) / σ above which a solution does not fit its measurements
REFUSE, DROP = "refuse", "drop"  # what becomes of points outside the domain


@dataclass(frozen=True, eq=False)
class Measurements:
    """Values that were measured at points: anywhere in the domain, in any order, repeated or not.

    Args:
        points: coordinates in the order of the problem's axes, [n, axes]; [n] for one axis.
        values: the fields there, [n, fields]; [n] for one field. nan where a field was not
            measured; one at least is a number at every point.
        noise: standard deviation of the values, in their units: a number, one a field, or one a
            value. Where it is given, each value counts by it; see `docs/measurements.md`.
        notes: what was understood of a file or table, a sentence each.

    Attributes:
        points: [n, axes].
        values: [n, fields].
        noise: [n, fields], or None.

    Raises:
        InvalidValueError: shapes that do not fit, a point without a value, noise that is not above
            0.

    Example:
        >>> data = Measurements([[0.1, 0.5], [0.2, 0.5]], [0.8, 0.7], noise=0.01)
        >>> data.n_values
        2
    """

    points: np.ndarray
    values: np.ndarray
    noise: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        points: Any,
        values: Any,
        noise: Noise | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        at = _as_columns(points, "the points of the measurements")
        found = _as_columns(values, "the measured values")
        if len(at) != len(found):
            raise InvalidValueError(
                f"the measurements have points {at.shape} and values {found.shape}, expected "
                "[n, axes] and [n, fields]: one row of values a point."
            )
        for name, array in (("points", at), ("values", found)):
            if np.isinf(array).any():
                raise InvalidValueError(
                    f"the measurements hold inf, in the {name} of row "
                    f"{int(np.isinf(array).any(1).argmax()) + 1}: leave that row out, or write nan "
                    "where a value was not measured."
                )
        empty = np.isnan(found).all(1) | np.isnan(at).any(1)
        if len(found) and empty.any():
            raise InvalidValueError(
                f"{int(empty.sum())} of the {len(at)} measurements hold nan in their point or in "
                f"all of their values, the first in row {int(empty.argmax()) + 1}: leave those "
                "measurements out."
            )
        object.__setattr__(self, "points", at)
        object.__setattr__(self, "values", found)
        object.__setattr__(self, "noise", None if noise is None else _deviations(noise, found))
        object.__setattr__(self, "notes", tuple(notes))

    @classmethod
    def of(
        cls,
        table: Any,
        problem: Problem,
        *,
        columns: Mapping[str, str] | None = None,
        noise: Noise | None = None,
        outside: str = REFUSE,
    ) -> "Measurements":
        """The measurements in a file or a table.

        Args:
            table: a file: text with columns separated by commas, semicolons, tabs or spaces, .npz,
                .mat, HDF5, or one of `pacpde solve --labels`; a pandas DataFrame; an xarray Dataset
                or DataArray; a mapping of arrays; or what `named_arrays` read of one of these.
                Columns of one length, or one array an axis and values on their grid.
            columns: axis or field → its name in the table, as in {"t": "time", "u": "velocity"}.
                Case and a unit in brackets do not count, and names that are then the same need not
                be said. "y:0" is the first component of y, "usol:x:t" the order of the axes of
                usol.
            noise: as of the class.
            outside: "refuse" points outside the domain, or "drop" them, which `notes` say.

        Raises:
            DataFileError: the file is missing, too large or broken.
            InvalidValueError: nothing fits, or a point lies outside the domain.

        Example:
            >>> from pacpde.problems import Heat
            >>> table = {"time": [0.1, 0.2], "x": [0.5, 0.5], "u [K]": [0.8, 0.7]}
            >>> Measurements.of(table, Heat(), columns={"t": "time"}).values.tolist()
            [[0.8], [0.7]]
        """
        if outside not in (REFUSE, DROP):
            raise InvalidValueError(f"outside is {outside!r}, expected {REFUSE!r} or {DROP!r}.")
        own = labels_of(table, problem) if isinstance(table, str | Path) else None
        if own is not None:
            return cls(own.points, own.values, noise)
        samples = read_samples(table, problem, columns)
        notes, points, values = list(samples.notes), samples.points, samples.values
        where = samples.source.where
        empty = np.isnan(values).all(1)
        if empty.all():
            raise samples.source.error(
                f"{samples.source.origin} has no value: every one is NaN, or left out."
            )
        if empty.any():
            notes.append(f"{int(empty.sum())} rows have no value, and are left out")
        missed = problem.domain.outside(points[~empty], lambda k: where(np.flatnonzero(~empty)[k]))
        if missed and outside == REFUSE:
            raise samples.source.error(
                f"{samples.source.origin}: {missed}: remove them, or leave them out by "
                '--drop-outside (outside="drop").'
            )
        if missed:
            notes.append(f"{missed}, and left out")
        kept = ~empty & problem.domain.contains(points)
        if not kept.any():
            raise samples.source.error(
                f"{samples.source.origin} has no measurement inside the domain: look at its units."
            )
        if noise is not None:
            noise = _deviations(noise, values)[kept]
        return cls(points[kept], values[kept], noise, notes)

    @property
    def n_values(self) -> int:
        """Number of measured values: those that are not nan."""
        return int(self.measured.sum())

    @property
    def measured(self) -> np.ndarray:
        """Which values were measured, [n, fields]."""
        return ~np.isnan(self.values)

    @property
    def hash(self) -> str:
        """Short hash of the bytes: equal measurements in the same order have equal hashes."""
        noise = b"" if self.noise is None else self.noise.tobytes()
        return short_hash(self.points.tobytes() + self.values.tobytes() + noise)

    def summary(self, problem: Problem) -> dict[str, Any]:
        """What a record says of them: number of values, noise in scales of the fields, a hash."""
        return {
            "labels": self.n_values,
            "noise": self.weights(problem.scales)[1],
            "data": self.hash,
        }

    def subset(self, rows: np.ndarray) -> "Measurements":
        """Some of them, by a mask or by indices."""
        noise = None if self.noise is None else self.noise[rows]
        return Measurements(self.points[rows], self.values[rows], noise, self.notes)

    def checked(self, problem: Problem) -> "Measurements":
        """The same; a point that only rounding put outside the domain is moved onto its edge.

        Raises:
            InvalidValueError: they do not fit the axes and fields, or lie outside the domain.
        """
        axes, fields = len(problem.axes), len(problem.fields)
        if self.points.shape[1] != axes or self.values.shape[1] != fields or not len(self.points):
            raise InvalidValueError(
                f"the measurements have points {self.points.shape} and values "
                f"{self.values.shape}, expected [labels, {axes}] "
                f"({', '.join(problem.domain.names)}) and [labels, {fields}]."
            )
        outside = problem.domain.outside(self.points)
        if outside:
            raise InvalidValueError(f"measurements: {outside}: remove them.")
        return Measurements(
            problem.domain.clipped(self.points), self.values, self.noise, self.notes
        )

    def without_copies(self) -> "Measurements":
        """Each different one once, in order: a copy of a point and its values is no second one."""
        rows = np.hstack([self.points, np.where(self.measured, self.values, np.inf)])
        _, first = np.unique(rows, axis=0, return_index=True)
        return self.subset(np.sort(first))

    def with_noise_of_repeats(self) -> "Measurements":
        """The same with the noise that different values at the same points tell, where it is not
        given and there are enough of them: Σ (y − mean at its point)² by its degrees of freedom,
        one number a field.
        """
        if self.noise is not None:
            return self
        _, place = np.unique(self.points, axis=0, return_inverse=True)
        place = place.ravel()
        sizes = []
        for column, measured in zip(self.values.T, self.measured.T, strict=True):
            at, values = place[measured], column[measured]
            counts = np.bincount(at)
            means = np.bincount(at, values) / np.maximum(counts, 1)
            freedom = len(values) - np.count_nonzero(counts)
            spread = ((values - means[at]) ** 2).sum()
            if len(values) and (freedom < MIN_REPEATS or not spread):
                return self
            sizes.append(np.sqrt(spread / freedom) if len(values) else 1.0)
        return Measurements(self.points, self.values, sizes, self.notes)

    def missed_by(self, values: np.ndarray) -> np.ndarray | None:
        """Root mean square of (u − y) / σ, a field; None where the noise is not known.

        About 1 for the fields that were measured; well above it, they are others, or σ is.

        Args:
            values: u at the points, [n, fields].

        Returns:
            [fields], 0 for a field that was not measured.

        Example:
            >>> data = Measurements([0.1, 0.2], [1.0, 2.0], noise=0.1)
            >>> data.missed_by(np.array([[1.3], [1.6]])).round(3)
            array([3.536])
        """
        if self.noise is None:
            return None
        squares = np.where(self.measured, ((values - self.values) / self.noise) ** 2, 0.0)
        return np.asarray(np.sqrt(squares.sum(0) / np.maximum(self.measured.sum(0), 1)))

    def misfit(self, values: np.ndarray, fields: Sequence[str]) -> str | None:
        """What a user should know of a solution that misses them by far more than their noise.

        Args:
            values: u at the points, [n, fields].
            fields: their names.

        Returns:
            A sentence on the worst field; None up to `MISFIT`, and where the noise is not known.
        """
        sizes = self.missed_by(values)
        if sizes is None or not sizes.max() > MISFIT:
            return None
        name = f" of {fields[int(sizes.argmax())]}" if len(fields) > 1 else ""
        return (
            f"the solution misses the measurements{name} by {sizes.max():.2g} times their noise "
            "(root mean square): check coefficients, equation, units and noise; where they are "
            "right, the fit is less accurate than the measurements"
        )

    def weights(self, scales: Sequence[float] | np.ndarray) -> tuple[np.ndarray, float | None]:
        """(weights of the residuals (u − y) / scale, noise of a weighted residual if it is known).

        Args:
            scales: of the fields.

        Returns:
            [n, fields] of mean square 1 over the measured values, 0 where there is none.
        """
        if self.noise is None:
            return self.measured.astype(float), None
        weights = np.where(self.measured, np.asarray(scales) / self.noise, 0.0)
        size = float(np.sqrt(np.sum(weights**2) / self.n_values))
        return weights / size, 1 / size

    def term(self, ansatz: Ansatz, runtime: Runtime, *, physics: bool = False) -> LabelTerm:
        """Weighted residuals (u − y) / scale at the points.

        Args:
            physics: whether an equation is fitted besides; where the noise is known, it then says
                how much they count beside the equation.
        """
        points = runtime.tensor(self.points)
        complete = bool(self.measured.all())
        if self.noise is None and complete:
            return LabelTerm.at(ansatz, points, runtime.tensor(self.values))
        batch = ansatz.batch(points)
        weights, noise = self.weights(batch.scale.cpu().numpy())
        if physics and noise is not None:
            weights = weights * (PHYSICS_NOISE / noise)
        values = np.where(self.measured, self.values, 0.0)
        return WeightedLabelTerm(batch, runtime.tensor(values), runtime.tensor(weights))

    def rows(self, ansatz: Ansatz, runtime: Runtime, others: Sequence[Term] = ()) -> LabelRows:
        """All of them as the terms of a fit without an equation, beside other terms."""
        term = self.term(ansatz, runtime)
        return LabelRows(term, others, self.weights(term.batch.scale.cpu().numpy())[1])

    def split(self, share: float, seed: int) -> tuple["Measurements", "Measurements"]:
        """(the others, about this share of them and at least one), shuffled by `seed`."""
        order = generator(seed, "held-out labels").permutation(len(self.points))
        count = max(1, round(share * len(order)))
        return self.subset(order[count:]), self.subset(order[:count])


def _as_columns(values: Any, what: str) -> np.ndarray:
    array = as_floats(values, what)
    if array.ndim not in (1, 2):
        raise InvalidValueError(f"{what} have the shape {array.shape}, expected one row a point.")
    return array[:, None] if array.ndim == 1 else array


def _deviations(noise: Noise, values: np.ndarray) -> np.ndarray:
    """Standard deviations, [n, fields], from a number, one a field or one a value."""
    given = as_floats(noise, "the noise levels")
    if given.ndim == 1 and values.shape[1] == 1 and len(given) == len(values):
        given = given[:, None]
    try:
        deviation = np.broadcast_to(given, values.shape)
    except ValueError as error:
        raise InvalidValueError(
            f"noise does not fit values of shape {values.shape} ({error}): expected a number, one "
            "for each field, or one for each value."
        ) from error
    used = deviation[~np.isnan(values)]
    if not (np.isfinite(used).all() and (used > 0).all()):
        raise InvalidValueError(
            "noise holds a number that is not positive and finite: expected standard deviations in "
            "the units of the values; leave it out where they are not known."
        )
    return np.where(np.isnan(values), 1.0, deviation)
