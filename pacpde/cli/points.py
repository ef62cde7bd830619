"""Points of a file, and the fields of a surrogate there."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pacpde.datasets import load
from pacpde.datasets.columns import Columns, listed, read_columns
from pacpde.datasets.load import is_hdf5_dataset
from pacpde.datasets.named_arrays import is_text
from pacpde.datasets.named_values import PARQUET, WRITERS, NamedValues
from pacpde.datasets.samples import read_samples
from pacpde.errors import DataFileError, InvalidValueError, named_numbers
from pacpde.files import atomic_write
from pacpde.networks.field_values import attributes_of
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem
from pacpde.physics.domain import mesh
from pacpde.physics.numbers import relative_l2
from pacpde.reference import Reference, field_errors


@dataclass(frozen=True)
class Points:
    """Points at which a surrogate is evaluated.

    Attributes:
        columns: names of the axes in the order of the file.
        values: one row a point, [points, columns].
        at: the same in the problem's axis order, [points, axes].
        reference: of the file, if it held one.
        known: field → its own values in the file, [points]; nan where there is none.
        notes: what was understood of the file, a sentence each.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    at: np.ndarray
    reference: Reference | None = None
    known: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def fields(self, surrogate: Surrogate) -> np.ndarray:
        """The fields of a surrogate at the points, [points, fields]."""
        at = surrogate.problem.domain.clipped(self.at)
        return np.asarray(surrogate.at(surrogate.runtime.tensor(at)).cpu().numpy())

    def summary(
        self, surrogate: Surrogate, fields: np.ndarray, output: Path | None
    ) -> dict[str, Any]:
        problem = surrogate.problem
        content: dict[str, Any] = {
            "family": problem.name,
            "coefficients": problem.coefficients,
            "points": len(self.at),
            "fields": list(problem.fields),
            "file": None if output is None else str(output),
            "reference": self.reference and self.reference.problem.coefficients,
            "error": None,
            "error_by_field": None,
            "worst_field_error": None,
        }
        known = self.known
        if self.reference is not None:
            known = dict(zip(problem.fields, self.reference.values, strict=True))
        if known:
            at = [problem.fields.index(name) for name in known]
            exact = np.stack([np.ravel(values) for values in known.values()])
            there = ~np.isnan(exact)
            exact, found = np.where(there, exact, 0.0), np.where(there, fields.T[at], 0.0)
            errors = field_errors(found, exact, [problem.scales[k] for k in at])
            content["error"] = relative_l2(found, exact)
            content["error_by_field"] = dict(zip(known, errors, strict=True))
            content["worst_field_error"] = max(errors)
        return content


def remarks(points: Points, surrogate: Surrogate) -> Iterator[str]:
    """Warn of points outside the surrogate's domain, and of a reference of another problem."""
    yield from (f"{note}." for note in points.notes)
    outside = surrogate.problem.domain.outside(points.at)
    if outside:
        yield f"{outside}: nothing holds the surrogate to its equation there."
    if points.reference is None:
        return
    stored, solved = points.reference.problem, surrogate.problem
    if stored.coefficients != solved.coefficients:
        yield (
            f"the file holds {stored} and the surrogate solves {solved}: the error is measured "
            "between two different problems."
        )


def sentence(summary: dict[str, Any]) -> str:
    """A sentence on a prediction, with its error where the file has values of the fields."""
    text = f"{summary['points']} points"
    if summary["file"] is not None:
        text += f" written to {summary['file']}"
    errors = summary["error_by_field"]
    if errors is None:
        return text
    coefficients = summary["reference"]
    against = f"the file's {', '.join(errors)}"
    if coefficients is not None:
        against = f"the reference ({named_numbers(coefficients)})"
    text += f"; relative L2 error against {against}: {summary['error']:.2e}"
    if len(errors) > 1:
        worst = max(errors, key=lambda name: errors[name])
        text += f", of the worst field, {worst}: {errors[worst]:.2e}"
    return text


def read(
    path: Path, problem: Problem, extrapolate: bool, columns: Mapping[str, str] | None = None
) -> Points:
    """The points of a file, refused outside the domain unless told otherwise.

    Args:
        columns: axis or field → its name in the file.
    """
    if is_hdf5_dataset(path):
        points = _of_dataset(path, problem)
    elif columns or not is_text(path):
        points = _of_samples(path, problem, columns)
    else:
        points = _of_csv(path, problem)
    outside = problem.domain.outside(points.at)
    if outside and not extrapolate:
        raise InvalidValueError(f"{path}: {outside}: remove them or add --extrapolate.")
    return points


def _of_samples(path: Path, problem: Problem, columns: Mapping[str, str] | None) -> Points:
    samples = read_samples(path, problem, columns, values_needed=False)
    at, names = samples.points, problem.domain.names
    given = zip(problem.fields, samples.values.T, strict=True)
    known = {name: values for name, values in given if not np.isnan(values).all()}
    return Points(names, at, at, known=known, notes=samples.notes)


def _of_dataset(path: Path, problem: Problem) -> Points:
    reference = load(path).reference
    if reference.problem.name != problem.name:
        raise DataFileError(
            f"{path} holds {reference.problem.name!r}, the surrogate solves {problem.name!r}: give "
            "a file of the same family."
        )
    at = mesh(list(reference.axes.values())).reshape(-1, len(reference.axes))
    return Points(problem.domain.names, at, at, reference)


def _of_csv(path: Path, problem: Problem) -> Points:
    columns, axes = read_columns(path), problem.domain.names
    _check_columns(path, columns, axes, problem.fields)
    own = tuple(name for name in columns.names if name in axes)
    known = {name: columns.take([name])[:, 0] for name in problem.fields if name in columns.names}
    return Points(own, columns.take(own), columns.take(axes), known=known)


def _check_columns(
    path: Path, columns: Columns, needed: Sequence[str], others: Sequence[str] = ()
) -> None:
    names = columns.names
    if not set(needed) <= set(names) <= {*needed, *others} or len(set(names)) < len(names):
        besides = f", and {', '.join(others)} where its values are known" if others else ""
        raise DataFileError(
            f"{path} has the columns {listed(names)}, expected "
            f"{', '.join(needed)}{besides}, each once and in any order: the first line names them. "
            "Leave other columns out, an index as well (in pandas: index=False)."
        )
    if not len(columns.values):
        raise DataFileError(f"{path} has a header and no point: add one line a point.")


def write(
    points: Points,
    fields: np.ndarray,
    surrogate: Surrogate,
    output: Path | None,
    *,
    overwrite: bool = True,
) -> None:
    """The points with the fields beside them, every digit kept.

    The ending of the file says of which kind it is: netCDF, HDF5 or Parquet, else CSV.
    """
    suffix = "" if output is None else output.suffix.lower()
    if output is not None and suffix in WRITERS:
        named = dict(zip(surrogate.problem.fields, fields.T, strict=True))
        names, about = surrogate.problem.domain.names, attributes_of(surrogate)
        grid = suffix not in PARQUET
        values = NamedValues.of_points(names, points.at, named, about, grid=grid)
        content = values.as_bytes(suffix)
        with atomic_write(output, overwrite=overwrite) as temporary:
            temporary.write_bytes(content)
        return
    with _opened(output, overwrite) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*points.columns, *surrogate.problem.fields])
        for row in np.concatenate([points.values, fields], axis=1).tolist():
            writer.writerow(repr(value) for value in row)


@contextmanager
def _opened(output: Path | None, overwrite: bool) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with (
        atomic_write(output, overwrite=overwrite) as temporary,
        Path(temporary).open("w", newline="", encoding="utf-8") as file,
    ):
        yield file
