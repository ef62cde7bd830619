"""Points made ready for a network, and the ansatz that makes them ready."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.stacking import Stackable
from pacpde.physics.problem import Problem

if TYPE_CHECKING:
    from pacpde.networks.ansatz import PhysicsAnsatz


@dataclass(frozen=True)
class Batch(Stackable):
    """A set of points, ready for a network.

    Leading dimensions [...] are a stack of sets, for a stack of networks.

    Attributes:
        coordinates: [..., points, axes].
        names: derivative channels carried.
        inputs: jet of the input map, [..., channels, images·points, features].
        offset: jet of g, [..., channels, points, fields].
        product: [..., channels, channels, points], Leibniz' rule for m·N.
        scale: typical size of each field, [fields].
        images: 1, or 2 for each axis in which N is made odd, from N(x) and N(−x).
        first_output: number of the network's output from which on its outputs make the fields.
    """

    stacked = ("coordinates", "inputs", "offset", "product")

    coordinates: torch.Tensor
    names: tuple[str, ...]
    inputs: torch.Tensor
    offset: torch.Tensor
    product: torch.Tensor
    scale: torch.Tensor
    images: int = 1
    first_output: int = 0

    @classmethod
    def plain(
        cls, points: torch.Tensor, inputs: torch.Tensor, scale: torch.Tensor, first_output: int = 0
    ) -> "Batch":
        """u = scale · N, without derivatives.

        Args:
            points: [points, axes].
            inputs: [1, points, features].
        """
        offset = points.new_zeros(1, len(points), len(scale))
        product = points.new_ones(1, 1, len(points))
        return cls(points, ("",), inputs, offset, product, scale, first_output=first_output)

    @property
    def size(self) -> int:
        return self.coordinates.shape[-2]

    def subset(self, points: slice | torch.Tensor) -> "Batch":
        """Some of the points."""
        inputs = self.inputs.unflatten(-2, (self.images, self.size))
        return replace(
            self,
            coordinates=self.coordinates[..., points, :],
            inputs=inputs[..., points, :].flatten(-3, -2),
            offset=self.offset[..., points, :],
            product=self.product[..., points],
        )

    @property
    def batch_key(self) -> Hashable:
        """What sets that can be stacked have in common."""
        scale = tuple(self.scale.tolist())
        return self.names, self.images, self.first_output, self.inputs.shape, scale

    def fields(self, output: torch.Tensor) -> torch.Tensor:
        """Fields and derivatives [..., channels, points, fields] from the network's output jet."""
        count = len(self.scale)
        if output.shape[-1] != count:
            output = output[..., self.first_output : self.first_output + count]
        while output.shape[-2] > self.size:  # one axis after the other, the last one first
            here, mirrored = output.chunk(2, dim=-2)
            output = (here - mirrored) / 2
        product = torch.einsum("...cdn,...dnk->...cnk", self.product, output)
        return self.offset + self.scale * product


class Ansatz(ABC):
    """What stands between the coordinates, the network and the fields."""

    @abstractmethod
    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        """Points [points, axes] made ready, with these derivative channels."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Features the network gets."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Outputs the network gives."""

    @property
    def equation(self) -> Problem | None:
        """The problem whose fields it gives; None for a table."""
        return None

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates that it takes, in order."""
        return ("column",) * self.inputs

    @property
    def uses_network(self) -> bool:
        """Whether the fields depend on the network's weights."""
        return True

    @property
    def odd(self) -> bool:
        """Whether N is made odd, see `PhysicsAnsatz`."""
        return False

    @property
    def settings(self) -> dict[str, Any]:
        """All but the problem, as JSON has it."""
        raise InvalidValueError(f"a surrogate in a {type(self).__name__} cannot be saved.")

    @property
    def field_ansatz(self) -> "PhysicsAnsatz":
        """What a network is fitted in that starts from this one's weights."""
        raise InvalidValueError("this surrogate was fitted to a table: it has no problem.")

    def with_problem(self, problem: Problem) -> "Ansatz":
        """The same for another problem of the family."""
        return self.field_ansatz.with_problem(problem)


@dataclass(frozen=True)
class DerivedAnsatz(Ansatz):
    """Another ansatz, but for what a subclass changes."""

    ansatz: Ansatz

    @property
    def inputs(self) -> int:
        return self.ansatz.inputs

    @property
    def outputs(self) -> int:
        return self.ansatz.outputs
