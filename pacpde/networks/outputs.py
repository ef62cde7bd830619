"""More outputs than an ansatz needs: a second head, hidden features.

A network with more outputs holds the one it was made from in the same flat vector, so that what
stands beside the fields is fitted, held or frozen with the weights, by any optimiser.
"""

from dataclasses import dataclass, fields
from typing import Any

import torch

from pacpde.networks.ansatz import Batch
from pacpde.networks.protocol import Network


@dataclass(frozen=True)
class Widened:
    """A network with more outputs.

    Attributes:
        network: of all outputs.
        weights: of all of it, [size].
        own: where the weights of the network that it was made from lie, in their order.
        more: where the weights of the new outputs lie, [outputs, inputs].
        constants: where their biases lie, [outputs].
    """

    network: Network
    weights: torch.Tensor
    own: torch.Tensor
    more: torch.Tensor
    constants: torch.Tensor


def widen(
    network: Network, weights: torch.Tensor, rows: torch.Tensor, biases: torch.Tensor
) -> Widened:
    """A network [size] with more outputs, of these last-layer weights [outputs, inputs]."""
    count = len(biases)
    larger, places = network.enlarged(extra_outputs=count)
    last = larger.layers[-1]
    device = weights.device
    own = places.to(device)
    more = torch.arange(last.weights.start, last.weights.stop, device=device)
    more = more.reshape(last.outputs, last.inputs)[-count:]
    constants = torch.arange(last.biases.stop - count, last.biases.stop, device=device)
    whole = weights.new_zeros(larger.size)
    whole[own] = weights
    whole[more] = rows.to(weights)
    whole[constants] = biases.to(weights)
    return Widened(larger, whole, own, more, constants)


@dataclass(frozen=True)
class HeadBatch(Batch):
    """Fields from one of several heads, each with as many outputs as there are fields."""

    head: int = 0

    def fields(self, output: torch.Tensor) -> torch.Tensor:
        known = len(self.scale)
        return super().fields(output[..., self.head * known : (self.head + 1) * known])


@dataclass(frozen=True)
class RawBatch(Batch):
    """The outputs after the first few, without an ansatz."""

    first: int = 1

    def fields(self, output: torch.Tensor) -> torch.Tensor:
        return output[..., : self.size, self.first :]


def as_head(batch: Batch, head: int) -> HeadBatch:
    return HeadBatch(**_content(batch), head=head)


def as_raw(batch: Batch, first: int) -> RawBatch:
    return RawBatch(**_content(batch), first=first)


def _content(batch: Batch) -> dict[str, Any]:
    return {entry.name: getattr(batch, entry.name) for entry in fields(Batch)}
