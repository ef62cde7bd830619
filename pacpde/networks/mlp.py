"""A dense network over one flat weight vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from pacpde.errors import InvalidValueError, check_count, unknown
from pacpde.networks.jets import ACTIVATIONS, Slopes, activate, order, slopes, vjp
from pacpde.networks.layout import WeightLayout

WIDEST, DEEPEST = 1_000_000, 1_000  # beyond them a network is a slip of the pen


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
class Trace:
    """What a layer saw: inputs and pre-activations [..., channels, points, width], and slopes."""

    inputs: torch.Tensor
    z: torch.Tensor
    slopes: Slopes


@dataclass(frozen=True)
class MLP:
    """h ← activation(W h + b), `depth` times, then a linear layer.

    Attributes:
        inputs, outputs: widths of the ends.
        width, depth: width and number of hidden layers; a width each where they differ.
        activation: "tanh" or "sin".
    """

    inputs: int
    outputs: int
    width: int | tuple[int, ...] = 24
    depth: int = 4
    activation: str = "tanh"

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "width", "depth"):
            value = getattr(self, name)
            for count in value if isinstance(value, tuple) else (value,):
                check_count(
                    f"{name} of a network", count, 1, DEEPEST if name == "depth" else WIDEST
                )
        if isinstance(self.width, tuple) and len(self.width) != self.depth:
            raise InvalidValueError(
                f"the network has {self.depth} hidden layers and {len(self.width)} widths."
            )
        if not isinstance(self.activation, str) or self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        sizes = [self.inputs, *self.widths, self.outputs]
        layers, start = [], 0
        for inputs, outputs in pairwise(sizes):
            layers.append(Layer(inputs, outputs, start))
            start = layers[-1].biases.stop
        return tuple(layers)

    @cached_property
    def layout(self) -> WeightLayout:
        """What the entries of the weight vector are: "layers.0.weight", "layers.0.bias", ..."""
        shapes: dict[str, tuple[int, ...]] = {}
        for number, layer in enumerate(self.layers):
            shapes[f"layers.{number}.weight"] = layer.outputs, layer.inputs
            shapes[f"layers.{number}.bias"] = (layer.outputs,)
        return WeightLayout.of(shapes)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the hidden layers."""
        return self.width if isinstance(self.width, tuple) else (self.width,) * self.depth

    @property
    def flops(self) -> int:
        """Multiplications and additions of one evaluation at one point, activations left out."""
        return sum(2 * layer.inputs * layer.outputs for layer in self.layers)

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

    def plain(self, weights: torch.Tensor) -> "tuple[MLP, torch.Tensor]":
        """The dense network that this one evaluates as, and its weights [size]."""
        return self, weights

    def places(self, larger: "MLP") -> np.ndarray:
        """Where every parameter of this network lies in a larger one, [size].

        It is the corner of each matrix of first inputs and outputs; the depth is the same.
        """
        found = np.zeros(self.size, int)
        for own, other in zip(self.layers, larger.layers, strict=True):
            rows, columns = np.arange(own.outputs), np.arange(own.inputs)
            corner = other.start + rows[:, None] * other.inputs + columns
            found[own.weights] = corner.ravel()
            found[own.biases] = other.biases.start + rows
        return found

    def matrices(self, weights: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(W [..., outputs, inputs], b [..., outputs]) of every layer, as views of the vector."""
        return [
            (
                weights[..., layer.weights].unflatten(-1, (layer.outputs, layer.inputs)),
                weights[..., layer.biases],
            )
            for layer in self.layers
        ]

    def forward(
        self,
        weights: torch.Tensor,
        jet: torch.Tensor,
        names: Sequence[str],
        trace: list[Trace] | None = None,
    ) -> torch.Tensor:
        """Outputs [..., channels, points, outputs] for inputs [..., channels, points, inputs].

        Leading dimensions of weights [..., size] and inputs are a batch of networks. With
        `trace`, appends what every layer saw, for `deltas`.
        """
        highest = order(names) + (trace is not None)
        for number, (weight, bias) in enumerate(self.matrices(weights)):
            inputs, z = jet, _linear(jet, weight)
            z[..., 0, :, :] += bias.unsqueeze(-2)
            bent: Slopes = []
            if number < self.depth:
                bent = slopes(self.activation, z[..., 0, :, :], highest)
                jet = activate(bent, z, names)
            if trace is not None:
                trace.append(Trace(inputs, z, bent))
        return z

    def deltas(
        self,
        weights: torch.Tensor,
        trace: Sequence[Trace],
        names: Sequence[str],
        gradient: torch.Tensor,
    ) -> list[torch.Tensor]:
        """Gradients in every layer's pre-activations, from those in the outputs.

        Args:
            gradient: [n_components, ..., channels, points, outputs], and so are the deltas.
        """
        found = [gradient]
        matrices = self.matrices(weights)
        for number in range(self.depth - 1, -1, -1):
            weight, _ = matrices[number + 1]
            gradient = _linear(gradient, weight.mT)
            seen = trace[number]
            gradient = vjp(seen.slopes, seen.z, names, gradient)
            found.append(gradient)
        return found[::-1]


def _linear(jet: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """W h in every channel: [..., channels, points, inputs] → [..., channels, points, outputs]."""
    flat = jet.flatten(-3, -2) @ weight.mT
    return flat.unflatten(-2, jet.shape[-3:-1])
