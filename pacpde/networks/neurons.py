"""The hidden neurons of a chain of layers: which weights of the flat vector belong to them.

A choice of neurons is a list of masks, bool [width], one a hidden layer. Results are over the flat
vector, [size].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pacpde.networks.protocol import Network

Choice = Sequence[torch.Tensor]


@dataclass(frozen=True)
class Neurons:
    """The hidden neurons of `network`."""

    network: "Network"

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of neurons of each hidden layer."""
        return tuple(layer.outputs for layer in self.network.layers[:-1])

    def entering(self, chosen: Choice) -> torch.Tensor:
        """True for the weights and biases into some neurons, bool [size]."""
        mask = torch.zeros(self.network.size, dtype=torch.bool, device=chosen[0].device)
        for (weights, biases), rows in zip(self.network.matrices(mask), chosen, strict=False):
            weights[:] = rows[:, None]
            biases[:] = rows
        return mask

    def between(
        self,
        chosen: Choice,
        inputs: torch.Tensor | None = None,
        outputs: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """True for the weights of the network that only some neurons make up, bool [size].

        Args:
            inputs, outputs: the ends that it has, bool; all by default.
        """
        device = chosen[0].device
        first, last = (
            torch.ones(width, dtype=torch.bool, device=device) if end is None else end
            for width, end in (
                (self.network.layers[0].inputs, inputs),
                (self.network.outputs, outputs),
            )
        )
        parts = []
        ends = pairwise([first, *chosen, last])
        for layer, (inside, rows) in zip(self.network.layers, ends, strict=True):
            columns = inside.repeat_interleave(layer.entries)
            parts += [(rows[:, None] & columns).flatten(), rows]
        return torch.cat(parts)

    def subnetwork(self, chosen: Choice) -> tuple["Network", torch.Tensor]:
        """The network that some neurons make up, and where its weights lie in this one, [size]."""
        widths = tuple(int(mask.sum()) for mask in chosen)
        return self.resized(widths), self.between(chosen).nonzero()[:, 0]

    def resized(self, widths: Sequence[int]) -> "Network":
        """The network with these numbers of neurons in its hidden layers."""
        return self.network.resized(widths)

    def unreachable(self, mask: torch.Tensor) -> list[torch.Tensor]:
        """The neurons from which no chain of kept weights leads to an output.

        Args:
            mask: True where a weight is kept, bool [size].
        """
        masks: list[torch.Tensor] = []
        reachable = torch.ones(self.network.outputs, dtype=torch.bool, device=mask.device)
        layers = zip(self.network.layers[1:], self.network.matrices(mask)[1:], strict=True)
        for layer, (weights, _) in reversed(list(layers)):
            reachable = (weights & reachable[:, None]).any(0).view(-1, layer.entries).any(1)
            masks.insert(0, ~reachable)
        return masks

    def numbers(self) -> torch.Tensor:
        """The number of the neuron or output that each weight enters, int [size]."""
        parts, first = [], 0
        for layer in self.network.layers:
            rows = torch.arange(first, first + layer.outputs, device="cpu")
            parts += [rows.repeat_interleave(layer.columns), rows]
            first += layer.outputs
        return torch.cat(parts)

    def mean_scores(self, scores: torch.Tensor) -> list[torch.Tensor]:
        """Mean score of all weights into and out of each neuron, [width] a hidden layer.

        Args:
            scores: one a weight, [size]; scores that are not finite are left out.
        """
        finite = scores.isfinite()
        totals = self.network.matrices(torch.where(finite, scores, 0))
        counts = self.network.matrices(finite.to(scores))
        means = []
        for number, layer in enumerate(self.network.layers[1:]):
            total, count = (
                into.sum(1) + bias + out.sum(0).view(-1, layer.entries).sum(1)
                for (into, bias), (out, _) in (
                    totals[number : number + 2],
                    counts[number : number + 2],
                )
            )
            means.append(torch.where(count > 0, total / count, -torch.inf))
        return means

    def leaving(self, values: Choice) -> torch.Tensor:
        """For each weight the value of the neuron that it leaves, 1 elsewhere, [..., size].

        Args:
            values: one a neuron, [..., width] a hidden layer.
        """
        parts = []
        for number, layer in enumerate(self.network.layers):
            like = values[0]
            shape = (*like.shape[:-1], layer.outputs, layer.columns)
            own = like.new_ones(())
            if number:
                own = values[number - 1].repeat_interleave(layer.entries, -1).unsqueeze(-2)
            parts += [
                own.expand(shape).flatten(-2),
                like.new_ones(*like.shape[:-1], layer.outputs),
            ]
        return torch.cat(parts, -1)
