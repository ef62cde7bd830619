"""Which weights of a torch network its source keeps, by name of the parameter."""

import torch

from pacpde.errors import InvalidValueError
from pacpde.interop.held import Tensors
from pacpde.pac.mask import TREATMENTS, check_choice, check_sparsity

SCOPES = ("global", "tensor")


def largest(values: Tensors, sparsity: float, scope: str, biases: str) -> Tensors:
    """True for the weights of the largest magnitude; see `PAC.prune`."""
    check_sparsity(sparsity)
    check_choice("scope", scope, SCOPES)
    check_choice("treatment of biases", biases, TREATMENTS)
    mask = {
        name: torch.full_like(v, biases == "keep", dtype=torch.bool) for name, v in values.items()
    }
    pruned = [name for name, v in values.items() if v.dim() > 1 or biases == "prune"]
    for group in [[name] for name in pruned] if scope == "tensor" else [pruned]:
        sizes = torch.cat([values[name].abs().flatten() for name in group])
        order = sizes.argsort(descending=True, stable=True)
        own = torch.zeros_like(sizes, dtype=torch.bool)
        own[order[: round((1 - sparsity) * len(sizes))]] = True
        for name, part in zip(group, own.split([values[n].numel() for n in group]), strict=True):
            mask[name] = part.view_as(values[name])
    _check_share(mask, f"sparsity is {sparsity:g}, which")
    return mask


def checked(mask: Tensors, values: Tensors) -> Tensors:
    """A mask of a user's own, where the values are."""
    missing = sorted(values.keys() ^ mask.keys())
    if missing:
        raise InvalidValueError(
            f"the mask and the network differ in {', '.join(missing)}: give one mask a parameter, "
            f"which are {', '.join(values)}."
        )
    for name, own in mask.items():
        if own.dtype != torch.bool or own.shape != values[name].shape:
            raise InvalidValueError(
                f"the mask of {name} is {own.dtype} of shape {tuple(own.shape)}, expected "
                f"torch.bool of shape {tuple(values[name].shape)}."
            )
    _check_share(mask, "the mask")
    return {name: mask[name].to(value.device) for name, value in values.items()}


def kept(values: Tensors, mask: Tensors) -> Tensors:
    """The values where the mask is True, and 0 elsewhere."""
    return {
        name: torch.where(mask[name], value, torch.zeros_like(value))
        for name, value in values.items()
    }


def _check_share(mask: Tensors, what: str) -> None:
    count = sum(int(own.sum()) for own in mask.values())
    size = sum(own.numel() for own in mask.values())
    if not 0 < count < size:
        way = "keeps none" if not count else "frees none"
        raise InvalidValueError(f"{what} {way} of the network's {size} weights.")
