"""The conditions of a problem, linearised on a grid: a e + b ∂e/∂n = value − (a u + b ∂u/∂n)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.boundary import EdgeCondition
from pacpde.residuals.estimate_grid import Grid


def missed_at(solver: Surrogate, one: EdgeCondition, points: np.ndarray) -> np.ndarray:
    """value − (a u + b ∂u/∂n) at points [..., axes] of the edge."""
    flat = torch.from_numpy(points.reshape(-1, points.shape[-1])).to(solver.weights)
    values, slopes = solver.jet(flat, ("", one.axis))[..., one.field]
    coordinates = dict(zip(solver.problem.domain.names, flat.unbind(-1), strict=True))
    outwards = slopes if one.upper else -slopes
    missed = one.value_at(coordinates) - one.a * values - one.b * outwards
    return missed.double().cpu().numpy().reshape(points.shape[:-1])


@dataclass(frozen=True)
class LinearisedCondition:
    """One condition of one field at one end of an axis.

    Attributes:
        condition: the condition.
        nodes: numbers of the nodes at that end, [nodes].
        inner: numbers of the nodes beside them, [nodes].
        matrix: of a e + b ∂e/∂n at these nodes, [nodes, all nodes].
        missed: value − (a u + b ∂u/∂n), [times, nodes].
    """

    condition: EdgeCondition
    nodes: np.ndarray
    inner: np.ndarray
    matrix: sp.csr_array
    missed: np.ndarray

    @classmethod
    def of(cls, solver: Surrogate, grid: Grid, one: EdgeCondition) -> "LinearisedCondition":
        nodes, inner = (
            grid.numbers.take(
                -1 - depth if one.upper else depth, grid.names.index(one.axis)
            ).reshape(-1)
            for depth in (0, 1)
        )
        outwards = 1.0 if one.upper else -1.0
        slope = grid.operator([int(name == one.axis) for name in grid.names])[nodes]
        value = sp.eye_array(len(grid.nodes), format="csr")[nodes]
        points = grid.points(nodes)
        return cls(
            one,
            nodes,
            inner,
            (one.a * value + one.b * outwards * slope).tocsr(),
            missed_at(solver, one, points),
        )


@dataclass(frozen=True)
class ReplacedRows:
    """Conditions in place of the equation: one row for each condition and node of an edge.

    The first condition of a field at an end takes the rows of the nodes there, a second one those
    beside them. In a corner, values come before derivatives, and the first axis before others.

    Attributes:
        taken: which rows are conditions, bool [fields · nodes], fields first.
        matrix: of the conditions, [fields · nodes, fields · nodes]; other rows are empty.
        missed: value − (a u + b ∂u/∂n), 0 in other rows, [times, fields · nodes].
    """

    taken: np.ndarray
    matrix: sp.csr_array
    missed: np.ndarray

    @classmethod
    def of(cls, solver: Surrogate, grid: Grid) -> "ReplacedRows":
        edges = solver.problem.boundary.edges
        ordered = sorted(edges, key=lambda one: (one.b != 0, grid.names.index(one.axis)))
        return cls.from_rows(
            [LinearisedCondition.of(solver, grid, one) for one in ordered],
            grid,
            len(solver.problem.fields),
        )

    @classmethod
    def from_rows(
        cls, edges: Sequence[LinearisedCondition], grid: Grid, fields: int
    ) -> "ReplacedRows":
        count = len(grid.nodes)
        taken = np.zeros(fields * count, bool)
        missed = np.zeros((len(grid.times), fields * count))
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        ends: set[tuple[str, bool, int]] = set()
        for edge in edges:
            end = edge.condition.axis, edge.condition.upper, edge.condition.field
            rows = (edge.inner if end in ends else edge.nodes) + edge.condition.field * count
            ends.add(end)
            free = ~taken[rows]
            taken[rows] = True
            missed[:, rows[free]] = edge.missed[:, free]
            own = edge.matrix[free].tocoo()
            parts.append((own.data, rows[free][own.row], own.col + edge.condition.field * count))
        empty = np.zeros(0), np.zeros(0, int), np.zeros(0, int)
        data, places, columns = (np.concatenate(own) for own in zip(empty, *parts, strict=True))
        matrix = sp.coo_array((data, (places, columns)), shape=(len(taken), len(taken)))
        return cls(taken, matrix.tocsr(), missed)
