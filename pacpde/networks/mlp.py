"""A dense network over one flat weight vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from pacpde.errors import InvalidValueError, unknown
from pacpde.networks.jets import ACTIVATIONS, activate


@dataclass(frozen=True)
class Layer:
    """Where one layer lies in the flat vector: weights [outputs, inputs], then biases [outputs]."""

    inputs: int
    outputs: int
    start: int

    @property
    def weights(self) -> slice:
        return slice(self.start, self.start + self.inputs * self.outputs)

    @property
    def biases(self) -> slice:
        return slice(self.weights.stop, self.weights.stop + self.outputs)


@dataclass(frozen=True)
class MLP:
    """h ← activation(W h + b), `depth` times, then a linear layer.

    Attributes:
        inputs, outputs: widths of the ends.
        width, depth: width and number of hidden layers.
        activation: "tanh" or "sin".
    """

    inputs: int
    outputs: int
    width: int = 24
    depth: int = 4
    activation: str = "tanh"

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "width", "depth"):
            if getattr(self, name) < 1:
                raise InvalidValueError(
                    f"{name} of a network is {getattr(self, name)}, expected at least 1."
                )
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        sizes = [self.inputs, *[self.width] * self.depth, self.outputs]
        layers, start = [], 0
        for inputs, outputs in pairwise(sizes):
            layers.append(Layer(inputs, outputs, start))
            start = layers[-1].biases.stop
        return tuple(layers)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.layers[-1].biases.stop

    def start(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        """Random weights [size]: normal with the spread of Glorot & Bengio (2010), biases 0.

        Args:
            frequency: for solutions that oscillate over their span, the spread of the first
                layer's weights instead, with biases that centre its units all over the inputs
                (in the spirit of Sitzmann et al. 2020, arXiv 2006.09661).
        """
        flat = np.zeros(self.size)
        for layer in self.layers:
            spread = np.sqrt(2 / (layer.inputs + layer.outputs))
            flat[layer.weights] = rng.normal(0, spread, layer.inputs * layer.outputs)
        if frequency is not None:
            first = self.layers[0]
            weights = rng.normal(0, frequency, (first.outputs, first.inputs))
            centres = rng.uniform(-1, 1, (first.outputs, first.inputs))
            flat[first.weights] = weights.ravel()
            flat[first.biases] = -(weights * centres).sum(1)
        return flat

    def matrices(self, weights: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(W [outputs, inputs], b [outputs]) of every layer, as views of the flat vector."""
        return [
            (weights[layer.weights].view(layer.outputs, layer.inputs), weights[layer.biases])
            for layer in self.layers
        ]

    def forward(
        self,
        weights: torch.Tensor,
        jet: torch.Tensor,
        names: Sequence[str],
        trace: list[tuple[torch.Tensor, torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """Outputs [channels, points, outputs] for inputs [channels, points, inputs].

        With `trace`, appends (layer input, pre-activation) of every layer, the pre-activations
        as autograd leaves' descendants: their gradients give the Jacobian (see
        `pacpde.objective.jacobian`).
        """
        matrices = self.matrices(weights)
        for number, (weight, bias) in enumerate(matrices):
            z = jet @ weight.T
            z[0] += bias
            if trace is not None:
                if not z.requires_grad:
                    z.requires_grad_(True)
                trace.append((jet.detach(), z))
            jet = activate(self.activation, z, names) if number < self.depth else z
        return jet
