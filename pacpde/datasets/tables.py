"""A reference from a user's own file of values on a grid."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.interpolate import BSpline, make_interp_spline

from pacpde.datasets.columns import listed
from pacpde.datasets.named_arrays import NamedArrays
from pacpde.datasets.samples import read_samples
from pacpde.errors import DataFileError
from pacpde.physics import Axis, Problem
from pacpde.physics.domain import Domain
from pacpde.reference import Reference
from pacpde.reference.box import TensorSolution

SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".npz", ".mat", ".nc", ".parquet")
DEGREE = 3  # of the splines between the values


@dataclass(frozen=True, eq=False)
class GridSolution(TensorSolution):
    """Values on a tensor grid, [fields, points...]; cubic splines between them."""

    axes: dict[str, np.ndarray]
    values: np.ndarray

    form = "grid"

    @property
    def domain(self) -> Domain:
        return Domain(tuple(Axis(name, float(x[0]), float(x[-1])) for name, x in self.axes.items()))

    def interpolation(self, points: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [spline(x) for spline, x in zip(self._splines, points, strict=True)]

    @cached_property
    def _splines(self) -> list[BSpline]:
        """One an axis: x [points] → matrix from the values to those at x."""
        return [
            make_interp_spline(x, np.eye(len(x)), min(DEGREE, len(x) - 1))
            for x in self.axes.values()
        ]


def read_table(
    table: str | Path | NamedArrays, problem: Problem, columns: Mapping[str, str] | None = None
) -> Reference:
    """The reference in a file with values on a tensor grid: text, .npz, .mat or HDF5 of others.

    The order of rows, columns and axes is free; see `read_samples`. Nothing is known of its error:
    `certified_error` is infinite, and null in records.

    Args:
        table: the file, or what `named_arrays` read of it.
        columns: axis or field → its name in the file, as of `read_samples`.

    Raises:
        DataFileError: no such file, other columns, points outside the domain, or no grid.
    """
    began = time.perf_counter()
    names, fields = problem.domain.names, tuple(problem.fields)
    samples = read_samples(table, problem, columns)
    points, values, file = samples.points, samples.values, samples.source.origin
    if np.isnan(values).any():
        missing = int(np.isnan(values).any(1).argmax())
        raise DataFileError(
            f"{file} has no number for {listed(fields)} in {samples.source.where(missing)}: a "
            "reference needs all of them at every point."
        )
    outside = problem.domain.outside(points, samples.source.where)
    if outside:
        raise DataFileError(f"{file}: {outside}: leave them out.")
    points = problem.domain.clipped(points)
    axes, places = {}, []
    for name, x in zip(names, points.T, strict=True):
        axes[name], place = np.unique(x, return_inverse=True)
        places.append(place)
    shape = tuple(len(axis) for axis in axes.values())
    number = np.ravel_multi_index(tuple(places), shape)
    if min(shape) < 2 or len(points) != math.prod(shape) or len(np.unique(number)) < len(points):
        raise DataFileError(
            f"{file} has {len(points)} points, and its coordinates have "
            f"{' × '.join(map(str, shape))} different values: expected a grid, each combination "
            "once, with two values or more of each coordinate."
        )
    on_grid = np.empty((len(fields), len(points)))
    on_grid[:, number] = values.T
    on_grid = on_grid.reshape(-1, *shape)
    return Reference(
        problem=problem,
        axes=axes,
        fields=dict(zip(fields, on_grid, strict=True)),
        certified_error=math.inf,
        solver=f"the table {Path(file).name}",
        tolerances={},
        seconds=time.perf_counter() - began,
        dense=GridSolution(axes, on_grid),
    )
