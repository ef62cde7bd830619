"""Named arrays of the files and tables that people have.

Files of text, numpy, MATLAB, HDF5, netCDF and Parquet; tables of pandas and xarray.

Nothing in a file is run: pickles are refused. Sizes are known before arrays are read.
"""

import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pacpde.datasets.columns import HEADER, listed, read_columns
from pacpde.datasets.matlab import check_numbers, is_level_4, read_level_4
from pacpde.datasets.packed import NAMES, text_of, unpacked
from pacpde.errors import DataFileError, InvalidValueError, MissingPackageError, PacpdeError
from pacpde.reading import DATA, open_regular

NUMBERS = "biuf"  # kinds of dtype that are kept of a file
MATLAB_NUMBERS = ("double", "single", "logical", *(
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
))  # fmt: skip


@dataclass(frozen=True, eq=False)
class NamedArrays:
    """Arrays by name.

    Attributes:
        origin: what they are of, for a sentence.
        arrays: name → values.
        dims: name → names of its dimensions; empty where they are not known.
        lines: number of the line of each row of a text; None of anything else.
        faults: name → what is wrong with its values.
        error: class of the error where something does not fit.
    """

    origin: str
    arrays: Mapping[str, Any]
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lines: np.ndarray | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    error: type[PacpdeError] = InvalidValueError

    def where(self, row: int) -> str:
        """The place of a row in the source."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"


Reader = Callable[[Path, bytes], NamedArrays]


def named_arrays(table: Any) -> NamedArrays:
    """The named arrays of a file or an object.

    Args:
        table: a path; a pandas DataFrame, whose named index counts as a column; an xarray Dataset
            or DataArray; a mapping of arrays; or a numpy array with named fields. `NamedArrays`
            are returned as they are.

    Raises:
        DataFileError: the file is missing, too large or of no known kind.
        InvalidValueError: an object of another kind.
    """
    if isinstance(table, NamedArrays):
        return table
    if isinstance(table, str | Path):
        return _of_file(Path(table))
    if isinstance(table, Mapping) and not hasattr(table, "data_vars"):
        return NamedArrays("the mapping", {str(name): table[name] for name in table})
    if hasattr(table, "dims") and hasattr(table, "coords"):
        return _of_xarray(table)
    if hasattr(table, "columns") and hasattr(table, "__getitem__"):
        return _of_frame(table)
    names = getattr(getattr(table, "dtype", None), "names", None)
    if names:
        return NamedArrays("the array", {name: table[name] for name in names})
    raise InvalidValueError(
        f"the table is {type(table).__name__}, expected a file, a DataFrame, an xarray Dataset or "
        'a mapping such as {"t": t, "x": x, "u": u}: for arrays write Measurements(points, values).'
    )


def _of_frame(table: Any) -> NamedArrays:
    if any(name is not None for name in getattr(getattr(table, "index", None), "names", [])):
        table = table.reset_index()
    names = [str(name) for name in table.columns]
    _check_once("the table", names)
    columns = [_of_column(table[name]) for name in table.columns]
    return NamedArrays("the table", dict(zip(names, columns, strict=True)))


def _of_column(column: Any) -> np.ndarray:
    """Numbers of a pandas column, nan where it has NA."""
    if hasattr(column, "isna") and getattr(column.dtype, "kind", "O") in NUMBERS:
        return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))
    return np.asarray(column.to_numpy())


def _of_xarray(data: Any) -> NamedArrays:
    if hasattr(data, "data_vars"):
        content = {str(name): data[name] for name in [*data.coords, *data.data_vars]}
    else:
        content = {str(name): data.coords[name] for name in data.coords}
        content["" if data.name is None else str(data.name)] = data
    return NamedArrays(
        "the data set",
        {name: each.values for name, each in content.items()},
        {name: tuple(map(str, each.dims)) for name, each in content.items()},
    )


def is_text(path: Path) -> bool:
    """Whether a file is read as text: all that does not begin as a file of another kind."""
    return not _begun(path)[0]


def _begun(path: Path, whole: bool = False) -> tuple[list[Reader], bytes]:
    """(what reads a file of its first bytes, its content); nothing for text.

    Args:
        whole: whether the content is wanted.
    """
    if path.is_fifo():  # it can be read once
        return [], b""
    try:
        with open_regular(path) as file:
            begins = file.peek(HEADER)
            readers = [read for magic, read in READERS.items() if begins.startswith(magic)]
            if is_level_4(begins):
                readers.append(_of_matlab_4)
            return readers, file.read() if readers and whole else b""
    except OSError as error:
        raise DataFileError(f"{path} cannot be read ({error.strerror or error}).") from error


def _of_file(path: Path) -> NamedArrays:
    readers, content = _begun(path, whole=True)
    if not readers:
        return _of_text(path)
    try:
        return replace(readers[0](path, content), error=DataFileError)
    except PacpdeError:
        raise
    except Exception as error:  # these readers raise errors of every kind on a broken file
        raise DataFileError(f"{path} cannot be read ({error}): is it whole?") from error


def _of_text(path: Path) -> NamedArrays:
    columns = read_columns(path, gaps=True)
    _check_once(str(path), columns.names)
    arrays = dict(zip(columns.names, columns.values.T, strict=True))
    return NamedArrays(
        str(path), arrays, lines=columns.lines, faults=columns.faults, error=DataFileError
    )


def _of_numpy(path: Path, content: bytes) -> NamedArrays:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        _check_size(path, (member.file_size for member in archive.infolist()))
    found = {}
    with np.load(BytesIO(content), allow_pickle=False) as file:
        for name in file.files:
            with suppress(ValueError):  # an array of objects is a pickle
                found[name] = file[name]
    return NamedArrays(str(path), _numbers(found))


def _of_matlab(path: Path, content: bytes) -> NamedArrays:
    from scipy.io import loadmat, whosmat  # slow to import

    file: Any = BytesIO(content)
    about = [each for each in whosmat(file) if each[2] in MATLAB_NUMBERS]
    _check_size(path, (8 * math.prod(shape) for _, shape, _ in about))
    check_numbers(content, DATA)
    found = loadmat(file, variable_names=[name for name, *_ in about])
    return NamedArrays(str(path), _numbers({name: found[name] for name, *_ in about}))


def _of_matlab_4(path: Path, content: bytes) -> NamedArrays:
    return NamedArrays(str(path), read_level_4(content))


def _of_hdf5(path: Path, content: bytes) -> NamedArrays:
    """Every array of numbers by its place, as "group/u"; MATLAB's have their axes reversed."""
    arrays: dict[str, np.ndarray] = {}
    dims: dict[str, tuple[str, ...]] = {}
    with h5py.File(BytesIO(content), "r") as file:
        found: dict[str, h5py.Dataset] = {}
        # it follows no links; a name that is no UTF-8 is bytes
        file.visititems(lambda name, item: found.update({text_of(name): item}))
        found = {name: item for name, item in found.items() if _is_array(item)}
        _check_size(path, (item.nbytes for item in found.values()))
        for name, item in found.items():
            if item.external or item.is_virtual:
                raise DataFileError(f"{path}: {name} lies in another file: write it into this one.")
            attributes = {own: item.attrs[own] for own in NAMES if own in item.attrs}
            values = unpacked(item[()], attributes, "_NCProperties" in file.attrs)
            arrays[name] = values.T if content.startswith(b"MATLAB") else values
            scales = _scales(item)
            if _is_scale(item):
                dims[name] = (name,)
            elif len(scales) == item.ndim:
                dims[name] = tuple(scales)
    return NamedArrays(str(path), arrays, dims)


def _is_scale(item: h5py.Dataset) -> bool:
    """Whether an array is the coordinate of a dimension.

    By its attributes: `item.is_scale` and `item.dims` end the process on damaged ones (HDF5 2.0).
    """
    return item.attrs.get("CLASS") in (b"DIMENSION_SCALE", "DIMENSION_SCALE")


def _scales(item: h5py.Dataset) -> list[str]:
    """The places of the first coordinates of an array's dimensions, of those that have one."""
    found = item.attrs.get("DIMENSION_LIST", ())
    return [text_of(item.file[each[0]].name).strip("/") for each in found if len(each)]


def _of_netcdf(path: Path, content: bytes) -> NamedArrays:
    """Every array of numbers of netCDF 3, with its dimensions; netCDF 4 is HDF5."""
    from scipy.io import netcdf_file  # slow to import

    with netcdf_file(BytesIO(content), "r", mmap=False) as file:
        found = {
            name: own
            for name, own in file.variables.items()
            if own.data.ndim and own.data.dtype.kind in NUMBERS
        }
        arrays = {
            name: unpacked(
                own.data.astype(own.data.dtype.newbyteorder("=")),
                {attribute: getattr(own, attribute, None) for attribute in NAMES},
                netcdf=True,
            )
            for name, own in found.items()
        }
        dims = {name: tuple(own.dimensions) for name, own in found.items()}
    return NamedArrays(str(path), arrays, dims)


def _of_parquet(path: Path, content: bytes) -> NamedArrays:
    """Every column of numbers, nan where it is null."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            f"{path} is a Parquet file, which needs the package pyarrow: pip install "
            "'pacpde[studies]', or write it as CSV."
        ) from error
    file = parquet.ParquetFile(BytesIO(content))
    _check_size(path, [8 * file.metadata.num_rows * file.metadata.num_columns])
    table = file.read()
    _check_once(str(path), table.column_names)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return NamedArrays(str(path), _numbers(columns))


def _is_array(item: h5py.Group | h5py.Dataset) -> bool:
    return isinstance(item, h5py.Dataset) and item.ndim > 0 and item.dtype.kind in NUMBERS


def _numbers(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if array.dtype.kind in NUMBERS}


def _check_size(path: Path, sizes: Iterable[int]) -> None:
    """Refuse what a small file unpacks to."""
    size = sum(sizes)
    if size > DATA:
        raise DataFileError(
            f"{path} holds {size / 2**20:,.0f} MiB of numbers, more than the {DATA / 2**20:,.0f} "
            "MiB that are read: give a part of them."
        )


def _check_once(origin: str, names: Iterable[str]) -> None:
    names = list(names)
    twice = sorted({name for name in names if names.count(name) > 1}) if len(names) < 1000 else []
    if twice:
        raise DataFileError(f"{origin} has the column {listed(twice)} twice: keep one of each.")


READERS: Mapping[bytes, Reader] = {
    b"PK\x03\x04": _of_numpy,
    b"MATLAB 5.0": _of_matlab,
    b"MATLAB 7.3": _of_hdf5,
    b"\x89HDF\r\n\x1a\n": _of_hdf5,
    b"CDF\x01": _of_netcdf,
    b"CDF\x02": _of_netcdf,
    b"PAR1": _of_parquet,
}  # by the first bytes of a file; anything else is text, or of Level 4 of MATLAB
