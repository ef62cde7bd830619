"""References: solutions with a bound on their own error."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from pacpde.physics import Problem
from pacpde.physics.numbers import norm
from pacpde.reference.box import BoxSolution

ZERO = 1e-12  # of its scale: the size of a field that is nothing but rounding


@dataclass(frozen=True, eq=False)
class Reference:
    """A solution of `problem` with its own certified error.

    Attributes:
        axes: name → 1-D output grid, `t` first where there is a time.
        fields: name → values over the output grid, shape [len(axis), ...].
        certified_error: bound of the relative L2 error over the output grid (`worst_field_error`);
            infinite where nothing is known of it.
        solver: how it was found, in words.
        tolerances: the target, rtol, atol and grid of the last two solutions compared; where the
            target was not met, `limit` says why.
        seconds: what it took to compute (not to load).
        dense: the same solution at the solver's own nodes, from which `fields` were evaluated.
    """

    problem: Problem
    axes: dict[str, np.ndarray]
    fields: dict[str, np.ndarray]
    certified_error: float
    solver: str
    tolerances: dict[str, Any]
    seconds: float
    dense: BoxSolution = field(repr=False)

    def __call__(self, *coordinates: Any) -> np.ndarray:
        """The fields at the coordinates (numbers or arrays that broadcast), shape [fields, ...].

        Spectral in space and of tenth degree in time, from the solver's own nodes: as accurate
        between the output points as at them; of a table by cubic splines. Points outside the box
        are refused.
        """
        return self.dense.at(*coordinates)

    @property
    def known_error(self) -> float | None:
        """`certified_error`; None where nothing is certified, as in a table of the user's."""
        return self.certified_error if self.certified_error < inf else None

    @property
    def values(self) -> np.ndarray:
        """All fields over the output grid, shape [fields, len(t), len(x), ...]."""
        return np.stack(list(self.fields.values()))


def field_errors(
    values: np.ndarray, exact: np.ndarray, scales: Sequence[float] | None = None
) -> list[float]:
    """‖values − exact‖ / ‖exact‖ of every field; both [fields, ...].

    Args:
        scales: typical sizes of the fields, in which the error is measured where a field is 0.
            By default it is then the absolute error.
    """
    errors = []
    for k, (got, expected) in enumerate(zip(values, exact, strict=True)):
        size = float(norm(expected))
        unit = 1.0 if scales is None else scales[k] * np.size(expected) ** 0.5
        error = float(norm(got - expected))
        zero = size <= (0.0 if scales is None else ZERO * unit)
        errors.append(error / (unit if zero else size))
    return errors


def worst_field_error(values: np.ndarray, exact: np.ndarray) -> float:
    """The largest over the fields of ‖values − exact‖ / ‖exact‖; both [fields, ...].

    It bounds the relative L2 error of all fields taken together.
    """
    return max(field_errors(values, exact))
