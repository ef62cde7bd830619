"""Boundary conditions of a problem."""

from dataclasses import dataclass

from pacpde.errors import InvalidValueError, short
from pacpde.physics.numbers import as_plain


@dataclass(frozen=True)
class Dirichlet:
    """u = `lower` on the lower edge of an axis and u = `upper` on its upper edge, at all times."""

    lower: float = 0.0
    upper: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            value = getattr(self, name)
            number = as_plain(value)
            if number is None:
                shown = "a function" if callable(value) else short(value)
                raise InvalidValueError(
                    f"Dirichlet has {name} = {shown}, expected a finite number: it holds for all "
                    "fields at all times, and for all coefficients."
                )
            object.__setattr__(self, name, number)


@dataclass(frozen=True)
class Periodic:
    """u and all its derivatives agree on both edges of an axis."""


Condition = Dirichlet | Periodic
