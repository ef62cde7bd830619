"""Masks: which weights the source keeps."""

from dataclasses import replace

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
            every hidden layer, which leaves a smaller dense network ("neuron").
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
        return keep | (pruned & _of_neurons(network, scores, sparsity))
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


def _of_neurons(network: MLP, scores: torch.Tensor, sparsity: float) -> torch.Tensor:
    """True for the weights among the neurons of the largest mean score of what enters and leaves.

    As many of them as hold at most 1 − sparsity of the weights; one a layer at least.
    """
    means = _means(network, scores)
    counts = [1] * network.depth
    for count in range(1, max(network.widths) + 1):
        more = [max(1, round(count * width / max(network.widths))) for width in network.widths]
        if replace(network, width=tuple(more)).size > (1 - sparsity) * network.size:
            break
        counts = more
    kept = [torch.ones(network.inputs, dtype=torch.bool, device=scores.device)]
    for mean, count in zip(means, counts, strict=True):
        chosen = torch.zeros_like(mean, dtype=torch.bool)
        chosen[mean.argsort(descending=True, stable=True)[:count]] = True
        kept.append(chosen)
    kept.append(torch.ones(network.outputs, dtype=torch.bool, device=scores.device))
    mask = torch.zeros_like(scores, dtype=torch.bool)
    for layer, columns, rows in zip(network.layers, kept[:-1], kept[1:], strict=True):
        mask[layer.weights] = (rows[:, None] & columns).flatten()
        mask[layer.biases] = rows
    return mask


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
