"""Freeze weights of any torch module, so that nothing can move them."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from pacpde.errors import InvalidValueError, short, unknown
from pacpde.networks.frozen import (
    FrozenNetwork,
    Tensors,
    check_freezable,
    frozen_module,
    merged_state,
    plain_copy,
    trainable_masks,
)
from pacpde.runtime import gradients

Layers = str | nn.Module | Iterable[str | nn.Module]


@gradients()
def freeze(
    module: nn.Module, layers: Layers | None = None, *, mask: Mapping[str, Any] | None = None
) -> nn.Module:
    """A copy of a module with frozen weights.

    Frozen entries are in no parameter of the copy. So no optimiser, weight decay, `requires_grad_`
    or `load_state_dict` can move them. A parameter that is frozen in part gives way to the vector
    of its trainable entries, `parametrizations.<name>.original`.

    Buffers are not frozen. The running statistics of a batch normalisation move in training mode:
    call `eval()` of that layer of the copy after each `train()`.

    Args:
        module: stays as it is. What it has frozen already stays frozen.
        layers: submodules or parameters by name, such as "0" or "0.weight", or submodules
            themselves; all their parameters are frozen.
        mask: parameter name → bool, shaped like it, True where an entry is frozen; parameters that
            are left out are trainable.

    Raises:
        InvalidValueError: both are given or none, a mask has another shape, or the module cannot be
            frozen: it uses one parameter twice, or has parametrized weights.
        UnknownNameError: there is no such layer or parameter.

    Example:
        >>> module = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        >>> frozen = freeze(module, layers="0")
        >>> sum(own.numel() for own in frozen.parameters())
        9
    """
    if not isinstance(module, nn.Module):
        raise InvalidValueError(f"the module is {short(module)}, expected a torch.nn.Module.")
    if (layers is None) == (mask is None):
        raise InvalidValueError("give the layers to freeze, or a mask of the weights: one of them.")
    plain = unfreeze(module) if isinstance(module, FrozenNetwork) else plain_copy(module)
    check_freezable(plain)
    values, trainable = merged_state(plain), trainable_masks(module)
    if not all(isinstance(own, torch.Tensor) for own in trainable.values()):
        raise InvalidValueError(
            "the module's weights are functions of others (a LoRA or a Piggyback one): freeze what "
            "unfreeze makes of it."
        )
    if mask is not None:
        frozen = _checked_mask(mask, values)
    else:
        assert layers is not None
        frozen = _of_layers(module, layers, values)
    masks = {
        name: own & ~frozen[name].to(own.device) if name in frozen else own
        for name, own in trainable.items()
    }
    return frozen_module(plain, values, masks)


@gradients()
def unfreeze(module: nn.Module) -> nn.Module:
    """A plain copy of a module with frozen weights: the same function, all weights trainable.

    Also of a LoRA or a Piggyback module. Parts with frozen weights are made plain, too.
    """
    copy = plain_copy(module)
    for name, part in list(copy.named_modules()):
        if name and isinstance(part, FrozenNetwork):
            path, _, leaf = name.rpartition(".")
            setattr(copy.get_submodule(path), leaf, plain_copy(part))
    return copy.requires_grad_(True)


def _checked_mask(mask: Mapping[str, Any], values: Tensors) -> dict[str, torch.Tensor]:
    if not isinstance(mask, Mapping):
        raise InvalidValueError(
            f"the mask is a {type(mask).__name__}, expected a dict: parameter name → bool."
        )
    checked = {}
    for name, given in mask.items():
        if name not in values:
            raise unknown("parameter", name, values)
        own = torch.as_tensor(given)
        if own.dtype != torch.bool or own.shape != values[name].shape:
            raise InvalidValueError(
                f"the mask of {name} is {own.dtype} of shape {tuple(own.shape)}, expected "
                f"torch.bool of shape {tuple(values[name].shape)}."
            )
        checked[name] = own
    return checked


def _of_layers(module: nn.Module, layers: Layers, values: Tensors) -> dict[str, torch.Tensor]:
    """The parameters of some layers, all of whose entries are frozen."""
    given = [layers] if isinstance(layers, str | nn.Module) else list(layers)
    parts = dict(module.named_modules())
    chosen: set[str] = set()
    for layer in given:
        if isinstance(layer, nn.Module):
            named = [name for name, part in parts.items() if part is layer]
            if not named:
                raise InvalidValueError(
                    f"a layer to freeze, {short(layer)}, is no part of the module: give one of "
                    "its own, or the name of one."
                )
            layer = named[0]
        own = {name for name in values if not layer or f"{name}.".startswith(f"{layer}.")}
        if not own:
            layers_ = {name.rpartition(".")[0] for name in values} - {""}
            raise unknown("layer", layer, [*layers_, *values])
        chosen |= own
    return {name: torch.ones_like(values[name], dtype=torch.bool) for name in chosen}
