"""A DeepXDE network as a surrogate, for the second-order engine; and back.

DeepXDE's inputs are the coordinates, space first; a surrogate's are its axes mapped to [−1, 1],
time first. The map goes into the first layer, and the fields' scales into the last one: the same
function in other numbers, equal but for rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import deepxde as dde
import numpy as np
import torch
from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde.conditions import input_names
from pacpde.interop.deepxde.model import Transform, activations
from pacpde.interop.deepxde.source import OutputCheck, Source
from pacpde.methods.checks import check_problem
from pacpde.methods.checks import check_source as check_surrogate
from pacpde.methods.provenance import of_import
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.batch import Batch
from pacpde.networks.frozen import copy_with_values, merged_state, plain_copy
from pacpde.networks.layout import module_layout
from pacpde.networks.mlp import dense_network
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.domain import Axis
from pacpde.physics.problem import Problem
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import Runtime, generator, gradients
from pacpde.training.config import TrainingConfig

ACTIVATIONS = {  # function → name, which is the same in DeepXDE
    torch.tanh: "tanh",
    torch.sin: "sin",
    torch.sigmoid: "sigmoid",
    nn.functional.silu: "swish",
    nn.functional.gelu: "gelu",
}
ACTIVATIONS |= {dde.nn.activations.get(name): name for name in set(ACTIVATIONS.values())}
PROBES = 64  # points at which a transform is tried
TOLERANCE = 1e-9  # relative, in float64


@dataclass(frozen=True)
class DeepXDEAnsatz(PhysicsAnsatz):
    """u = T(x, N(F(x))) with the transforms of a DeepXDE network, T affine in N; never made odd.

    Attributes:
        features: F, inputs [points, axes] → [points, features]; None where the map to [−1, 1] is
            in the network.
        width: number of features.
        output_transform: T, (inputs, outputs [points, fields]) → fields; None for none.
        output_check: of the network that it was made from, before every use: the transforms follow
            values that they read and that are changed.
    """

    features: Transform | None = None
    width: int = 0
    output_transform: Transform | None = None
    output_check: OutputCheck | None = field(default=None, compare=False, repr=False)

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        if self.output_check is not None:
            self.output_check.check()
        return super().batch(points, names)

    @property
    def inputs(self) -> int:
        return super().inputs if self.features is None else self.width

    @property
    def maps_inputs(self) -> bool:
        return self.features is None

    @property
    def scales_outputs(self) -> bool:
        return self.output_transform is None

    def with_odd(self, odd: bool) -> "DeepXDEAnsatz":
        return self

    def _features(self, **x: torch.Tensor) -> torch.Tensor:
        return super()._features(**x) if self.features is None else self.features(self._columns(x))

    def _offset(self, **x: torch.Tensor) -> torch.Tensor:
        if self.output_transform is None:
            return super()._offset(**x)
        return self._transformed(x, 0.0)

    def _multiplier(self, **x: torch.Tensor) -> torch.Tensor:
        if self.output_transform is None:
            return super()._multiplier(**x)
        return (self._transformed(x, 1.0) - self._transformed(x, 0.0))[:, :1]

    def _transformed(self, x: dict[str, torch.Tensor], value: float) -> torch.Tensor:
        inputs = self._columns(x)
        outputs = torch.full_like(inputs[:, :1], value).expand(-1, self.outputs)
        assert self.output_transform is not None
        return self.output_transform(inputs, outputs)

    def _columns(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        """Coordinates in DeepXDE's order, [points, axes]."""
        return torch.stack([x[name] for name in input_names(self.problem)], -1)

    @property
    def settings(self) -> dict[str, Any]:
        if self.features is not None or self.output_transform is not None:
            raise InvalidValueError(
                "a surrogate with transforms of a DeepXDE network cannot be saved, since they are "
                "functions: give it back by to_network, and save that."
            )
        return {"hard": self.hard, "odd": self.odd}

    def check(self) -> None:
        """Refuse transforms that the engine cannot carry derivatives through."""
        box, rng = self.problem.domain, generator(0, "transforms")
        points = torch.as_tensor(box.sample(PROBES, rng))
        x = dict(zip(box.names, points.unbind(-1), strict=True))
        try:
            self._features(**x), self._offset(**x)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise InvalidValueError(
                f"the network's transforms cannot be evaluated in float64 on the CPU ({error}), "
                "where the engine computes: make the tensors that they use there."
            ) from error
        if self.output_transform is not None:
            inputs = self._columns(x)
            outputs = torch.as_tensor(rng.normal(size=(PROBES, self.outputs)))
            fields = self.output_transform(inputs, outputs)
            affine = self._offset(**x) + self._multiplier(**x) * outputs
            if fields.shape != affine.shape or not _are_close(fields, affine):
                raise InvalidValueError(
                    "the network's output transform is not u = g(x) + m(x)·N with one m for all "
                    "fields, which the engine needs: train it by DeepXDE, or change the transform."
                )
        for axis in box.axes:
            periodic = axis.name in self.problem.boundary.periodic
            if periodic and not self._is_closed(axis, x):
                raise InvalidValueError(
                    f"{self.problem.name} is periodic in {axis.name}, and the network is not: the "
                    "engine needs an input transform that is, such as sin and cos of "
                    f"2π{axis.name}/{axis.length:g}."
                )

    def _is_closed(self, axis: Axis, x: dict[str, torch.Tensor]) -> bool:
        """Whether the network sees the same at both ends of an axis."""
        if self.features is None:
            return False
        ends = [torch.full_like(x[axis.name], end) for end in (axis.lower, axis.upper)]
        lower, upper = (self._features(**x | {axis.name: end}) for end in ends)
        return _are_close(lower, upper)


def _are_close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, TOLERANCE, TOLERANCE)


@gradients()
def to_surrogate(model: Any, problem: Problem) -> Surrogate:
    """A trained DeepXDE model as a pacpde surrogate, in float64 on the CPU.

    Takes an FNN with tanh, sin, sigmoid, swish or gelu throughout, and transforms of inputs and,
    affine, of outputs.
    Start and edges are left to residuals, as DeepXDE does, whatever its transforms meet. The
    outcome and the assessment are those of a fit that ended with these weights.

    Args:
        problem: what it solves.
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
    outcome = Outcome.NOT_CONVERGED
    if assessment.meets(TrainingConfig.of(problem).tolerance):
        outcome = Outcome.DRIFTED if assessment.drifted else Outcome.CONVERGED
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
