"""Residual blocks: every loss is ½‖r‖² of a stack of them, so every optimiser takes every loss."""

from dataclasses import dataclass, replace
from typing import Protocol

import torch

from pacpde.networks.constraints import Ansatz, Batch
from pacpde.physics.derivatives import ChannelDerivative
from pacpde.physics.problem import Problem


class Block(Protocol):
    """Residuals at a set of points; each row depends on its own point only."""

    @property
    def batch(self) -> Batch:
        """The points."""
        ...

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        """Weighted residuals [points, kinds] from the jet of fields [channels, points, fields]."""
        ...

    def only(self, points: slice) -> "Block":
        """Some of the points, each with the weight it has among all."""
        ...


@dataclass(frozen=True)
class PhysicsBlock:
    """(∂u/∂t − rhs) / scale at collocation points, weighted so that ½‖r‖² is half a mean square."""

    problem: Problem
    batch: Batch
    weight: float = 1.0

    @classmethod
    def at(
        cls, problem: Problem, ansatz: Ansatz, points: torch.Tensor, weight: float = 1.0
    ) -> "PhysicsBlock":
        """The residual at these points [points, axes]."""
        return cls(problem, ansatz.batch(points, problem.channels), weight)

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        names = [axis.name for axis in self.problem.axes]
        channels = {name: fields[i].unbind(-1) for i, name in enumerate(self.batch.names)}
        d = ChannelDerivative(
            channels, names, dict(zip(names, self.batch.coordinates.unbind(-1), strict=True))
        )
        rates = self.problem.rates(channels[""], d)
        rows = [
            (slope - rate) / scale
            for slope, rate, scale in zip(channels["t"], rates, self.problem.scales, strict=True)
        ]
        return torch.stack(rows, -1) * (self.weight / self.batch.size) ** 0.5

    def only(self, points: slice) -> "PhysicsBlock":
        batch = self.batch.only(points)
        return replace(self, batch=batch, weight=self.weight * batch.size / self.batch.size)


@dataclass(frozen=True)
class LabelBlock:
    """(u − y) / scale at labelled points; also soft start and edge values.

    Attributes:
        values: y, [points, fields].
    """

    batch: Batch
    values: torch.Tensor
    weight: float = 1.0

    @classmethod
    def at(
        cls, ansatz: Ansatz, points: torch.Tensor, values: torch.Tensor, weight: float = 1.0
    ) -> "LabelBlock":
        """Labels at points [points, axes]."""
        return cls(ansatz.batch(points), values, weight)

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        difference = (fields[0] - self.values) / self.batch.scale
        return difference * (self.weight / self.batch.size) ** 0.5

    def only(self, points: slice) -> "LabelBlock":
        batch = self.batch.only(points)
        weight = self.weight * batch.size / self.batch.size
        return replace(self, batch=batch, values=self.values[points], weight=weight)


@dataclass(frozen=True)
class Anchor:
    """strength·‖w − centre‖² over the free parameters, without a ½ (PAC-Net's λ).

    As residuals: √(2·strength)·(w − centre), whose Jacobian is diagonal.

    Attributes:
        strength, centre: one value a free parameter, [free].
    """

    strength: torch.Tensor
    centre: torch.Tensor
