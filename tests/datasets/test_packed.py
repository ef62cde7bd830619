"""Packed and missing values of netCDF and HDF5: as xarray decodes them, and by the conventions."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from pacpde import Measurements
from pacpde.datasets.named_arrays import named_arrays
from pacpde.errors import DataFileError
from pacpde.problems import Heat

T, X = np.array([0.1, 0.2]), np.array([0.25, 0.5, 0.75])
RAW = np.arange(6, dtype=np.int16).reshape(2, 3)


def written(kind: str, path: Path, values: np.ndarray, attributes: dict[str, Any]) -> Path:
    """t, x and u with attributes."""
    if kind == "netcdf":
        with netcdf_file(path, "w") as file:
            for name, axis in (("t", T), ("x", X)):
                file.createDimension(name, len(axis))
                file.createVariable(name, "f8", (name,))[:] = axis
            own = file.createVariable("u", values.dtype.newbyteorder(">"), ("t", "x"))
            own[:] = values
            for name, value in attributes.items():
                setattr(own, name, value)
        return path
    with h5py.File(path, "w") as file:
        file["t"], file["x"], file["u"] = T, X, values
        file["u"].attrs.update(attributes)
    return path


def read(path: Path) -> np.ndarray:
    return np.asarray(named_arrays(path).arrays["u"])


@pytest.mark.parametrize("kind", ["netcdf", "hdf5"])
@pytest.mark.parametrize(
    ("attributes", "missing"),
    [
        ({"_FillValue": np.int16(3)}, [3]),
        ({"missing_value": np.int16(0)}, [0]),
        ({"valid_range": np.array([1, 4], np.int16)}, [0, 5]),
        ({"valid_min": np.int16(2)}, [0, 1]),
        ({"valid_max": np.float64(1.025)}, [3, 4, 5]),  # no integer, so that it is of what is meant
    ],
)
def test_packed_and_missing_values(
    kind: str, attributes: dict[str, Any], missing: list[int], tmp_path: Path
) -> None:
    packing = {"scale_factor": np.float64(0.01), "add_offset": np.float64(1)}
    found = read(written(kind, tmp_path / "file.nc", RAW, packing | attributes))
    expected = 1 + 0.01 * RAW
    expected.ravel()[missing] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_they_are_what_xarray_reads(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    attributes = {"scale_factor": np.float64(0.1), "_FillValue": np.int16(4)}
    path = written("netcdf", tmp_path / "file.nc", RAW, attributes)
    with xarray.open_dataset(path, engine="scipy") as data:
        np.testing.assert_allclose(read(path), data["u"].values, rtol=1e-15)


def test_a_value_that_was_never_written_is_missing_and_is_left_out(tmp_path: Path) -> None:
    values = np.array([[0.5, 9.969209968386869e36, 0.25], [0.1, 0.2, 0.3]], np.float32)
    path = written("netcdf", tmp_path / "file.nc", values, {})
    other = written("hdf5", tmp_path / "file.h5", values, {})
    assert np.isfinite(read(other)).all()  # not of the netCDF library
    with h5py.File(other, "a") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.3"
    assert np.isnan(read(other)).sum() == 1
    data = Measurements.of(path, Heat())
    assert len(data.points) == 5 and float(np.nanmax(data.values)) == 0.5
    assert "1 rows have no value, and are left out" in data.notes


def test_what_is_not_packed_keeps_its_bits_and_an_odd_attribute_is_refused(tmp_path: Path) -> None:
    path = written("hdf5", tmp_path / "file.h5", RAW, {"units": "K"})
    assert read(path).dtype == np.int16
    path = written("hdf5", tmp_path / "odd.h5", RAW, {"scale_factor": "twice"})
    with pytest.raises(DataFileError, match="scale_factor"):
        read(path)
    signed = np.array([[-1, 1, 2], [3, 4, 5]], np.int8)
    path = written("netcdf", tmp_path / "bytes.nc", signed, {"_Unsigned": "true"})
    assert read(path)[0, 0] == 255


def test_fill_and_limits_of_unsigned_bytes_are_unsigned_too(tmp_path: Path) -> None:
    signed = np.array([[-1, -2, 2], [3, 4, 5]], np.int8)  # 255, 254, 2, ...
    attributes = {"_Unsigned": "true", "_FillValue": np.int8(-1), "valid_max": np.int8(-2)}
    found = read(written("netcdf", tmp_path / "bytes.nc", signed, attributes))
    np.testing.assert_array_equal(found, [[np.nan, 254, 2], [3, 4, 5]])


def test_limits_of_another_integer_type_are_of_what_is_stored(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2], [3, 4, 250]], np.uint8)
    attributes = {"scale_factor": np.float64(0.01), "valid_range": np.array([1, 200], np.int16)}
    found = read(written("hdf5", tmp_path / "file.h5", values, attributes))
    np.testing.assert_allclose(found, [[np.nan, 0.01, 0.02], [0.03, 0.04, np.nan]], rtol=1e-15)
