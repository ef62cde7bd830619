"""Reads a reference back, and refuses what is not one."""

import json
from pathlib import Path

import h5py
import numpy as np

from pacpde.datasets.schema import SCHEMA, Dataset, Labels, check_sealed
from pacpde.errors import DataFileError, InvalidValueError, UnknownNameError
from pacpde.physics import Problem, families
from pacpde.reference import Reference
from pacpde.reference.dense import DEGREE, DenseSolution
from pacpde.reference.grid import space_axes


def load(path: str | Path, problem: Problem | None = None) -> Dataset:
    """What `write` wrote, the same to the last bit.

    Args:
        problem: the problem it must hold; without it, the one its attributes name.

    Raises:
        DataFileError: missing, no HDF5, truncated, changed, of an unknown schema or family.
    """
    file = Path(path)
    check_sealed(file)
    try:
        with h5py.File(file, "r") as opened:
            _check_schema(opened, file)
            found = _problem(opened, file)
            if problem is not None and found != problem:
                raise DataFileError(f"{file} holds {found}, expected {problem}.")
            return Dataset(_reference(opened, found), _labels(opened))
    except DataFileError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataFileError(
            f"{file} is no complete schema-{SCHEMA} file ({error}): make it anew with "
            "`pacpde solve`."
        ) from error


def _check_schema(file: h5py.File, path: Path) -> None:
    schema = file.attrs.get("schema")
    if schema != SCHEMA:
        raise DataFileError(
            f"{path} has the schema {schema}, this version reads {SCHEMA}: make it anew with "
            "`pacpde solve`, or read it with the version that wrote it."
        )
    if file["dense"].attrs["degree"] != DEGREE:
        raise DataFileError(f"{path} has pieces of another degree than {DEGREE}: make it anew.")


def _problem(file: h5py.File, path: Path) -> Problem:
    until = file.attrs.get("until")
    try:
        family = families.get(str(file.attrs["family"]))
        return family.from_coefficients(
            json.loads(file.attrs["coefficients"]), None if until is None else float(until)
        )
    except UnknownNameError as error:
        raise DataFileError(f"{path}: {error} A family of your own needs its plugin.") from error
    except InvalidValueError as error:
        raise DataFileError(f"{path} holds a problem that is not allowed: {error}") from error


def _reference(file: h5py.File, problem: Problem) -> Reference:
    values = np.asarray(file["dense/values"])
    sizes = dict(zip(problem.domain.names[1:], values.shape[2:], strict=True))
    return Reference(
        problem=problem,
        axes={name: np.asarray(file["axes"][name]) for name in problem.domain.names},
        fields={name: np.asarray(file["fields"][name]) for name in problem.fields},
        certified_error=float(file.attrs["certified_error"]),
        solver=str(file.attrs["solver"]),
        tolerances=json.loads(file.attrs["tolerances"]),
        seconds=float(file.attrs["seconds"]),
        dense=DenseSolution(np.asarray(file["dense/times"]), space_axes(problem, sizes), values),
    )


def _labels(file: h5py.File) -> Labels | None:
    group = file.get("labels")
    if group is None:
        return None
    return Labels(
        points=np.asarray(group["points"]),
        values=np.asarray(group["values"]),
        seed=int(group.attrs["seed"]),
        noise=float(group.attrs["noise"]),
    )
