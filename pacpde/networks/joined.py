"""Networks that are made of several dense networks in one flat weight vector."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import torch

from pacpde.networks.layout import WeightLayout
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Columns, Network


class JoinedNetworks(Network):
    """Base class: dense networks one after the other in the weight vector.

    Attributes:
        part_name: of the parts in the names of the weights, as in "windows.0.layers.0.weight".
    """

    part_name: ClassVar[str]

    @property
    @abstractmethod
    def parts(self) -> "Sequence[MLP | JoinedNetworks]":
        """The dense networks, in their order."""

    @cached_property
    def part_slices(self) -> tuple[slice, ...]:
        """The slice of the flat vector that belongs to each part."""
        slices, start = [], 0
        for part in self.parts:
            slices.append(slice(start, start + part.size))
            start += part.size
        return tuple(slices)

    @property
    def in_parts(self) -> tuple[tuple[Network, slice], ...]:
        return tuple(zip(self.parts, self.part_slices, strict=True))

    @property
    def size(self) -> int:
        return self.part_slices[-1].stop

    @property
    def classes(self) -> tuple[type, ...]:
        used = dict.fromkeys(kind for part in self.parts for kind in part.classes[1:])
        return (type(self), *used)

    @cached_property
    def layout(self) -> WeightLayout:
        """Layout of the weight vector; each part has a head."""
        groups = (
            replace(group, name=f"{self.part_name}.{number}.{group.name}")
            for number, part in enumerate(self.parts)
            for group in part.layout.groups
        )
        return WeightLayout(tuple(groups))

    @property
    def head(self) -> slice:
        raise self._lacks("one last layer")

    @cached_property
    def first_groups(self) -> tuple[int, ...]:
        """The number of every part's first group of columns, and of what would come after all."""
        firsts = [0]
        for part in self.parts:
            inner = part.first_groups[-1] if isinstance(part, JoinedNetworks) else len(part.layers)
            firsts.append(firsts[-1] + inner)
        return tuple(firsts)

    def columns(
        self, indices: torch.Tensor | None, limit: int, device: torch.device
    ) -> list[Columns]:
        columns = []
        for part, place, first in zip(
            self.parts, self.part_slices, self.first_groups, strict=False
        ):
            own = indices
            if indices is not None:
                own = indices[(indices >= place.start) & (indices < place.stop)] - place.start
            columns += [
                replace(one, group=first + one.group) for one in part.columns(own, limit, device)
            ]
        return columns

    def part_with(self, indices: torch.Tensor) -> tuple[int, torch.Tensor | None]:
        """The number of the part that has all of these sorted weights, and where they are in it."""
        first, last = int(indices[0]), int(indices[-1])
        for number, place in enumerate(self.part_slices):
            if place.start <= first and last < place.stop:
                return number, indices - place.start
        return 0, None

    def part_of(self, columns: Columns) -> tuple[int, Columns]:
        """The number of the part that columns belong to, and the same columns of that part."""
        number = next(k for k, after in enumerate(self.first_groups[1:]) if columns.group < after)
        return number, replace(columns, group=columns.group - self.first_groups[number])
