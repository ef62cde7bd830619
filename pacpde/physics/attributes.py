"""Names that a family's class gives: misspelt declarations, and names that are taken."""

import dataclasses
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from types import CodeType
from typing import TYPE_CHECKING, Any

from pacpde.errors import InvalidValueError, short

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

Family = type["Problem"]

DECLARATIONS = (
    "name", "axes", "fields", "scales", "time_scale", "order", "odd", "time_windows", "recipe",
)  # fmt: skip
METHODS = ("residual", "rhs", "initial", "conditions", "exact")
OLD_NAMES = {"horizons": "time_windows"}
HINTS = {**OLD_NAMES, "edges": "conditions"}
FUNCTIONS = (property, cached_property, staticmethod, classmethod)
NEAR = 0.75  # of difflib: "axis" is as near to "axes"


def check_names(family: Family) -> None:
    """Refuse attributes that would be ignored, and names that stand for two things."""
    coefficients = coefficient_names(family)
    own = _own_attributes(family)
    base = set(dir(base_of(family))) - {*DECLARATIONS, *METHODS}
    for name in coefficients:
        if name in base or name in METHODS:
            raise wrong(
                family, f"the coefficient {name}, a name that every problem uses for something "
                "else: give it another one",
            )  # fmt: skip
    read = set(_read(family))
    for name, value in own.items():
        if name in coefficients or name.startswith("_") or name in (*DECLARATIONS, *METHODS):
            continue
        if name in base:
            dated = name == "until" and name in getattr(family, "__annotations__", {})
            if not dated and not callable(value) and not isinstance(value, FUNCTIONS):
                raise wrong(
                    family, f"{name} = {short(value)}, a name that every problem uses for "
                    "something else: give it another one",
                )  # fmt: skip
            continue
        known = [*DECLARATIONS, *METHODS, *HINTS, "until"]
        near = get_close_matches(name, known, n=1, cutoff=NEAR)
        if near and name not in read:
            raise wrong(
                family, f"{name}, which nothing in the class reads and no problem knows: did you "
                f"mean {HINTS.get(near[0], near[0])}? Give it another name if it is your own",
            )  # fmt: skip


def check_taken(family: Family) -> None:
    """Refuse a coefficient with the name of a field or an axis."""
    coefficients = coefficient_names(family)
    known = {"field": family.fields, "axis": tuple(axis.name for axis in family.axes)}
    for kind, names in known.items():
        for name in names:
            if name in coefficients:
                raise wrong(
                    family, f"the {kind} {name!r} and a coefficient of the same name: rename one "
                    "of them",
                )  # fmt: skip


def base_of(family: Family) -> type:
    """The class of pacpde that a family extends: `Problem` or `Evolution`."""
    return next(kind for kind in family.__mro__ if is_base(kind))


def is_base(kind: type) -> bool:
    """Whether a class is `Problem` or `Evolution`."""
    return kind.__module__ in ("pacpde.physics.problem", "pacpde.physics.evolution")


def coefficient_names(family: type) -> set[str]:
    """Coefficients of the class and of what it extends, also before it is a dataclass."""
    names = {
        name
        for kind in family.__mro__
        for name, value in vars(kind).items()
        if isinstance(value, dataclasses.Field) and "coefficient" in value.metadata
    }
    if dataclasses.is_dataclass(family):
        for field in dataclasses.fields(family):
            if "coefficient" in field.metadata:
                names.add(field.name)
    return names


def _own_attributes(family: Family) -> dict[str, Any]:
    """What the class and what it extends give, above `Problem`."""
    attributes: dict[str, Any] = {}
    for kind in family.__mro__[: family.__mro__.index(base_of(family))]:
        attributes = {**vars(kind), **attributes}
    return attributes


def _read(family: Family) -> Iterator[str]:
    """Names that functions of the class read."""
    for value in _own_attributes(family).values():
        for part in (value, *(getattr(value, name, None) for name in ("fget", "__func__", "func"))):
            code = getattr(part, "__code__", None)
            if isinstance(code, CodeType):
                yield from _names(code)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
        elif isinstance(constant, str):  # as in getattr(self, "scale")
            yield constant


def wrong(family: Family, what: str) -> InvalidValueError:
    """An error for what a family declares."""
    return InvalidValueError(f"family {family.name!r} has {what}.")


def equation_text(family: type) -> str:
    """The equation that a family's docstring opens with; "" where it has none."""
    lines = (family.__doc__ or "").strip().splitlines()
    return lines[0].split(";")[0].rstrip(".") if lines else ""
