"""Several objects of one class as one, whose tensors have a first dimension that runs over them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch


class Stackable:
    """A frozen dataclass; several objects of it can be stacked into one.

    Attributes:
        stacked: the fields that get a first dimension: tensors, other stackable objects,
            lists of these, or None. All other fields are those of the first.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Line(Stackable):
        ...     stacked = ("slope",)
        ...     slope: torch.Tensor
        ...     name: str = "line"
        >>> both = Line.stack([Line(torch.tensor(1.0)), Line(torch.tensor(2.0))])
        >>> both.slope.tolist(), both.select(torch.tensor([1])).slope.tolist()
        ([1.0, 2.0], [2.0])
    """

    stacked: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def stack(cls, items: Sequence[Self]) -> Self:
        """Several objects as one, along a new first dimension."""
        parts = {name: stack([getattr(one, name) for one in items]) for name in cls.stacked}
        return replace(items[0], **parts)  # type: ignore[type-var]

    def select(self, chosen: torch.Tensor) -> Self:
        """The stack of some of the objects, by indices or a mask."""
        parts = {name: select(getattr(self, name), chosen) for name in self.stacked}
        return replace(self, **parts)  # type: ignore[type-var]


def stack(values: Sequence[Any]) -> Any:
    """Tensors, stackable things, lists of these or None, along a new first dimension."""
    first = values[0]
    if first is None:
        return None
    if isinstance(first, torch.Tensor):
        return torch.stack(list(values))
    if isinstance(first, tuple):
        return tuple(stack(column) for column in zip(*values, strict=True))
    if isinstance(first, Sequence) and not isinstance(first, Stackable):
        return [stack(column) for column in zip(*values, strict=True)]
    return type(first).stack(values)


def select(value: Any, chosen: torch.Tensor) -> Any:
    """The part of a stacked value that belongs to some of the objects."""
    if value is None:
        return None
    if isinstance(value, torch.Tensor):
        return value[chosen]
    if isinstance(value, tuple):
        return tuple(select(part, chosen) for part in value)
    if isinstance(value, Sequence) and not isinstance(value, Stackable):
        return [select(part, chosen) for part in value]
    return value.select(chosen)
