"""Masks: which weights the source keeps."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from pacpde.errors import InvalidValueError, unknown
from pacpde.networks.mlp import MLP

SCOPES = ("global", "layer", "neuron")
TREATMENTS = ("prune", "keep", "free")


def check_sparsity(sparsity: float) -> float:
    """`sparsity` if it lies strictly between 0 and 1."""
    if isinstance(sparsity, bool) or not isinstance(sparsity, int | float) or not 0 < sparsity < 1:
        raise InvalidValueError(
            f"sparsity is {sparsity!r}, expected a number above 0 and below 1: it is the share of "
            "weights taken from the source and given to the target."
        )
    return float(sparsity)


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise unknown(option, value, choices)


def magnitude_mask(
    network: MLP, weights: torch.Tensor, sparsity: float, **treatment: str
) -> torch.Tensor:
    """True where a weight is kept: the largest |w|, bool [size]; see `mask_of`.

    PAC-Net prunes by magnitude; one threshold over all weights ("global") is how we read it, and
    the treatment of biases and head, which the paper does not state, is an option of ours.
    """
    return mask_of(network, weights.abs(), sparsity, **treatment)


def mask_of(
    network: MLP,
    scores: torch.Tensor,
    sparsity: float,
    scope: str = "global",
    biases: str = "prune",
    head: str = "prune",
) -> torch.Tensor:
    """True where a weight is kept: those of the largest scores, bool [size].

    Args:
        scores: one a weight, [size]; see `pacpde.pac.scores`.
        sparsity: share removed of the weights that are pruned.
        scope: one threshold for all of them, or one a "layer"; or whole neurons, a like share of
            every hidden layer, which leaves a smaller dense network, and of one neuron more in each
            what makes up the number ("neuron").
        biases, head: "prune" them like weights, "keep" them all, or "free" them all. The head is
            the last layer with its biases; its treatment goes before that of biases.
    """
    check_sparsity(sparsity)
    check_choice("scope", scope, SCOPES)
    check_choice("treatment of biases", biases, TREATMENTS)
    check_choice("treatment of the head", head, TREATMENTS)
    treatment = ["prune"] * network.size
    last = network.layers[-1]
    for layer in network.layers:
        treatment[layer.biases] = [biases] * layer.outputs
    treatment[last.weights.start : last.biases.stop] = [
        own if head == "prune" else head for own in treatment[last.weights.start : last.biases.stop]
    ]
    keep = torch.tensor([t == "keep" for t in treatment], device=scores.device)
    pruned = torch.tensor([t == "prune" for t in treatment], device=scores.device)
    if scope == "neuron":
        scores = _by_neuron(network, scores, pruned, round((1 - sparsity) * int(pruned.sum())))
    groups = [pruned]
    if scope == "layer":
        groups = [pruned & _within(layer.weights.start, layer.biases.stop, pruned)
                  for layer in network.layers]  # fmt: skip
    for group in groups:
        indices = group.nonzero()[:, 0]
        count = round((1 - sparsity) * len(indices))
        largest = scores[indices].argsort(descending=True, stable=True)[:count]
        keep[indices[largest]] = True
    return keep


def _within(start: int, stop: int, like: torch.Tensor) -> torch.Tensor:
    inside = torch.zeros_like(like)
    inside[start:stop] = True
    return inside


def _by_neuron(
    network: MLP, scores: torch.Tensor, pruned: torch.Tensor, count: int
) -> torch.Tensor:
    """Scores by which the `count` largest of the weights to prune belong to few neurons.

    They are the neurons of the largest mean score of what enters and leaves, a like share of every
    layer; of the last one in each, as many weights as are left.
    """
    orders = [means.argsort(descending=True, stable=True) for means in _means(network, scores)]
    inner = outer = torch.zeros_like(pruned)
    for share in range(1, max(network.widths) + 1):
        inner, outer = outer, _among(network, orders, share / max(network.widths))
        if int((outer & pruned).sum()) > count:
            break
    whole = torch.where(inner & scores.isfinite(), torch.inf, scores)
    return torch.where(outer, whole, -torch.inf)


def _among(network: MLP, orders: Sequence[torch.Tensor], share: float) -> torch.Tensor:
    """True for the weights between the first neurons of each hidden layer's order, bool [size]."""
    device = orders[0].device
    kept = [torch.ones(network.inputs, dtype=torch.bool, device=device)]
    for order in orders:
        chosen = torch.zeros_like(order, dtype=torch.bool)
        chosen[order[: max(1, round(share * len(order)))]] = True
        kept.append(chosen)
    kept.append(torch.ones(network.outputs, dtype=torch.bool, device=device))
    parts = []
    for columns, rows in pairwise(kept):
        parts += [(rows[:, None] & columns).flatten(), rows]
    return torch.cat(parts)


def _means(network: MLP, scores: torch.Tensor) -> list[torch.Tensor]:
    """Of each hidden layer's neurons, over what enters and leaves and was not pruned before."""
    there = scores.isfinite()
    matrices = network.matrices(torch.where(there, scores, 0))
    counted = network.matrices(there.to(scores))
    means = []
    for number in range(network.depth):
        (into, bias), (out, _) = matrices[number : number + 2]
        (ins, biases), (outs, _) = counted[number : number + 2]
        count = ins.sum(1) + biases + outs.sum(0)
        total = into.sum(1) + bias + out.sum(0)
        means.append(torch.where(count > 0, total / count, -torch.inf))
    return means
