"""The conditions of a problem, taken apart: one entry for each field, edge and condition."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError, short, unknown
from pacpde.physics.calls import SEVERAL, line_of
from pacpde.physics.conditions import (
    CONDITIONS,
    EDGE_CONDITIONS,
    EXAMPLE,
    Condition,
    Dirichlet,
    Fields,
    Neumann,
    Periodic,
    PointValue,
    Robin,
)
from pacpde.physics.domain import Axis
from pacpde.physics.elementary import Array
from pacpde.physics.numbers import as_number, as_plain

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

FACTORS = {Dirichlet: (1.0, 0.0), Neumann: (0.0, 1.0)}

ConditionKey = tuple[str, bool, int, bool]  # axis, upper, field, with the normal derivative


@dataclass(frozen=True)
class EdgeCondition:
    """a u + b ∂u/∂n = value, of one field at one end of an axis; n points outwards.

    Attributes:
        axis: name of the axis.
        upper: whether it holds at the upper end, not at the lower one.
        field: index of the field.
        a, b: factors of u and of ∂u/∂n; 1 and 0 for Dirichlet, 0 and 1 for Neumann.
        value: a number, or a function of coordinates by name.
    """

    axis: str
    upper: bool
    field: int
    a: float
    b: float
    value: float | Callable[..., Array]

    @property
    def constant(self) -> float | None:
        """The value if it is one number; None for a function."""
        return None if callable(self.value) else self.value

    @property
    def key(self) -> "ConditionKey":
        """What it is a condition for: of a problem, no two have the same."""
        return self.axis, self.upper, self.field, bool(self.b)

    @property
    def where(self) -> str:
        """As in "x-"."""
        return f"{self.axis}{'+' if self.upper else '-'}"

    def size(self, unit: float) -> float:
        """|a| + |b| / unit: of a u + b ∂u/∂n for a field of size 1, on an axis of this unit."""
        return abs(self.a) + abs(self.b) / unit

    def value_at(self, coordinates: Mapping[str, Array]) -> Array:
        """The value at coordinates by name; a number where it is constant."""
        return self.value(**coordinates) if callable(self.value) else self.value


@dataclass(frozen=True)
class PointCondition:
    """u = value, of one field at one point [axes]."""

    point: tuple[float, ...]
    field: int
    value: float


@dataclass(frozen=True)
class Boundary:
    """All conditions of a problem.

    Attributes:
        periodic: names of the periodic axes.
        edges: conditions at ends of axes, in the order of the declaration.
        points: conditions at points.
    """

    periodic: tuple[str, ...] = ()
    edges: tuple[EdgeCondition, ...] = ()
    points: tuple[PointCondition, ...] = ()

    @classmethod
    def of(cls, problem: "Problem") -> "Boundary":
        """The conditions that a problem declares.

        Raises:
            InvalidValueError: one of them is no condition, names an axis or field that is not
                there, or is given twice.
        """
        reader = _Reader(problem)
        declared = reader.declared()
        periodic = tuple(one.axis for one in declared if isinstance(one, Periodic))
        for name in periodic:
            reader.check_axis(name, f'Periodic("{name}")')
        edges = [
            edge
            for one in declared
            if isinstance(one, EDGE_CONDITIONS)
            for edge in reader.edges(one, periodic)
        ]
        points = [
            point for one in declared if isinstance(one, PointValue) for point in reader.points(one)
        ]
        boundary = cls(periodic, tuple(edges), tuple(points))
        reader.check_twice(boundary)
        return boundary

    def at(self, axis: str, upper: bool, field: int | None = None) -> list[EdgeCondition]:
        """The conditions at an end of an axis, of one field or of all."""
        return [
            one
            for one in self.edges
            if one.axis == axis and one.upper == upper and field in (None, one.field)
        ]

    def constant_edges(self, axis: str, field: int) -> tuple[float, float] | None:
        """The values of a field at both ends of an axis, if they are constant and all there is."""
        ends = [self.at(axis, upper, field) for upper in (False, True)]
        if any(len(own) != 1 or own[0].b or own[0].constant is None for own in ends):
            return None
        lower, upper = (own[0].constant for own in ends)
        assert lower is not None and upper is not None
        return lower, upper

    def described(self, fields: Sequence[str]) -> Any:
        """Plain text that does not change from process to process, for a fingerprint.

        Of conditions that older versions could declare it is what they stored.
        """
        classical: dict[str, Any] = {name: ("Periodic", {}) for name in self.periodic}
        for name in dict.fromkeys(one.axis for one in self.edges):
            both = {self.constant_edges(name, field) for field in range(len(fields))}
            ends = both.pop()
            if both or ends is None:
                return [self._text(one) for one in self.edges], self.periodic, self.points
            lower, upper = ends
            classical[name] = ("Dirichlet", {"lower": repr(lower), "upper": repr(upper)})
        return dict(sorted(classical.items())) if not self.points else (classical, self.points)

    @staticmethod
    def _text(one: EdgeCondition) -> tuple[str, int, float, float, str]:
        value = "a function" if callable(one.value) else repr(one.value)
        return one.where, one.field, one.a, one.b, value


class _Reader:
    """Reads the conditions of a problem, and refuses what cannot be meant."""

    def __init__(self, problem: "Problem") -> None:
        self.problem = problem
        line = line_of(problem, "conditions")
        self.place = f"the conditions of the family {problem.name!r}{line}"
        self.axes = {axis.name: axis for axis in problem.domain.axes}
        self.ends = [axis for axis in problem.domain.axes if axis.name in problem.edge_axes]

    def declared(self) -> list[Condition]:
        conditions: Any = self.problem.conditions()
        if isinstance(conditions, CONDITIONS):
            conditions = [conditions]
        if not isinstance(conditions, list | tuple):
            raise InvalidValueError(
                f"{self.place} are {short(conditions)}, expected a list: write {EXAMPLE}."
            )
        for one in conditions:
            if isinstance(one, type) and issubclass(one, CONDITIONS):
                raise InvalidValueError(
                    f"{self.place} have the class {one.__name__} in the list: write "
                    f'{one.__name__}("x"), with parentheses.'
                )
            if not isinstance(one, CONDITIONS):
                raise InvalidValueError(
                    f"{self.place} have {short(one)} in the list, expected conditions: write "
                    f"{EXAMPLE}."
                )
        return list(conditions)

    def check_axis(self, name: str, condition: str) -> Axis:
        for axis in self.ends:
            if axis.name == name:
                return axis
        known = [axis.name for axis in self.ends]
        if name in self.axes:
            raise InvalidValueError(
                f"{self.place}: {condition} is in time, whose start is what `initial` gives: "
                f"leave it out (the other axes are {', '.join(known) or 'none'})."
            )
        raise InvalidValueError(f"{self.place}: {unknown('axis', name, known)}")

    def edges(
        self, condition: Dirichlet | Neumann | Robin, periodic: tuple[str, ...]
    ) -> Iterator[EdgeCondition]:
        fields = self._fields(condition.field)
        values = self._values(condition, fields)
        factors = FACTORS.get(type(condition))
        if factors is None:
            assert isinstance(condition, Robin)
            factors = condition.a, condition.b
        for axis, upper in self._ends(condition, periodic):
            for index, value in zip(fields, values, strict=True):
                yield EdgeCondition(axis, upper, index, *factors, value)

    def points(self, condition: PointValue) -> Iterator[PointCondition]:
        point: Any = condition.point
        if not isinstance(point, Mapping) or set(point) != set(self.axes):
            raise InvalidValueError(
                f"{self.place}: PointValue at {short(point)}, expected a coordinate for each axis, "
                f"as in {{{', '.join(f'{name!r}: 0.0' for name in self.axes)}}}."
            )
        place = []
        for axis in self.axes.values():
            number = as_number(point[axis.name])
            if number is None or not axis.lower <= number <= axis.upper:
                raise InvalidValueError(
                    f"{self.place}: PointValue at {axis.name} = {short(point[axis.name])}, "
                    f"expected a number from {axis.lower:g} to {axis.upper:g}."
                )
            place.append(number)
        fields = self._fields(condition.field)
        if condition.field is None and len(fields) > 1:
            raise InvalidValueError(
                f"{self.place}: PointValue names no field: write "
                f"field={self.problem.fields[-1]!r}, or another one."
            )
        number = as_number(condition.value)
        if number is None:
            raise InvalidValueError(
                f"{self.place}: PointValue is {short(condition.value)}, expected a number."
            )
        for index in fields:
            yield PointCondition(tuple(place), index, number)

    def check_twice(self, boundary: Boundary) -> None:
        names = self.problem.fields
        for number, one in enumerate(boundary.edges):
            if one.axis in boundary.periodic:
                raise InvalidValueError(
                    f"{self.place}: {one.axis} is periodic and has a condition at {one.where}: "
                    "leave one of them out."
                )
            for other in boundary.edges[:number]:
                same = (one.where, one.field) == (other.where, other.field)
                if same and (not one.b) == (not other.b):
                    what = "value" if not one.b else "normal derivative"
                    raise InvalidValueError(
                        f"{self.place} give {names[one.field]} two conditions for its {what} at "
                        f"{one.where}: leave one of them out."
                    )

    def _ends(
        self, condition: Dirichlet | Neumann | Robin, periodic: tuple[str, ...]
    ) -> list[tuple[str, bool]]:
        where: Any = condition.where
        kind = type(condition).__name__
        if where == "boundary":
            space = [axis.name for axis in self.ends if axis.name != "t"]
            return [(n, upper) for n in space if n not in periodic for upper in (False, True)]
        name = where.rstrip("+-") if isinstance(where, str) else ""
        if not name or where not in (name, f"{name}-", f"{name}+"):
            example = self.ends[-1].name if self.ends else "x"
            raise InvalidValueError(
                f"{self.place}: {kind} at {short(where)}, expected an end of an axis, as in "
                f'"{example}-" or "{example}+", both, as in "{example}", or "boundary".'
            )
        self.check_axis(name, f'{kind}("{where}")')
        if where == "t":
            raise InvalidValueError(
                f'{self.place}: {kind}("t") holds at both ends of the time span: write "t-".'
            )
        chosen = {f"{name}-": (False,), f"{name}+": (True,)}.get(where, (False, True))
        return [(name, upper) for upper in chosen]

    def _fields(self, chosen: Fields) -> list[int]:
        names = self.problem.fields
        if chosen is None:
            return list(range(len(names)))
        several = [chosen] if isinstance(chosen, str) else list(chosen)
        for name in several:
            if name not in names:
                raise InvalidValueError(f"{self.place}: {unknown('field', name, names)}")
        return [names.index(name) for name in several]

    def _values(
        self, condition: Dirichlet | Neumann | Robin, fields: list[int]
    ) -> list[float | Callable[..., Array]]:
        """One value for each of the fields."""
        value: Any = condition.value
        if callable(value):
            called = _by_name(value, tuple(self.axes), self.place)
            return [_part(called, k, len(fields), self.place) for k in range(len(fields))]
        parts = list(value) if isinstance(value, list | tuple) else [value] * len(fields)
        if len(parts) != len(fields):
            raise InvalidValueError(
                f"{self.place}: {type(condition).__name__} has {len(parts)} values for "
                f"{len(fields)} fields, expected one number, or one for each field."
            )
        numbers = [as_plain(part) for part in parts]
        for number, part in zip(numbers, parts, strict=True):
            if number is None:
                raise InvalidValueError(
                    f"{self.place}: {type(condition).__name__} has the value {short(part)}, "
                    "expected a finite number or a function of the coordinates."
                )
        return [number for number in numbers if number is not None]


def _by_name(function: Callable[..., Any], axes: tuple[str, ...], place: str) -> Callable[..., Any]:
    """The function, called with those coordinates that its arguments name."""
    unknown_arguments = InvalidValueError(
        f"{place} have a function whose arguments have no names: write lambda {', '.join(axes)}: "
        "..., with sin, exp, ... from pacpde.physics.elementary."
    )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise unknown_arguments from error
    if isinstance(function, np.ufunc) or any(
        own.kind is inspect.Parameter.POSITIONAL_ONLY for own in parameters
    ):
        raise unknown_arguments
    if any(own.kind in SEVERAL for own in parameters):
        return function
    names = [own.name for own in parameters if own.default is inspect.Parameter.empty]
    for name in names:
        if name not in axes:
            raise InvalidValueError(
                f"{place} have a function of {name!r}, expected coordinates by name "
                f"({', '.join(axes)}), as in lambda {', '.join(axes)}: ..."
            )

    def call(**coordinates: Any) -> Any:
        return function(**{name: coordinates[name] for name in names})

    return call


def _part(function: Callable[..., Any], index: int, count: int, place: str) -> Callable[..., Array]:
    """One of the values that a function gives for several fields."""

    def call(**coordinates: Any) -> Array:
        result = function(**coordinates)
        if isinstance(result, list | tuple):
            if len(result) != count:
                raise InvalidValueError(
                    f"{place} have a function that gives {len(result)} values for {count} fields."
                )
            result = result[index]
        if isinstance(result, np.ndarray) and any(
            isinstance(x, torch.Tensor) for x in coordinates.values()
        ):
            raise InvalidValueError(
                f"{place} have a function that gives a numpy array for torch tensors: take sin, "
                "exp, ... from pacpde.physics.elementary, and write a switch as (t > 0.5) * 1.0."
            )
        return result

    return call
