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
                "held: a source could not be kept beside it; take the layer out."
            )
    if len(list(module.named_parameters(remove_duplicate=False))) != len(names):
        raise InvalidValueError(
            "the network uses one parameter in several places: they cannot be held apart."
        )


def hold(module: nn.Module, values: Tensors, free: Tensors) -> nn.Module:
    """A copy of a module with these values, of which only the free entries are parameters.

    Args:
        values, free: by parameter name, shaped like it; free is bool.
    """
    template = plain(module)
    copy = filled(template, values)
    # a parametrized class is shared by deep copies, so that none of them can be made plain again
    copy.plain_module = (template,)  # type: ignore[assignment]
    for name in values:
        path, _, leaf = name.rpartition(".")
        held = Held(values[name], free[name])
        # unsafe: the vector of free entries has another shape than the parameter
        parametrize.register_parametrization(copy.get_submodule(path), leaf, held, unsafe=True)
    copy.register_load_state_dict_pre_hook(_check_state)
    return copy


def plain(module: nn.Module) -> nn.Module:
    """A copy of a module, held or not, with plain parameters."""
    (template,) = getattr(module, "plain_module", (module,))
    return filled(template, whole(module))


def filled(module: nn.Module, values: Tensors) -> nn.Module:
    """A copy of a plain module with other values of its parameters."""
    copy = deepcopy(module)
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter.requires_grad_(True).copy_(values[name])
    return copy


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


def _check_state(module: nn.Module, state: Mapping[str, Any], prefix: str, *_: object) -> None:
    """Refuse a checkpoint of other held weights, before any of it is loaded."""
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
