"""Unknown constants beside the fields: each is the bias of one more output, whose weights are 0.

So they are entries of the same flat vector as the weights, and every optimiser can free them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch

from pacpde.networks.constraints import Batch, PhysicsAnsatz
from pacpde.networks.mlp import MLP


@dataclass(frozen=True)
class ExtendedBatch(Batch):
    """A batch whose network has outputs beyond the fields; they are passed on as they are."""

    @classmethod
    def of(cls, batch: Batch) -> "ExtendedBatch":
        return cls(**{entry.name: getattr(batch, entry.name) for entry in fields(batch)})

    def fields(self, output: torch.Tensor) -> torch.Tensor:
        """Fields, then the others, [..., channels, points, outputs]."""
        known = len(self.scale)
        others = output[..., : self.size, known:]  # of the first image
        return torch.cat([super().fields(output[..., :known]), others], -1)


@dataclass(frozen=True)
class Extended:
    """An ansatz with so many more outputs."""

    ansatz: PhysicsAnsatz
    more: int

    @property
    def inputs(self) -> int:
        return self.ansatz.inputs

    @property
    def outputs(self) -> int:
        return self.ansatz.outputs + self.more

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        return ExtendedBatch.of(self.ansatz.batch(points, names))


def extend(
    network: MLP, weights: torch.Tensor, values: torch.Tensor
) -> tuple[MLP, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(network with one more output a value, its weights, where the old ones lie, where values do).

    Args:
        weights: [size].
        values: of the constants, [constants].
    """
    larger = replace(network, outputs=network.outputs + len(values))
    own = torch.as_tensor(network.places(larger), device=weights.device)
    stop = larger.layers[-1].biases.stop
    constants = torch.arange(stop - len(values), stop, device=weights.device)
    extended = weights.new_zeros(larger.size)
    extended[own] = weights
    extended[constants] = values.to(weights)
    return larger, extended, own, constants
