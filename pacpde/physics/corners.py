"""Whether conditions that meet at a common edge of two axes agree there.

Of conditions A u = v on one end and B u = w on another, both linear in u and its normal derivative,
a smooth u has A B u = B A u at the common edge, so that A w = B v: values agree with values, values
with slopes, and the rate of change at the start with that of a value at an edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch

from pacpde.physics.boundary import EdgeCondition
from pacpde.physics.derivatives import gradient
from pacpde.runtime import gradients

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

POINTS = 64  # on a common edge, at which conditions are compared


@dataclass(frozen=True)
class Meeting:
    """Two conditions of one field at a common edge of their axes.

    Attributes:
        first, second: the conditions; the start of an evolution comes first.
        jump: largest |A w − B v| at the common edge, in the units of A B u.
        share: the same over the norms |a| + |b|/unit of both, in the units of u.
    """

    first: EdgeCondition
    second: EdgeCondition
    jump: float
    share: float

    @property
    def corner(self) -> tuple[tuple[str, bool], ...]:
        """The ends that meet: axis, and whether its upper end."""
        return (self.first.axis, self.first.upper), (self.second.axis, self.second.upper)

    @property
    def slope(self) -> bool:
        """Whether normal derivatives are compared."""
        return bool(self.first.b or self.second.b)


def meetings(problem: "Problem") -> list[Meeting]:
    """All pairs of conditions of one field that have a common edge."""
    return [
        _compared(problem, first, second)
        for first, second in combinations(problem.edge_conditions, 2)
        if first.axis != second.axis and first.field == second.field
    ]


def condition_sizes(problem: "Problem") -> np.ndarray:
    """Largest absolute value that conditions give each field, [fields]; 0 where they give none."""
    sizes = np.zeros(len(problem.fields))
    for one in problem.edge_conditions:
        if not one.b and one.constant is None:
            points = _points(problem, {one.axis: one.upper})
            values = _value(one, points).detach().abs().numpy()
            sizes[one.field] = max(sizes[one.field], values.max())
        elif not one.b and one.constant is not None:
            sizes[one.field] = max(sizes[one.field], abs(one.constant))
    return np.nan_to_num(sizes, posinf=0.0)


@gradients()
def _compared(problem: "Problem", first: EdgeCondition, second: EdgeCondition) -> Meeting:
    points = _points(problem, {first.axis: first.upper, second.axis: second.upper})
    gap = _applied(first, second, points) - _applied(second, first, points)
    jump = float(gap.detach().abs().max())
    norms = [one.size(problem.unit(one.axis)) for one in (first, second)]
    return Meeting(first, second, jump, jump / (norms[0] * norms[1]))


def _applied(
    one: EdgeCondition, other: EdgeCondition, points: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """One condition's a u + b ∂u/∂n, of the value of the other."""
    value = _value(other, points)
    result = one.a * value
    if one.b:
        slope = gradient(value, points[one.axis])
        result = result + (one.b if one.upper else -one.b) * slope
    return result


def _value(one: EdgeCondition, points: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return one.value_at(points) + 0 * points[one.axis]


def _points(problem: "Problem", ends: Mapping[str, bool]) -> dict[str, torch.Tensor]:
    """Random points of the box, at ends of some axes, [points] each."""
    unit = np.random.default_rng(0).random((POINTS, len(problem.axes)))
    columns = problem.domain.from_unit(unit).T
    result = {}
    for axis, column in zip(problem.domain.axes, columns, strict=True):
        if axis.name in ends:
            column = np.full(POINTS, axis.upper if ends[axis.name] else axis.lower)
        result[axis.name] = torch.from_numpy(column.copy()).requires_grad_(True)
    return result
