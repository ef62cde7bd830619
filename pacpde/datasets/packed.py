"""Values as files of netCDF and HDF5 mean them: unpacked, and nan where there is none.

Climate and forecast conventions (CF 1.11), 2.5.1 "Missing data" and 8.1 "Packed data", which files
of netCDF 3 and 4 follow, and HDF5 files of others.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

# of a value that was never written, by the netCDF library; in float32 and float64
UNWRITTEN = 9.969209968386869e36
LIMITS = ("valid_min", "valid_max", "valid_range")
NAMES = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", *LIMITS)


def unpacked(values: np.ndarray, attributes: Mapping[str, Any], netcdf: bool = False) -> np.ndarray:
    """Values times `scale_factor` plus `add_offset`; nan where they are missing or not valid.

    Args:
        values: as stored.
        attributes: of the array, by their names; those that are not in `NAMES` are left alone.
        netcdf: whether the netCDF library wrote them, so that `UNWRITTEN` is no value.

    Returns:
        The same array where nothing of this is to be done, else float64.

    Raises:
        ValueError: an attribute is no number.

    Example:
        >>> unpacked(np.array([0, 1, -9]), {"scale_factor": 0.5, "_FillValue": -9})
        array([0. , 0.5, nan])
    """
    about = {name: attributes[name] for name in NAMES if attributes.get(name) is not None}
    if not about and not netcdf:
        return values
    unsigned = text_of(about.pop("_Unsigned", "")).lower() == "true"
    numbers = {name: _numbers(name, value) for name, value in about.items()}
    if unsigned and values.dtype.kind == "i":
        signed, whole = values.dtype, np.dtype(values.dtype.str.replace("i", "u"))
        values = values.view(whole)
        numbers |= {name: own.view(whole) for name, own in numbers.items() if own.dtype == signed}
    missing = np.zeros(values.shape, bool)
    if netcdf and values.dtype.kind == "f":
        missing |= values == values.dtype.type(UNWRITTEN)
    for name in ("_FillValue", "missing_value"):
        if name in numbers:
            own = numbers[name]
            missing |= np.isin(
                values, own.astype(values.dtype) if values.dtype.kind == "f" else own
            )
    scale, offset = numbers.get("scale_factor"), numbers.get("add_offset")
    found = values
    if scale is not None or offset is not None:
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values are refused later
            found = values * np.float64(1 if scale is None else scale[0])
            found = found + np.float64(0 if offset is None else offset[0])
    for name in LIMITS:
        if name in numbers:
            # of what is stored; limits that are no integers, where that is, are of what it means
            limits = numbers[name]
            of = found if limits.dtype.kind == "f" != values.dtype.kind else values
            if name != "valid_max":
                missing |= of < limits[0]
            if name != "valid_min":
                missing |= of > limits[-1]
    if not missing.any():
        return found
    return np.where(missing, np.nan, found)


def _numbers(name: str, value: Any) -> np.ndarray:
    numbers = np.atleast_1d(np.asarray(value)).ravel()
    if numbers.dtype.kind not in "iuf" or not numbers.size:
        raise ValueError(f"its attribute {name} is {value!r}, expected a number")
    return numbers


def text_of(value: Any) -> str:
    """What a file holds as text or as its bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
