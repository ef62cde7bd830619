"""Which weights of a torch network its source keeps, by name of the parameter."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.frozen import Tensors
from pacpde.pac.mask import TREATMENTS, check_choice, check_sparsity, largest

SCOPES = ("global", "tensor")


def by_magnitude(values: Tensors, sparsity: float, scope: str, biases: str) -> Tensors:
    """True for the weights of the largest magnitude; see `PAC.prune`."""
    check_sparsity(sparsity)
    check_choice("scope", scope, SCOPES)
    check_choice("treatment of biases", biases, TREATMENTS)
    parts = list(values.values())
    pruned = _flat(torch.full_like(v, v.dim() > 1 or biases == "prune", dtype=torch.bool)
                   for v in parts)  # fmt: skip
    groups = [pruned]
    if scope == "tensor":
        number = _flat(torch.full_like(v, k, dtype=torch.long) for k, v in enumerate(parts))
        groups = [pruned & (number == k) for k in range(len(parts))]
    keep = largest(_flat(parts).abs(), groups, sparsity)
    if biases == "keep":
        keep |= ~pruned
    split = zip(values.items(), keep.split([v.numel() for v in parts]), strict=True)
    mask = {name: own.view_as(v) for (name, v), own in split}
    _check_share(mask, f"sparsity is {sparsity:g}, which")
    return mask


def checked(mask: Mapping[str, Any], values: Tensors) -> Tensors:
    """A mask of a user's own, tensors or arrays, where the values are."""
    if not isinstance(mask, Mapping):
        raise InvalidValueError(
            f"the mask is a {type(mask).__name__}, expected a dict: parameter name → bool."
        )
    missing = sorted(values.keys() ^ mask.keys())
    if missing:
        raise InvalidValueError(
            f"the mask and the network differ in {', '.join(missing)}: give one mask a parameter, "
            f"which are {', '.join(values)}."
        )
    masks = {name: torch.as_tensor(own) for name, own in mask.items()}
    for name, own in masks.items():
        if own.dtype != torch.bool or own.shape != values[name].shape:
            raise InvalidValueError(
                f"the mask of {name} is {own.dtype} of shape {tuple(own.shape)}, expected "
                f"torch.bool of shape {tuple(values[name].shape)}."
            )
    _check_share(masks, "the mask")
    # copies: what is done to the given ones later is not meant
    return {name: masks[name].to(value.device, copy=True) for name, value in values.items()}


def kept(values: Tensors, mask: Tensors) -> Tensors:
    """The values where the mask is True, and 0 elsewhere."""
    return {
        name: torch.where(mask[name], value, torch.zeros_like(value))
        for name, value in values.items()
    }


def _flat(parts: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.cat([part.flatten() for part in parts])


def _check_share(mask: Tensors, what: str) -> None:
    count = sum(int(own.sum()) for own in mask.values())
    size = sum(own.numel() for own in mask.values())
    if not 0 < count < size:
        way = "keeps none" if not count else "frees none"
        raise InvalidValueError(f"{what} {way} of the network's {size} weights.")
