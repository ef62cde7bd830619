"""What a transfer takes from a trained model: its network, and the tensors that it uses beside it.

- A transform may use a tensor that is no part of the network, and an equation a `dde.Variable`.
  Every model that is made from the source uses the same ones. So each model stores the values that
  they have for it, and puts them in place while it predicts and trains.
- Numbers and arrays that a transform reads are not stored. The outputs of the network with them
  are, so that a change is noticed.
"""

from dataclasses import dataclass
from typing import Any

import deepxde as dde
import numpy as np
import torch
from torch import nn

from pacpde.errors import InvalidValueError, TransferWarning, warn_user
from pacpde.interop.modules.sources import source_copy
from pacpde.networks.probe import OutputCheck, Probe, TensorValues, snapshot, temporary_values

PROBES = 64  # points at which a network is tried


@dataclass(frozen=True)
class Source:
    """A trained model, as a transfer begins from it.

    Attributes:
        net: a plain copy of its network.
        probe: some of its data's inputs, as the network takes them.
        constants: tensors outside the network that its forward pass uses. No stage trains them.
        variables: the external variables that the model was compiled with.
        loss_weights: that it was compiled with last; None for none.
    """

    net: nn.Module
    probe: Probe
    constants: TensorValues
    variables: TensorValues
    loss_weights: Any = None

    def output_check(self, net: nn.Module, follow: bool = True) -> OutputCheck:
        """The check of the outputs of this network or of that of a later stage."""
        return OutputCheck(net, self.probe, self.constants, follow)

    @classmethod
    def of(cls, model: Any) -> "Source":
        """
        Args:
            model: a trained `dde.Model`, which stays as it is.

        Raises:
            InvalidValueError: it is no trained model; or its network answers the same question in
                different ways; or a transform uses the network's own parameters, so that a copy
                would go on using the original's.
        """
        check_model(model)
        return cls.untrained(model)

    @classmethod
    def untrained(cls, model: Any) -> "Source":
        """As `of`, for a model that need not be trained or compiled."""
        check_kind(model)
        with temporary_values(getattr(model, "constants", {})):  # as the model itself evaluates
            net = source_copy(model.net)
            probe = probe_of(model.data, net)
            constants = probe.constants(model.net, net)
        variables = getattr(model, "external", None)
        if variables is None:
            external = getattr(model, "external_trainable_variables", None) or []
            variables = snapshot(own for own in external if own not in constants)
        weights = model.loss_weights if model.opt else getattr(model, "source_weights", None)
        return cls(net, probe, constants, dict(variables), weights)


def check_kind(model: Any) -> None:
    """Refuse what is no DeepXDE model of a torch network."""
    if not isinstance(model, dde.Model):
        raise InvalidValueError(
            f"the source is a {type(model).__name__}, expected a deepxde.Model."
        )
    if isinstance(model, dde.zcs.Model):
        raise InvalidValueError(
            "the source is a deepxde.zcs.Model, whose derivatives in dummy coordinates a stage has "
            "not: make a deepxde.Model, with an equation of dde.grad."
        )
    if not isinstance(model.net, nn.Module):
        raise InvalidValueError(
            f"the source's network is a {type(model.net).__name__}, expected a torch module."
        )


def check_model(model: Any) -> None:
    """Refuse what is no DeepXDE model that can be a source; say where it was never trained."""
    check_kind(model)
    made_here = hasattr(model, "external")
    if model.opt is None and not made_here:
        raise InvalidValueError(
            "the source model is not compiled: compile and train it before it is transferred, or "
            "restore what was trained."
        )
    if not made_here and not model.train_state.step and not model.opt.state:
        warn_user(
            "the source model has taken no step of training and restored none: unless its weights "
            "were loaded in another way, what is transferred are random weights.",
            TransferWarning,
        )


def as_inputs(points: Any, module: nn.Module) -> Any:
    """Points, or a tuple of them, as tensors where a module's parameters are."""
    if isinstance(points, (tuple, list)):
        return tuple(as_inputs(own, module) for own in points)
    like = next(module.parameters())
    return torch.as_tensor(points, dtype=like.dtype, device=like.device)


def probe_of(data: Any, net: nn.Module) -> Probe:
    """A network at some of the data's inputs, with the auxiliary variables there."""

    def some(points: Any) -> Any:
        if isinstance(points, (tuple, list)):
            return tuple(some(own) for own in points)
        if points is None:
            return None
        rows = np.asarray(points)  # the first of which may all lie on the boundary
        return rows[np.unique(np.linspace(0, len(rows) - 1, PROBES).astype(int))]

    points, _, *auxiliary = data.test()
    given = some(auxiliary[0]) if auxiliary else None
    others = None if given is None else as_inputs(given, net)
    inputs = as_inputs(some(points), net), others
    return Probe(inputs, _call, "its own data's points", _without_output_transform)


def _without_output_transform(net: Any) -> Any:
    """A transform may vanish somewhere, or depend on inputs by itself."""
    net._output_transform = None
    return net


def _call(net: Any, inputs: Any) -> Any:
    points, auxiliary = inputs
    before = net.auxiliary_vars
    if auxiliary is not None:
        net.auxiliary_vars = auxiliary
    try:
        return net(points)
    finally:
        net.auxiliary_vars = before
        dde.grad.clear()
