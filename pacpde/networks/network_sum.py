"""A sum of dense networks in one flat weight vector: a library's frozen features are one."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.joined import JoinedNetworks
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Columns, Factors, Network
from pacpde.networks.row_sums import RowSums


@dataclass(frozen=True)
class NetworkSum(JoinedNetworks):
    """N = Σₖ Nₖ with dense networks Nₖ of the same inputs and outputs.

    With frozen hidden layers it is linear in the last layers of all members together: their hidden
    neurons are the features of one head.

    Attributes:
        inputs, outputs: widths of the ends, of every member.
        members: (widths of the hidden layers, activation) of every member.

    Example:
        >>> NetworkSum(2, 1, members=(((5,), "tanh"), ((3,), "sin"))).size  # 21 + 13
        34
    """

    name = "sum"
    part_name = "members"
    uses_frequency = True

    inputs: int
    outputs: int
    members: tuple[tuple[tuple[int, ...], str], ...] = (((24, 24, 24), "tanh"),)

    def __post_init__(self) -> None:
        fault = InvalidValueError(
            f"members of a sum of networks are {self.members!r}, expected widths and the "
            'activation of each: write (((24, 24), "tanh"), ((12,), "sin")).'
        )
        try:
            members = tuple((tuple(widths), activation) for widths, activation in self.members)
        except (TypeError, ValueError) as error:
            raise fault from error
        if not members:
            raise fault
        object.__setattr__(self, "members", members)
        _ = self.parts  # which refuse wrong widths and activations

    @classmethod
    def of(cls, networks: Sequence[Network], what: str = "the network") -> "NetworkSum":
        """The sum of dense networks, or of sums of them.

        Raises:
            InvalidValueError: one is of another kind.
        """
        parts = [part for network in networks for part in dense_parts(network, what)]
        members = tuple((part.widths, part.activation) for part in parts)
        return cls(parts[0].inputs, parts[0].outputs, members)

    @cached_property
    def parts(self) -> tuple[MLP, ...]:
        return tuple(
            MLP(self.inputs, self.outputs, widths, len(widths), activation)
            for widths, activation in self.members
        )

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def flops(self) -> int:
        return sum(part.flops for part in self.parts)

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        """Random weights [size]: those of every member, with its head's over √members."""
        each = []
        for part in self.parts:
            weights = part.init_weights(rng, frequency)
            weights[part.head] /= np.sqrt(len(self.parts))
            each.append(weights)
        return np.concatenate(each)

    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        first, *others = (
            part.forward(weights[..., place], jet, names)
            for part, place in zip(self.parts, self.part_slices, strict=True)
        )
        return sum(others, first)

    def hidden(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        """The jets of all members' last hidden neurons, [..., channels, points, neurons]."""
        each = [
            part.hidden(weights[..., place], jet, names)
            for part, place in zip(self.parts, self.part_slices, strict=True)
        ]
        return torch.cat(each, -1)

    def split_head(
        self,
        weights: torch.Tensor,
        jet: torch.Tensor,
        names: Sequence[str],
        indices: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        number, own = self.part_with(indices)
        if own is None:
            return None
        part, place = self.parts[number], self.part_slices[number]
        split = part.split_head(weights[..., place], jet, names, own)
        if split is None:
            return None
        base, features = split
        for other, (rest, there) in enumerate(zip(self.parts, self.part_slices, strict=True)):
            if other != number:
                base = base + rest.forward(weights[..., there], jet, names)
        return base, features

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        each = [
            part.linearise(weights[..., place], jet, names, images)
            for part, place in zip(self.parts, self.part_slices, strict=True)
        ]
        first, *others = (outputs for outputs, _ in each)

        def factors(slopes: torch.Tensor) -> SumFactors:
            return SumFactors(self, [own(slopes) for _, own in each])

        return sum(others, first), factors

    def factor_bytes(self, jet: torch.Tensor) -> int:
        return sum(part.factor_bytes(jet) for part in self.parts)


@dataclass(frozen=True)
class RefinedNetwork(NetworkSum):
    """N = B + C: a dense network B, and C with B's hidden layers and one of random neurons more.

    See `pacpde.networks.correction`.

    Attributes:
        members: (widths of the hidden layers, activation) of B and of C.

    Example:
        >>> corrected(MLP(2, 1, width=5, depth=1), 40).members
        (((5,), 'tanh'), ((5, 40), 'tanh'))
    """

    name = "refined"


def corrected(network: MLP, neurons: int) -> RefinedNetwork:
    """The sum of a dense network and a correction by so many random neurons."""
    widths = network.widths
    members = ((widths, network.activation), ((*widths, neurons), network.activation))
    return RefinedNetwork(network.inputs, network.outputs, members)


def dense_parts(network: Network, what: str = "the network") -> tuple[MLP, ...]:
    """The dense networks that a network is the sum of: itself, or a sum's members.

    Args:
        what: the network, for the error.
    """
    if isinstance(network, NetworkSum):
        return network.parts
    if isinstance(network, MLP):
        return (network,)
    raise InvalidValueError(
        f"{what} is of the class {type(network).__name__}, expected a dense network or a sum of "
        "such: only their hidden neurons can be joined."
    )


@dataclass(frozen=True)
class SumFactors(Factors):
    """The factors of every member; a row of the Jacobian has the columns of all of them."""

    stacked = ("each",)

    network: NetworkSum
    each: Sequence[Factors]

    @property
    def n_components(self) -> int:
        return self.each[0].n_components

    @property
    def points(self) -> int:
        return self.each[0].points

    def subset(self, points: slice) -> "SumFactors":
        return replace(self, each=[own.subset(points) for own in self.each])

    def write(self, columns: Columns, target: torch.Tensor) -> None:
        number, own = self.network.part_of(columns)
        self.each[number].write(own, target)

    def add_sums(self, columns: Columns, sums: RowSums, target: torch.Tensor) -> None:
        number, own = self.network.part_of(columns)
        self.each[number].add_sums(own, sums, target)

    def times(self, direction: torch.Tensor) -> torch.Tensor:
        first, *others = (
            own.times(direction[..., place])
            for own, place in zip(self.each, self.network.part_slices, strict=True)
        )
        return sum(others, first)

    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        for own, place in zip(self.each, self.network.part_slices, strict=True):
            own.add_transposed(y, total[..., place])
