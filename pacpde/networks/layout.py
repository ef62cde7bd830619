"""Layout of a flat weight vector: the tensor and layer of each entry, and which are biases."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol

import torch
from torch import nn


@dataclass(frozen=True)
class WeightGroup:
    """One tensor of a network's weights.

    Attributes:
        name: as of a torch parameter, such as "layers.0.weight".
        shape: [outputs, inputs, ...] of weights, [outputs] of biases.
        is_head: whether it belongs to the last layer.
    """

    name: str
    shape: tuple[int, ...]
    is_head: bool

    @property
    def layer(self) -> str:
        """The name without its last part, such as "layers.0"."""
        return self.name.rpartition(".")[0]

    @property
    def is_bias(self) -> bool:
        """Tensors of one dimension count as biases."""
        return len(self.shape) < 2

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)


@dataclass(frozen=True)
class WeightLayout:
    """The groups of a weight vector [size], in their order.

    A network describes itself by it, so that masks are written once for all networks.

    Example:
        >>> layout = WeightLayout.of({"0.weight": (3, 2), "0.bias": (3,), "1.weight": (1, 3)})
        >>> layout.size, int(layout.where(lambda group: group.is_head).sum())
        (12, 3)
    """

    groups: tuple[WeightGroup, ...]

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> "WeightLayout":
        """
        Args:
            shapes: name → shape, in the order of the vector. The last layer is the head.
        """
        head = list(shapes)[-1].rpartition(".")[0]
        groups = (
            WeightGroup(name, tuple(shape), name.rpartition(".")[0] == head)
            for name, shape in shapes.items()
        )
        return cls(tuple(groups))

    def with_head(self, layer: str) -> "WeightLayout":
        """The layout whose head is another layer."""
        groups = (replace(group, is_head=group.layer == layer) for group in self.groups)
        return WeightLayout(tuple(groups))

    @property
    def size(self) -> int:
        """Number of entries."""
        return sum(group.size for group in self.groups)

    def split(self, vector: torch.Tensor) -> dict[str, torch.Tensor]:
        """Name → its part of a vector [..., size], [..., *shape], as a view."""
        parts = vector.split([group.size for group in self.groups], -1)
        return {
            group.name: part.view((*part.shape[:-1], *group.shape))
            for group, part in zip(self.groups, parts, strict=True)
        }

    def join(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Name → tensor of the group's shape, as one vector [size]."""
        return torch.cat([tensors[group.name].flatten() for group in self.groups])

    def where(self, chosen: Callable[[WeightGroup], bool]) -> torch.Tensor:
        """True for the entries of the chosen groups, bool [size], on the CPU."""
        counts = torch.tensor([group.size for group in self.groups], device="cpu")
        flags = torch.tensor([chosen(group) for group in self.groups], device="cpu")
        return flags.repeat_interleave(counts)


def module_layout(module: nn.Module) -> WeightLayout:
    """The layout of a torch module's parameters, in their order."""
    return WeightLayout.of({name: own.shape for name, own in module.named_parameters()})


class HasLayout(Protocol):
    """An object with a flat weight vector and its layout."""

    @property
    def layout(self) -> WeightLayout: ...
