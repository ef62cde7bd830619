"""Coefficients: the fields of a family's dataclass, with bounds."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from pacpde.errors import InvalidValueError, short
from pacpde.physics.numbers import as_plain


@dataclass(frozen=True)
class Coefficient:
    """Bounds, default and meaning of one coefficient; `lower` and `upper` are allowed values."""

    default: float
    lower: float
    upper: float
    meaning: str


def coefficient(default: float, *, lower: float, upper: float, meaning: str) -> Any:
    """A dataclass field that is a coefficient, checked whenever a problem is made.

    Example:
        >>> nu: float = coefficient(0.1, lower=0.01, upper=1.0, meaning="viscosity ν")
    """
    least, usual, most = (as_plain(value) for value in (lower, default, upper))
    if least is None or usual is None or most is None or not least <= usual <= most:
        raise InvalidValueError(
            f"a coefficient ({meaning}) has the default {short(default)} and goes from "
            f"{short(lower)} to {short(upper)}, expected finite numbers, the default between the "
            "others."
        )
    return dataclasses.field(
        default=usual, metadata={"coefficient": Coefficient(usual, least, most, meaning)}
    )
