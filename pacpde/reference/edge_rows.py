"""Conditions at the ends of an axis, eliminated: all nodes from the unknowns and the values.

Per field and axis: u(nodes) = E·(unknowns) + V·(values of the conditions). Derivatives between
unknowns are then P·D·E, where P takes the unknowns from the nodes.

With at most one condition at each end, the unknowns are the nodes without those ends. With more,
these nodes give unstable equations (third derivatives), or eigenvalues that are not real (clamped
beams); the unknowns are then values at the zeros of the Jacobi polynomial whose weight vanishes at
each end as often as there are conditions. Driscoll & Hale, IMA J. Numer. Anal. 36 (2016), for the
rectangular system; Huang & Sloan, SIAM J. Numer. Anal. 29 (1992), for the zeros.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import roots_jacobi

from pacpde.errors import SolverError
from pacpde.physics import Problem
from pacpde.physics.elementary import Array
from pacpde.physics.numbers import along_axis
from pacpde.reference.grid import SpaceAxis

Value = Callable[[Mapping[str, Array]], Array]

SINGULAR = 1e13  # condition number above which the conditions do not give the ends


@dataclass(frozen=True)
class EdgeRow:
    """Σₖ factors[k] ∂ᵏu/∂xᵏ = value at one end of an axis.

    Attributes:
        constant: the value, if it is one number.
        value_at: the value at coordinates by name.
    """

    upper: bool
    factors: tuple[float, ...]
    constant: float | None
    value_at: Value


def edge_rows(problem: Problem, axis: SpaceAxis, field: int, order: int) -> tuple[EdgeRow, ...]:
    """The conditions of a field at both ends of the nodes of an axis, the lower end first.

    An odd field is 0 at the middle, as is its second derivative; where it is periodic too, both
    hold at the upper end.

    Args:
        order: of the highest derivative in the axis.
    """
    name = axis.axis.name
    odd = _odd_rows(order)
    rows: list[EdgeRow] = []
    for upper in (False, True):
        if axis.half and (not upper or name in problem.boundary.periodic):
            rows += [EdgeRow(upper, factors, 0.0, lambda _: 0.0) for factors in odd]
            continue
        outwards = 1.0 if upper else -1.0
        rows += [
            EdgeRow(upper, (one.a, outwards * one.b) if one.b else (one.a,), one.constant,
                    one.value_at)
            for one in problem.boundary.at(name, upper, field)
        ]  # fmt: skip
    return tuple(rows)


def _odd_rows(order: int) -> list[tuple[float, ...]]:
    return [(1.0,), (0.0, 0.0, 1.0)][: 1 if order < 3 else 2]


@dataclass(frozen=True, eq=False)
class AxisUnknowns:
    """The unknowns of a field along one axis, and all its nodes from them."""

    axis: SpaceAxis
    rows: tuple[EdgeRow, ...]

    @cached_property
    def counts(self) -> tuple[int, int]:
        """Number of conditions at the lower and at the upper end."""
        upper = sum(row.upper for row in self.rows)
        return len(self.rows) - upper, upper

    @cached_property
    def size(self) -> int:
        return self.axis.size - len(self.rows)

    @cached_property
    def inside(self) -> slice | None:
        """The nodes that are unknowns; None where unknowns are no nodes."""
        lower, upper = self.counts
        return slice(lower, self.axis.size - upper) if max(lower, upper) < 2 else None

    @cached_property
    def ends(self) -> list[int]:
        """The nodes that are no unknowns."""
        lower, upper = self.counts
        return [*range(lower), *range(self.axis.size - upper, self.axis.size)]

    @cached_property
    def points(self) -> np.ndarray:
        """Coordinates of the unknowns, [size]."""
        if self.inside is not None:
            return self.axis.nodes[self.inside]
        lower, upper = self.counts
        unit = (1 + roots_jacobi(self.size, upper, lower)[0]) / 2
        return self.axis.lower + (self.axis.axis.upper - self.axis.lower) * unit

    @property
    def fixed(self) -> bool:
        """Whether the nodes that are no unknowns hold constants."""
        return self.inside is not None and all(
            len(row.factors) == 1 and row.constant is not None for row in self.rows
        )

    @cached_property
    def from_nodes(self) -> np.ndarray:
        """P [size, nodes]."""
        if self.inside is not None:
            return np.eye(self.axis.size)[self.inside]
        return self.axis.interpolation(self.points)

    @cached_property
    def _extension(self) -> np.ndarray:
        """[E, V] [nodes, size + conditions]."""
        nodes, size = self.axis.size, self.size
        if not self.rows:
            return np.eye(nodes)
        order = max(len(row.factors) for row in self.rows) - 1
        matrices = {0: np.eye(nodes), **self.axis.matrices(order)}
        conditions = np.zeros((len(self.rows), nodes))
        for k, row in enumerate(self.rows):
            for derivative, factor in enumerate(row.factors):
                conditions[k] += factor * matrices[derivative][-1 if row.upper else 0]
        weights = np.abs(conditions).max(1)
        conditions /= weights[:, None]
        if self.inside is None:
            result = self._inverse(np.vstack([self.from_nodes, conditions]))
        else:
            result = np.zeros((nodes, nodes))
            result[self.inside, :size] = np.eye(size)
            ends = self.ends
            result[ends, size:] = self._inverse(conditions[:, ends])
            result[ends, :size] = -result[ends, size:] @ conditions[:, self.inside]
        result[:, size:] /= weights
        return result

    def _inverse(self, matrix: np.ndarray) -> np.ndarray:
        if not np.linalg.cond(matrix) < SINGULAR:
            raise SolverError(
                f"the conditions in {self.axis.axis.name!r} do not determine the values at its "
                "ends: give others."
            )
        return np.linalg.inv(matrix)

    @property
    def to_nodes(self) -> np.ndarray:
        """E [nodes, size]."""
        return self._extension[:, : self.size]

    @property
    def from_values(self) -> np.ndarray:
        """V [nodes, conditions]."""
        return self._extension[:, self.size :]

    def same_as(self, other: "AxisUnknowns") -> bool:
        """Whether the nodes depend on the unknowns in the same way."""
        return self.size == other.size and np.array_equal(self.to_nodes, other.to_nodes)

    def at_nodes(self, values: np.ndarray, edges: np.ndarray, position: int) -> np.ndarray:
        """Values at the nodes from the unknowns and the values of the conditions.

        Both lie along the array axis `position`.
        """
        if self.inside is None:
            result = along_axis(self.to_nodes, values, position)
            return result + along_axis(self.from_values, edges, position)
        result = np.empty((*values.shape[:position], self.axis.size, *values.shape[position + 1 :]))
        nodes = np.moveaxis(result, position, 0)
        nodes[self.inside] = np.moveaxis(values, position, 0)
        from_edges, from_unknowns = self._to_ends
        nodes[self.ends] = np.moveaxis(along_axis(from_edges, edges, position), position, 0)
        if from_unknowns is not None:
            nodes[self.ends] += np.moveaxis(
                along_axis(from_unknowns, values, position), position, 0
            )
        return result

    @cached_property
    def _to_ends(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The rows of V and E for the nodes that are no unknowns; None where E has zeros there."""
        from_unknowns = self.to_nodes[self.ends]
        return self.from_values[self.ends], from_unknowns if from_unknowns.any() else None

    def taken(self, values: np.ndarray, position: int) -> np.ndarray:
        """The unknowns of values at the nodes, along an array axis."""
        if self.inside is not None:
            return values[(slice(None),) * position + (self.inside,)]
        return along_axis(self.from_nodes, values, position)


def unknowns_of(
    problem: Problem, space: Sequence[SpaceAxis], orders: Mapping[str, int]
) -> tuple[tuple[AxisUnknowns, ...], ...]:
    """The unknowns of every field along every axis.

    Args:
        orders: axis → order of the highest derivative in it.
    """
    return tuple(
        tuple(
            AxisUnknowns(axis, edge_rows(problem, axis, field, orders[axis.axis.name]))
            for axis in space
        )
        for field in range(len(problem.fields))
    )
