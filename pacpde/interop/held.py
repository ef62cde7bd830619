"""Torch modules some of whose weights are held.

A held weight is no longer in any parameter: `torch.nn.utils.parametrize` puts a parameter's free
entries, a vector, in its place and fills in the others. So no optimiser, weight decay or
`requires_grad_` can reach them.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from pacpde.errors import InvalidValueError
from pacpde.runtime import gradients

Tensors = Mapping[str, torch.Tensor]  # by name of the parameter


class Held(nn.Module):
    """w = `values`, with the entries that are free in their `places`.

    Attributes:
        values: shaped like the parameter; what stands where it is free is of no effect.
        places: indices of its free entries, flat.
    """

    values: torch.Tensor
    places: torch.Tensor

    def __init__(self, values: torch.Tensor, free: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values.detach().clone())
        self.register_buffer("places", free.flatten().nonzero()[:, 0])

    def forward(self, free: torch.Tensor) -> torch.Tensor:
        """Free entries [free] → the parameter."""
        return self.values.flatten().index_put((self.places,), free).view_as(self.values)

    def right_inverse(self, whole: torch.Tensor) -> torch.Tensor:
        """The parameter → its free entries [free]."""
        return whole.flatten()[self.places]

    def keeps(self, other: torch.Tensor) -> bool:
        """Whether another set of values agrees where they are held, to the last bit."""
        held = torch.ones(self.values.numel(), dtype=torch.bool, device=self.values.device)
        held[self.places] = False
        return torch.equal(other.flatten()[held], self.values.flatten()[held])


def check_module(module: nn.Module) -> None:
    """Refuse what cannot be held or copied."""
    names = [name for name, _ in module.named_parameters()]
    if not names:
        raise InvalidValueError("the network has no parameters.")
    for name, part in module.named_modules():
        if parametrize.is_parametrized(part):
            raise InvalidValueError(
                f"{name or 'the network'} has parametrized weights already: remove them with "
                "torch.nn.utils.parametrize.remove_parametrizations first."
            )
        if getattr(part, "track_running_stats", False):
            raise InvalidValueError(
                f"{name} is a {type(part).__name__}, whose running statistics change whatever is "
                "held: a source cannot be kept in the same weights; take the layer out."
            )
    if len(list(module.named_parameters(remove_duplicate=False))) != len(names):
        raise InvalidValueError(
            "the network uses one parameter in several places: they cannot be held apart."
        )


class HeldNetwork:
    """What `hold` adds to the class of a network.

    - Copies and pickles of it are made again by `hold`: a parametrized class cannot be pickled, and
      deep copies would share it.
    - A checkpoint of other held weights is refused before any of it is loaded.
    """

    def _load_from_state_dict(self, state: Any, prefix: str, *args: Any) -> None:
        _check_state(_module(self), state, prefix)
        super()._load_from_state_dict(state, prefix, *args)  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuilt, (plain(_module(self)), _free(_module(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        memo[id(self)] = copy = _rebuilt(plain(_module(self)), _free(_module(self)))
        return copy


@gradients()  # what is made in inference mode could never be trained
def hold(module: nn.Module, values: Tensors, free: Tensors) -> nn.Module:
    """A copy of a module with these values, of which only the free entries are parameters.

    Args:
        values, free: by parameter name, shaped like it; free is bool.
    """
    copy = filled(module, values)
    for name, _ in list(copy.named_parameters()):
        path, _, leaf = name.rpartition(".")
        held = Held(values[name], free[name])
        # unsafe: the vector of free entries has another shape than the parameter
        parametrize.register_parametrization(copy.get_submodule(path), leaf, held, unsafe=True)
    known = type(copy)
    copy.__class__ = type(f"Held{known.__name__}", (HeldNetwork, known), {})
    return copy


@gradients()
def plain(module: nn.Module) -> nn.Module:
    """A copy of a module, held or not, with plain parameters and everything else as it is now."""
    if not isinstance(module, HeldNetwork):
        return _trainable(_copied(module))
    values = whole(module)
    copy = object.__new__(type(module))
    copy.__dict__ = _copied(module.__dict__, {id(module): copy})
    copy.__class__ = type(copy).__bases__[1]
    for path, part in list(copy.named_modules()):
        leaves = list(getattr(part, "parametrizations", {}))
        if not leaves:
            continue
        part.__class__ = type(part).__bases__[0]
        del part._modules["parametrizations"]
        for leaf in leaves:
            name = f"{path}.{leaf}" if path else leaf
            part.register_parameter(leaf, nn.Parameter(values[name]))
    return _trainable(copy)


@gradients()
def filled(module: nn.Module, values: Tensors) -> nn.Module:
    """A plain copy of a module with other values of its parameters."""
    copy = plain(module)
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter.copy_(values[name])
    return copy


def _trainable(module: nn.Module) -> nn.Module:
    """The module, all of whose parameters ask for gradients."""
    return module.requires_grad_(True)


def _copied(thing: Any, memo: dict[int, Any] | None = None) -> Any:
    try:
        return deepcopy(thing, memo)
    except (RuntimeError, TypeError) as error:
        raise InvalidValueError(
            f"the network cannot be copied ({error}), and each stage has a copy of its own: keep "
            "what cannot be copied outside the network, or give its class a __deepcopy__."
        ) from error


def _module(held: HeldNetwork) -> nn.Module:
    assert isinstance(held, nn.Module)
    return held


def _rebuilt(module: nn.Module, free: Tensors) -> nn.Module:
    return hold(module, whole(module), free)


def _free(module: nn.Module) -> dict[str, torch.Tensor]:
    """Which entries of every parameter are free, bool."""
    found = {}
    for path, part in module.named_modules():
        for leaf, parts in getattr(part, "parametrizations", {}).items():
            held = parts[0]
            mask = torch.zeros(held.values.numel(), dtype=torch.bool, device=held.values.device)
            mask[held.places] = True
            found[f"{path}.{leaf}" if path else leaf] = mask.view_as(held.values)
    return found


@gradients()
def whole(module: nn.Module) -> dict[str, torch.Tensor]:
    """Every weight under its plain parameter's name, held or free."""
    found = {}
    for path, part in module.named_modules():
        for leaf in getattr(part, "parametrizations", {}):
            found[f"{path}.{leaf}" if path else leaf] = getattr(part, leaf).detach().clone()
    for name, parameter in module.named_parameters():
        if ".parametrizations." not in f".{name}":
            found[name] = parameter.detach().clone()
    return found


def _check_state(module: nn.Module, state: Mapping[str, Any], prefix: str) -> None:
    for name, part in module.named_modules():
        if not isinstance(part, Held):
            continue
        if f"{prefix}{name}.values" not in state:
            raise InvalidValueError(
                "the checkpoint is of a network none of whose weights are held: restore it into "
                "a model of that network, and transfer from there."
            )
        places = state[f"{prefix}{name}.places"].to(part.places.device)
        values = state[f"{prefix}{name}.values"].to(part.values.device)
        if not torch.equal(places, part.places) or not part.keeps(values):
            raise InvalidValueError(
                "the checkpoint holds other weights than this model: it is of another stage or "
                "of another source, and would overwrite what is kept here."
            )
