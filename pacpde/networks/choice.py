"""The network of a fit, as a user gives it: an object, a function that makes one, or a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from pacpde.errors import InvalidValueError, PacpdeError, short
from pacpde.expressions import evaluate, named_options
from pacpde.networks.batch import Ansatz
from pacpde.networks.kinds import describe
from pacpde.networks.module import ModuleChoice
from pacpde.networks.protocol import Network, networks
from pacpde.physics.problem import Problem

Maker = Callable[[int, int], Network | nn.Module]  # (inputs, outputs) → network
Choice = Network | Maker
WRITE = "write network=MLP(2, 1, width=30), or network=lambda inputs, outputs: MLP(inputs, outputs)"


@dataclass(frozen=True)
class NamedNetwork:
    """A kind of network with options, which makes a network of any numbers of inputs and outputs.

    Attributes:
        kind: its name.
        options: settings but for inputs and outputs.

    Example:
        >>> NamedNetwork("mlp", {"width": 30, "depth": 2})(2, 1)
        MLP(inputs=2, outputs=1, width=30, depth=2, activation='tanh')
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, inputs: int, outputs: int) -> Network:
        given = {"inputs": inputs, "outputs": outputs, **self.options}
        return networks.get(self.kind).from_settings(given)


def network_from(wanted: Any) -> Choice | None:
    """A network or a function that makes one as it is; an object out of a name or a description.

    Args:
        wanted: a network, a torch module, a function of the numbers of inputs and outputs that
            makes one of these (a class will do), "mlp", "mlp:width=30,activation=sin", or these as
            a mapping, as {"name": "mlp", "width": 30}; None for none.

    Raises:
        UnknownNameError: there is no such kind of network, or it has no such option.
        InvalidValueError: it is none of these.

    Example:
        >>> network_from("mlp:width=30,activation=sin")(2, 1)
        MLP(inputs=2, outputs=1, width=30, depth=4, activation='sin')
    """
    if wanted is None or isinstance(wanted, Network):
        return wanted
    if isinstance(wanted, str):
        return network_from(named_options("network", wanted, "mlp:width=30,depth=2", _value))
    if isinstance(wanted, Mapping):
        options = dict(wanted)
        return _named(str(options.pop("name", None)), options)
    if isinstance(wanted, nn.Module):
        return ModuleChoice(wanted)
    if not callable(wanted):
        raise InvalidValueError(f"network is {short(wanted)}, expected a network: {WRITE}.")
    return wanted


def build_network(choice: Choice, ansatz: Ansatz) -> Network:
    """The network of a choice in an ansatz.

    Raises:
        InvalidValueError: it does not suit the ansatz, or is no complete network.
    """
    inputs, outputs = ansatz.inputs, ansatz.outputs
    network = choice if isinstance(choice, Network) else _called(choice, inputs, outputs)
    ends = getattr(network, "inputs", None), getattr(network, "outputs", None)
    if ends != (inputs, outputs):
        raise _unsuitable(ends, ansatz)
    if network.time_windows > 1:
        _check_time(ansatz)
    _check_shapes(network)
    return network


def describe_choice(choice: Choice) -> dict[str, Any] | str:
    """A choice as JSON: what makes it again, or at least says what it was."""
    if isinstance(choice, Network):
        return describe(choice)
    if isinstance(choice, NamedNetwork):
        return {"name": choice.kind, **choice.options}
    return str(getattr(choice, "__qualname__", repr(choice)))


def _named(kind: str, options: dict[str, Any]) -> Choice:
    """The network of a description; what makes it where it has no inputs and outputs."""
    networks.get(kind).check_described(options)
    named = NamedNetwork(kind, options)
    if {"inputs", "outputs"} <= set(options):
        return _called(named, options["inputs"], options["outputs"])
    return named


def _value(text: str) -> int | float | bool | str:
    """A value of an option: a whole number, arithmetic, true, false, or a word."""
    if text.lstrip("+-").isdecimal():
        return int(text)
    if text in ("true", "false"):
        return text == "true"
    try:
        return evaluate(text)
    except InvalidValueError:
        return text


def _called(maker: Maker, inputs: int, outputs: int) -> Network:
    """What a function of the numbers of inputs and outputs makes."""
    try:
        network = maker(inputs, outputs)
    except PacpdeError:
        raise
    except Exception as error:  # of the user's function
        raise InvalidValueError(
            f"network is {short(maker)}, which was called with inputs={inputs} and "
            f"outputs={outputs} and raised {type(error).__name__}: {error}. Expected a function "
            f"of these two numbers that makes a network: {WRITE}."
        ) from error
    if isinstance(network, nn.Module):
        return ModuleChoice(network)(inputs, outputs)
    if not isinstance(network, Network):
        raise InvalidValueError(
            f"network is {short(maker)}, which makes {short(network)}, expected a network: {WRITE}."
        )
    return network


def _unsuitable(ends: tuple[object, object], ansatz: Ansatz) -> InvalidValueError:
    problem = ansatz.problem_or_none
    why = "an input for each axis, two for a periodic one, and an output for each field"
    return InvalidValueError(
        f"the network has inputs={ends[0]} and outputs={ends[1]}, and {problem or 'the table'} "
        f"needs inputs={ansatz.inputs} and outputs={ansatz.outputs} "
        f"({why if problem else 'its columns and its targets'}): make it with these, or write "
        "network=lambda inputs, outputs: MLP(inputs, outputs)."
    )


def allows_time_windows(problem: Problem | None) -> bool:
    """Whether a solution need only be continuous in time: of an equation of first order in it."""
    if problem is None or problem.domain.time is None:
        return False
    return not any("tt" in name for name in problem.channels)


def _check_time(ansatz: Ansatz) -> None:
    """Refuse time windows where the fields must be more than continuous in time."""
    problem = ansatz.problem_or_none
    if not allows_time_windows(problem):
        raise InvalidValueError(
            f"the network has time windows, and {problem or 'the table'} is no equation of first "
            "order in time: take a dense network."
        )


def _check_shapes(network: Network) -> None:
    """Refuse a network whose weights or outputs have other shapes than it says.

    Outputs of one column would be taken for all fields.
    """
    kind, size = type(network).__name__, network.size
    weights = network.init_weights(np.random.default_rng(0))
    if np.shape(weights) != (size,) or network.layout.size != size:
        raise InvalidValueError(
            f"the network {kind} has size {size}, its init_weights give {np.shape(weights)} and "
            f"its layout has {network.layout.size} entries: they must be the same number."
        )
    points = torch.from_numpy(np.zeros((1, 3, network.inputs)))
    try:
        with torch.no_grad():
            got = tuple(network.forward(torch.from_numpy(np.array(weights)), points, ("",)).shape)
    except Exception as error:  # of the user's class
        raise InvalidValueError(
            f"the network {kind} cannot be evaluated ({type(error).__name__}: {error}): let its "
            "forward take weights and jets of any precision and device."
        ) from error
    if got != (1, 3, network.outputs):
        raise InvalidValueError(
            f"the network {kind} gives outputs {got} at 3 points, expected "
            f"{(1, 3, network.outputs)}: [channels, points, outputs]."
        )
