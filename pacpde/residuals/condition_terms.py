"""Conditions of a problem as residual terms, where an ansatz does not meet them."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from pacpde.networks.batch import Ansatz
from pacpde.physics.boundary import EdgeCondition, PointCondition
from pacpde.physics.problem import Problem
from pacpde.residuals.terms import Term
from pacpde.runtime import Runtime


@dataclass(frozen=True)
class ConditionTerm(Term):
    """(a u + b ∂u/∂n − value) / size for the conditions at one end of an axis, or at one point.

    The size is (|a| + |b| / unit) · scale, with the scale of the field and the unit of the axis, so
    that a weight of 1 suits every condition.

    Attributes:
        values: [..., points, conditions].
        factors: a, b with the sign of n, and the size, [..., 3, conditions].
        of_fields: index of the field of each condition.
    """

    stacked = ("batch", "values", "factors")

    values: torch.Tensor
    factors: torch.Tensor
    of_fields: tuple[int, ...]

    @classmethod
    def at_end(
        cls,
        problem: Problem,
        ansatz: Ansatz,
        conditions: Sequence[EdgeCondition],
        points: np.ndarray,
        runtime: Runtime,
    ) -> "ConditionTerm":
        """Conditions at one end of one axis.

        Args:
            conditions: all at the same end.
            points: on that end, [points, axes].
        """
        axis, unit = conditions[0].axis, problem.unit(conditions[0].axis)
        sign = 1.0 if conditions[0].upper else -1.0
        at = dict(zip(problem.domain.names, points.T, strict=True))
        rows = [
            (one.a, sign * one.b, one.size(unit) * problem.scales[one.field]) for one in conditions
        ]
        names = ("", axis) if any(one.b for one in conditions) else ("",)
        return cls(
            ansatz.batch(runtime.tensor(points), names),
            runtime.tensor(_values(conditions, at, len(points))),
            runtime.tensor(np.array(rows).T),
            tuple(one.field for one in conditions),
        )

    @classmethod
    def at_point(
        cls, problem: Problem, ansatz: Ansatz, condition: PointCondition, runtime: Runtime
    ) -> "ConditionTerm":
        """The value of a field at one point."""
        return cls(
            ansatz.batch(runtime.tensor(np.array([condition.point]))),
            runtime.tensor(np.array([[condition.value]])),
            runtime.tensor(np.array([[1.0], [0.0], [problem.scales[condition.field]]])),
            (condition.field,),
        )

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        a, b, size = self.factors.unsqueeze(-2).unbind(-3)
        chosen = fields[..., list(self.of_fields)]
        left = a * chosen.select(-3, 0)
        if len(self.batch.names) > 1:
            left = left + b * chosen.select(-3, 1)
        return self.weighted((left - self.values) / size)

    def subset(self, points: slice) -> Self:
        return replace(super().subset(points), values=self.values[..., points, :])

    @property
    def n_components(self) -> int:
        return len(self.of_fields)

    @property
    def batch_key(self) -> Hashable:
        return "condition", self.of_fields, self.weight, self.batch.batch_key


def _values(
    conditions: Sequence[EdgeCondition], at: Mapping[str, np.ndarray], count: int
) -> np.ndarray:
    """Right-hand sides of conditions, [points, conditions]."""
    with np.errstate(all="ignore"):
        values = [np.broadcast_to(np.asarray(one.value_at(at), float), count) for one in conditions]
    return np.stack(values, -1)
