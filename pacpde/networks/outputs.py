"""More outputs than an ansatz needs: unknown constants, a second head, hidden features.

A network with more outputs holds the one it was made from in the same flat vector, so that what
stands beside the fields is fitted, held or frozen with the weights, by any optimiser.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from pacpde.networks.constraints import Ansatz, Batch
from pacpde.networks.mlp import MLP


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

    network: MLP
    weights: torch.Tensor
    own: torch.Tensor
    more: torch.Tensor
    constants: torch.Tensor


def widen(network: MLP, weights: torch.Tensor, rows: torch.Tensor, biases: torch.Tensor) -> Widened:
    """A network [size] with more outputs, of these last-layer weights [outputs, inputs]."""
    count = len(biases)
    larger = replace(network, outputs=network.outputs + count)
    last = larger.layers[-1]
    device = weights.device
    own = torch.as_tensor(network.places(larger), device=device)
    more = torch.arange(last.weights.start, last.weights.stop, device=device)
    more = more.reshape(last.outputs, last.inputs)[-count:]
    constants = torch.arange(last.biases.stop - count, last.biases.stop, device=device)
    whole = weights.new_zeros(larger.size)
    whole[own] = weights
    whole[more] = rows.to(weights)
    whole[constants] = biases.to(weights)
    return Widened(larger, whole, own, more, constants)


@dataclass(frozen=True)
class ExtendedBatch(Batch):
    """Fields, then the other outputs as they are."""

    def fields(self, output: torch.Tensor) -> torch.Tensor:
        known = len(self.scale)
        others = output[..., : self.size, known:]  # of the first image
        return torch.cat([super().fields(output[..., :known]), others], -1)


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


def as_extended(batch: Batch) -> ExtendedBatch:
    return ExtendedBatch(**_content(batch))


def as_head(batch: Batch, head: int) -> HeadBatch:
    return HeadBatch(**_content(batch), head=head)


def as_raw(batch: Batch, first: int) -> RawBatch:
    return RawBatch(**_content(batch), first=first)


def _content(batch: Batch) -> dict[str, Any]:
    return {entry.name: getattr(batch, entry.name) for entry in fields(Batch)}


@dataclass(frozen=True)
class Extended:
    """An ansatz with so many more outputs, which it passes on."""

    ansatz: Ansatz
    more: int

    @property
    def inputs(self) -> int:
        return self.ansatz.inputs

    @property
    def outputs(self) -> int:
        return self.ansatz.outputs + self.more

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        return as_extended(self.ansatz.batch(points, names))
