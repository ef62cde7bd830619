"""Conditions of a problem: where, of which field, what, and equal to what.

Arguments of all of them:

where: an end of an axis, as "x-" (lower) or "x+" (upper); both ends, as "x"; or "boundary", every
    end of every space axis that is not periodic. A problem that is no `Evolution` starts by
    conditions at "t-".
value: a number; a function of coordinates by name, as `lambda t, x: sin(t) * x`, written with
    plain arithmetic and `pacpde.physics.elementary`; with several fields also a tuple of numbers,
    or a function that returns one. 0 by default.
field: the field, or a tuple of fields, that the condition holds for; all of them by default.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pacpde.errors import InvalidValueError, short
from pacpde.physics.numbers import as_plain

Value = float | tuple[float, ...] | Callable[..., Any]
Fields = str | tuple[str, ...] | None


@dataclass(frozen=True)
class Dirichlet:
    """u = value on an edge.

    Example:
        >>> Dirichlet("x-", lambda t: sin(t), field="u")
    """

    where: str
    value: Value = 0.0
    field: Fields = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """The form that families of older versions declare in `edges` makes `ConstantEdges`."""
        old = not (args or kwargs) or kwargs.keys() & {"lower", "upper"}
        if old or (args and not isinstance(args[0], str)):
            return ConstantEdges(*args, **kwargs)
        return super().__new__(cls)


@dataclass(frozen=True)
class Neumann:
    """∂u/∂n = value on an edge, with the normal n that points outwards: −∂u/∂x at "x-".

    Example:
        >>> Neumann("x")  # insulated at both ends
    """

    where: str
    value: Value = 0.0
    field: Fields = None


@dataclass(frozen=True)
class Robin:
    """a u + b ∂u/∂n = value on an edge, with the normal n that points outwards; b ≠ 0.

    Example:
        >>> Robin("x+", a=2.0, b=1.0)  # heat loss to surroundings at 0
    """

    where: str
    a: float
    b: float
    value: Value = 0.0
    field: Fields = None

    def __post_init__(self) -> None:
        for name in ("a", "b"):
            number = as_plain(getattr(self, name))
            if number is None or (name == "b" and number == 0):
                expected = "a finite number" + (" that is not 0" if name == "b" else "")
                raise InvalidValueError(
                    f"Robin has {name} = {short(getattr(self, name))}, expected {expected}: it is "
                    "a u + b ∂u/∂n = value."
                )
            object.__setattr__(self, name, number)


@dataclass(frozen=True)
class Periodic:
    """All fields and all their derivatives agree at both ends of an axis.

    Example:
        >>> Periodic("x")
    """

    axis: str = ""  # empty in the form that families of older versions declare in `edges`


@dataclass(frozen=True)
class PointValue:
    """u = value at one point, as where a pressure is pinned.

    Attributes:
        point: name of an axis → coordinate, for every axis.
        field: the field; may be left out where there is only one.

    Example:
        >>> PointValue({"x": 0.0, "y": 0.0}, 0.0, field="p")
    """

    point: Mapping[str, float] = dataclasses.field(hash=False)
    value: float = 0.0
    field: Fields = None


@dataclass(frozen=True)
class ConstantEdges:
    """u = `lower` and u = `upper` at the ends of an axis: how older versions wrote `Dirichlet`."""

    lower: float = 0.0
    upper: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            value = getattr(self, name)
            number = as_plain(value)
            if number is None:
                shown = "a function" if callable(value) else short(value)
                raise InvalidValueError(
                    f"Dirichlet has {name} = {shown}, expected a finite number. In the form "
                    'Dirichlet("x-", value) of `conditions`, the value may be a function.'
                )
            object.__setattr__(self, name, number)


Condition = Dirichlet | Neumann | Robin | Periodic | PointValue
EDGE_CONDITIONS = (Dirichlet, Neumann, Robin)
CONDITIONS = (*EDGE_CONDITIONS, Periodic, PointValue)
EXAMPLE = 'return [Dirichlet("x", 0.0)] or return [Periodic("x")]'


def conditions_of_edges(edges: Mapping[str, ConstantEdges | Periodic]) -> list[Condition]:
    """The conditions of the mapping `edges` that families of older versions declare."""
    conditions: list[Condition] = []
    for axis, edge in edges.items():
        if isinstance(edge, Periodic):
            conditions.append(Periodic(axis))
        else:
            conditions += [Dirichlet(f"{axis}-", edge.lower), Dirichlet(f"{axis}+", edge.upper)]
    return conditions
