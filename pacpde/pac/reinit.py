"""Room for the target: neurons that the kept weights leave idle, and new ones."""

from dataclasses import replace

import numpy as np
import torch

from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.pac.mask import check_choice
from pacpde.runtime import generator

REINIT_MODES = ("random", "copy")


def reinit_dead_neurons(
    surrogate: Surrogate,
    kept: torch.Tensor,
    seed: int,
    spread: float = 1.0,
    frequency: float | None = None,
    source: str = "random",
) -> Surrogate:
    """The same function, its idle neurons fed by some weights rather than none.

    Where all that enters and all that leaves a neuron is 0, so are the slopes of the loss in both,
    and no step ever moves them. Freed weights into idle neurons are drawn; those from there to the
    others have to be 0.

    Args:
        kept: True where a weight is no longer free, bool [size].
        spread: of the drawn weights, in that of a fit's start; or of the noise, in the mean size of
            the weights into kept neurons.
        source: "random", as at the start of a fit, or "copy": each idle neuron is fed like a kept
            one of its layer, in turn, but for noise. Those have features that solve the source.
    """
    check_choice("source of what wakes idle neurons", source, REINIT_MODES)
    network = surrogate.network
    idle = network.neurons.unreachable(kept)
    rng = generator(seed, "woken")  # a name of random numbers: another one draws others
    drawn = surrogate.runtime.tensor(network.init_weights(rng, frequency)) * spread
    if source == "copy":
        _feed_alike(network, surrogate.weights, drawn, idle, spread, rng)
    weights = torch.where(network.neurons.entering(idle) & ~kept, drawn, surrogate.weights)
    return replace(surrogate, weights=weights)


def _feed_alike(
    network: Network,
    weights: torch.Tensor,
    drawn: torch.Tensor,
    idle: list[torch.Tensor],
    spread: float,
    rng: np.random.Generator,
) -> None:
    """Write what feeds idle neurons into `drawn`; where a layer keeps nothing, that stays as is."""
    found, made = network.matrices(weights), network.matrices(drawn)
    for (own, bias), (new, new_bias), sleepers in zip(found, made, idle, strict=False):
        asleep, used = sleepers.nonzero()[:, 0], (~sleepers).nonzero()[:, 0]
        if not own[used].any():
            continue
        like = used[torch.arange(len(asleep), device=used.device) % len(used)]
        size = own[used].abs().mean()
        noise = drawn.new_tensor(rng.normal(size=(len(asleep), own.shape[1] + 1))) * spread
        new[asleep] = own[like] + size * noise[:, 1:]
        new_bias[asleep] = bias[like] + size * noise[:, 0]


def widen(surrogate: Surrogate, more: int, seed: int) -> Surrogate:
    """The same function and retained solvers with more neurons a hidden layer.

    What reaches the new neurons is drawn as at the start of a fit; nothing leaves them yet.
    """
    if more == 0:
        return surrogate
    device, small = surrogate.weights.device, surrogate.network
    network, places = small.enlarged(extra_neurons=more)
    places = places.to(device)
    drawn = surrogate.runtime.tensor(network.init_weights(generator(seed, "grown")))
    added = [
        torch.arange(new, device=device) >= old
        for old, new in zip(small.neurons.widths, network.neurons.widths, strict=True)
    ]
    into_new = network.neurons.entering(added)
    into_new &= ~network.layout.where(lambda group: group.is_bias).to(device)
    weights = torch.where(into_new, drawn, 0)
    weights[places] = surrogate.weights
    retained = {}
    for name, solver in surrogate.retained.items():
        mask = torch.zeros_like(weights, dtype=torch.bool)
        mask[places] = solver.mask
        retained[name] = replace(solver, mask=mask)
    return replace(surrogate, network=network, weights=weights, retained=retained)
