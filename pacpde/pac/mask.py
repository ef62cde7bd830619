"""Masks: which weights the source keeps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from pacpde.checks import check_choice
from pacpde.errors import InvalidValueError, unknown
from pacpde.networks.layout import HasLayout, WeightGroup, WeightLayout
from pacpde.networks.neurons import Neurons

SCOPES = ("global", "layer", "tensor", "neuron", "filter")
TREATMENTS = ("prune", "keep", "free")
SHOWN = 4  # names in a sentence


def check_sparsity(sparsity: float) -> float:
    """`sparsity` if it lies strictly between 0 and 1."""
    if isinstance(sparsity, bool) or not isinstance(sparsity, int | float) or not 0 < sparsity < 1:
        raise InvalidValueError(
            f"sparsity is {sparsity!r}, expected a number above 0 and below 1: it is the share of "
            "weights taken from the source and given to the target."
        )
    return float(sparsity)


def magnitude_mask(
    network: HasLayout, weights: torch.Tensor, sparsity: float, **treatment: str
) -> torch.Tensor:
    """True where a weight is kept: the largest |w|, bool [size]; see `score_mask`.

    PAC-Net prunes by magnitude; one threshold over all weights ("global") is how we read it, and
    the treatment of biases and head, which the paper does not state, is an option of ours.
    """
    return score_mask(network, weights.abs(), sparsity, **treatment)


def score_mask(
    network: HasLayout,
    scores: torch.Tensor,
    sparsity: float,
    scope: str = "global",
    biases: str = "prune",
    head: str = "prune",
) -> torch.Tensor:
    """True where a weight is kept: those of the largest scores, bool [size].

    Args:
        network: whatever says what its weights are, see `pacpde.networks.layout`.
        scores: one a weight, [size]; see `pacpde.pac.scores`.
        sparsity: share removed of the weights that are pruned.
        scope: what has a threshold of its own.

            - "global": the network.
            - "layer": each layer.
            - "tensor": each matrix of weights, and each vector of biases.
            - "neuron": the network, for whole neurons of a dense network: about a like share of
              every hidden layer, which leaves a smaller dense network; of time windows, or
              of a sum, for each by itself. Too few weights for one more
              neuron are left: they are those into a neuron from which no kept weight leads on.
            - "filter": each hidden layer, for whole filters of a convolution or whole neurons, by
              the mean score of the weights into them; weights of the head one by one. Of a torch
              module "neuron" means the same. See `filter_mask`.
        biases, head: "prune" them like weights, "keep" them all, or "free" them all. The head is
            the last layer with its biases; its treatment goes before that of biases.

    Raises:
        InvalidValueError: no weight is kept, or none is free.
    """
    check_sparsity(sparsity)
    check_choice("scope", scope, SCOPES)
    check_choice("treatment of biases", biases, TREATMENTS)
    check_choice("treatment of the head", head, TREATMENTS)
    parts = getattr(network, "in_parts", ())
    if scope == "neuron" and len(parts) > 1:
        masks = [
            score_mask(part, scores[place], sparsity, scope, biases, head) for part, place in parts
        ]
        return torch.cat(masks)
    layout = network.layout
    neurons: Neurons | None = getattr(network, "neurons", None) if scope == "neuron" else None
    if scope == "filter" or (scope == "neuron" and neurons is None):
        return filter_mask(layout, scores, sparsity, biases, head)

    def key(group: WeightGroup) -> str:
        return {"layer": group.layer, "tensor": group.name}.get(scope, "")

    def where(chosen: Callable[[WeightGroup], bool]) -> torch.Tensor:
        return layout.where(chosen).to(scores.device)

    keep = where(lambda group: _treatment(group, biases, head) == "keep")
    pruned = where(lambda group: _treatment(group, biases, head) == "prune")
    if neurons is not None:
        count = round((1 - sparsity) * int(pruned.sum()))
        scores = _by_neuron(neurons, scores, pruned, count)
    for own in dict.fromkeys(map(key, layout.groups)):
        part = where(lambda group: key(group) == own)  # noqa: B023 (called at once)
        keep |= _largest(scores, pruned & part, sparsity)
    check_share(keep, f"sparsity is {sparsity:g}, which", ": choose a {} one")
    return keep


def filter_mask(
    layout: WeightLayout,
    scores: torch.Tensor,
    sparsity: float,
    biases: str = "prune",
    head: str = "prune",
) -> torch.Tensor:
    """True where a weight is kept: whole filters of every hidden layer, bool [size].

    - A filter is a row of a tensor of two or more dimensions, [filters, ...], with its bias.
    - Other tensors of one dimension, such as those of a normalisation, are kept.
    - Weights of the head are kept one by one: a row of it is an output.

    Args: see `score_mask`.
    """
    own, masks = layout.split(scores), {}
    for group in layout.groups:
        tensor = own[group.name]
        treated = _treatment(group, biases, head)
        mask = torch.full_like(tensor, treated != "free", dtype=torch.bool)
        matrix = own.get(_matrix_of(group), tensor) if group.is_bias else tensor
        if treated == "prune" and not group.is_bias and group.is_head:
            mask = _largest(tensor.flatten(), mask.flatten(), sparsity).view_as(tensor)
        elif treated == "prune" and not group.is_head and matrix.dim() > 1:
            rows = _largest_rows(matrix, sparsity)
            if len(rows) == len(tensor):
                mask = rows.view(-1, *[1] * (tensor.dim() - 1)).expand_as(tensor)
        masks[group.name] = mask
    mask = layout.join(masks)
    check_share(mask, f"sparsity is {sparsity:g}, which", ": choose a {} one")
    return mask


def check_share(mask: torch.Tensor, what: str, advice: str = "") -> None:
    """Refuse a mask, bool [size], that keeps all weights or none.

    Args:
        advice: goes on, with "smaller" or "larger" in it.
    """
    kept = int(mask.sum())
    if not 0 < kept < len(mask):
        way, other = ("frees", "larger") if kept else ("keeps", "smaller")
        raise InvalidValueError(
            f"{what} {way} none of the network's {len(mask)} weights{advice.format(other)}."
        )


def mask_from_tensors(network: HasLayout, tensors: Mapping[str, Any]) -> torch.Tensor:
    """A user's own mask, bool [size], a copy.

    Args:
        tensors: name of every parameter → tensor or array of bool, shaped like it, True where the
            source keeps a weight.

    Raises:
        InvalidValueError: a parameter has no mask, or one of another shape.
        UnknownNameError: there is no such parameter.
    """
    layout = network.layout
    names = [group.name for group in layout.groups]
    if not isinstance(tensors, Mapping):
        raise InvalidValueError(
            f"the mask is a {type(tensors).__name__}, expected a dict: parameter name → bool."
        )
    for name in tensors:
        if name not in names:
            raise unknown("parameter in the mask", name, names)
    missing = [name for name in names if name not in tensors]
    if missing:
        more = f" and {len(missing) - SHOWN} more" * (len(missing) > SHOWN)
        raise InvalidValueError(
            f"the mask has no {', '.join(missing[:SHOWN])}{more}: give a mask of every parameter, "
            "True where the source keeps a weight."
        )
    masks = {name: torch.as_tensor(own).cpu() for name, own in tensors.items()}
    for group in layout.groups:
        own = masks[group.name]
        if own.dtype != torch.bool or own.shape != group.shape:
            raise InvalidValueError(
                f"the mask of {group.name} is {own.dtype} of shape {tuple(own.shape)}, expected "
                f"torch.bool of shape {group.shape}."
            )
    mask = layout.join(masks)
    check_share(mask, "the mask")
    return mask


def _largest(scores: torch.Tensor, group: torch.Tensor, sparsity: float) -> torch.Tensor:
    """True for the largest scores of a group, bool [size], all but a share of them."""
    mask = torch.zeros_like(group)
    indices = group.nonzero()[:, 0]
    count = round((1 - sparsity) * len(indices))
    mask[indices[scores[indices].argsort(descending=True, stable=True)[:count]]] = True
    return mask


def _treatment(group: WeightGroup, biases: str, head: str) -> str:
    """What is done with a group: that of the head goes before that of biases."""
    if group.is_head and head != "prune":
        return head
    return biases if group.is_bias else "prune"


def _matrix_of(group: WeightGroup) -> str:
    """The name of the tensor whose rows have these biases."""
    path, dot, leaf = group.name.rpartition(".")
    return f"{path}{dot}{leaf.replace('bias', 'weight')}"


def _largest_rows(scores: torch.Tensor, sparsity: float) -> torch.Tensor:
    """True for the rows of the largest mean scores, bool [rows], all but a share; one at least."""
    means = scores.flatten(1).mean(1)
    kept = torch.zeros_like(means, dtype=torch.bool)
    count = max(1, round((1 - sparsity) * len(means)))
    kept[means.argsort(descending=True, stable=True)[:count]] = True
    return kept


def _by_neuron(
    neurons: Neurons, scores: torch.Tensor, pruned: torch.Tensor, count: int
) -> torch.Tensor:
    """Scores by which the `count` largest of the weights to prune make up whole neurons.

    - First come the neurons of the largest mean score of the weights into and out of them: a like
      share of every layer, and then one more wherever it fits.
    - The rest of the `count` are weights into other neurons, from which no kept weight leads on.
      Those of late layers come first. So these neurons do not change the outputs, and few are taken
      from the target: a neuron of an early layer has few weights.
    """
    widths = neurons.widths
    orders = [means.argsort(descending=True, stable=True) for means in neurons.mean_scores(scores)]

    def fits(counts: Sequence[int]) -> bool:
        return int((neurons.between(_first(orders, counts)) & pruned).sum()) <= count

    counts = [0] * len(widths)
    for share in range(1, max(widths) + 1):
        more = [max(1, round(share * width / max(widths))) for width in widths]
        if not fits(more):
            break
        counts = more
    for place, width in enumerate(widths if all(counts) else ()):
        one_more = [count + (number == place) for number, count in enumerate(counts)]
        if counts[place] < width and fits(one_more):
            counts = one_more
    chosen = _first(orders, counts)
    inner = neurons.between(chosen)
    others = neurons.entering([~own for own in chosen])
    order = torch.where(scores.isfinite(), neurons.numbers().to(scores), -torch.inf)
    order = torch.where(inner & scores.isfinite(), torch.inf, order)
    return torch.where(inner | others, order, -torch.inf)


def _first(orders: Sequence[torch.Tensor], counts: Sequence[int]) -> list[torch.Tensor]:
    """The first so many of each order, bool [width]."""
    masks = [torch.zeros_like(order, dtype=torch.bool) for order in orders]
    for mask, order, count in zip(masks, orders, counts, strict=True):
        mask[order[:count]] = True
    return masks
