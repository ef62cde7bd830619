"""Points of a file, and the fields of a surrogate there."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pacpde.datasets import load
from pacpde.errors import DataFileError, InvalidValueError
from pacpde.files import atomic_write
from pacpde.networks.surrogate import Surrogate, relative_l2
from pacpde.physics import Problem
from pacpde.physics.domain import mesh
from pacpde.reference import Reference


@dataclass(frozen=True)
class Points:
    """Where a surrogate is asked.

    Attributes:
        columns: names in the order of the file.
        values: one row a point, [points, columns].
        at: the same in the problem's axis order, [points, axes].
        reference: of the file, if it held one.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    at: np.ndarray
    reference: Reference | None = None

    def fields(self, surrogate: Surrogate) -> np.ndarray:
        """[points, fields]."""
        return np.asarray(surrogate.at(surrogate.runtime.tensor(self.at)).cpu().numpy())

    def summary(
        self, surrogate: Surrogate, fields: np.ndarray, output: Path | None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "family": surrogate.problem.name,
            "coefficients": surrogate.problem.coefficients,
            "points": len(self.at),
            "fields": list(surrogate.problem.fields),
            "file": None if output is None else str(output),
            "reference": None,
            "error": None,
        }
        if self.reference is not None:
            exact = self.reference.values.reshape(fields.shape[1], -1).T
            found["reference"] = self.reference.problem.coefficients
            found["error"] = relative_l2(fields, exact)
        return found


def remark(asked: Points, surrogate: Surrogate) -> str | None:
    """Says that a file's reference is of other coefficients than the surrogate; None if not."""
    if asked.reference is None:
        return None
    held, solved = asked.reference.problem, surrogate.problem
    if held.coefficients == solved.coefficients:
        return None
    return (
        f"the file holds {held} and the surrogate solves {solved}: the error is measured between "
        "two different problems."
    )


def sentence(summary: dict[str, Any]) -> str:
    text = f"{summary['points']} points written to {summary['file']}"
    if summary["error"] is None:
        return text
    against = ", ".join(f"{name}={value:.6g}" for name, value in summary["reference"].items())
    return f"{text}; relative L2 error against the reference ({against}): {summary['error']:.2e}"


def read(path: Path, problem: Problem, extrapolate: bool) -> Points:
    """The points of a CSV or HDF5 file, refused outside the domain unless told otherwise."""
    points = (
        _of_dataset(path, problem)
        if path.suffix in (".h5", ".hdf5")
        else _of_csv(path, problem.domain.names)
    )
    outside = ~problem.domain.contains(points.at)
    if outside.any() and not extrapolate:
        row = int(np.flatnonzero(outside)[0])
        box = ", ".join(f"{a.name} from {a.lower:g} to {a.upper:g}" for a in problem.domain.axes)
        where = ", ".join(
            f"{name}={value:g}"
            for name, value in zip(problem.domain.names, points.at[row], strict=True)
        )
        raise InvalidValueError(
            f"{path}: {int(outside.sum())} points lie outside the domain ({box}), the first at "
            f"{where} (point {row + 1}): remove them or add --extrapolate."
        )
    return points


def measurements(path: Path, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Measured fields: (points [rows, axes], values [rows, fields]) of a CSV or HDF5 file."""
    axes, fields = problem.domain.names, tuple(problem.fields)
    if path.suffix in (".h5", ".hdf5"):
        held = load(path)
        if held.reference.problem.name != problem.name or held.labels is None:
            raise DataFileError(
                f"{path} holds no labels of {problem.name!r}: make them with `pacpde solve "
                f"{problem.name} --labels 25 -o {path}`."
            )
        return held.labels.points, held.labels.values
    read = _of_csv(path, (*axes, *fields))
    count = len(axes)
    return read.at[:, :count], read.at[:, count:]


def _of_dataset(path: Path, problem: Problem) -> Points:
    reference = load(path).reference
    if reference.problem.name != problem.name:
        raise DataFileError(
            f"{path} holds {reference.problem.name!r}, the surrogate solves {problem.name!r}: give "
            "a file of the same family."
        )
    at = mesh(list(reference.axes.values())).reshape(-1, len(reference.axes))
    return Points(problem.domain.names, at, at, reference)


def _of_csv(path: Path, axes: tuple[str, ...]) -> Points:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            columns = tuple(name.strip() for name in next(lines, []))
            _check_columns(path, columns, axes)
            rows = [_numbers(path, lines.line_num, row, columns) for row in lines if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataFileError(f"{path} cannot be read as CSV ({error}).") from error
    if not rows:
        raise DataFileError(f"{path} has a header and no point: add one line a point.")
    values = np.array(rows)
    return Points(columns, values, values[:, [columns.index(name) for name in axes]])


def _check_columns(path: Path, columns: tuple[str, ...], axes: tuple[str, ...]) -> None:
    if set(columns) != set(axes) or len(columns) != len(axes):
        raise DataFileError(
            f"{path} has the columns {', '.join(columns) or '(none)'}, expected "
            f"{', '.join(axes)}, each once and in any order: the first line names them."
        )


def _numbers(path: Path, line: int, row: list[str], columns: tuple[str, ...]) -> list[float]:
    if len(row) != len(columns):
        raise DataFileError(
            f"{path}, line {line}: {len(row)} values, expected {len(columns)} "
            f"({', '.join(columns)})."
        )
    numbers = []
    for name, text in zip(columns, row, strict=True):
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise DataFileError(f"{path}, line {line}: {name} is {text!r}, expected a number.")
        numbers.append(value)
    return numbers


def write(points: Points, fields: np.ndarray, surrogate: Surrogate, output: Path | None) -> None:
    """The points with the fields beside them, every digit kept."""
    with _opened(output) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*points.columns, *surrogate.problem.fields])
        for row in np.concatenate([points.values, fields], axis=1).tolist():
            writer.writerow(repr(value) for value in row)


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with (
        atomic_write(output) as temporary,
        Path(temporary).open("w", newline="", encoding="utf-8") as file,
    ):
        yield file
