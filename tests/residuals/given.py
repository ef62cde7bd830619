"""Surrogates whose fields are given by a function: their errors are known, to the digit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pacpde.networks.batch import Ansatz, Batch
from pacpde.networks.mlp import dense_network
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem
from pacpde.physics.derivatives import taylor_channels


@dataclass(frozen=True)
class GivenAnsatz(Ansatz):
    """u = function, whatever the weights are."""

    problem: Problem
    function: Callable[..., Any]

    @property
    def inputs(self) -> int:
        return len(self.problem.axes)

    @property
    def outputs(self) -> int:
        return len(self.problem.fields)

    @property
    def field_ansatz(self) -> Any:
        return self

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        def fields(**x: torch.Tensor) -> torch.Tensor:
            result = self.function(**x)
            parts = result if isinstance(result, tuple) else (result,)
            return torch.stack([part + 0 * x[self.problem.axes[0].name] for part in parts], -1)

        names = tuple(names)
        at = dict(zip(self.problem.domain.names, points.unbind(-1), strict=True))
        offset = taylor_channels(fields, at, names)
        return Batch(
            points,
            names,
            points.new_zeros(len(names), len(points), self.inputs),
            offset,
            points.new_zeros(len(names), len(names), len(points)),
            points.new_ones(self.outputs),
        )


def given(problem: Problem, function: Callable[..., Any]) -> Surrogate:
    """A surrogate of these fields, as a function of the coordinates by name."""
    ansatz = GivenAnsatz(problem, function)
    network = dense_network(ansatz.inputs, ansatz.outputs, (1,), "tanh")
    return Surrogate(network, ansatz, torch.zeros(network.size, dtype=torch.float64))
