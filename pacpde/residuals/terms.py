"""Residual terms: every loss is ½‖r‖² of a list of them, so every optimiser takes every loss.

A term of your own is a subclass of `Term` that gives its residuals. Where a loss is no sum of
squares by nature, its `gauss_newton` rows give second-order optimisers a better curvature.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch

from pacpde.networks.batch import Ansatz, Batch
from pacpde.networks.stacking import Stackable
from pacpde.physics.derivatives import ChannelDerivative
from pacpde.physics.problem import Problem
from pacpde.physics.stacked import select, stack, stackable


@dataclass(frozen=True)
class Term(Stackable, ABC):
    """Weighted residuals at points; each row depends on its own point only.

    Leading dimensions [...] are a stack of terms with one `batch_key`.

    Attributes:
        is_least_squares: whether `gauss_newton` gives the residuals themselves.
        batch: the points.
        weight: of the mean square over the points; ½‖r‖² is half of the weighted mean.

    Example:
        >>> @dataclass(frozen=True)
        ... class Positive(Term):
        ...     n_components = 1
        ...
        ...     def residual(self, fields):  # of the first field
        ...         return self.weighted(fields[..., 0, :, :1].clamp(max=0))
    """

    stacked: ClassVar[tuple[str, ...]] = ("batch",)
    is_least_squares: ClassVar[bool] = True

    batch: Batch
    weight: float | torch.Tensor = field(default=1.0, kw_only=True)

    @property
    @abstractmethod
    def n_components(self) -> int:
        """Number of `gauss_newton` rows at a point: of residuals, where they are the same."""

    @abstractmethod
    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        """Weighted residuals r, [..., points, n_components]; the loss is ½‖r‖².

        Args:
            fields: jet, [..., channels, points, fields], with the channels of `batch.names`.
        """

    def gauss_newton(self, fields: torch.Tensor) -> torch.Tensor:
        """Weighted rows b whose slopes A in the fields give the loss's gradient Aᵀb and its
        curvature AᵀA, [..., points, n_components]: the residuals, unless a term knows better.

        A term that overrides it sets `is_least_squares` to False.
        """
        return self.residual(fields)

    def weighted(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows times √(weight / points)."""
        return rows * (self.weight / self.batch.size) ** 0.5

    def subset(self, points: slice) -> Self:
        """The term at some of its points; each point has the weight that it has among all."""
        batch = self.batch.subset(points)
        return replace(self, batch=batch, weight=self.weight * batch.size / self.batch.size)

    def with_problem(self, problem: Problem) -> Self:
        """The same term of another problem; only the equation's changes."""
        return self

    @property
    def batch_key(self) -> Hashable:
        """Terms with equal keys can be stacked; by default no two keys are equal."""
        return type(self), id(self)


@dataclass(frozen=True)
class PhysicsTerm(Term):
    """The rows of a problem's residual, in their units, at points.

    Attributes:
        problem: in a stack, its coefficients are columns [stack, 1].
    """

    problem: Problem

    @classmethod
    def at(
        cls, problem: Problem, ansatz: Ansatz, points: torch.Tensor, weight: float = 1.0
    ) -> "PhysicsTerm":
        """The residual at these points [points, axes]."""
        return cls(ansatz.batch(points, problem.channels), problem, weight=weight)

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        channels, d = channels_of(self.problem, self.batch.names, self.batch.coordinates, fields)
        rows = self.problem.in_units(self.problem.rows(channels[""], d))
        return self.weighted(torch.stack(rows, -1))

    def with_problem(self, problem: Problem) -> "PhysicsTerm":
        return replace(self, problem=problem)

    @property
    def n_components(self) -> int:
        return self.problem.n_rows

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


def channels_of(
    problem: Problem, names: Sequence[str], points: torch.Tensor, jet: torch.Tensor
) -> tuple[dict[str, tuple[torch.Tensor, ...]], ChannelDerivative]:
    """Derivative → its fields, and the `d` that a family is given.

    Args:
        names: the derivatives that the jet [..., channels, points, fields] holds.
        points: its coordinates, [..., points, axes].
    """
    axes = [axis.name for axis in problem.axes]
    channels = {name: own.unbind(-1) for name, own in zip(names, jet.unbind(-3), strict=True)}
    coordinates = dict(zip(axes, points.unbind(-1), strict=True))
    return channels, ChannelDerivative(channels, axes, coordinates)


@dataclass(frozen=True)
class LabelTerm(Term):
    """(u − y) / scale at labelled points; also soft start and edge values, and held features.

    Attributes:
        values: y, [..., points, fields].
        weight: one for all fields, or one each, [fields].
    """

    stacked: ClassVar[tuple[str, ...]] = ("batch", "values")

    values: torch.Tensor

    @classmethod
    def at(
        cls, ansatz: Ansatz, points: torch.Tensor, values: torch.Tensor, weight: float = 1.0
    ) -> "LabelTerm":
        """Labels at points [points, axes]."""
        return cls(ansatz.batch(points), values, weight=weight)

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        values = fields.select(-3, 0)[..., : self.n_components]
        return self.weighted((values - self.values) / self.batch.scale)

    def subset(self, points: slice) -> Self:
        return replace(super().subset(points), values=self.values[..., points, :])

    @property
    def n_components(self) -> int:
        return self.values.shape[-1]

    @property
    def batch_key(self) -> Hashable:
        return "labels", self.weight, self.batch.batch_key


@dataclass(frozen=True)
class WeightedLabelTerm(LabelTerm):
    """w (u − y) / scale at labelled points: every value has a weight of its own.

    Attributes:
        factors: w, [..., points, fields]; 0 where a field has no value.
    """

    stacked = (*LabelTerm.stacked, "factors")

    factors: torch.Tensor

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        return super().residual(fields) * self.factors

    def subset(self, points: slice) -> Self:
        return replace(super().subset(points), factors=self.factors[..., points, :])

    @property
    def batch_key(self) -> Hashable:
        return "weighted labels", self.weight, self.batch.batch_key


@dataclass(frozen=True)
class Anchor(Stackable):
    """strength·‖w − centre‖² over the trainable parameters, without a ½ (PAC-Net's λ).

    As residuals: √(2·strength)·(w − centre), whose Jacobian is diagonal.

    Attributes:
        strength, centre: one value a trainable parameter, [..., trainable].
    """

    stacked = ("strength", "centre")

    strength: torch.Tensor
    centre: torch.Tensor

    @classmethod
    def at(cls, centre: torch.Tensor, strength: float) -> "Anchor | None":
        """The penalty of one strength for all weights; None for strength 0."""
        return cls(torch.full_like(centre, strength), centre) if strength else None

    @property
    def uniform(self) -> bool:
        """Whether its strength is the same for every parameter."""
        return bool((self.strength == self.strength[..., :1]).all())
