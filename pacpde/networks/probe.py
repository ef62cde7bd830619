"""A torch module evaluated at some inputs: what it reads from outside, and whether it changed.

- A forward pass may read a tensor that is no part of the module. Copies of the module then go on
  using the same one. `Probe.outside_tensors` finds such tensors, by `module_probe`.
- Numbers and arrays that it reads cannot be found. `OutputCheck` stores the outputs with them, so
  that a change is noticed.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from pacpde.errors import InvalidValueError
from pacpde.networks.frozen import plain_copy
from pacpde.networks.module_probe import Pass, TensorReads, random_state_restored, tensors_used
from pacpde.runtime import gradients

TINY = 1e-30
ROUNDING = 100  # in units of the last place: sums may be taken in another order
# tensor that several modules use → its value for one of them
TensorValues = dict[torch.Tensor, torch.Tensor]
Call = Callable[[Any, Any], Any]  # (module, inputs) → outputs
NOT_EVALUATED = (RuntimeError, TypeError, IndexError, ValueError)


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


def _unchanged(module: Any) -> Any:
    return module


def call_module(module: Any, inputs: Any) -> Any:
    """A module at a tensor, or at a tuple of its arguments."""
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


@dataclass(frozen=True)
class Probe:
    """Inputs at which a module is tried.

    Attributes:
        inputs: a tensor, or any nest of tuples, lists and dicts of tensors.
        call: (module, inputs) → outputs, such a nest.
        where: the inputs are called in an error.
        bare: gives a module, which it may change, without what surrounds its layers.
    """

    inputs: Any
    call: Call = call_module
    where: str = "its example"
    bare: Callable[[Any], Any] = _unchanged

    def outputs(self, module: nn.Module, follow: bool = True) -> list[torch.Tensor]:
        """The outputs in evaluation mode; no random number is drawn and no mode changed.

        Args:
            follow: let the forward pass take derivatives in the inputs, which torch.func forbids.
        """
        with random_state_restored(module):
            return self._evaluate(module, follow)[1]

    def leaves_and_outputs(
        self, module: nn.Module
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The inputs that can have a slope, and the outputs with a graph, in evaluation mode."""
        inputs = self._inputs(module, True)
        with gradients(), evaluation_mode(module), random_state_restored(module):
            outputs = self._called(module, inputs)
        leaves = tree_leaves(inputs)
        return [own for own in leaves if getattr(own, "requires_grad", False)], outputs

    def outside_tensors(self, module: nn.Module) -> list[torch.Tensor]:
        """Tensors that a forward pass reads and that are no part of the module.

        Raises:
            InvalidValueError: the module answers the same question in different ways.
        """
        return tensors_used(module, lambda: self._evaluate(module, True))

    def constants(self, module: nn.Module, copy: nn.Module) -> TensorValues:
        """The tensors outside a module that it, or a plain copy of it, reads, and their values.

        Raises:
            InvalidValueError: the copy reads the module's own parameters.
        """
        used = self.outside_tensors(plain_copy(copy))
        shared = set(used)
        names = [name for name, own in module.named_parameters() if own in shared]
        if names:
            raise InvalidValueError(
                f"a transform or function of the network uses the network's own {', '.join(names)}:"
                " a copy would go on using the original's. Use them in the forward method of the "
                "network's class instead."
            )
        return snapshot([*used, *self.outside_tensors(module)])

    def _evaluate(self, module: nn.Module, follow: bool) -> Pass:
        """The tensors that a forward pass takes and does not make, and its outputs."""
        inputs = self._inputs(module, follow)
        with gradients(), evaluation_mode(module), TensorReads(tree_leaves(inputs)) as reads:
            outputs = self._called(module, inputs)
        return list(reads.taken), [own.detach() for own in outputs]

    def _inputs(self, module: nn.Module, follow: bool) -> Any:
        """The inputs where the module's parameters are."""
        device = next(module.parameters()).device

        def leaf(own: Any) -> Any:
            if not isinstance(own, torch.Tensor):
                return own
            clone = own.detach().to(device, copy=True)
            return clone.requires_grad_() if follow and own.is_floating_point() else clone

        with gradients():
            return tree_map(leaf, self.inputs)

    def _called(self, module: nn.Module, inputs: Any) -> list[torch.Tensor]:
        try:
            outputs = tree_leaves(self.call(module, inputs))
        except NOT_EVALUATED as error:
            raise InvalidValueError(
                f"the network cannot be evaluated at {self.where}: {error}"
            ) from error
        found = [own for own in outputs if isinstance(own, torch.Tensor)]
        if not found:
            raise InvalidValueError(
                f"the network gives no tensors at {self.where}, nor a tuple, list or dict of them: "
                "give a module that does."
            )
        return found


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """A module in evaluation mode for a while."""
    modes = [(part, part.training) for part in module.modules()]
    module.train(False)
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


class OutputCheck:
    """The outputs of a network at some inputs, to be compared later.

    A network follows whatever its transforms and its forward method read by name: a number, an
    array or an entry of a dict that is changed changes every copy of it, a recalled one too.

    Args:
        net: plain, and copied.
        probe: with the inputs.
        constants: tensors outside the network that it uses.
        follow: see `Probe.outputs`.
    """

    def __init__(
        self,
        net: nn.Module,
        probe: Probe,
        constants: TensorValues | None = None,
        follow: bool = True,
    ) -> None:
        self._net, self._probe = plain_copy(net), probe
        self._constants, self._follow = constants or {}, follow
        self._before = self._outputs()

    def _outputs(self) -> list[torch.Tensor]:
        with temporary_values(self._constants):
            return self._probe.outputs(self._net, self._follow)

    def check(self) -> None:
        """Refuse a network that gives something else by now."""
        try:
            pairs = zip(self._before, self._outputs(), strict=True)
            difference = max(relative_difference(before, now) for before, now in pairs)
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


def relative_difference(before: torch.Tensor, now: torch.Tensor) -> float:
    """max |now − before| / max |before|; 0 where it is rounding."""
    if before.shape != now.shape or before.dtype != now.dtype:
        return np.inf
    if torch.equal(before, now):
        return 0.0
    if not before.is_floating_point():
        return np.inf
    size = before.abs().max().clamp(min=TINY)
    difference = float((now - before).nan_to_num(np.inf).abs().max() / size)
    return difference if difference > ROUNDING * torch.finfo(before.dtype).eps else 0.0


def last_evaluated(module: nn.Module, probe: Probe) -> str:
    """The name of the submodule with trainable parameters of its own that is evaluated last.

    A module that evaluates others, such as the whole one, ends after them and is not meant.
    """
    names: list[str] = []
    layers = [
        (name, part)
        for name, part in module.named_modules()
        if any(own.requires_grad for own in part.parameters(recurse=False))
    ]
    hooks = [
        part.register_forward_hook(lambda *_, name=name: names.append(name))
        for name, part in layers
    ]
    try:
        probe.outputs(module)
    finally:
        for hook in hooks:
            hook.remove()
    matrices = [
        name
        for name in names
        if any(p.dim() > 1 for p in module.get_submodule(name).parameters(False))
    ]
    inner = [
        name
        for name in matrices
        if not any(other != name and f"{other}.".startswith(f"{name}." if name else "")
                   for other in matrices)
    ]  # fmt: skip
    return (inner or names or [layers[-1][0]])[-1]
