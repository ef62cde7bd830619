"""Frozen weights: they are in no vector and no parameter that an optimiser gets.

One function puts trainable entries among frozen ones: `insert`. A least-squares problem calls it
for the weight vector of our networks. For a torch module, `torch.nn.utils.parametrize` calls it in
every parameter, whose place the vector of its trainable entries takes. So no optimiser, weight
decay or `requires_grad_` can reach a frozen weight.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_leaves

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


class ParameterFunction(nn.Module):
    """A parameter as a function of tensors that are trained in its place.

    Attributes:
        values: that never move, shaped like the parameter.
    """

    values: torch.Tensor

    def stored(self) -> Any:
        """What copies and pickles hold of it: itself, or the mask of a `FrozenParameter`."""
        return self

    def agrees_with(self, values: torch.Tensor, state: Tensors) -> bool:
        """Whether a checkpoint has these values, to the last bit, by the names of the buffers."""
        return torch.equal(values.to(self.values.device), self.values)


class FrozenParameter(ParameterFunction):
    """A parameter some of whose entries are frozen: a function of its trainable entries.

    Attributes:
        values: what stands in its trainable entries has no effect.
        places: flat indices of the trainable entries.
    """

    places: torch.Tensor

    def __init__(self, values: torch.Tensor, trainable: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values.detach().clone())
        self.register_buffer("places", trainable.flatten().nonzero()[:, 0].to(values.device))

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

    def stored(self) -> Any:
        return self.trainable_mask

    def agrees_with(self, values: torch.Tensor, state: Tensors) -> bool:
        """Whether the same entries are frozen at the same values."""
        frozen, places = ~self.trainable_mask, state["places"]
        return torch.equal(places.to(self.places.device), self.places) and torch.equal(
            values.to(self.values.device)[frozen], self.values[frozen]
        )


def check_freezable(module: nn.Module) -> None:
    """Refuse a module that cannot be frozen or copied."""
    if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
        raise InvalidValueError(
            "the network is compiled, and its weights cannot be held apart: give the module that "
            "was compiled, and compile what is made of it."
        )
    names = [name for name, _ in module.named_parameters()]
    if not names:
        raise InvalidValueError("the network has no parameters.")
    if any(isinstance(own, UninitializedParameter) for own in module.parameters()):
        raise InvalidValueError(
            "some of the network's parameters have no shape yet: evaluate it once before."
        )
    for name, part in module.named_modules():
        if parametrize.is_parametrized(part):
            raise InvalidValueError(
                f"{name or 'the network'} has parametrized weights already: remove them with "
                "torch.nn.utils.parametrize.remove_parametrizations first, or with "
                "pacpde.interop.modules.unfreeze where pacpde made them."
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
        stored = {name: own.stored() for name, _, own in frozen_parts(self)}
        return _rebuilt, (plain_copy(self), stored, _trained(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        rebuild, (module, *others) = self.__reduce_ex__(None)
        memo[id(self)] = copy = rebuild(module, *deepcopy(others))
        return copy


@gradients()  # what is made in inference mode could never be trained
def frozen_module(module: nn.Module, values: Tensors, trainable: Tensors) -> nn.Module:
    """A copy of a module with these values, of which only the trainable entries are parameters.

    A parameter all of whose entries are trainable stays as it is.

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
    functions = {
        name: FrozenParameter(values[name], trainable[name])
        for name, _ in copy.named_parameters()  # whose order an optimiser's state follows
        if not bool(trainable[name].all())
    }
    return module_with_functions(copy, functions)


@gradients()
def module_with_functions(
    module: nn.Module, functions: Mapping[str, ParameterFunction]
) -> nn.Module:
    """A module, changed in place, some of whose parameters are functions of others.

    Args:
        functions: by parameter name.
    """
    for name, function in functions.items():
        path, _, leaf = name.rpartition(".")
        part = module.get_submodule(path)
        # unsafe: what is trained has another shape than the parameter
        parametrize.register_parametrization(part, leaf, function, unsafe=True)
    known = type(module)
    module.__class__ = type(f"Frozen{known.__name__}", (FrozenNetwork, known), {})
    return module


@gradients()
def plain_copy(module: nn.Module) -> nn.Module:
    """A copy of a module, frozen or not, with trainable parameters and all else as it is now."""
    memo: dict[int, Any] = {id(own): own.detach().clone() for own in _computed(module)}
    if not isinstance(module, FrozenNetwork):
        return copied(module, memo).requires_grad_(True)
    values = merged_state(module)
    copy = object.__new__(type(module))
    copy.__dict__ = copied(module.__dict__, memo | {id(module): copy})
    copy.__class__ = type(copy).__bases__[1]
    for name, part, _ in list(frozen_parts(copy)):
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
    for name, part, _ in frozen_parts(module):
        state[name] = getattr(part, name.rpartition(".")[2]).detach().clone()
    for name, parameter in module.named_parameters():
        if ".parametrizations." not in f".{name}":
            state[name] = parameter.detach().clone()
    return state


def trainable_masks(module: nn.Module) -> dict[str, torch.Tensor]:
    """Which entries of each plain parameter of a module, frozen in part or not, are trainable."""
    masks = {
        name: torch.ones_like(own, dtype=torch.bool) for name, own in merged_state(module).items()
    }
    return masks | {name: own.stored() for name, _, own in frozen_parts(module)}


def frozen_parts(module: nn.Module) -> Iterator[tuple[str, nn.Module, Any]]:
    """(name of the plain parameter, its module, the `ParameterFunction` in its place)."""
    for path, part in module.named_modules():
        for leaf, parts in getattr(part, "parametrizations", {}).items():
            yield f"{path}.{leaf}" if path else leaf, part, parts[0]


def _computed(module: nn.Module) -> list[torch.Tensor]:
    """Tensors that a module stores, computed from its parameters: they cannot be copied as such."""
    own = ("_parameters", "_buffers", "_modules")
    attributes = [
        value
        for part in module.modules()
        for name, value in part.__dict__.items()
        if name not in own
    ]
    leaves = tree_leaves(attributes)
    return [own for own in leaves if isinstance(own, torch.Tensor) and not own.is_leaf]


def _trained(module: nn.Module) -> dict[str, list[nn.Parameter]]:
    """What is trained in the place of each plain parameter."""
    trained = {}
    for name, part, _ in frozen_parts(module):
        lists: Any = part.parametrizations
        trained[name] = list(lists[name.rpartition(".")[2]].parameters())
    return trained


def copied(thing: Any, memo: dict[int, Any] | None = None) -> Any:
    """A deep copy, or a sentence on why there is none."""
    try:
        with torch.no_grad():  # a recurrent layer computes what it stores again
            return deepcopy(thing, memo)
    except (RuntimeError, TypeError) as error:
        raise InvalidValueError(
            f"the network cannot be copied ({error}), and each stage has a copy of its own: keep "
            "what cannot be copied outside the network, or give its class a __deepcopy__."
        ) from error


def _rebuilt(
    module: nn.Module,
    stored: Mapping[str, Any],
    trained: Mapping[str, Sequence[nn.Parameter]] | None = None,
) -> nn.Module:
    """A module out of what `FrozenNetwork.__reduce_ex__` stores.

    Args:
        stored: masks of the trainable entries, or functions; older versions stored masks alone.
        trained: in the places of the parameters; None takes the module's own entries.
    """
    values = merged_state(module)
    functions = {
        name: FrozenParameter(values[name], own) if isinstance(own, torch.Tensor) else own
        for name, own in stored.items()
    }
    module_with_functions(module, functions)
    for name, given in (trained or {}).items():
        path, _, leaf = name.rpartition(".")
        lists: Any = module.get_submodule(path).parametrizations
        for place, (key, _) in zip(given, list(lists[leaf].named_parameters()), strict=True):
            setattr(lists[leaf], key, place)
    return module


def _check_state(module: nn.Module, state: Mapping[str, Any], prefix: str) -> None:
    for name, part in module.named_modules():
        if not isinstance(part, ParameterFunction):
            continue
        places = {key: f"{prefix}{name}.{key}" for key, _ in part.named_buffers()}
        if not state.keys() >= set(places.values()):
            raise InvalidValueError(
                "the checkpoint is of a network none of whose weights are held: restore it into "
                "a model of that network, and transfer from there."
            )
        own = {key: state[place] for key, place in places.items()}
        if not part.agrees_with(own["values"], own):
            raise InvalidValueError(
                "the checkpoint holds other weights than this model: it is of another stage or "
                "of another source, and would overwrite what is kept here."
            )
