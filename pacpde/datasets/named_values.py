"""Values with names, dimensions and attributes: as netCDF, HDF5, Parquet, or in xarray."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from pacpde.errors import InvalidValueError, MissingPackageError
from pacpde.physics.domain import mesh

Attributes = Mapping[str, str | float]
POINT = "point"  # the dimension of points that are no grid


@dataclass(frozen=True, eq=False)
class NamedValues:
    """Arrays by name; one that is called as its only dimension gives the coordinate along it.

    Attributes:
        arrays: name → (names of its dimensions, values).
        about: name → attributes of the array.
        attributes: of all together.
    """

    arrays: Mapping[str, tuple[tuple[str, ...], np.ndarray]]
    about: Mapping[str, Attributes] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)

    @classmethod
    def of_points(
        cls,
        axes: Sequence[str],
        points: np.ndarray,
        values: Mapping[str, np.ndarray],
        attributes: Attributes,
        grid: bool = True,
    ) -> "NamedValues":
        """Values at points; on a grid where the points are all of one, in the order of its axes.

        Args:
            axes: names of the coordinates.
            points: [points, axes].
            values: name → [points].
            grid: whether a grid is looked for; otherwise there is one row a point.
        """
        found_axes = grid_of(points) if grid else None
        if found_axes is None:
            columns = {**dict(zip(axes, points.T, strict=True)), **values}
            arrays = {name: ((POINT,), own) for name, own in columns.items()}
            return cls(arrays, attributes=attributes)
        shape = tuple(len(axis) for axis in found_axes)
        found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
            name: ((name,), axis) for name, axis in zip(axes, found_axes, strict=True)
        }
        found |= {name: (tuple(axes), own.reshape(shape)) for name, own in values.items()}
        return cls(found, attributes=attributes)

    @property
    def sizes(self) -> dict[str, int]:
        """Dimension → its length."""
        return {
            dim: size
            for dims, array in self.arrays.values()
            for dim, size in zip(dims, array.shape, strict=True)
        }

    def to_xarray(self) -> Any:
        """As an xarray Dataset.

        Raises:
            MissingPackageError: xarray is not installed.
        """
        try:
            import xarray
        except ImportError as error:
            raise MissingPackageError(
                "to_xarray needs the package xarray: pip install 'pacpde[xarray]'."
            ) from error
        own = {name: (dims, array, dict(self.about.get(name, {})))
               for name, (dims, array) in self.arrays.items()}  # fmt: skip
        coordinates = {name for name, (dims, _, _) in own.items() if dims == (name,)}
        return xarray.Dataset(
            {name: each for name, each in own.items() if name not in coordinates},
            {name: own[name] for name in own if name in coordinates},
            dict(self.attributes),
        )

    def as_bytes(self, suffix: str) -> bytes:
        """The content of a file of a kind that `WRITERS` names.

        Made in memory: on a full disk these packages say so in their own ways, or end the process.

        Raises:
            MissingPackageError: a package for it is not installed.
        """
        return WRITERS[suffix](self)


def grid_of(points: np.ndarray) -> list[np.ndarray] | None:
    """The axes of the grid that the points [points, axes] are, the last axis fastest; else None."""
    axes = [np.unique(column) for column in points.T]
    if not len(points) or np.prod([float(len(axis)) for axis in axes]) != len(points):
        return None
    whole = mesh(axes).reshape(points.shape)
    return axes if np.array_equal(whole, points) else None


def check_writable_kind(suffix: str) -> None:
    """Refuse a kind of file that is not written here, or whose package is not installed.

    Args:
        suffix: in small letters, with its dot. One that is not known is taken for text.

    Raises:
        InvalidValueError: readers of such a file expect something else than CSV.
        MissingPackageError: a package for it is not installed.
    """
    if suffix in NOT_TEXT:
        raise InvalidValueError(
            f"no {suffix} file is written here: end the name with .csv for text, .nc for netCDF, "
            ".h5 for HDF5, or .parquet."
        )
    if suffix in PARQUET:
        _parquet()


def _netcdf(values: NamedValues) -> bytes:
    """netCDF 3 with 64-bit offsets: every reader takes it, and scipy writes it."""
    from scipy.io import netcdf_file  # slow to import

    def plain(value: str | float) -> Any:
        return value.encode() if isinstance(value, str) else np.float64(value)

    whole = io.BytesIO()
    with netcdf_file(whole, "w", version=2) as file:
        for name, value in values.attributes.items():
            setattr(file, name, plain(value))
        for name, size in values.sizes.items():
            file.createDimension(name, size)
        for name, (dims, array) in values.arrays.items():
            variable = file.createVariable(name, "f8", dims)
            variable[:] = array
            for key, value in values.about.get(name, {}).items():
                setattr(variable, key, plain(value))
        file.flush()
        return whole.getvalue()


def _hdf5(values: NamedValues) -> bytes:
    """One dataset a name, whose dimensions are scales, as netCDF 4 and MATLAB read it."""
    whole = io.BytesIO()
    with h5py.File(whole, "w") as file:
        file.attrs.update(values.attributes)
        for name, (_, array) in values.arrays.items():
            file[name] = np.ascontiguousarray(array, float)
            file[name].attrs.update(values.about.get(name, {}))
        for dim, size in values.sizes.items():
            if dim not in file:
                file[dim] = np.arange(float(size))
            file[dim].make_scale(dim)
        for name, (dims, _) in values.arrays.items():
            if dims != (name,):
                for number, dim in enumerate(dims):
                    file[name].dims[number].attach_scale(file[dim])
    return whole.getvalue()


def _as_parquet(values: NamedValues) -> bytes:
    """One row a point; attributes are the schema's metadata."""
    pyarrow, parquet = _parquet()
    dims = tuple(values.sizes)
    shape = tuple(values.sizes.values())
    columns = {}
    for name, (own, array) in values.arrays.items():
        wide = array.reshape([size if dim in own else 1 for dim, size in values.sizes.items()])
        columns[name] = np.broadcast_to(wide, shape).ravel() if dims else array
    table = pyarrow.table(columns)
    texts = {name: str(value) for name, value in values.attributes.items()}
    whole = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(texts), whole)
    return whole.getvalue()


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            "Parquet files need the package pyarrow: pip install 'pacpde[studies]', or name "
            "another kind of file, such as .csv."
        ) from error
    return pyarrow, parquet


PARQUET = (".parquet", ".pq")
NOT_TEXT = frozenset((  # readers of such files expect something else than CSV
    ".xlsx", ".xls", ".xlsm", ".ods", ".json", ".mat", ".npz", ".npy", ".pkl", ".pickle", ".pt",
    ".safetensors", ".feather", ".arrow", ".zarr", ".db", ".sqlite", ".zip", ".gz", ".bz2", ".xz",
    ".png", ".jpg", ".jpeg", ".pdf", ".svg", ".html", ".md", ".docx",
))  # fmt: skip
WRITERS: Mapping[str, Callable[[NamedValues], bytes]] = {
    **dict.fromkeys((".nc", ".cdf", ".nc3"), _netcdf),
    **dict.fromkeys((".h5", ".hdf5", ".hdf", ".he5"), _hdf5),
    **dict.fromkeys(PARQUET, _as_parquet),
}  # by the ending of a file; anything else is CSV
