"""The `d` of `rhs(u, d)`: d(u, "xx") is the second derivative of the field u in x.

`d` differentiates the fields themselves (expand `d(u*u, "x")` to `2*u*d(u, "x")`): so the same
lines work where derivatives come from matrices, from the channels of a network, or from autograd.
`d.coordinates["x"]` are the coordinates, for right-hand sides that depend on them.
"""

from collections import UserDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError, short, unknown
from pacpde.physics.elementary import Array
from pacpde.runtime import gradients


class Derivative:
    """Base: finds out which field is meant, and puts the axis names in one order.

    Args:
        fields: the fields `rhs` gets, one array each; recognised by identity.
        axes: names of the axes that may be differentiated in, in the problem's order.
        coordinates: name → array that broadcasts against a field.
    """

    def __init__(
        self,
        fields: Sequence[Array],
        axes: Sequence[str],
        coordinates: Mapping[str, Array] | None = None,
    ) -> None:
        self.fields = list(fields)
        self.axes = tuple(axes)
        self.coordinates: Mapping[str, Array] = coordinates or {}

    def __call__(self, u: Array, axes: str, *more: object) -> Array:
        if more or not isinstance(axes, str):
            got = ", ".join(short(each) for each in (axes, *more))
            raise InvalidValueError(
                f'd(u, {got}) does not name its axes in one text: write d(u, "x"), or '
                'd(u, "xx") for the second derivative.'
            )
        for name in axes:
            if name == "t" and name not in self.axes:
                raise InvalidValueError(
                    f'd(u, "{axes}") is a derivative in time, which a reference cannot take: its '
                    "rhs gives ∂u/∂t from derivatives in space alone. Leave the reference out."
                )
            if name not in self.axes:
                raise unknown("axis", name, self.axes)
        if not axes:
            raise InvalidValueError('d(u, "") names no axis: write d(u, "x") or d(u, "xx").')
        for index, field in enumerate(self.fields):
            if field is u:
                return self.take(index, "".join(sorted(axes, key=self.axes.index)))
        raise InvalidValueError(
            "d(u, ...) was given something that is not one of the fields: expand the derivative "
            'by hand, for example d(u*u, "x") as 2*u*d(u, "x"), and d(d(u, "x"), "x") as '
            'd(u, "xx").'
        )

    def take(self, field: int, axes: str) -> Array:
        """The derivative of one field in the axes named (sorted), shaped like the field."""
        raise NotImplementedError


class RecordedDerivative(Derivative):
    """Records the derivatives and coordinates that an equation reads; every value is 1.

    Attributes:
        by_field: the derivatives of each field.
        n_rows: number of rows that the equation gave.
    """

    def __init__(self, names: Sequence[str], axes: Sequence[str]) -> None:
        self._coordinates = _Recorded({name: np.ones(1) for name in axes})
        super().__init__([np.ones(1) for _ in names], axes, self._coordinates)
        self.by_field: dict[str, set[str]] = {name: set() for name in names}
        self.n_rows = 0

    @property
    def derivatives(self) -> set[str]:
        """The derivatives of any field."""
        return set().union(*self.by_field.values())

    def orders(self, axis: str) -> list[int]:
        """Order of the highest derivative in an axis, of each field."""
        return [
            max((name.count(axis) for name in names), default=0) for names in self.by_field.values()
        ]

    @property
    def coordinates_read(self) -> frozenset[str]:
        """The coordinates that were read."""
        return frozenset(self._coordinates.read)

    def take(self, field: int, axes: str) -> Array:
        list(self.by_field.values())[field].add(axes)
        return np.ones(1)


class _Recorded(UserDict[str, np.ndarray]):
    """Records which of its values are read, also by `values`, `items` and `**`."""

    def __init__(self, values: Mapping[str, np.ndarray]) -> None:
        self.read: set[str] = set()
        super().__init__(values)

    def __getitem__(self, name: str) -> np.ndarray:
        self.read.add(name)
        return super().__getitem__(name)

    def __missing__(self, name: str) -> np.ndarray:
        raise unknown("coordinate", name, self.data)


class ChannelDerivative(Derivative):
    """Looks derivatives up where they are already computed, pointwise.

    Args:
        channels: derivative ("x", "xx", ...) → one array a field; "" holds the fields.
    """

    def __init__(
        self,
        channels: Mapping[str, Sequence[Array]],
        axes: Sequence[str],
        coordinates: Mapping[str, Array] | None = None,
    ) -> None:
        super().__init__(channels[""], axes, coordinates)
        self.channels = channels

    def take(self, field: int, axes: str) -> Array:
        if axes not in self.channels:
            raise unknown("derivative", axes, [name for name in self.channels if name])
        return self.channels[axes][field]


class AutogradDerivative(Derivative):
    """Differentiates any torch fields by autograd; slow, the cross-check of everything else.

    Args:
        fields: tensors [N] computed from the coordinates.
        coordinates: name → tensor [N] with `requires_grad`.
    """

    def __init__(
        self, fields: Sequence[torch.Tensor], coordinates: Mapping[str, torch.Tensor]
    ) -> None:
        super().__init__(fields, tuple(coordinates), coordinates)
        self._known: dict[tuple[int, str], torch.Tensor] = {}

    def take(self, field: int, axes: str) -> torch.Tensor:
        if not axes:
            return self.fields[field]
        if (field, axes) not in self._known:
            lower = self.take(field, axes[:-1])
            self._known[field, axes] = gradient(lower, self.coordinates[axes[-1]])
        return self._known[field, axes]


def gradient(values: torch.Tensor, coordinate: torch.Tensor) -> torch.Tensor:
    """Pointwise derivative; zero where the values do not depend on the coordinate."""
    if not values.requires_grad:
        return torch.zeros_like(coordinate)
    (slope,) = torch.autograd.grad(
        values.sum(), coordinate, create_graph=True, allow_unused=True, materialize_grads=True
    )
    return slope


def channel_names(derivatives: Iterable[str]) -> tuple[str, ...]:
    """These and all lower derivatives they need, lowest order first: "xx" needs "" and "x"."""
    names = {""}
    for axes in derivatives:
        for mask in range(1 << len(axes)):
            names.add("".join(a for i, a in enumerate(axes) if mask >> i & 1))
    return tuple(sorted(names, key=lambda name: (len(name), name)))


@gradients()
def taylor_channels(
    function: Any, coordinates: Mapping[str, torch.Tensor], names: Sequence[str]
) -> torch.Tensor:
    """Derivatives of `function(**coordinates)` → [N, K] by autograd, shape [channels, N, K].

    For what does not depend on weights (input maps, start and edge functions) and is computed
    once for a set of points. Coordinates that require gradients keep them, in the result.
    """
    followed = any(values.requires_grad for values in coordinates.values())
    leaves = dict(coordinates)
    if not followed:
        leaves = {k: v.detach().clone() for k, v in coordinates.items()}
        if tuple(names) != ("",):
            leaves = {k: v.requires_grad_(True) for k, v in leaves.items()}
    values = function(**leaves)
    d = AutogradDerivative(list(values.unbind(-1)), leaves)
    count = values.shape[-1]
    columns = [
        values if not name else torch.stack([d.take(k, name) for k in range(count)], -1)
        for name in names
    ]
    return torch.stack([column if followed else column.detach() for column in columns])
