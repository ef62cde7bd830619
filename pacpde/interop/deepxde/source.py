"""What a transfer takes from a trained model: its network, and the tensors that it uses beside it.

- A transform may use a tensor that is no part of the network, and an equation a `dde.Variable`.
  Every model that is made from the source uses the same ones. So each model stores the values that
  they have for it, and puts them in place while it predicts and trains.
- Numbers and arrays that a transform reads are not stored. The outputs of the network with them
  are, so that a change is noticed.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import deepxde as dde
import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from pacpde.errors import InvalidValueError, TransferWarning
from pacpde.networks.frozen import plain_copy
from pacpde.networks.layout import WeightLayout, module_layout
from pacpde.networks.module_probe import TensorReads, random_state_restored, tensors_used
from pacpde.runtime import gradients

PROBES = 64  # points at which a network is tried
TINY = 1e-30
ROUNDING = 100  # in units of the last place: sums may be taken in another order
# tensor that several models use → its value for one of them
TensorValues = dict[torch.Tensor, torch.Tensor]


def snapshot(tensors: Iterable[torch.Tensor]) -> TensorValues:
    """The values that these tensors have now."""
    return {own: own.detach().clone() for own in tensors}


def set_values(values: TensorValues) -> None:
    """Put the values into their tensors."""
    for own, value in values.items():
        if not torch.equal(own, value):
            with torch.no_grad():
                own.copy_(value)


@contextmanager
def temporary_values(values: TensorValues) -> Iterator[None]:
    """The values in their tensors for a while."""
    before = snapshot(values)
    set_values(values)
    try:
        yield
    finally:
        set_values(before)


class OutputCheck:
    """The outputs of a network at some inputs, to be compared later.

    A network follows whatever its transforms and its forward method read by name: a number, an
    array or an entry of a dict that is changed changes every copy of it, a recalled one too.

    Args:
        net: plain, and copied.
        auxiliary: auxiliary variables at the inputs, or None.
        constants: tensors outside the network that it uses.
        follow: let the forward pass take derivatives in the inputs, which torch.func forbids.
    """

    def __init__(
        self, net: nn.Module, inputs: Any, auxiliary: Any, constants: TensorValues, follow: bool
    ) -> None:
        self._net, self._constants = plain_copy(net), constants
        self._arguments = inputs, auxiliary, follow
        self._before = self._outputs()

    def _outputs(self) -> list[torch.Tensor]:
        with temporary_values(self._constants), random_state_restored(self._net):
            return evaluate(self._net, *self._arguments)[1]

    def check(self) -> None:
        """Refuse a network that gives something else by now."""
        try:
            pairs = zip(self._before, self._outputs(), strict=True)
            difference = max(_difference(before, now) for before, now in pairs)
            reason = f"its outputs differ by {difference:.2g} of their size"
        except Exception as error:  # whatever the user's transform raises by now
            difference, reason = np.inf, f"it ends in {type(error).__name__}: {error}"
        if difference > 0:
            raise InvalidValueError(
                "the source's network does not give what it gave when the transfer took it "
                f"({reason}): a number, an array or another value that it or a transform of it "
                "reads was changed since, and all that is made from the source reads the same one. "
                "Set it back. Give a transform its value as a default argument "
                "(lambda x, y, amp=1.0: ...), and a target with another value a transform of its "
                "own (target.net.apply_output_transform(...))."
            )


def _difference(before: torch.Tensor, now: torch.Tensor) -> float:
    """max |now − before| / max |before|; 0 where it is rounding."""
    if before.shape != now.shape or before.dtype != now.dtype:
        return np.inf
    if torch.equal(before, now):
        return 0.0
    size = before.abs().max().clamp(min=TINY)
    difference = float((now - before).nan_to_num(np.inf).abs().max() / size)
    return difference if difference > ROUNDING * torch.finfo(before.dtype).eps else 0.0


@dataclass(frozen=True)
class Source:
    """A trained model, as a transfer begins from it.

    Attributes:
        net: a plain copy of its network.
        inputs: some of its data's inputs, as the network takes them.
        constants: tensors outside the network that its forward pass uses. No stage trains them.
        variables: the external variables that the model was compiled with.
        auxiliary: the auxiliary variables at the inputs; None for none.
    """

    net: nn.Module
    inputs: Any
    constants: TensorValues
    variables: TensorValues
    auxiliary: Any = None

    @property
    def layout(self) -> WeightLayout:
        """Layout of the flat weight vector, in the order of the network's parameters."""
        return module_layout(self.net)

    def output_check(self, net: nn.Module, follow: bool = True) -> OutputCheck:
        """The check of the outputs, at the inputs, of this network or of that of a later stage."""
        return OutputCheck(net, self.inputs, self.auxiliary, self.constants, follow)

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
        with temporary_values(getattr(model, "constants", {})):  # as the model itself evaluates
            net = plain_copy(model.net)
            if not all(bool(own.isfinite().all()) for own in net.parameters()):
                raise InvalidValueError(
                    "some of the source's weights are no finite numbers: its training diverged. "
                    "Train it again, more slowly."
                )
            inputs, auxiliary = _probes(model.data, net)
            used = _tensors_used(plain_copy(net), inputs, auxiliary)
            shared = set(used)
            names = [name for name, own in model.net.named_parameters() if own in shared]
            if names:
                raise InvalidValueError(
                    f"a transform of the network uses the network's own {', '.join(names)}: a copy "
                    "would go on using the original's. Use them in the forward method of the "
                    "network's class instead."
                )
            constants = snapshot([*used, *_tensors_used(model.net, inputs, auxiliary)])
        variables = getattr(model, "external", None)
        if variables is None:
            external = model.external_trainable_variables
            variables = snapshot(own for own in external if own not in constants)
        return cls(net, inputs, constants, dict(variables), auxiliary)


def check_model(model: Any) -> None:
    """Refuse what is no DeepXDE model that can be a source; say where it was never trained."""
    if not isinstance(model, dde.Model):
        raise InvalidValueError(
            f"the source is a {type(model).__name__}, expected a deepxde.Model."
        )
    made_here = hasattr(model, "external")
    if model.opt is None and not made_here:
        raise InvalidValueError(
            "the source model is not compiled: compile and train it before it is transferred, or "
            "restore what was trained."
        )
    if not isinstance(model.net, nn.Module):
        raise InvalidValueError(
            f"the source's network is a {type(model.net).__name__}, expected a torch module."
        )
    if not made_here and not model.train_state.step and not model.opt.state:
        warnings.warn(
            "the source model has taken no step of training and restored none: unless its weights "
            "were loaded in another way, what is transferred are random weights.",
            TransferWarning,
            stacklevel=5,
        )


def as_inputs(points: Any, module: nn.Module) -> Any:
    """Points, or a tuple of them, as tensors where a module's parameters are."""
    if isinstance(points, (tuple, list)):
        return tuple(as_inputs(own, module) for own in points)
    like = next(module.parameters())
    return torch.as_tensor(points, dtype=like.dtype, device=like.device)


def _probes(data: Any, net: nn.Module) -> tuple[Any, Any]:
    """Some of the data's inputs, and the auxiliary variables there."""

    def some(points: Any) -> Any:
        if isinstance(points, (tuple, list)):
            return tuple(some(own) for own in points)
        if points is None:
            return None
        rows = np.asarray(points)  # the first of which may all lie on the boundary
        return rows[np.unique(np.linspace(0, len(rows) - 1, PROBES).astype(int))]

    points, _, *auxiliary = data.test()
    return as_inputs(some(points), net), some(auxiliary[0]) if auxiliary else None


def _tensors_used(net: Any, inputs: Any, auxiliary: Any) -> list[torch.Tensor]:
    """Tensors outside a network that its forward pass uses, whatever names them."""
    return tensors_used(net, lambda: evaluate(net, inputs, auxiliary))


def evaluate(
    net: Any, inputs: Any, auxiliary: Any, follow: bool = True
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The tensors that a forward pass takes and does not make, and its outputs."""
    training = net.training
    with gradients():
        net.train(False)
        if auxiliary is not None:
            net.auxiliary_vars = as_inputs(auxiliary, net)
        leaves = [own.clone() for own in tree_leaves(inputs)]
        leaves = [own.requires_grad_() for own in leaves] if follow else leaves
        with TensorReads(leaves) as reads:
            try:
                outputs = net(tuple(leaves) if isinstance(inputs, tuple) else leaves[0])
            except (RuntimeError, TypeError, IndexError, ValueError) as error:
                raise InvalidValueError(
                    f"the source's network cannot be evaluated at its own data's points: {error}"
                ) from error
        dde.grad.clear()
        net.train(training)
    return list(reads.taken), [own.detach() for own in tree_leaves(outputs)]
