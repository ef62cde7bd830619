"""Neurons that the kept weights leave idle: what they compute is the target's to choose."""

from dataclasses import replace

import torch

from pacpde.networks.mlp import MLP
from pacpde.networks.surrogate import Surrogate
from pacpde.pac.prune import SOURCE
from pacpde.runtime import generator


def idle_neurons(network: MLP, mask: torch.Tensor) -> list[torch.Tensor]:
    """Hidden neurons from which no chain of kept weights leads to an output.

    Args:
        mask: True where a weight is kept, bool [size].

    Returns:
        bool [width] a hidden layer.
    """
    idle: list[torch.Tensor] = []
    heard = torch.ones(network.outputs, dtype=torch.bool, device=mask.device)
    for layer in reversed(network.layers[1:]):
        kept = mask[layer.weights].unflatten(0, (layer.outputs, layer.inputs))
        heard = (kept & heard[:, None]).any(0)
        idle.insert(0, ~heard)
    return idle


def woken(surrogate: Surrogate, seed: int, frequency: float | None = None) -> Surrogate:
    """The same function, its idle neurons fed by random weights rather than none.

    Where all that enters and all that leaves a neuron is 0, so are the slopes of the loss in both,
    and no step ever moves them. Freed weights into idle neurons are drawn as at the start of a fit;
    those from there to the others stay 0.
    """
    network, mask = surrogate.network, surrogate.memories[SOURCE].mask
    drawn = surrogate.runtime.tensor(network.start(generator(seed, "woken"), frequency))
    weights = surrogate.weights.clone()
    for layer, sleepers in zip(network.layers, idle_neurons(network, mask), strict=False):
        rows = torch.zeros_like(mask)
        rows[layer.weights] = sleepers[:, None].expand(-1, layer.inputs).flatten()
        rows[layer.biases] = sleepers
        weights = torch.where(rows & ~mask, drawn, weights)
    return replace(surrogate, weights=weights)
