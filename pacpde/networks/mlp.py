"""A dense network over one flat weight vector."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from pacpde.checks import check_count
from pacpde.errors import InvalidValueError
from pacpde.networks.activations import Slopes, activations, check_activation
from pacpde.networks.factors import DenseFactors, columns_of
from pacpde.networks.jets import activate, order, slopes, vjp
from pacpde.networks.layout import WeightLayout
from pacpde.networks.neurons import Neurons
from pacpde.networks.protocol import Columns, Factors, Layer, Network

WIDEST, DEEPEST = 1_000_000, 1_000  # beyond them a network is a slip of the pen


@dataclass(frozen=True)
class Trace:
    """Inputs and pre-activations z of a layer, [..., channels, points, width], and slopes at z."""

    inputs: torch.Tensor
    z: torch.Tensor
    slopes: Slopes


@dataclass(frozen=True)
class MLP(Network):
    """h ← activation(W h + b), `depth` times, then a linear layer.

    Attributes:
        inputs, outputs: widths of the ends.
        width, depth: width and number of hidden layers; a width each where they differ.
        activation: name of a `pacpde.networks.activations.Activation`: "tanh", "sin", ...
    """

    name = "mlp"
    uses_frequency = True

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
        if isinstance(self.width, tuple) and len(set(self.width)) == 1:
            object.__setattr__(self, "width", self.width[0])
        check_activation(activations.get(self.activation))

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def classes(self) -> tuple[type, ...]:
        return type(self), activations.get(self.activation)

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
        """Layout of the weight vector: "layers.0.weight", "layers.0.bias", ..."""
        shapes: dict[str, tuple[int, ...]] = {}
        for number, layer in enumerate(self.layers):
            shapes[f"layers.{number}.weight"] = layer.outputs, layer.inputs
            shapes[f"layers.{number}.bias"] = (layer.outputs,)
        return WeightLayout.of(shapes)

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of neurons in each hidden layer."""
        return self.width if isinstance(self.width, tuple) else (self.width,) * self.depth

    @property
    def has_neurons(self) -> bool:
        return True

    def resized(self, widths: Sequence[int]) -> "MLP":
        return replace(self, width=tuple(widths), depth=len(widths))

    @property
    def neurons(self) -> Neurons:
        return Neurons(self)

    @property
    def flops(self) -> int:
        return sum(2 * layer.inputs * layer.outputs for layer in self.layers)

    @property
    def size(self) -> int:
        return self.layers[-1].biases.stop

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
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

    def enlarged(
        self, extra_neurons: int = 0, extra_outputs: int = 0, extra_inputs: int = 0
    ) -> "tuple[MLP, torch.Tensor]":
        larger = replace(
            self,
            inputs=self.inputs + extra_inputs,
            outputs=self.outputs + extra_outputs,
            width=tuple(width + extra_neurons for width in self.widths),
        )
        first, *own, last = (
            torch.arange(size, device="cpu") < before
            for size, before in zip(
                (larger.inputs, *larger.widths, larger.outputs),
                (self.inputs, *self.widths, self.outputs),
                strict=True,
            )
        )
        return larger, larger.neurons.between(own, first, last).nonzero()[:, 0]

    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        return self._evaluated(weights, jet, names, order(names))

    def hidden(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        """The jet of the last hidden layer's neurons, [..., channels, points, width]."""
        trace: list[Trace] = []
        self._evaluated(weights, jet, names, order(names), trace)
        return trace[-1].inputs

    def split_head(
        self,
        weights: torch.Tensor,
        jet: torch.Tensor,
        names: Sequence[str],
        indices: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        head = self.layers[-1].parameters
        if len(indices) != head.stop - head.start or int(indices[0]) != head.start:
            return None
        hidden = self.hidden(weights, jet, names)
        one = hidden.new_zeros(*hidden.shape[:-1], 1)
        one[..., 0, :, :] = 1
        none = hidden.new_zeros(*hidden.shape[:-1], self.outputs)
        return none, torch.cat([hidden, one], -1)

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        trace: list[Trace] = []
        outputs = self._evaluated(weights, jet, names, order(names) + 1, trace)

        def factors(gradient: torch.Tensor) -> DenseFactors:
            deltas = self.deltas(weights, trace, names, gradient)
            return DenseFactors.of(self, [layer.inputs for layer in trace], deltas, images)

        return outputs, factors

    def columns(
        self, indices: torch.Tensor | None, limit: int, device: torch.device
    ) -> list[Columns]:
        return columns_of(self.layers, indices, limit, device)

    def factor_bytes(self, jet: torch.Tensor) -> int:
        widths = sum(layer.inputs + self.outputs * layer.outputs for layer in self.layers)
        return int(jet.element_size() * jet[..., 0].numel() * widths)

    def _evaluated(
        self,
        weights: torch.Tensor,
        jet: torch.Tensor,
        names: Sequence[str],
        highest: int,
        trace: list[Trace] | None = None,
    ) -> torch.Tensor:
        """The jet of the outputs; appends to `trace` what `deltas` needs of every layer.

        Args:
            highest: derivative of the activation that is computed.
        """
        for number, (weight, bias) in enumerate(self.matrices(weights)):
            inputs, z = jet, _linear(jet, weight)
            z[..., 0, :, :] += bias.unsqueeze(-2)
            own: Slopes = []
            if number < self.depth:
                own = slopes(self.activation, z[..., 0, :, :], highest)
                jet = activate(own, z, names)
            if trace is not None:
                trace.append(Trace(inputs, z, own))
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
        deltas = [gradient]
        matrices = self.matrices(weights)
        for number in range(self.depth - 1, -1, -1):
            weight, _ = matrices[number + 1]
            gradient = _linear(gradient, weight.mT)
            layer = trace[number]
            gradient = vjp(layer.slopes, layer.z, names, gradient)
            deltas.append(gradient)
        return deltas[::-1]


def _linear(jet: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """W h in every channel: [..., channels, points, inputs] → [..., channels, points, outputs]."""
    flat = jet.flatten(-3, -2) @ weight.mT
    return flat.unflatten(-2, jet.shape[-3:-1])


def dense_network(inputs: int, outputs: int, widths: Sequence[int], activation: str) -> MLP:
    """A dense network with these numbers of neurons in its hidden layers."""
    return MLP(inputs, outputs, tuple(widths), len(widths), activation)
