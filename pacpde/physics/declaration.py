"""Whether a family declares what it must: refused when its file is read, in one sentence.

`check_class` sees the class statement, `check_family` the whole class once its file is read, and
`check_physics` what its functions return, before the first problem of the family is made.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from pacpde.errors import InvalidValueError, PacpdeError, UnknownNameError, short
from pacpde.physics.attributes import (
    OLD_NAMES,
    check_names,
    check_taken,
    coefficient_names,
    is_base,
    wrong,
)
from pacpde.physics.calls import check_calls, line_of
from pacpde.physics.conditions import EXAMPLE, ConstantEdges, Periodic
from pacpde.physics.derivatives import ChannelDerivative
from pacpde.physics.domain import LARGEST, SMALLEST, Axis
from pacpde.physics.numbers import as_number, as_plain
from pacpde.physics.symmetry import check_declared
from pacpde.registry import check_defined
from pacpde.renamed import renamed_declarations

if TYPE_CHECKING:
    from pacpde.physics.evolution import Evolution
    from pacpde.physics.problem import Problem

Family = type["Problem"]

POINTS = 7  # at which rhs and initial are tried: neither 1 nor a likely number of fields
SIZES = f"from {SMALLEST:g} to {LARGEST:g}"
MOST_TIME_WINDOWS = 1000  # each is a phase of every fit
settings: list[Callable[[Mapping[str, Any]], object]] = []  # of a fit: each refuses a recipe
_filled: "WeakSet[Family]" = WeakSet()  # whose scales were not written
_tried: "WeakSet[Family]" = WeakSet()
_coefficients_checked: "WeakSet[Family]" = WeakSet()


def check_class(family: Family) -> None:
    """Refuse a class whose declarations are of the wrong kind or contradict each other."""
    renamed_declarations(family, OLD_NAMES, stacklevel=6)
    check_names(family)
    for name in ("axes", "fields", "scales", "odd"):
        _check_tuple(family, name)
    _check_axes(family)
    _fill_scales(family)
    _check_fields(family)
    check_taken(family)
    if not isinstance(family.recipe, Mapping):
        raise wrong(family, f"the recipe {family.recipe!r}, expected a dict of settings of a fit")
    scale = family.time_scale
    if scale is not None and not _is_size(scale):
        raise wrong(
            family,
            f"time_scale = {short(scale)}, expected a time above 0 ({SIZES}), or None",
        )
    family.time_scale = as_plain(scale)
    windows = family.time_windows
    if not isinstance(windows, int) or not 1 <= windows <= MOST_TIME_WINDOWS:
        raise wrong(
            family,
            f"time_windows = {short(windows)}, expected a whole number from 1 to "
            f"{MOST_TIME_WINDOWS}: a fit grows its time span in so many pieces",
        )
    if windows > 1 and not any(axis.name == "t" for axis in family.axes):
        raise wrong(family, f"time_windows = {windows} and no time, in which they would lie")
    if family.needs_time and family.order not in (1, 2):
        raise wrong(family, f"order = {short(family.order)}, expected 1 or 2: of ∂u/∂t or ∂²u/∂t²")
    check_declared(family)
    _check_defaults(family)


def check_family(family: Family) -> None:
    """Refuse a family of which no problem can be made, once its file is read."""
    check_complete(family)
    family()


def check_complete(family: Family) -> None:
    """Refuse a family that lacks a function, or has fields that are no coefficients."""
    check_coefficients(family)
    check_defined("family", family)


def check_coefficients(family: Family) -> None:
    """Refuse fields that are no coefficients: nothing of them would be stored.

    Checked once a class, but for one that its decorator may still make a dataclass.
    """
    if family in _coefficients_checked:
        return
    check_decorated(family)
    for field in dataclasses.fields(family):
        if field.name != "until" and "coefficient" not in field.metadata:
            default = None if field.default is dataclasses.MISSING else repr(field.default)
            value = "" if default is None else f" = {default}"
            raise wrong(
                family,
                f"the field {field.name}{value}, which is no coefficient: write {field.name}: "
                f"float = coefficient({default or '1.0'}, lower=..., upper=..., "
                f'meaning="..."), or {field.name}: ClassVar[...] = ... for a constant',
            )
    if "__dataclass_fields__" in vars(family):
        _coefficients_checked.add(family)


def check_physics(problem: "Problem") -> None:
    """Refuse a family whose functions do not give what they must; tried once a family."""
    family = type(problem)
    if family in _tried:
        return
    check_coefficients(family)
    check_calls(problem)
    try:
        for check in settings:
            check(family.recipe)
    except (InvalidValueError, UnknownNameError) as error:
        raise wrong(family, f"a recipe that no fit takes: {error}".rstrip(".")) from error
    try:
        with np.errstate(all="ignore"):
            _try(problem)
    except PacpdeError:
        raise
    except Exception:  # of the user's functions: said where they are used
        return
    _tried.add(family)


def _try(problem: "Problem") -> None:
    """Try the family's functions at a few points."""
    box, rng = problem.domain, np.random.default_rng(0)
    problem.check_equation()
    points = box.random(POINTS, rng).T
    here = dict(zip(box.names, points, strict=True))
    start = problem.start_values(here)
    for part in start:
        _check_values(problem, "initial", part)
    count = len(problem.fields)
    fields = [np.broadcast_to(np.asarray(part, float), POINTS) for part in start[:count]]
    fields = fields or list(rng.random((count, POINTS)))
    channels = {
        name: [value + rng.random(POINTS) if name else value for value in fields]
        for name in problem.channels
    }
    d = ChannelDerivative(channels, box.names, here)
    for part in problem.equation_values(d.fields, d):
        _check_values(problem, problem.equation_name, part)
    for edge in problem.boundary.edges:
        _check_values(problem, "conditions", edge.value_at(here))


def check_conditions(problem: "Problem") -> None:
    """Refuse a problem without any condition."""
    boundary = problem.boundary
    if not (boundary.periodic or boundary.edges or boundary.points):
        raise InvalidValueError(
            f"the family {problem.name!r} has no condition, so that its equation has many "
            f"solutions: write a function `conditions(self)`, as in {EXAMPLE}."
        )


def check_rates(problem: "Evolution") -> None:
    """Refuse an evolution whose `rhs` asks for its own left side, or whose conditions do not suit.

    By the highest derivative of a field in an axis: of a second one, a condition at each end; of a
    higher one, at most as many as its order. Where none is higher than a first one, all fields take
    at most as many as there are of these: a value for each wave, where it enters.
    """
    derivatives, order = problem.derivatives_read, problem.order
    own = [name for name in derivatives if not name.strip("t") and len(name) >= order]
    if own:  # mixed ones suit a residual alone
        change, write = ("∂u/∂t", "order = 2") if order == 1 else ("∂²u/∂t²", "it")
        raise InvalidValueError(
            f'{_place(problem, "rhs")} asks for d(u, "{own[0]}"), a derivative in time, and it '
            f"gives {change} itself: leave derivatives in space alone in it. "
            + (f"Write {write} in the class for an equation u_tt = rhs." if order == 1 else "")
        )
    for axis in problem.domain.space:
        if axis.name not in problem.boundary.periodic:
            orders = problem.recorded.orders(axis.name)
            for field, highest in enumerate(orders):
                _check_count(problem, axis.name, field, highest, max(orders))
            if max(orders) == 1:
                _check_waves(problem, axis.name, sum(orders))


def _check_count(problem: "Evolution", axis: str, field: int, own: int, highest: int) -> None:
    """Refuse conditions of a field in an axis that are too few or too many.

    Args:
        own, highest: order of the highest derivative in the axis, of this field and of any.
    """
    ends = [len(problem.boundary.at(axis, upper, field)) for upper in (False, True)]
    place, name = _place(problem, "conditions"), problem.fields[field]
    if highest and not any(one.axis == axis for one in problem.boundary.edges):
        raise InvalidValueError(
            f"{place}: there is none in {axis!r}, expected at least one condition for each axis: "
            f"write {EXAMPLE}."
        )
    if own == 2 and ends != [1, 1]:
        there = " and ".join(
            f"{count} at {axis}{side}" for count, side in zip(ends, "-+", strict=True)
        )
        raise InvalidValueError(
            f"{place}: {name} has second derivatives in {axis!r}, so that it needs one condition "
            f"at each end, and has {there}: write Dirichlet, Neumann or Robin for both."
        )
    if highest > 2 and sum(ends) > highest:
        raise InvalidValueError(
            f"{place}: {name} is in an equation of order {highest} in {axis!r}, so that it takes "
            f"at most {highest} conditions there, and has {sum(ends)}."
        )


def _check_waves(problem: "Evolution", axis: str, waves: int) -> None:
    """Refuse more conditions at the ends of an axis than waves, each of which enters at one."""
    given = [one for one in problem.boundary.edges if one.axis == axis]
    if len(given) <= waves:
        return
    rhs, advice = _place(problem, "rhs"), f'declare Periodic("{axis}"), or add a second derivative'
    if len(problem.fields) == 1:
        raise InvalidValueError(
            f"{rhs} has first derivatives in {axis!r} at most, and such an equation takes values "
            f"at one edge: {problem.fields[0]} has conditions at both. Leave the one out where the "
            f"flow leaves, {advice} with a small coefficient."
        )
    raise InvalidValueError(
        f"{rhs} has first derivatives in {axis!r} at most, of {waves} fields, and such a system "
        f"takes at most {waves} conditions there, one for each wave where it enters: it has "
        f"{len(given)}. Leave those out where waves leave, {advice} with a small coefficient."
    )


def _check_values(problem: "Problem", method: str, part: Any) -> None:
    """Refuse what are no real numbers, one a point."""
    array = np.asarray(part)
    if array.dtype.kind == "b":
        raise InvalidValueError(
            f"{_place(problem, method)} gives true or false for a field, expected numbers: "
            "write 1.0 * (x > 0) for a jump, or 0.5 * (1 + tanh(x / 0.01)) for a smooth one."
        )
    if array.dtype.kind not in "iuf":
        raise InvalidValueError(
            f"{_place(problem, method)} gives {array.dtype} for a field, expected real numbers."
        )
    if array.shape not in ((), (1,), (POINTS,)):
        raise InvalidValueError(
            f"{_place(problem, method)} gives an array of shape {array.shape} for a field at "
            f"{POINTS} points, expected ({POINTS},): write it with plain arithmetic of the fields "
            "and coordinates, point by point."
        )


def _place(problem: "Problem", method: str) -> str:
    return f"the {method} of the family {problem.name!r}{line_of(problem, method)}"


def _check_tuple(family: Family, name: str) -> None:
    """A list is taken as a tuple; text and single things are refused."""
    value: Any = getattr(family, name, ())
    if isinstance(value, list):
        value = tuple(value)
        setattr(family, name, value)
    if not isinstance(value, tuple):
        raise wrong(
            family,
            f"{name} = {_short(value)}, expected a tuple: write {name} = ({_short(value)},), "
            "with a comma",
        )


def _check_axes(family: Family) -> None:
    axes = getattr(family, "axes", ())
    if not axes or not all(isinstance(axis, Axis) for axis in axes):
        raise wrong(
            family,
            f"axes = {_short(axes)}, expected Axis objects, as in "
            'axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))',
        )
    names = [axis.name for axis in family.axes]
    first = "t" in names[1:] or (family.needs_time and names[:1] != ["t"])
    if first or len(set(names)) != len(names) or any(len(n) != 1 for n in names):
        raise wrong(family, f"the axes {names}: 't' comes first, names are one letter and differ")


def _fill_scales(family: Family) -> None:
    """A scale of 1 for every field, where neither the family nor what it extends writes any."""
    writer = next(kind for kind in family.__mro__ if "scales" in vars(kind))
    if is_base(writer) or writer in _filled:
        family.scales = (1.0,) * len(family.fields)
        _filled.add(family)


def _check_fields(family: Family) -> None:
    fields, names = family.fields, [axis.name for axis in family.axes]
    for field in fields:
        if not isinstance(field, str) or not field.isidentifier() or field in names:
            raise wrong(
                family,
                f"the field {field!r}, expected names of letters, digits and _ that are no axes "
                f"({', '.join(names)})",
            )
    if not fields or len(set(fields)) != len(fields):
        raise wrong(family, f"the fields {', '.join(fields) or '()'}: give one or more, all differ")
    if len(family.scales) != len(fields):
        raise wrong(
            family,
            f"the scales {_short(family.scales)} for the fields {', '.join(fields)}: give one "
            "typical size a field, or leave scales out where all are about 1",
        )
    plain = [as_plain(scale) for scale in family.scales]
    for scale, field in zip(family.scales, fields, strict=True):
        if not _is_size(scale):
            raise wrong(
                family,
                f"the scale {short(scale)} for the field {field!r}, expected its typical size: a "
                f"finite number above 0 ({SIZES})",
            )
    family.scales = tuple(scale for scale in plain if scale is not None)


def check_edges(family: Family, edges: Any) -> None:
    """Refuse `edges` of older versions that are no dict of conditions, one for each space axis."""
    names = [axis.name for axis in family.axes if axis.name != "t"]
    kinds = ConstantEdges | Periodic
    if (
        not isinstance(edges, Mapping)
        or not all(isinstance(edge, kinds) for edge in edges.values())
        or set(edges) != set(names)
    ):
        raise wrong(
            family,
            f"edges = {_short(edges)}, expected one condition for each of {names}: write a "
            f"function `conditions(self)` in their place, as in {EXAMPLE}",
        )


def check_decorated(family: Family) -> None:
    """Refuse a class that is no dataclass: that takes its fields off the class."""
    if family in _coefficients_checked:
        return
    for kind in family.__mro__:
        left = [name for name, value in vars(kind).items() if isinstance(value, dataclasses.Field)]
        if left:
            raise InvalidValueError(
                f"the family {kind.__name__} is no dataclass, so that {', '.join(left)} is no "
                "coefficient yet: write @dataclass(frozen=True) above its class."
            )


def _check_defaults(family: Family) -> None:
    """Refuse a bare value in place of a coefficient of the family that a class extends."""
    bases = [base for base in family.__mro__[1:] if dataclasses.is_dataclass(base)]
    known = {name for base in bases for name in coefficient_names(base)}
    for name, value in vars(family).items():
        if name in known and not isinstance(value, dataclasses.Field | MemberDescriptorType):
            raise wrong(
                family,
                f"{name} = {_short(value)}, which would not change the coefficient {name}: write "
                f"{name}: float = coefficient({_short(value)}, lower=..., upper=..., "
                'meaning="...") below @dataclass(frozen=True)',
            )


def _is_size(value: object) -> bool:
    """Whether `value` may measure a field or a time."""
    return SMALLEST <= (as_number(value) or 0.0) <= LARGEST


def _short(value: object) -> str:
    return f"{value.__name__}()" if inspect.isfunction(value) else short(value)
