"""Kinds of networks by name: what files and records say of a network, and how it is read back.

A network is described by the name of its class and its settings; no code comes from data. The class
must be known where a description is read: it comes with pacpde, with an installed package, or with
a plug-in (`pacpde.plugins.load_plugin`, `--plugin`). So must the activation of a dense network. So
that code that was edited meanwhile is noticed, a folder has the network's outputs at fixed inputs
beside its weights.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pacpde.errors import DataFileError, InvalidValueError, PacpdeError, UnknownNameError
from pacpde.networks.activations import activations
from pacpde.networks.mlp import MLP
from pacpde.networks.network_sum import NetworkSum as NetworkSum  # registers it and the refined
from pacpde.networks.protocol import Network, networks
from pacpde.networks.time_windows import TimeWindows as TimeWindows  # registers it
from pacpde.physics.fingerprint import same_values
from pacpde.registry import PLUGIN, is_own, same_definition

POINTS = 16  # at which the outputs of a stored network are compared


def describe(network: Network) -> dict[str, Any]:
    """A network as a JSON object: the name of its kind, and its settings.

    A class that is not registered is named by its module, and cannot be made again from that.

    Example:
        >>> describe(MLP(2, 1, width=5, depth=1))
        {'name': 'mlp', 'inputs': 2, 'outputs': 1, 'width': 5, 'depth': 1, 'activation': 'tanh'}
    """
    kind = type(network)
    name = kind.name if _is_registered(kind) else f"{kind.__module__}.{kind.__qualname__}"
    return {"name": name, **network.settings}


def known_kind(name: str, whose: str) -> type[Network]:
    """The class of a name that stands in a file.

    Args:
        whose: owner of the network, for the error, as in "the surrogate".

    Raises:
        DataFileError: it is not known here.
    """
    if name not in networks.names():
        raise DataFileError(
            f"the network of {whose} is {name!r}, which is not known here: {PLUGIN}."
            if "." not in name
            else f"the network of {whose} is of the class {name}, which had no name of its own and "
            'cannot be made from a file: write one in it, as in name = "my_network", and train '
            f"{whose} anew."
        )
    return networks.get(name)


def as_json(network: Network, weights: torch.Tensor) -> dict[str, Any]:
    """What the folder of a surrogate says of its network.

    Raises:
        InvalidValueError: its class has no name of its own, or its settings do not make it again.
    """
    kind = type(network)
    if not _is_registered(kind):
        raise InvalidValueError(
            f"a surrogate with a network of the class {kind.__name__} cannot be saved, since the "
            'class has no name of its own: write one in it, as in name = "my_network".'
        )
    # a dense one without its name, as in folders of all versions
    about = network.settings if kind.name == MLP.name else describe(network)
    if all(map(is_own, network.classes)) and network.is_made_by_settings:
        return {"network": about}
    try:
        values = _values(network, weights)
    except Exception as error:  # of the user's class
        raise InvalidValueError(
            f"a surrogate with a network of the class {kind.__name__} cannot be saved, since it "
            f"cannot be evaluated in float64 on the CPU ({type(error).__name__}: {error}): let its "
            "forward take weights and jets of any precision and device."
        ) from error
    if not network.is_made_by_settings:
        return {"network": about, "network_values": values}
    try:
        again = kind.from_settings(json.loads(json.dumps(network.settings)))
        alike = _are_same(_values(again, weights), values)
    except PacpdeError:
        raise
    except Exception as error:  # of the user's class
        raise _not_made_again(kind, f"{type(error).__name__}: {error}") from error
    if not alike:
        raise _not_made_again(kind, "its outputs are others then")
    return {"network": about, "network_values": values}


def from_json(
    about: Mapping[str, Any], weights: torch.Tensor, given: Network | None = None
) -> Network:
    """The network that `as_json` described.

    Args:
        about: with "network", and "network_values" where code of a user makes its outputs.
        given: the network, where the reader has it.

    Raises:
        DataFileError: its class or its activation is not known here, or was changed since.
    """
    if given is not None:
        return _given(given, about, weights)
    settings = dict(about["network"])
    kind = known_kind(settings.pop("name", MLP.name), "the surrogate")
    activation = settings.get("activation")
    if (
        kind.name == MLP.name
        and "network_values" in about
        and activation not in activations.names()
    ):
        raise DataFileError(
            f"the activation of the surrogate is {activation!r}, which is not known here: {PLUGIN}."
        )
    if "network_values" not in about:
        network = kind.from_settings(settings)
        if weights.shape != (network.size,):
            raise ValueError("weights do not fit the network")
        return network
    try:
        network = kind.from_settings(settings)
        alike = _are_same(_values(network, weights), about["network_values"])
    except UnknownNameError as error:
        raise DataFileError(
            f"the network of the surrogate is a {kind.name!r} with an {error}"
        ) from error
    except PacpdeError:
        raise
    except Exception as error:  # of the user's class
        raise _changed(kind, f"it raises {type(error).__name__}: {error}") from error
    if not alike or weights.shape != (network.size,):
        raise _changed(kind, "it gives other outputs")
    return network


def _given(given: Network, about: Mapping[str, Any], weights: torch.Tensor) -> Network:
    """The network that the reader gives, if it is the stored one."""
    stored = dict(about["network"])
    ends = weights.shape == (given.size,)
    if "network_values" in about:
        alike = ends and _are_same(_values(given, weights), about["network_values"])
    else:
        alike = ends and {"name": MLP.name, **stored} == describe(given)
    if not alike:
        more = given.not_stored if ends else ""
        raise DataFileError(
            f"the network that is given, {given!r}, is not the one of the surrogate: it has other "
            f"weights or gives other outputs. The surrogate has {len(weights)} weights, of "
            f"{stored.get('class', stored.get('name', MLP.name))!r}.{more}"
        )
    return given


def _is_registered(kind: type[Network]) -> bool:
    """Whether the name of a class leads back to it, or to the same definition run again."""
    name = vars(kind).get("name", "")
    return name in networks.names() and same_definition(networks.get(name), kind)


def _values(network: Network, weights: torch.Tensor) -> list[list[float]]:
    """Outputs at fixed random inputs, one list each output."""
    inputs = np.random.default_rng(0).uniform(-1, 1, (1, POINTS, network.inputs))
    with torch.no_grad():
        own = weights.detach().double().cpu()
        outputs = network.forward(own, torch.from_numpy(inputs), ("",))
    return [[float(value) for value in row] for row in outputs[0].T]


def _are_same(ours: list[list[float]], theirs: list[list[float]]) -> bool:
    return len(ours) == len(theirs) and all(map(same_values, ours, theirs))


def _not_made_again(kind: type[Network], why: str) -> InvalidValueError:
    return InvalidValueError(
        f"a surrogate with a network of the class {kind.__name__} cannot be saved, since its "
        f"settings do not make it again ({why}): let settings give every argument of "
        "the constructor, as JSON can hold them."
    )


def _changed(kind: type[Network], how: str) -> DataFileError:
    what = "activation of the network" if kind.name == MLP.name else "network"
    return DataFileError(
        f"the {what} {kind.name!r} was changed after the surrogate was written: {how}. Restore "
        "its file, or make the surrogate anew."
    )
