"""A DeepXDE network as a surrogate, for the second-order engine; and back.

DeepXDE's inputs are the coordinates, space first; a surrogate's are its axes mapped to [−1, 1],
time first. The map goes into the first layer, and the fields' scales into the last one: the same
function in other numbers, equal but for rounding.
"""

from typing import Any

import deepxde as dde
import numpy as np
import torch
from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde.ansatz import DeepXDEAnsatz
from pacpde.interop.deepxde.conditions import input_names
from pacpde.interop.deepxde.model import activations
from pacpde.interop.deepxde.source import Source
from pacpde.methods.checks import check_source as check_surrogate
from pacpde.methods.provenance import of_import
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.frozen import copy_with_values, merged_state, plain_copy
from pacpde.networks.layout import module_layout
from pacpde.networks.mlp import dense_network
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem, check_problem
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import Runtime, gradients
from pacpde.training.config import TrainingConfig

ACTIVATIONS = {  # function → name, which is the same in DeepXDE
    torch.tanh: "tanh",
    torch.sin: "sin",
    torch.sigmoid: "sigmoid",
    nn.functional.silu: "swish",
    nn.functional.gelu: "gelu",
}
ACTIVATIONS |= {dde.nn.activations.get(name): name for name in set(ACTIVATIONS.values())}


@gradients()
def to_surrogate(model: Any, problem: Problem) -> Surrogate:
    """A trained DeepXDE model as a pacpde surrogate, in float64 on the CPU.

    Takes an FNN with tanh, sin, sigmoid, swish or gelu throughout, and transforms of inputs and
    outputs; the latter are u = g(x) + m(x) N, each field by its own output.
    Conditions that the output transform meets for every N hold exactly, the others are residual
    terms, as in DeepXDE; `surrogate.conditions` lists both. The outcome and the assessment are
    those of a fit that ended with these weights.

    Args:
        model: a trained `dde.Model` with an FNN, which stays as it is.
        problem: what it solves, of any kind that `data` takes.

    Returns:
        The surrogate: the same function, but for rounding.

    Raises:
        InvalidValueError: the network or its transforms are others, or do not suit the problem.

    Example:
        >>> surrogate = to_surrogate(model, Heat(alpha=0.4))
        >>> result = transfer(surrogate, Heat(alpha=0.3), method="pac")
    """
    check_problem(problem, "problem")
    source = Source.of(model)
    if any(own.requires_grad for own in source.constants):
        raise InvalidValueError(
            "a transform of the network uses a tensor that can be trained, such as a dde.Variable, "
            "which the surrogate would go on following: give the transform its value, as a number."
        )
    net: Any = source.net
    network = _network(net)
    features: Any = net._input_transform
    outputs: Any = net._output_transform
    ends = [("outputs", network.outputs, len(problem.fields))]
    if features is None:
        ends.append(("inputs", network.inputs, len(problem.axes)))
    for name, own, other in ends:
        if own != other:
            raise InvalidValueError(
                f"the network has {own} {name}, and {problem.name} needs {other}: give the problem "
                "that it solves."
            )
    width = network.inputs if features is not None else 0
    transformed = features is not None or outputs is not None
    check = source.output_check(net, follow=False) if transformed else None
    ansatz = DeepXDEAnsatz(problem, False, False, features, width, outputs, check)
    ansatz.check()
    vector = module_layout(net.linears).join(merged_state(net.linears)).cpu().double()
    weights = Runtime().tensor(_to_surrogate_units(network, vector, ansatz))
    assessment = PhysicsTask(problem, like=ansatz).assess(network, weights, SamplingSpec())
    outcome = assessment.outcome(TrainingConfig.of(problem).tolerance)
    provenance = of_import(problem, Runtime(), "DeepXDE")
    return Surrogate(
        network, ansatz, weights, stage="trained", outcome=outcome, assessment=assessment,
        provenance=provenance,
    )  # fmt: skip


@gradients()
def to_network(surrogate: Surrogate, like: Any) -> nn.Module:
    """A surrogate's weights as a DeepXDE network, in the precision of that network.

    Args:
        like: the model or network that the surrogate was made from, which stays as it is; its
            transforms and precision are taken. Widths are the surrogate's.
    """
    check_surrogate(surrogate)
    own = like.net if isinstance(like, dde.Model) else like
    if not isinstance(own, nn.Module):
        raise InvalidValueError(
            f"like is {like!r}, expected the DeepXDE model or network that the surrogate came from."
        )
    net: Any = plain_copy(own)
    if surrogate.ansatz.problem_or_none is None:
        raise InvalidValueError("the surrogate fits a table: it solves no problem of DeepXDE's.")
    network, ansatz = surrogate.network, surrogate.field_ansatz
    if _network(net).neurons.resized(network.neurons.widths) != network:
        raise InvalidValueError(
            f"the surrogate has {network.inputs} inputs, {network.outputs} outputs and the "
            f"activation {network.settings['activation']}, and the network others: give the one "
            "that the surrogate was made from."
        )
    if ansatz.hard or ansatz.odd:
        raise InvalidValueError(
            "the surrogate meets start and edges by an ansatz around its network, which DeepXDE's "
            "lacks: what came from to_surrogate goes back, and what was fitted with hard=False."
        )
    transforms = tuple(own is None for own in (net._input_transform, net._output_transform))
    own_inputs = not ansatz.maps_inputs or ansatz.inputs == len(ansatz.problem.axes)
    if transforms != (ansatz.maps_inputs, ansatz.scales_outputs) or not own_inputs:
        raise InvalidValueError(
            "the surrogate knows of no transforms and the network has some, or the other way "
            "round: only what came from to_surrogate, and was not loaded since, takes them."
        )
    if _network(net) != network:
        net = _resized(net, network)
    vector = _to_deepxde_units(network, surrogate.weights.cpu(), ansatz)
    values = module_layout(net.linears).split(vector)
    return copy_with_values(net, {f"linears.{name}": value for name, value in values.items()})


def _network(net: Any) -> Network:
    """The shape of an FNN."""
    if not isinstance(net, dde.nn.FNN):
        raise InvalidValueError(
            f"the network is a {type(net).__name__}: the engine takes a deepxde.nn.FNN; PAC and "
            "warm start by DeepXDE's own optimisers take any."
        )
    functions = activations(net)
    if not functions:
        raise InvalidValueError("the network has no hidden layer: the engine needs one.")
    activation, *others = {ACTIVATIONS.get(function) for function in functions}
    if activation is None or others:
        names = ", ".join(sorted({getattr(own, "__name__", str(own)) for own in functions}))
        raise InvalidValueError(
            f"the network has the activation {names}: the engine carries derivatives through "
            f"one of {', '.join(sorted(set(ACTIVATIONS.values())))}, the same in all layers."
        )
    widths = tuple(linear.out_features for linear in net.linears[:-1])
    ends = net.linears[0].in_features, net.linears[-1].out_features
    return dense_network(*ends, widths, activation)


def _resized(net: Any, network: Network) -> nn.Module:
    """An FNN of other widths, with the same transforms."""
    sizes = [network.inputs, *network.neurons.widths, network.outputs]
    resized = dde.nn.FNN(sizes, network.settings["activation"], "zeros", net.regularizer)
    resized._input_transform = net._input_transform
    resized._output_transform = net._output_transform
    like = net.linears[0].weight
    return resized.to(dtype=like.dtype, device=like.device)


def _to_surrogate_units(
    network: Network, vector: torch.Tensor, ansatz: PhysicsAnsatz
) -> torch.Tensor:
    """DeepXDE's weights, [size], as those of the surrogate."""
    weights = vector.clone()
    (first, bias), *_, (last, shift) = network.matrices(weights)
    if ansatz.maps_inputs:
        half, middle, places = _axis_map(ansatz.problem)
        bias += first[:, places] @ middle
        first[:] = first[:, places] * half
    scale = _scales(ansatz)
    last /= scale[:, None]
    shift /= scale
    return weights


def _to_deepxde_units(
    network: Network, vector: torch.Tensor, ansatz: PhysicsAnsatz
) -> torch.Tensor:
    """The surrogate's weights, [size], as those of DeepXDE."""
    weights = vector.clone()
    (first, bias), *_, (last, shift) = network.matrices(weights)
    if ansatz.maps_inputs:
        half, middle, places = _axis_map(ansatz.problem)
        own = first / half
        bias -= own @ middle
        first[:, places] = own
    scale = _scales(ansatz)
    last *= scale[:, None]
    shift *= scale
    return weights


def _axis_map(problem: Problem) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Half length and middle of every axis, and where DeepXDE has it among its inputs."""
    axes, places = problem.domain.axes, input_names(problem)
    return (
        torch.tensor([axis.length / 2 for axis in axes], dtype=torch.float64),
        torch.tensor([(axis.lower + axis.upper) / 2 for axis in axes], dtype=torch.float64),
        [places.index(axis.name) for axis in axes],
    )


def _scales(ansatz: PhysicsAnsatz) -> torch.Tensor:
    return torch.as_tensor(np.array(ansatz.problem.scales, float))
