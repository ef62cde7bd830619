"""A torch module evaluated as a network: jets and Jacobians through the module's own code.

`pacpde.networks.jet_tensor` follows its calls, which costs about what a dense network of pacpde
does; where it cannot, nested forward differentiation is slower and takes any smooth code. Which of
them is used is found out at the first use of a set of derivatives, by comparing both with autograd
at random points; so is the way in which the Jacobian is computed.
"""

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from pacpde.errors import InvalidValueError
from pacpde.networks.jet_rules import evaluate_jet
from pacpde.networks.module_factors import ModuleFactors, Ways
from pacpde.networks.nested_jets import LayerNormByParts, jets_by_gradients, nested_jets
from pacpde.networks.parameter_use import Use
from pacpde.networks.protocol import Columns, Factors, Network


class EvaluatedModule(Network):
    """Base class: what `Network` asks of the evaluation, for a torch module."""

    @property
    @abstractmethod
    def _module(self) -> nn.Module:
        """The module as it is evaluated: a copy of its own, in evaluation mode."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one point, as the module takes it."""

    @property
    def module_name(self) -> str:
        """The name of the module's class."""
        return type(self._module).__name__

    @cached_property
    def places(self) -> dict[str, slice]:
        """The slice of the flat vector that belongs to each parameter."""
        places, start = {}, 0
        for group in self.layout.groups:
            places[group.name] = slice(start, start + group.size)
            start += group.size
        return places

    @property
    def size(self) -> int:
        return self.layout.size

    @property
    def flops(self) -> int:
        weights = torch.zeros(self.size, dtype=torch.float64, device="cpu")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self._call(weights, weights.new_zeros(1, self.inputs))
        return int(counter.get_total_flops())

    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        names = tuple(names)
        if weights.dim() > 1 or jet.dim() > 3:
            shape = torch.broadcast_shapes(weights.shape[:-1], jet.shape[:-3])
            each = zip(
                weights.expand(*shape, -1).flatten(0, -2),
                jet.expand(*shape, *jet.shape[-3:]).flatten(0, -4),
                strict=True,
            )
            made = [self.forward(own, one, names) for own, one in each]
            return torch.stack(made).unflatten(0, shape)
        if names == ("",):
            return self._call(weights, jet[0])[None]
        if self.ways.follows_calls(names):
            return self.traced(weights, jet, names)
        return self.nested(weights, jet, names)

    def traced(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        """The jet of the outputs by following calls."""
        return evaluate_jet(lambda x: self._call(weights, x), jet, names)[0]

    def recorded(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> tuple[torch.Tensor, list[Use]]:
        """The same, and the uses of the weights [size] in it."""
        return evaluate_jet(lambda x: self._call(weights, x), jet, names, weights)

    def by_gradients(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        """The jet of the outputs by repeated reverse passes."""
        with LayerNormByParts():
            return jets_by_gradients(lambda x: self._call(weights, x), jet, names)

    def nested(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        """The jet of the outputs by nested differentiation."""
        with LayerNormByParts():
            return nested_jets(lambda x: (self._call(weights, x),), [jet], names)[0]

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        self.ways.check_rows(tuple(names))
        with torch.no_grad():
            outputs = self.forward(weights, jet, names)

        def factors(slopes: torch.Tensor) -> ModuleFactors:
            each = slopes.movedim(0, -4)
            return ModuleFactors(self, weights.detach(), jet, each, tuple(names), images)

        return outputs, factors

    def columns(
        self, indices: torch.Tensor | None, limit: int, device: torch.device
    ) -> list[Columns]:
        count = self.size if indices is None else len(indices)
        if count <= limit:
            return [Columns(count, indices=indices)]
        every = torch.arange(self.size, device=device) if indices is None else indices
        return [Columns(len(part), indices=part) for part in every.split(limit)]

    def factor_bytes(self, jet: torch.Tensor) -> int:
        widths = self.inputs + self.outputs**2
        return int(jet.element_size() * jet[..., 0].numel() * widths)

    @cached_property
    def ways(self) -> Ways:
        """How jets and Jacobians of this module are computed."""
        return Ways(self)

    def _call(self, weights: torch.Tensor, x: Any) -> Any:
        """The module's outputs, [points, outputs], at inputs [points, inputs]."""
        module, constants = self._in_thread(weights.dtype, weights.device)
        if len(self.input_shape) > 1:
            x = x.reshape(-1, *self.input_shape)
        values = {**self.layout.split(weights), **constants}
        try:
            return functional_call(module, values, (x,))
        except IndexError as error:  # as of nn.Embedding
            raise InvalidValueError(
                f"the module {self.module_name} cannot be evaluated at these points (IndexError: "
                f"{error}): its inputs are standardised columns or scaled coordinates, and no codes"
                " or indices. Give a column of codes as one column of 0 and 1 for each code: a "
                "dense layer of these is an embedding."
            ) from error

    def _in_thread(
        self, dtype: torch.dtype, device: torch.device
    ) -> tuple[nn.Module, dict[str, torch.Tensor]]:
        """A copy for this thread, in which weights are put, and its buffers and constants."""
        local = self._local
        if not hasattr(local, "module"):
            local.module, local.constants = deepcopy(self._module), {}
        key = dtype, str(device)
        if key not in local.constants:
            trained = set(self.places)
            others = [(n, p) for n, p in local.module.named_parameters() if n not in trained]
            local.constants[key] = {
                name: own.detach().to(device, dtype if own.is_floating_point() else None)
                for name, own in [*local.module.named_buffers(), *others]
            }
        return local.module, local.constants[key]

    @cached_property
    def _local(self) -> threading.local:
        return threading.local()

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to a thread, and what is found out again."""
        return {name: own for name, own in vars(self).items() if name not in ("_local", "ways")}
