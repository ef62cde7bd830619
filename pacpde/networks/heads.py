"""Networks with extra outputs: a second head, or the hidden features.

The flat weight vector of the extended network contains the weights of the original network. So
any optimiser trains or freezes the extra outputs like all other weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pacpde.networks.batch import Batch, DerivedAnsatz
from pacpde.networks.protocol import Network


@dataclass(frozen=True)
class ExtendedNetwork:
    """A network with extra outputs. All indices are positions in its flat weight vector.

    Attributes:
        network: with the original and the extra outputs.
        weights: of `network`, [size].
        original_indices: of the original network's weights, in their order, int [original size].
        extra_weights: of the extra outputs' weights, int [extra outputs, last hidden width].
        extra_biases: of the extra outputs' biases, int [extra outputs].
    """

    network: Network
    weights: torch.Tensor
    original_indices: torch.Tensor
    extra_weights: torch.Tensor
    extra_biases: torch.Tensor

    @classmethod
    def of(
        cls, network: Network, weights: torch.Tensor, rows: torch.Tensor, biases: torch.Tensor
    ) -> "ExtendedNetwork":
        """Add outputs to a network.

        Args:
            weights: of `network`, [size].
            rows: last layer's weights of the extra outputs, [extra outputs, last hidden width].
            biases: of the extra outputs, [extra outputs].
        """
        count, device = len(biases), weights.device
        larger, own = network.enlarged(extra_outputs=count)
        numbers = torch.arange(larger.size, device=device)
        matrix, vector = larger.head_matrix(numbers)
        whole = weights.new_zeros(larger.size)
        whole[own.to(device)] = weights
        whole[matrix[-count:]] = rows.to(weights)
        whole[vector[-count:]] = biases.to(weights)
        return cls(larger, whole, own.to(device), matrix[-count:], vector[-count:])

    @classmethod
    def with_features(cls, network: Network, weights: torch.Tensor) -> "ExtendedNetwork":
        """Add each unit of the last hidden layer as an extra output."""
        count = network.n_features
        one, none = weights.new_ones(count), weights.new_zeros(count)
        return cls.of(network, weights, torch.diag(one), none)


@dataclass(frozen=True)
class HeadAnsatz(DerivedAnsatz):
    """The fields of another ansatz, computed from a second head of the network.

    Attributes:
        first: index of the head's first output; the head may stand for all outputs of the other
            ansatz's network, of which that one takes some.
    """

    first: int

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        batch = self.ansatz.batch(points, names)
        return replace(batch, first_output=self.first + batch.first_output)


@dataclass(frozen=True)
class FeatureAnsatz(DerivedAnsatz):
    """u = the network's last `count` outputs, unscaled, with the input map of another ansatz.

    Attributes:
        count: number of these outputs.
    """

    count: int

    @property
    def outputs(self) -> int:
        return self.count

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        whole = self.ansatz.batch(points, names)
        inputs = whole.inputs[..., : whole.size, :]  # and none of the images
        return Batch.without_derivatives(
            points, inputs, points.new_ones(self.count), self.ansatz.outputs
        )
