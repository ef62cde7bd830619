"""Frozen weights: they are in no vector and no parameter that an optimiser gets.

One function puts trainable entries among frozen ones: `insert`. A least-squares problem calls it
for the weight vector of our networks. For a torch module, `torch.nn.utils.parametrize` calls it in
every parameter, whose place the vector of its trainable entries takes. So no optimiser, weight
decay or `requires_grad_` can reach a frozen weight.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from pacpde.errors import InvalidValueError
from pacpde.runtime import gradients

Tensors = Mapping[str, torch.Tensor]  # by name of the parameter


def insert(values: torch.Tensor, indices: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Values with x in their trainable entries; the frozen ones keep every bit.

    Args:
        values: [..., size].
        indices: of the trainable entries, [trainable], or [stack, trainable] where they differ.
        x: [..., trainable].
    """
    if indices.dim() > 1:
        return values.scatter(-1, indices, x)
    return values.index_copy(-1, indices, x)


class FrozenParameter(nn.Module):
    """A parameter some of whose entries are frozen: a function of its trainable entries.

    Attributes:
        values: shaped like the parameter; what stands in its trainable entries has no effect.
        places: flat indices of the trainable entries.
    """

    values: torch.Tensor
    places: torch.Tensor

    def __init__(self, values: torch.Tensor, trainable: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values.detach().clone())
        self.register_buffer("places", trainable.flatten().nonzero()[:, 0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Trainable entries [trainable] → the parameter."""
        return insert(self.values.flatten(), self.places, x).view_as(self.values)

    def right_inverse(self, parameter: torch.Tensor) -> torch.Tensor:
        """The parameter → its trainable entries [trainable]."""
        return parameter.flatten()[self.places]

    @property
    def trainable_mask(self) -> torch.Tensor:
        """True for the trainable entries, bool, shaped like the parameter."""
        mask = torch.zeros(self.values.numel(), dtype=torch.bool, device=self.values.device)
        mask[self.places] = True
        return mask.view_as(self.values)

    def agrees_with(self, values: torch.Tensor, places: torch.Tensor) -> bool:
        """Whether these freeze the same entries at the same values, to the last bit."""
        frozen = ~self.trainable_mask
        return torch.equal(places.to(self.places.device), self.places) and torch.equal(
            values.to(self.values.device)[frozen], self.values[frozen]
        )


def check_freezable(module: nn.Module) -> None:
    """Refuse a module that cannot be frozen or copied."""
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


class FrozenNetwork(nn.Module):
    """What `frozen_module` adds to the class of a network.

    - Copies and pickles of it are made again by `frozen_module`: a parametrized class cannot be
      pickled, and deep copies would share it.
    - A checkpoint of other frozen weights is refused before any of it is loaded.
    """

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        _check_state(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __reduce_ex__(self, protocol: Any) -> Any:
        masks = {name: own.trainable_mask for name, _, own in _frozen_parts(self)}
        return _rebuilt, (plain_copy(self), masks)

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        rebuild, arguments = self.__reduce_ex__(None)
        memo[id(self)] = copy = rebuild(*arguments)
        return copy


@gradients()  # what is made in inference mode could never be trained
def frozen_module(module: nn.Module, values: Tensors, trainable: Tensors) -> nn.Module:
    """A copy of a module with these values, of which only the trainable entries are parameters.

    Args:
        values, trainable: by parameter name, shaped like it; trainable is bool.

    Example:
        >>> values = {"weight": torch.tensor([[1.0, 2.0]])}
        >>> only_second = {"weight": torch.tensor([[False, True]])}
        >>> module = frozen_module(nn.Linear(2, 1, bias=False), values, only_second)
        >>> [parameter.tolist() for parameter in module.parameters()]
        [[2.0]]
    """
    copy = copy_with_values(module, values)
    for name, _ in list(copy.named_parameters()):
        path, _, leaf = name.rpartition(".")
        frozen = FrozenParameter(values[name], trainable[name])
        # unsafe: the vector of trainable entries has another shape than the parameter
        parametrize.register_parametrization(copy.get_submodule(path), leaf, frozen, unsafe=True)
    known = type(copy)
    copy.__class__ = type(f"Frozen{known.__name__}", (FrozenNetwork, known), {})
    return copy


@gradients()
def plain_copy(module: nn.Module) -> nn.Module:
    """A copy of a module, frozen or not, with trainable parameters and all else as it is now."""
    if not isinstance(module, FrozenNetwork):
        return copied(module).requires_grad_(True)
    values = merged_state(module)
    copy = object.__new__(type(module))
    copy.__dict__ = copied(module.__dict__, {id(module): copy})
    copy.__class__ = type(copy).__bases__[1]
    for name, part, _ in list(_frozen_parts(copy)):
        if parametrize.is_parametrized(part):
            part.__class__ = type(part).__bases__[0]
            del part._modules["parametrizations"]
        part.register_parameter(name.rpartition(".")[2], nn.Parameter(values[name]))
    return copy.requires_grad_(True)


@gradients()
def copy_with_values(module: nn.Module, values: Tensors) -> nn.Module:
    """A plain copy of a module with other values of its parameters, by name."""
    copy = plain_copy(module)
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter.copy_(values[name])
    return copy


@gradients()
def merged_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Every weight, frozen or trainable, by the name of its plain parameter; a copy."""
    state = {}
    for name, part, _ in _frozen_parts(module):
        state[name] = getattr(part, name.rpartition(".")[2]).detach().clone()
    for name, parameter in module.named_parameters():
        if ".parametrizations." not in f".{name}":
            state[name] = parameter.detach().clone()
    return state


def _frozen_parts(module: nn.Module) -> Iterator[tuple[str, nn.Module, FrozenParameter]]:
    """(name of the plain parameter, its module, what freezes it)."""
    for path, part in module.named_modules():
        for leaf, parts in getattr(part, "parametrizations", {}).items():
            yield f"{path}.{leaf}" if path else leaf, part, parts[0]


def copied(thing: Any, memo: dict[int, Any] | None = None) -> Any:
    """A deep copy, or a sentence on why there is none."""
    try:
        return deepcopy(thing, memo)
    except (RuntimeError, TypeError) as error:
        raise InvalidValueError(
            f"the network cannot be copied ({error}), and each stage has a copy of its own: keep "
            "what cannot be copied outside the network, or give its class a __deepcopy__."
        ) from error


def _rebuilt(module: nn.Module, trainable: Tensors) -> nn.Module:
    return frozen_module(module, merged_state(module), trainable)


def _check_state(module: nn.Module, state: Mapping[str, Any], prefix: str) -> None:
    for name, part in module.named_modules():
        if not isinstance(part, FrozenParameter):
            continue
        if f"{prefix}{name}.values" not in state:
            raise InvalidValueError(
                "the checkpoint is of a network none of whose weights are held: restore it into "
                "a model of that network, and transfer from there."
            )
        if not part.agrees_with(state[f"{prefix}{name}.values"], state[f"{prefix}{name}.places"]):
            raise InvalidValueError(
                "the checkpoint holds other weights than this model: it is of another stage or "
                "of another source, and would overwrite what is kept here."
            )
