"""Trainable neurons for the target: dead ones with other weights into them, and new ones."""

from dataclasses import replace

import numpy as np
import torch

from pacpde.checks import check_choice
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.runtime import generator

REINIT_MODES = ("random", "copy")


def reinit_dead_neurons(
    surrogate: Surrogate,
    mask: torch.Tensor,
    seed: int,
    scale: float = 1.0,
    frequency: float | None = None,
    mode: str = "random",
) -> Surrogate:
    """The same function, with other freed weights into its dead neurons.

    A neuron is dead where no chain of kept weights leads from it to an output. Where all weights
    into and out of a neuron are 0, the slopes of the loss in them are 0 too, and no step moves
    them. So the freed weights into dead neurons are drawn. Those from there to the others stay 0.

    Args:
        mask: True where a weight is kept, bool [size].
        scale: "random": of the weights, in their spread at the start of a fit; "copy": of the
            noise, in the mean size of the copied weights.
        frequency: of the weights that are drawn, see `Network.init_weights`.
        mode: "random": as at the start of a fit. "copy": those of the neurons that are not dead, of
            the same layer and in turn, plus noise; these neurons solve the source.
    """
    check_choice("reinit_mode", mode, REINIT_MODES)
    network, weights = surrogate.network, surrogate.weights
    dead = network.neurons.unreachable(mask)
    rng = generator(seed, "woken")  # a name of random numbers: another one draws others
    new = surrogate.runtime.tensor(network.init_weights(rng, frequency)) * scale
    if mode == "copy":
        _copy_into(new, network, weights, dead, scale, rng)
    reset = network.neurons.entering(dead) & ~mask
    return replace(surrogate, weights=torch.where(reset, new, weights))


def _copy_into(
    new: torch.Tensor,
    network: Network,
    weights: torch.Tensor,
    dead: list[torch.Tensor],
    scale: float,
    rng: np.random.Generator,
) -> None:
    """Overwrite the weights into dead neurons in `new`, in layers in which others have some."""
    layers = zip(network.matrices(weights), network.matrices(new), dead, strict=False)
    for (matrix, bias), (new_matrix, new_bias), dead_rows in layers:
        rows, others = dead_rows.nonzero()[:, 0], (~dead_rows).nonzero()[:, 0]
        if not matrix[others].any():
            continue
        like = others[torch.arange(len(rows), device=others.device) % len(others)]
        size = matrix[others].abs().mean()
        noise = new.new_tensor(rng.normal(size=(len(rows), matrix.shape[1] + 1))) * scale
        new_matrix[rows] = matrix[like] + size * noise[:, 1:]
        new_bias[rows] = bias[like] + size * noise[:, 0]


def widen(surrogate: Surrogate, extra_neurons: int, seed: int) -> Surrogate:
    """The same function and retained solvers with more neurons in each hidden layer.

    The weights into new neurons are drawn as at the start of a fit; those out of them are 0.
    """
    if extra_neurons == 0:
        return surrogate
    device, small = surrogate.weights.device, surrogate.network
    network, places = small.enlarged(extra_neurons=extra_neurons)
    places = places.to(device)
    random = surrogate.runtime.tensor(network.init_weights(generator(seed, "grown")))
    added = [
        torch.arange(new, device=device) >= old
        for old, new in zip(small.neurons.widths, network.neurons.widths, strict=True)
    ]
    into_new = network.neurons.entering(added)
    into_new &= ~network.layout.where(lambda group: group.is_bias).to(device)
    weights = torch.where(into_new, random, 0)
    weights[places] = surrogate.weights
    retained = {}
    for name, solver in surrogate.retained.items():
        mask = torch.zeros_like(weights, dtype=torch.bool)
        mask[places] = solver.mask
        retained[name] = replace(solver, mask=mask)
    return replace(surrogate, network=network, weights=weights, retained=retained)
