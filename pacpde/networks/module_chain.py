"""Chains of dense layers and convolutions: their hidden neurons and filters.

A filter is a neuron: its weights are those of the kernels into it. What a flattened filter gives
are several inputs of the next layer, which belong to the one neuron.
"""

from collections.abc import Sequence
from copy import deepcopy
from math import prod
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from pacpde.networks.layout import WeightLayout
from pacpde.networks.protocol import Layer

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
MIXING = (nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin, nn.GLU, nn.MultiheadAttention)
OTHERS = (nn.Flatten, nn.Identity, nn.Dropout)  # beside activations and pooling


def chain_layers(module: nn.Module, layout: WeightLayout) -> tuple[Layer, ...] | None:
    """The layers of a chain, from the inputs to the outputs; None where it is no such chain.

    A chain is an `nn.Sequential` of layers with biases, and between them of what neither has
    weights nor mixes neurons: activations, pooling, flattening.
    """
    if chain_break(module) or not isinstance(module, nn.Sequential):
        return None
    count = sum(type(part) in LAYERS for part in module)
    weights = [group.shape for group in layout.groups if not group.is_bias]
    if len(weights) != count or len(layout.groups) != 2 * count:
        return None
    layers: list[Layer] = []
    start = 0
    for shape in weights:
        inputs = layers[-1].outputs if layers else shape[1]
        if shape[1] % inputs:
            return None
        layers.append(Layer(inputs, shape[0], start, prod(shape[1:]) // inputs))
        start = layers[-1].biases.stop
    return tuple(layers)


def chain_break(module: nn.Module) -> str:
    """What keeps a module from being a chain, in words that follow its name; "" for nothing."""
    if type(module) is not nn.Sequential:
        return f"is a {type(module).__name__}, and no nn.Sequential"
    parts = dict(module.named_children())
    layers = [name for name, part in parts.items() if type(part) in LAYERS]
    if len(layers) < 2:
        return "has fewer than two dense layers and convolutions"
    names = list(parts)
    between = names[names.index(layers[0]) : names.index(layers[-1])]
    for name, part in parts.items():
        why = ""
        if name in layers:
            why = "" if _is_plain(part) else "has no biases, has groups, or is frozen"
        elif any(own.numel() for own in [*part.parameters(), *part.buffers()]):
            why = "has weights or statistics of its own"
        elif name in between and not _keeps_neurons(part):
            why = "may mix neurons"
        if why:
            return f"has a layer {name} ({type(part).__name__}) that {why}"
    return ""


def resized_chain(module: nn.Module, layers: Sequence[Layer], widths: Sequence[int]) -> nn.Module:
    """A chain with these numbers of neurons in its hidden layers, and weights of no meaning."""
    parts: list[nn.Module] = []
    own = iter(zip(layers, [layers[0].inputs, *widths], [*widths, layers[-1].outputs], strict=True))
    for part in module.children():
        if type(part) not in LAYERS:
            parts.append(deepcopy(part))
            continue
        layer, inputs, outputs = next(own)
        copy: Any = deepcopy(part)
        columns = inputs * (copy.weight.shape[1] // layer.inputs)
        shape = outputs, columns, *copy.weight.shape[2:]
        copy.weight = nn.Parameter(copy.weight.new_ones(shape))
        copy.bias = nn.Parameter(copy.bias.new_zeros(outputs))
        unit = "features" if isinstance(copy, nn.Linear) else "channels"
        setattr(copy, f"in_{unit}", columns)
        setattr(copy, f"out_{unit}", outputs)
        copy.reset_parameters()
        parts.append(copy)
    return nn.Sequential(*parts)


def _is_plain(layer: Any) -> bool:
    """Whether a layer has a weight and a bias of its own, and no groups."""
    trained = all(own.requires_grad for own in layer.parameters())
    parametrized = parametrize.is_parametrized(layer)
    return (
        layer.bias is not None and getattr(layer, "groups", 1) == 1 and trained and not parametrized
    )


def _keeps_neurons(part: nn.Module) -> bool:
    home = type(part).__module__
    if home in ("torch.nn.modules.activation", "torch.nn.modules.pooling"):
        return not isinstance(part, MIXING)
    return type(part) in OTHERS and (not isinstance(part, nn.Flatten) or part.start_dim == 1)
