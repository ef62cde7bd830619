"""Points and values of a problem among named arrays: which array is which axis and which field."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from pacpde.datasets.columns import listed
from pacpde.datasets.named_arrays import NamedArrays, named_arrays
from pacpde.errors import PacpdeError, unknown
from pacpde.physics.numbers import as_floats
from pacpde.physics.problem import Problem

UNIT = re.compile(r"\s*[\[(][^\])]*[\])]\s*$")  # at the end of a name


@dataclass(frozen=True, eq=False)
class Samples:
    """Points and values, one row a point.

    Attributes:
        points: [rows, axes].
        values: [rows, fields]; nan where there is none.
        source: what they are of.
        notes: what was understood of it, a sentence each.
    """

    points: np.ndarray
    values: np.ndarray
    source: NamedArrays
    notes: tuple[str, ...] = ()


def read_samples(
    table: Any,
    problem: Problem,
    columns: Mapping[str, str] | None = None,
    *,
    values_needed: bool = True,
) -> Samples:
    """The samples of a problem in a file or a table, see `named_arrays`.

    Arrays are columns of one length, or one array an axis and values on their grid.

    Args:
        columns: axis or field → the array's name, as in {"u": "velocity"}. Case and a unit in
            brackets may be left out, and all of it where that gives the name of the axis or field.
            "y:0" is the first component of y, along its last dimension; "usol:x:t" says in which
            order the axes of usol are, where its shape does not.
        values_needed: whether a field must be there; otherwise points alone will do.

    Raises:
        DataFileError, InvalidValueError: nothing, or more than one thing, fits.
    """
    source = named_arrays(table)
    names, fields = problem.domain.names, tuple(problem.fields)
    chosen = _matched(source, names, fields, dict(columns or {}), values_needed)
    arrays, dims = {}, {}
    for name, written in chosen.items():
        arrays[name], dims[name] = _array(source, name, written, names)
    notes = [f"{name} is {written} of {source.origin}" for name, written in chosen.items()
             if name != written]  # fmt: skip
    flat = _flat(source, names, arrays, dims, notes)
    rows = len(next(iter(flat.values())))
    missing = np.full(rows, np.nan)
    points = np.stack([flat[name] for name in names], -1)
    values = np.stack([flat.get(name, missing) for name in fields], -1)
    if not rows:
        raise source.error(f"{source.origin} has a header and no point: add one line a point.")
    unplaced = ~np.isfinite(points).all(1)
    if unplaced.any():
        raise source.error(
            f"{source.origin}: {int(unplaced.sum())} points have a coordinate that is no number, "
            f"the first in {source.where(int(np.flatnonzero(unplaced)[0]))}: leave them out."
        )
    absent = [name for name in fields if name not in flat]
    if absent and values_needed:
        notes.append(f"{source.origin} has no {', '.join(absent)}: not measured")
    return Samples(points, values, source, tuple(notes))


def _matched(
    source: NamedArrays,
    axes: Sequence[str],
    fields: Sequence[str],
    columns: dict[str, str],
    values_needed: bool,
) -> dict[str, str]:
    """Axis or field → what is written of the array that it is; fields may be missing."""
    for name in columns:
        if name not in (*axes, *fields):
            raise unknown("axis or field in columns", name, (*axes, *fields))
    columns = {name: _written_in_full(source, name, written) for name, written in columns.items()}
    found = {}
    for name in (*axes, *fields):
        written = columns.get(name)
        if written is None:
            written = _own(source, name, [*axes, *fields])
        if written is not None:
            found[name] = written
    rest = [name for name in source.arrays if name not in found.values()]
    absent = [name for name in (*axes, *fields) if name not in found]
    lost = [name for name in absent if name in axes] or not set(found) & set(fields)
    if not values_needed:
        absent = [name for name in absent if name in axes]
        lost = absent
    if lost or (absent and rest and not columns):
        wanted = [*axes, *(fields if values_needed else ())]
        raise source.error(
            f"{source.origin} has the columns {listed([*source.arrays])}, expected "
            f"{listed(wanted)}: the axes{' and the fields' * values_needed}, each once and in any "
            f"order. Say "
            f'which is which by columns={{"{absent[0]}": "its name there"}} '
            f"(--columns {absent[0]}=NAME)."
        )
    bases = [columns.get(name, name) for name in found]
    twice = {name for name in bases if bases.count(name) > 1}
    if twice:
        raise source.error(f"columns: {listed(sorted(twice))} is named twice: name it once.")
    return found


def _written_in_full(source: NamedArrays, name: str, written: str) -> str:
    """What columns say of an array, with its name as the source has it.

    Case, a unit in brackets and a group may be left out of it.
    """
    if _base(source, written) is not None:
        return written
    base, *rest = written.split(":")
    alike = [other for other in source.arrays
             if base.casefold() in (other.casefold(), _simple(other))]  # fmt: skip
    if not alike:
        raise source.error(
            f"columns: {source.origin} has no {written!r}, it has {listed([*source.arrays])}."
        )
    if len(alike) > 1:
        raise source.error(
            f"columns: {source.origin} has {listed(alike)} for {written!r}: write one of them in "
            f'full, as {{"{name}": "{alike[0]}"}} (--columns {name}={alike[0]}).'
        )
    return ":".join([*alike, *rest])


def _own(source: NamedArrays, name: str, wanted: Sequence[str]) -> str | None:
    """The array of this name; else the one of this name but for case, unit and group."""
    if name in source.arrays:
        return name
    if len(source.arrays) and "" in source.arrays and name == wanted[-1]:
        return ""  # values that have no name are the only field's
    alike = [other for other in source.arrays if _simple(other) == _simple(name)]
    alike = [other for other in alike if other not in wanted]
    if len(alike) > 1:
        raise source.error(
            f"{source.origin} has {listed(alike)} for {name}: say which by "
            f'columns={{"{name}": "{alike[0]}"}} (--columns {name}={alike[0]}).'
        )
    return alike[0] if alike else None


def _simple(name: str) -> str:
    return UNIT.sub("", name).rsplit("/", 1)[-1].strip().casefold()


def _base(source: NamedArrays, written: str) -> tuple[str, list[str]] | None:
    """(name of an array, what is written after it), or None."""
    if written in source.arrays:
        return written, []
    name, *rest = written.split(":")
    return (name, rest) if name in source.arrays and rest else None


def _array(
    source: NamedArrays, name: str, written: str, axes: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The array of an axis or a field, and its dimensions' names, () if they are not known."""
    base, rest = _base(source, written) or (written, [])
    if base in source.faults:
        raise source.error(source.faults[base])
    array = as_floats(source.arrays[base], f"the values of {base} in {source.origin}")
    dims = source.dims.get(base, ())
    if len(rest) == 1 and rest[0].isdecimal():
        number = int(rest[0])
        if array.ndim < 2 or number >= array.shape[-1]:
            raise source.error(
                f"columns: {name} is {written!r}, and {base} has the shape {array.shape}: expected "
                "a component along its last dimension, counted from 0."
            )
        return array[..., number], dims[:-1]
    if rest and (sorted(rest) != sorted(axes) or array.ndim != len(axes)):
        raise source.error(
            f"columns: {name} is {written!r}, and {base} has the shape {array.shape}: expected "
            f"all axes after the name, as in {base}:{':'.join(axes)}, or a component, as {base}:0."
        )
    return array, tuple(rest) or dims


def _flat(
    source: NamedArrays,
    axes: Sequence[str],
    arrays: Mapping[str, np.ndarray],
    dims: Mapping[str, tuple[str, ...]],
    notes: list[str],
) -> dict[str, np.ndarray]:
    """Axis or field → one value a point.

    Args:
        dims: names of their dimensions, () where they are not known.
        notes: what is understood of a grid joins them.
    """
    if all(dims.values()):
        return _broadcast(arrays, dims)
    whole = _open_grid([arrays[name] for name in axes])
    if whole and not any(dims.values()) and len(arrays) == len(axes):  # no values tell otherwise
        return {name: np.broadcast_to(array, whole).ravel() for name, array in arrays.items()}
    small = {name: np.atleast_1d(np.squeeze(array)) for name, array in arrays.items()}
    if len({array.shape for array in small.values()}) == 1 and not any(dims.values()):
        return {name: array.ravel() for name, array in small.items()}
    grid: dict[str, tuple[str, ...]] = {}
    for name, array in small.items():
        if name in axes:
            grid[name] = (name,)
        else:
            grid[name] = _order(source, name, arrays[name], dims[name], small, axes)
            notes.append(f"{name} has the dimensions {' × '.join(grid[name])}")
        if array.ndim != len(grid[name]):
            raise _unfit(source, arrays)
    return _broadcast(small, grid)


def _open_grid(axes: Sequence[np.ndarray]) -> tuple[int, ...] | None:
    """The shape of the grid of axes such as [n, 1] and [1, m]; None where they are not written so.

    As `np.ix_` and `np.meshgrid(..., sparse=True)` write them.
    """
    number = len(axes)
    if number < 2 or any(array.ndim != number for array in axes):
        return None
    places = [[k for k, size in enumerate(array.shape) if size > 1] for array in axes]
    if sorted(places) != [[k] for k in range(number)]:
        return None
    return np.broadcast_shapes(*(array.shape for array in axes))


def _order(
    source: NamedArrays,
    name: str,
    values: np.ndarray,
    written: tuple[str, ...],
    small: Mapping[str, np.ndarray],
    axes: Sequence[str],
) -> tuple[str, ...]:
    """The order of the axes of a field on a grid: as it is written, or by its shape."""
    shape = small[name].shape
    orders = [
        order
        for order in permutations(axes)
        if shape == tuple(small[axis].size for axis in order)
        and (order == written or sorted(written) != sorted(axes))
    ]
    if not orders:
        raise _unfit(source, {**small, name: values})
    if len(orders) > 1:
        one, other = (f"{name}=NAME:{':'.join(order)}" for order in orders[:2])
        raise source.error(
            f"{source.origin}: {name} has the shape {shape}, and its axes may be in any order: say "
            f"which with its name there, by --columns {one} or {other} "
            f'(columns={{"{name}": "NAME:{":".join(orders[0])}"}}).'
        )
    return orders[0]


def _broadcast(
    arrays: Mapping[str, np.ndarray], dims: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """Arrays of named dimensions at every point of all dimensions together."""
    every = list(dict.fromkeys(dim for name in arrays for dim in dims[name]))
    wide = {}
    for name, array in arrays.items():
        order = sorted(range(array.ndim), key=lambda k: every.index(dims[name][k]))
        sizes = {dims[name][k]: array.shape[k] for k in order}
        wide[name] = array.transpose(order).reshape([sizes.get(dim, 1) for dim in every])
    together = np.broadcast_arrays(*wide.values())
    return {name: array.ravel() for name, array in zip(wide, together, strict=True)}


def _unfit(source: NamedArrays, arrays: Mapping[str, np.ndarray]) -> PacpdeError:
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    return source.error(
        f"{source.origin} has the shapes {shapes}: expected columns of one length, or one array an "
        "axis and values of the shape of their grid, in either order."
    )
