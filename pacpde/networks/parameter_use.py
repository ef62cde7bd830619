"""Where a parameter enters a module linearly, and the Jacobian that follows from it.

A row of residuals depends on its own evaluation. So one reverse pass of the sum over all of them
gives δ, the gradient in what a call makes, for every evaluation at once, and the gradient of
each in the parameter is a product of its δ and of what went in.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Use(ABC):
    """One call that takes a parameter, or a view of one.

    Attributes:
        shape, strides, start: of the parameter in the flat weight vector.
        made: the jet that the call makes, [channels, points, ...].
    """

    shape: Sequence[int]
    strides: Sequence[int]
    start: int
    made: torch.Tensor

    @cached_property
    def places(self) -> slice | torch.Tensor:
        """Where its entries lie in the flat weight vector."""
        count = prod(self.shape)
        if self.strides == torch.empty(self.shape, device="meta").stride():
            return slice(self.start, self.start + count)
        numbers = torch.arange(count, device=self.made.device)
        places = torch.full((), self.start, device=self.made.device)
        for size, stride in zip(self.shape, self.strides, strict=True):
            places = places[..., None] + stride * numbers[:size]
        return places.flatten()

    @abstractmethod
    def rows(self, delta: torch.Tensor) -> torch.Tensor:
        """The gradients in the parameter of every point, [points, ...], as many as it has entries.

        Args:
            delta: gradients in `made`, shaped like it.
        """


@dataclass(frozen=True)
class Affine(Use):
    """A dense layer without its bias: y = W x in every channel, or x W if it is transposed.

    Attributes:
        inputs: [channels, points, ..., inputs].
    """

    inputs: torch.Tensor
    transposed: bool = False

    def rows(self, delta: torch.Tensor) -> torch.Tensor:
        a, d = (own.movedim(1, 0).flatten(1, -2) for own in (self.inputs, delta))
        return a.mT @ d if self.transposed else d.mT @ a


@dataclass(frozen=True)
class Convolution(Use):
    """A convolution without its bias, in every channel of the jet.

    Attributes:
        inputs: [channels, points, inputs, ...].
        kernel: its sizes.
        stride, padding, dilation: as of torch; one number for all, or one for each.
    """

    inputs: torch.Tensor
    kernel: tuple[int, ...]
    stride: Any
    padding: Any
    dilation: Any

    def rows(self, delta: torch.Tensor) -> torch.Tensor:
        count = len(self.kernel)
        steps, gaps = _each(self.stride, count), _each(self.dilation, count)
        spans = [gap * (size - 1) for gap, size in zip(gaps, self.kernel, strict=True)]
        patches = functional.pad(self.inputs, self._ends(spans))
        for number, (span, step, gap) in enumerate(zip(spans, steps, gaps, strict=True)):
            patches = patches.unfold(3 + number, span + 1, step)[..., ::gap]
        # [channels, points, inputs, places..., kernel...] → [points, channels·places, in·kernel]
        patches = patches.flatten(3 + count).movedim(2, -2).movedim(1, 0)
        patches = patches.flatten(-2).flatten(1, -2)
        d = delta.movedim(2, -1).movedim(1, 0).flatten(1, -2)
        return d.mT @ patches

    def _ends(self, spans: Sequence[int]) -> list[int]:
        """What is added at both ends of every axis, the last axis first."""
        if self.padding == "same":
            pairs = [(span // 2, span - span // 2) for span in spans]
        else:
            sizes = _each(0 if self.padding == "valid" else self.padding, len(spans))
            pairs = [(size, size) for size in sizes]
        return [end for pair in reversed(pairs) for end in pair]


@dataclass(frozen=True)
class Factor(Use):
    """y = w · x with a parameter w that is broadcast, in every channel.

    Attributes:
        inputs: x, [channels, points, ...].
        seen: shape of w, as it is broadcast.
    """

    inputs: torch.Tensor
    seen: Sequence[int]

    def rows(self, delta: torch.Tensor) -> torch.Tensor:
        return _summed((delta * self.inputs).sum(0), self.seen)


@dataclass(frozen=True)
class Shift(Use):
    """y = x ± w with a parameter w that is broadcast: the value alone moves.

    Attributes:
        seen: shape of w, as it is broadcast.
        sign: of w.
    """

    seen: Sequence[int]
    sign: float = 1.0

    def rows(self, delta: torch.Tensor) -> torch.Tensor:
        return self.sign * _summed(delta[0], self.seen)


def _summed(rows: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Rows [points, ...] summed over what a tensor of this shape is broadcast over."""
    own = list(shape)[-(rows.dim() - 1) :] if rows.dim() > 1 else []
    missing = rows.dim() - 1 - len(own)
    rows = rows.flatten(1, missing).sum(1) if missing else rows
    spread = [1 + k for k, size in enumerate(own) if size == 1]
    return rows.sum(spread, keepdim=True) if spread else rows


def _each(value: Any, count: int) -> list[int]:
    sizes = list(value) if isinstance(value, (tuple, list)) else [value]
    return sizes * count if len(sizes) == 1 else sizes
