"""Room for the target: neurons that the kept weights leave idle, and new ones."""

from dataclasses import replace

import torch

from pacpde.networks.mlp import MLP
from pacpde.networks.surrogate import Surrogate
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


def woken(
    surrogate: Surrogate,
    kept: torch.Tensor,
    seed: int,
    spread: float = 1.0,
    frequency: float | None = None,
) -> Surrogate:
    """The same function, its idle neurons fed by random weights rather than none.

    Where all that enters and all that leaves a neuron is 0, so are the slopes of the loss in both,
    and no step ever moves them. Freed weights into idle neurons are drawn as at the start of a fit;
    those from there to the others have to be 0.

    Args:
        kept: True where a weight is no longer free, bool [size].
        spread: of the drawn weights, in that of a fit's start.
    """
    network = surrogate.network
    drawn = surrogate.runtime.tensor(network.start(generator(seed, "woken"), frequency)) * spread
    weights = surrogate.weights
    for layer, sleepers in zip(network.layers, idle_neurons(network, kept), strict=False):
        rows = torch.zeros_like(kept)
        rows[layer.weights] = sleepers[:, None].expand(-1, layer.inputs).flatten()
        rows[layer.biases] = sleepers
        weights = torch.where(rows & ~kept, drawn, weights)
    return replace(surrogate, weights=weights)


def grown(surrogate: Surrogate, more: int, seed: int) -> Surrogate:
    """The same function and memories with more neurons a hidden layer.

    What reaches the new neurons is drawn as at the start of a fit; nothing leaves them yet.
    """
    if more == 0:
        return surrogate
    small = surrogate.network
    network = replace(small, width=tuple(width + more for width in small.widths))
    places = torch.as_tensor(small.places(network), device=surrogate.weights.device)
    drawn = surrogate.runtime.tensor(network.start(generator(seed, "grown")))
    weights = torch.zeros_like(drawn)
    for (own, _), (new, _), width in zip(
        network.matrices(weights), network.matrices(drawn), small.widths, strict=False
    ):
        own[width:] = new[width:]
    weights[places] = surrogate.weights
    memories = {}
    for name, memory in surrogate.memories.items():
        mask = torch.zeros_like(weights, dtype=torch.bool)
        mask[places] = memory.mask
        memories[name] = replace(memory, mask=mask)
    return replace(surrogate, network=network, weights=weights, memories=memories)
