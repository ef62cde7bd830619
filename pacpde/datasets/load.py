"""Read a dataset (a certified reference, perhaps labels) from an HDF5 file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pacpde.datasets.schema import SCHEMA, Dataset, Labels, check_sealed
from pacpde.datasets.tables import SUFFIXES, GridSolution
from pacpde.errors import DataFileError, InvalidValueError, UnknownNameError
from pacpde.physics import Problem, families
from pacpde.physics.fingerprint import check_unchanged, family_difference, same_problem
from pacpde.reading import open_regular, parse_json
from pacpde.reference import Reference
from pacpde.reference.box import BoxSolution
from pacpde.reference.dense import DEGREE, DenseSolution
from pacpde.reference.exact import ExactSolution
from pacpde.reference.grid import space_axes
from pacpde.reference.nodal import NodalSolution, nodal_axes

HDF5 = (".h5", ".hdf5", ".hdf", ".he5")


def load(path: str | Path, problem: Problem | None = None) -> Dataset:
    """Read the dataset that `pacpde.datasets.write` wrote; the numbers are the same, bit for bit.

    Args:
        path: HDF5 file, see data/README.md.
        problem: the problem that the file must hold; None accepts any problem of a known family.

    Raises:
        DataFileError: the file is missing, is no HDF5, is truncated, does not match its checksum,
            has an unknown schema or family, or holds another problem.

    Example:
        >>> dataset = load("data/heat.h5")
        >>> dataset.reference(0.5, 0.25)
    """
    file = Path(path)
    check_sealed(file)
    try:
        with h5py.File(file, "r", locking=False) as opened:
            _check_schema(opened, file)
            stored = _problem(opened, file)
            if problem is not None:
                _check_problem(stored, problem, file)
                stored = problem  # equal, but its class may have been imported a second time
            return Dataset(_reference(opened, stored), _labels(opened))
    except DataFileError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataFileError(
            f"{file} is no complete schema-{SCHEMA} file ({error}): make it anew with "
            "`pacpde solve`."
        ) from error


def labels_of(path: str | Path, problem: Problem) -> Labels | None:
    """The labels in a file of `pacpde solve`; None where the file is not one.

    Raises:
        DataFileError: it is one, and broken, of another family or without labels.
    """
    file = Path(path)
    if not is_hdf5_dataset(file):
        return None
    dataset = load(file)
    if dataset.reference.problem.name != problem.name or dataset.labels is None:
        raise DataFileError(
            f"{file} holds no labels of {problem.name!r}: make them with `pacpde solve "
            f"{problem.name} --labels 25 -o {file}`."
        )
    return dataset.labels


def is_hdf5_dataset(file: Path) -> bool:
    """Whether a file has an ending of HDF5 and is to be read by `load`, see `is_dataset`."""
    return file.suffix.lower() in HDF5 and is_dataset(file)


def is_dataset(file: Path) -> bool:
    """Whether a file is to be read by `load`: all but tables and foreign HDF5 files.

    A broken one, or one that is not there, is refused by `load` in its words.
    """
    if file.suffix.lower() in SUFFIXES:
        return False
    try:
        with open_regular(file) as opened, h5py.File(opened, "r") as content:
            return "schema" in content.attrs
    except (DataFileError, OSError, RuntimeError, ValueError, KeyError):
        return True


def _check_schema(file: h5py.File, path: Path) -> None:
    schema = file.attrs.get("schema")
    if schema != SCHEMA:
        raise DataFileError(
            f"{path} has the schema {schema}, this version reads {SCHEMA}: make it anew with "
            "`pacpde solve`, or read it with the version that wrote it."
        )
    if _own(file, "dense", h5py.Group).attrs["degree"] != DEGREE:
        raise DataFileError(f"{path} has pieces of another degree than {DEGREE}: make it anew.")


def _problem(file: h5py.File, path: Path) -> Problem:
    until = file.attrs.get("until")
    try:
        family = families.get(str(file.attrs["family"]))
        problem = family.from_coefficients(
            parse_json(file.attrs["coefficients"]), None if until is None else float(until)
        )
        if "fingerprint" in file.attrs:  # files of older versions lack it
            check_unchanged(problem, parse_json(file.attrs["fingerprint"]), str(path))
        return problem
    except UnknownNameError as error:
        raise DataFileError(f"{path}: {error} A family of your own needs its plugin.") from error
    except InvalidValueError as error:
        raise DataFileError(f"{path} holds a problem that is not allowed: {error}") from error


def _check_problem(stored: Problem, expected: Problem, path: Path) -> None:
    """Raise DataFileError if the file holds another problem; the message names the difference."""
    if same_problem(stored, expected):
        return
    change = family_difference(stored, expected)
    if stored.name != expected.name:
        differs = f"the family {stored.name!r}, expected {expected.name!r}"
    elif change is not None:
        differs = f"{stored} of another definition of its family than the one given: {change}"
    elif stored.coefficients != expected.coefficients:
        differs = f"{stored}, expected {expected}"
    else:
        differs = f"{stored}{stored.span_text}, expected{expected.span_text}"
    raise DataFileError(f"{path} holds {differs}.")


def _reference(file: h5py.File, problem: Problem) -> Reference:
    names, fields = problem.domain.names, problem.fields
    axes = {name: _numbers(file, f"axes/{name}", 1) for name in names}
    shape = tuple(len(axis) for axis in axes.values())
    on_grid = {name: _numbers(file, f"fields/{name}", len(names)) for name in fields}
    if any(field.shape != shape for field in on_grid.values()):
        raise ValueError("its axes and fields do not fit each other")
    form = str(_own(file, "dense", h5py.Group).attrs.get("form", DenseSolution.form))
    if form not in FORMS:
        raise ValueError(f"its dense values have the unknown form {form!r}")
    return Reference(
        problem=problem,
        axes=axes,
        fields=on_grid,
        certified_error=float(file.attrs["certified_error"]),
        solver=str(file.attrs["solver"]),
        tolerances=parse_json(file.attrs["tolerances"]),
        seconds=float(file.attrs["seconds"]),
        dense=FORMS[form](file, problem),
    )


def _pieces(file: h5py.File, problem: Problem) -> BoxSolution:
    names, fields = problem.domain.names, problem.fields
    times, values = _numbers(file, "dense/times", 1), _numbers(file, "dense/values", len(names) + 1)
    if values.shape[:2] != (len(times), len(fields)) or len(times) % DEGREE != 1:
        raise ValueError("its fields and dense values do not fit each other")
    sizes = dict(zip(names[1:], values.shape[2:], strict=True))
    return DenseSolution(times, space_axes(problem, sizes), values)


def _nodes(file: h5py.File, problem: Problem) -> BoxSolution:
    names = problem.domain.names
    values = _numbers(file, "dense/values", len(names) + 1)
    sizes = dict(zip(names, values.shape[1:], strict=True))
    axes = nodal_axes(problem, sizes)
    if values.shape != (len(problem.fields), *(axis.size for axis in axes)):
        raise ValueError("its fields and dense values do not fit each other")
    return NodalSolution(axes, values)


def _grid(file: h5py.File, problem: Problem) -> BoxSolution:
    axes = {name: _numbers(file, f"axes/{name}", 1) for name in problem.domain.names}
    values = _numbers(file, "dense/values", len(axes) + 1)
    if values.shape != (len(problem.fields), *(len(axis) for axis in axes.values())):
        raise ValueError("its fields and dense values do not fit each other")
    return GridSolution(axes, values)


def _exact(file: h5py.File, problem: Problem) -> BoxSolution:
    return ExactSolution(problem)


FORMS: dict[str, Callable[[h5py.File, Problem], BoxSolution]] = {
    DenseSolution.form: _pieces,
    NodalSolution.form: _nodes,
    ExactSolution.form: _exact,
    GridSolution.form: _grid,
}


def _labels(file: h5py.File) -> Labels | None:
    if "labels" not in file:
        return None
    group = _own(file, "labels", h5py.Group)
    return Labels(
        points=_numbers(file, "labels/points", 2),
        values=_numbers(file, "labels/values", 2),
        seed=int(group.attrs["seed"]),
        noise=float(group.attrs["noise"]),
    )


def _own(file: h5py.File, name: str, kind: type) -> Any:
    """A group or dataset of this file. Links are refused: the checksum does not cover them."""
    place = file
    for part in name.split("/"):
        if not isinstance(place.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is missing or a link")
        place = place[part]
    if not isinstance(place, kind):
        raise TypeError(f"{name} is of another kind")
    return place


def _numbers(file: h5py.File, name: str, dimensions: int) -> np.ndarray:
    """A dataset of floats, stored uncompressed in this file."""
    data = _own(file, name, h5py.Dataset)
    if data.dtype.kind != "f" or data.ndim != dimensions:
        raise ValueError(f"{name} has {data.ndim} dimensions of {data.dtype}")
    if data.external or data.is_virtual or data.id.get_storage_size() < data.nbytes:
        raise ValueError(f"the numbers of {name} do not lie in this file uncompressed")
    return np.asarray(data)
