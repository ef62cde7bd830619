"""Numbers as users have them: arrays of any kind, lists, columns of a table."""

import math
from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from pacpde.checks import as_float
from pacpde.errors import InvalidValueError

REAL = "biuf"  # kinds of dtype whose entries are real numbers


def as_floats(values: Any, what: str) -> np.ndarray:
    """`values` as a new float64 array, whatever their byte order, strides and precision.

    Args:
        what: names them in a refusal, as in "the coordinates".

    Raises:
        InvalidValueError: an entry is masked, or is no real number.
    """
    if np.ma.is_masked(values):
        raise InvalidValueError(
            f"{what} have {np.ma.count_masked(values)} masked entries, expected a number in each: "
            "leave those points out, as in array.compressed()."
        )
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O":
            array = np.array([_real(entry) for entry in array.flat]).reshape(array.shape)
        if array.size and array.dtype.kind not in REAL:
            raise TypeError(f"entries of type {array.dtype}")
        return np.array(array, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InvalidValueError(
            f"{what} are no real numbers ({error}): give numbers, lists or arrays of them."
        ) from error


def as_number(value: Any) -> float | None:
    """A finite real number as a float, also of an array without axes; None for anything else."""
    if getattr(value, "ndim", None) == 0 and not np.ma.is_masked(value):
        with suppress(AttributeError, RuntimeError):  # a tensor without values
            value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    with suppress(ValueError):  # a decimal that signals
        number = as_float(value)
        return number if math.isfinite(number) else None
    return None


def as_plain(value: Any) -> float | None:
    """`as_number`, but for plain finite numbers, which stay what they are."""
    number = as_number(value)
    return value if number is not None and isinstance(value, int | float) else number


def along_axis(matrix: np.ndarray, values: np.ndarray, position: int) -> np.ndarray:
    """A matrix applied along one array axis of `values`, the others as they are."""
    moved = np.tensordot(matrix, np.moveaxis(values, position, 0), axes=1)
    return np.moveaxis(moved, 0, position)


def norm(values: Any) -> float:
    """‖values‖ over all entries.

    Its bits do not depend on the number of threads, as those of `np.linalg.norm` do.
    """
    return np.sqrt(np.square(np.asarray(values)).sum())


def relative_l2(predicted: Any, expected: Any) -> float:
    """‖predicted − expected‖ / ‖expected‖ over all entries."""
    expected = np.asarray(expected)
    return float(norm(np.asarray(predicted) - expected) / norm(expected))


def _real(entry: Any) -> float:
    """An entry of an object array; text and complex numbers are none."""
    if isinstance(entry, str | bytes | complex):
        raise TypeError(f"an entry is {entry!r}")
    return float(entry)
