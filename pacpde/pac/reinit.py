"""Trainable neurons for the target: draw new weights into dead neurons, or add neurons."""

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
    """Draw new weights into the dead neurons; the network's function stays the same.

    A neuron is dead if no path of kept weights leads from it to an output. If all weights into and
    out of a neuron are 0, the gradient of the loss in them is 0 too, and no optimiser step changes
    them. Therefore the freed weights (mask False) into dead neurons are drawn anew. The freed
    weights out of dead neurons stay 0.

    Args:
        surrogate: pruned: its freed weights are 0.
        mask: True where a weight is kept, bool [size].
        seed: of the new weights.
        scale: factor of the new weights ("random"), or of the noise relative to the mean |w| of the
            copied weights ("copy").
        frequency: for "random", see `Network.init_weights`.
        mode: what the new weights are:

            - "random": as at the start of a fit.
            - "copy": those of the neurons of the same layer that are not dead, in turn, plus noise.
    """
    check_choice("reinit_mode", mode, REINIT_MODES)
    network, weights = surrogate.network, surrogate.weights
    if len(network.in_parts) > 1:
        parts = [
            reinit_dead_neurons(
                replace(surrogate, network=part, weights=weights[place]),
                mask[place], seed + number, scale, frequency, mode,
            )
            for number, (part, place) in enumerate(network.in_parts)
        ]  # fmt: skip
        return replace(surrogate, weights=torch.cat([own.weights for own in parts]))
    dead = network.neurons.unreachable(mask)
    rng = generator(seed, "woken")  # names the random numbers: do not change it
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
    """In `new`, replace the weights into dead neurons by copies, where a layer has any to copy."""
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
    """Add neurons to each hidden layer; the function and the retained solvers stay the same.

    The weights into new neurons are drawn as at the start of a fit. The biases of new neurons and
    the weights out of them are 0.

    Args:
        extra_neurons: number of new neurons in a layer.
        seed: of the new weights.
    """
    if extra_neurons == 0:
        return surrogate
    device, small = surrogate.weights.device, surrogate.network
    network, places = small.enlarged(extra_neurons=extra_neurons)
    places = places.to(device)
    random = surrogate.runtime.tensor(network.init_weights(generator(seed, "grown")))
    into_new = torch.cat([
        large.neurons.entering([
            torch.arange(new, device=device) >= old
            for old, new in zip(own.neurons.widths, large.neurons.widths, strict=True)
        ])
        for (own, _), (large, _) in zip(small.in_parts, network.in_parts, strict=True)
    ])  # fmt: skip
    into_new &= ~network.layout.where(lambda group: group.is_bias).to(device)
    weights = torch.where(into_new, random, 0)
    weights[places] = surrogate.weights
    retained = {}
    for name, solver in surrogate.retained.items():
        mask = torch.zeros_like(weights, dtype=torch.bool)
        mask[places] = solver.mask
        retained[name] = replace(solver, mask=mask)
    return replace(surrogate, network=network, weights=weights, retained=retained)
