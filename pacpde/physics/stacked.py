"""Many problems of one family as one: their coefficients become columns.

Equations are plain arithmetic, so that a coefficient [stack, 1] with fields
[stack, points] gives every problem of the stack its own rows.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from pacpde.physics.derivatives import Derivative
from pacpde.physics.problem import Problem

POINTS = 3  # at which the rows of a family are compared


class _ProbeDerivative(Derivative):
    """Gives every derivative the values of a function that differs from field to field."""

    def take(self, field: int, axes: str) -> torch.Tensor:
        return torch.cos((field + 1) * self.fields[field] + len(axes))


def stack(problems: Sequence[Problem], like: torch.Tensor) -> Problem:
    """Problems of one family and time span as one, with coefficients [problems, 1].

    The same problem many times stays as it is: its right-hand side may ask for the size of a
    coefficient.
    """
    if all(problem == problems[0] for problem in problems):
        return problems[0]
    columns = {
        name: like.new_tensor([getattr(problem, name) for problem in problems])[:, None]
        for name in problems[0].declared()
    }
    return with_columns(problems[0], {**columns, **_row_scales(problems, like)})


def _row_scales(problems: Sequence[Problem], like: torch.Tensor) -> dict[str, Any]:
    """The scales of the rows as columns, where they differ from problem to problem."""
    scales = [problem.row_scales for problem in problems]
    if all(own == scales[0] for own in scales):
        return {}
    return {"row_scales": tuple(like.new_tensor(row)[:, None] for row in zip(*scales, strict=True))}


def select(stacked: Problem, chosen: torch.Tensor) -> Problem:
    """The stack of some of its problems."""
    columns: dict[str, Any] = {
        name: column[chosen]
        for name in stacked.declared()
        if isinstance(column := getattr(stacked, name), torch.Tensor)
    }
    scales = stacked.row_scales
    if any(isinstance(scale, torch.Tensor) for scale in scales):
        columns["row_scales"] = tuple(scale[chosen] for scale in scales)
    return with_columns(stacked, columns)


@cache
def stackable(family: type[Problem]) -> bool:
    """Whether the equation of a family takes coefficients in columns.

    One that asks `if self.nu > 1` or calls `math.sqrt(self.nu)` does not. Two problems are
    evaluated as a stack and one by one; the rows must be equal.
    """
    declared = family.declared().items()
    blank = object.__new__(family)  # not checked: the family may be symmetric for others alone
    first = with_columns(blank, {name: about.default for name, about in declared})
    moved = {name: about.default + (about.upper - about.default) / 3 for name, about in declared}
    problems = [first, with_columns(blank, moved)]
    shape = (2, len(first.axes) + len(first.fields), POINTS)
    values = torch.from_numpy(np.random.default_rng(0).uniform(0.2, 0.9, shape))
    try:
        together = torch.stack(_rows(stack(problems, values), values), -1)
        alone = [
            torch.stack(_rows(problem, own), -1)
            for problem, own in zip(problems, values, strict=True)
        ]
    except Exception:  # of the user's functions, which need not take columns
        return False
    return torch.equal(together, torch.stack(alone))


def _rows(problem: Problem, values: torch.Tensor) -> list[torch.Tensor]:
    """Rows of the residual at some values [..., fields and axes, points]."""
    columns = values.unbind(-2)
    fields, coordinates = columns[: len(problem.fields)], columns[len(problem.fields) :]
    names = [axis.name for axis in problem.axes]
    d = _ProbeDerivative(fields, names, dict(zip(names, coordinates, strict=True)))
    return [row + 0 * fields[0] for row in problem.rows(d.fields, d)]


def with_columns(problem: Problem, columns: Mapping[str, Any]) -> Problem:
    """A copy with other coefficients, which are not checked."""
    copied = copy.copy(problem)
    for name, column in columns.items():
        object.__setattr__(copied, name, column)
    return copied
