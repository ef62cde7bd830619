"""More outputs than an ansatz needs: a second head, hidden features.

A network with more outputs contains the smaller one: its flat vector has the weights of both. So
any optimiser fits or freezes the new outputs as it does all weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pacpde.networks.batch import Batch, DerivedAnsatz
from pacpde.networks.protocol import Network


@dataclass(frozen=True)
class ExtendedNetwork:
    """A network with more outputs.

    Attributes:
        network: of all outputs.
        weights: of all of it, [size].
        own: where the weights of the network that it was made from lie, in their order.
        extra_weights: where those of the new outputs lie, [outputs, inputs].
        extra_biases: where their biases lie, [outputs].
    """

    network: Network
    weights: torch.Tensor
    own: torch.Tensor
    extra_weights: torch.Tensor
    extra_biases: torch.Tensor

    @classmethod
    def of(
        cls, network: Network, weights: torch.Tensor, rows: torch.Tensor, biases: torch.Tensor
    ) -> "ExtendedNetwork":
        """A network and its weights [size], with more outputs.

        Args:
            rows, biases: of the new outputs in the last layer, [outputs, inputs] and [outputs].
        """
        count, device = len(biases), weights.device
        larger, own = network.enlarged(extra_outputs=count)
        numbers = torch.arange(larger.size, device=device)
        matrix, vector = larger.matrices(numbers)[-1]
        whole = weights.new_zeros(larger.size)
        whole[own.to(device)] = weights
        whole[matrix[-count:]] = rows.to(weights)
        whole[vector[-count:]] = biases.to(weights)
        return cls(larger, whole, own.to(device), matrix[-count:], vector[-count:])

    @classmethod
    def with_features(cls, network: Network, weights: torch.Tensor) -> "ExtendedNetwork":
        """The last hidden units as more outputs."""
        count = network.neurons.widths[-1]
        one, none = weights.new_ones(count), weights.new_zeros(count)
        return cls.of(network, weights, torch.diag(one), none)


@dataclass(frozen=True)
class HeadAnsatz(DerivedAnsatz):
    """The fields of another ansatz from a second head of the network.

    Attributes:
        first: number of outputs before those of the head.
    """

    first: int

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        return replace(self.ansatz.batch(points, names), first_output=self.first)


@dataclass(frozen=True)
class FeatureAnsatz(DerivedAnsatz):
    """u = the last outputs of a network as they are, in the inputs of another ansatz.

    Attributes:
        count: how many.
    """

    count: int

    @property
    def outputs(self) -> int:
        return self.count

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        whole = self.ansatz.batch(points, names)
        inputs = whole.inputs[..., : whole.size, :]  # and none of the images
        return Batch.plain(points, inputs, points.new_ones(self.count), self.ansatz.outputs)
