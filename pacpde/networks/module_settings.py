"""Chains of torch's own layers as JSON: the names of the layers, their arguments, their buffers.

No code comes from data: layers are found in `torch.nn` by name, and nothing else is.
"""

import inspect
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from pacpde.errors import DataFileError, InvalidValueError

NOT_KEPT = ("device", "dtype")  # of the weights, which a file has beside
LAYERS = "layers"


def described(module: nn.Module) -> dict[str, Any]:
    """What makes a module again, as "layers"; else what it is, as "class".

    Example:
        >>> described(nn.Sequential(nn.Linear(2, 1), nn.Tanh()))["layers"][1]
        {'layer': 'Tanh'}
    """
    layers = _layers(module) if isinstance(module, nn.Sequential) else None
    if layers is not None:
        return {LAYERS: layers}
    kind = type(module)
    return {"class": f"{kind.__module__}.{kind.__qualname__}"}


def made_again(settings: Mapping[str, Any]) -> nn.Sequential:
    """The chain of a description.

    Raises:
        DataFileError: it is that of a module of another class.
        InvalidValueError: it is none.
    """
    if settings.get("given_weights"):
        raise DataFileError(
            "the network of a torch module began from the module's own weights, which are not in "
            "the description: write load(folder, network=TorchModule(module, given_weights=True))."
        )
    if LAYERS in settings:
        return _chain(settings[LAYERS])
    if "class" not in settings:
        raise InvalidValueError(
            "the network 'module' is made from a torch module: write network=TorchModule(...), or "
            "the module itself, in Python."
        )
    name = str(settings["class"])
    raise DataFileError(
        f"the network is a torch module of the class {name}, and no code is made from data: make "
        f"it yourself and write load(folder, network=TorchModule({name.rpartition('.')[2]}(...))); "
        "or make a kind of network of it, a class that extends pacpde.ModuleNetwork, which "
        "files and the command line can name."
    )


def _layers(chain: nn.Module) -> list[dict[str, Any]] | None:
    """The descriptions of the layers of a chain; None where one has none."""
    if type(chain) is not nn.Sequential or list(chain._modules) != [
        str(number) for number in range(len(chain))
    ]:
        return None
    if len(list(chain.parameters())) != len(list(chain.named_parameters(remove_duplicate=False))):
        return None  # one layer in two places
    layers = []
    for layer in chain:
        own = _chain_or_layer(layer)
        if own is None:
            return None
        layers.append(own)
    return layers


def _chain_or_layer(layer: nn.Module) -> dict[str, Any] | None:
    if isinstance(layer, nn.Sequential):
        inner = _layers(layer)
        return None if inner is None else {"layer": "Sequential", LAYERS: inner}
    kind = type(layer)
    if getattr(nn, kind.__name__, None) is not kind or parametrize.is_parametrized(layer):
        return None
    if any(layer._modules) or not all(own.requires_grad for own in layer.parameters()):
        return None
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in NOT_KEPT or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            continue
        if not hasattr(layer, name):
            return None
        value = getattr(layer, name)
        if isinstance(parameter.default, bool) and not isinstance(value, bool):
            value = value is not None  # as bias, of which the layer has the tensor
        if value != parameter.default:
            arguments[name] = value
    buffers = {name: own.tolist() for name, own in layer.named_buffers() if name != "_metadata"}
    about = {"layer": kind.__name__, **arguments, **({"buffers": buffers} if buffers else {})}
    try:
        about = json.loads(json.dumps(about))
        again = _chain([about])[0]
    except (TypeError, ValueError, DataFileError, InvalidValueError):
        return None
    same = [(name, own.shape) for name, own in layer.named_parameters()] == [
        (name, own.shape) for name, own in again.named_parameters()
    ]
    return about if same and str(again) == str(layer) else None


def _chain(layers: Any) -> nn.Sequential:
    made: list[nn.Module] = []
    for about in layers:
        arguments = dict(about)
        name = arguments.pop("layer", None)
        if name == "Sequential":
            made.append(_chain(arguments[LAYERS]))
            continue
        kind = getattr(nn, str(name), None)
        if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
            raise DataFileError(f"the network has the layer {name!r}, which torch.nn has not.")
        buffers = arguments.pop("buffers", {})
        values = {key: _as_tuple(value) for key, value in arguments.items()}
        try:
            layer = kind(**values)
            state = {key: torch.as_tensor(own) for key, own in buffers.items()}
            known = dict(layer.named_buffers())
            for key, own in state.items():
                known[key].copy_(own.to(known[key].dtype))
        except (TypeError, ValueError, KeyError, RuntimeError) as error:
            raise DataFileError(
                f"the layer {name} of the network cannot be made from {about!r}: {error}."
            ) from error
        made.append(layer)
    return nn.Sequential(*made)


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
