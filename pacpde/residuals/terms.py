"""Residual terms: every loss is ½‖r‖² of a stack of them, so every optimiser takes every loss."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch

from pacpde.networks.ansatz import Ansatz, Batch
from pacpde.networks.stacking import Stackable
from pacpde.physics.derivatives import ChannelDerivative
from pacpde.physics.problem import Problem
from pacpde.physics.stacked import select, stack, stackable


class Term(Protocol):
    """Residuals at a set of points; each row depends on its own point only.

    Terms of one batch key can be stacked: leading dimensions [...] everywhere.
    """

    @property
    def batch(self) -> Batch:
        """The points."""
        ...

    @property
    def n_components(self) -> int:
        """Rows a point."""
        ...

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        """Weighted residuals [..., points, n_components].

        Args:
            fields: jet, [..., channels, points, fields].
        """
        ...

    def subset(self, points: slice) -> Self:
        """Some of the points, each with the weight it has among all."""
        ...

    @property
    def batch_key(self) -> Hashable:
        """What terms that can be stacked have in common."""
        ...

    @classmethod
    def stack(cls, items: Sequence[Self]) -> Self:
        """Terms of one kind, along a new first dimension."""
        ...

    def select(self, chosen: torch.Tensor) -> Self:
        """Some terms of a stack."""
        ...


@dataclass(frozen=True)
class PhysicsTerm(Stackable):
    """(∂u/∂t − rhs) · time unit / scale at points; ½‖r‖² is half a weighted mean square.

    Attributes:
        problem: in a stack, its coefficients are columns [stack, 1].
    """

    stacked = ("batch",)

    problem: Problem
    batch: Batch
    weight: float = 1.0

    @classmethod
    def at(
        cls, problem: Problem, ansatz: Ansatz, points: torch.Tensor, weight: float = 1.0
    ) -> "PhysicsTerm":
        """The residual at these points [points, axes]."""
        return cls(problem, ansatz.batch(points, problem.channels), weight)

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        names = [axis.name for axis in self.problem.axes]
        jets = zip(self.batch.names, fields.unbind(-3), strict=True)
        channels = {name: jet.unbind(-1) for name, jet in jets}
        d = ChannelDerivative(
            channels, names, dict(zip(names, self.batch.coordinates.unbind(-1), strict=True))
        )
        rates = self.problem.rates(channels[""], d)
        rows = [
            (slope - rate) * self.problem.time_unit / scale
            for slope, rate, scale in zip(channels["t"], rates, self.problem.scales, strict=True)
        ]
        return torch.stack(rows, -1) * (self.weight / self.batch.size) ** 0.5

    def subset(self, points: slice) -> "PhysicsTerm":
        batch = self.batch.subset(points)
        return replace(self, batch=batch, weight=self.weight * batch.size / self.batch.size)

    @property
    def n_components(self) -> int:
        return len(self.problem.fields)

    @property
    def batch_key(self) -> Hashable:
        problem = self.problem
        alike = type(problem) if stackable(type(problem)) else problem
        return "physics", alike, problem.until, problem.scales, self.weight, self.batch.batch_key

    @classmethod
    def stack(cls, items: Sequence["PhysicsTerm"]) -> "PhysicsTerm":
        problem = stack([one.problem for one in items], items[0].batch.coordinates)
        return replace(super().stack(items), problem=problem)

    def select(self, chosen: torch.Tensor) -> "PhysicsTerm":
        return replace(super().select(chosen), problem=select(self.problem, chosen))


@dataclass(frozen=True)
class LabelTerm(Stackable):
    """(u − y) / scale at labelled points; also soft start and edge values.

    Attributes:
        values: y, [..., points, fields].
    """

    stacked = ("batch", "values")

    batch: Batch
    values: torch.Tensor
    weight: float = 1.0

    @classmethod
    def at(
        cls, ansatz: Ansatz, points: torch.Tensor, values: torch.Tensor, weight: float = 1.0
    ) -> "LabelTerm":
        """Labels at points [points, axes]."""
        return cls(ansatz.batch(points), values, weight)

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        found = fields.select(-3, 0)[..., : self.n_components]
        difference = (found - self.values) / self.batch.scale
        return difference * (self.weight / self.batch.size) ** 0.5

    def subset(self, points: slice) -> "LabelTerm":
        batch = self.batch.subset(points)
        weight = self.weight * batch.size / self.batch.size
        return replace(self, batch=batch, values=self.values[..., points, :], weight=weight)

    @property
    def n_components(self) -> int:
        return self.values.shape[-1]

    @property
    def batch_key(self) -> Hashable:
        return "labels", self.weight, self.batch.batch_key


@dataclass(frozen=True)
class Anchor(Stackable):
    """strength·‖w − centre‖² over the free parameters, without a ½ (PAC-Net's λ).

    As residuals: √(2·strength)·(w − centre), whose Jacobian is diagonal.

    Attributes:
        strength, centre: one value a free parameter, [..., free].
    """

    stacked = ("strength", "centre")

    strength: torch.Tensor
    centre: torch.Tensor

    @classmethod
    def at(cls, centre: torch.Tensor, strength: float) -> "Anchor | None":
        """One strength for all; none where it is 0."""
        return cls(torch.full_like(centre, strength), centre) if strength else None

    @property
    def uniform(self) -> bool:
        """Whether it pulls every parameter alike."""
        return bool((self.strength == self.strength[..., :1]).all())
