"""A problem on a box as one system of equations for the values at spectral nodes."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from scipy import sparse

from pacpde.physics import Problem
from pacpde.physics.boundary import EdgeCondition, PointCondition
from pacpde.physics.evaluation import rows_at
from pacpde.physics.numbers import along_axis
from pacpde.reference.nodal import NodalAxis, nodal_axes
from pacpde.reference.slopes import Slopes, pointwise_slopes
from pacpde.runtime import generator


class Collocation:
    """Rows of the residual at points, and conditions at the ends of axes, for nodal values.

    Rectangular collocation (Driscoll & Hale, IMA J. Numer. Anal. 36 (2016) 108): the rows hold at
    `sizes` Chebyshev–Gauss points an axis, and a field with m conditions on an axis has so many
    nodes and m more. There are then as many equations as unknowns wherever there are as many rows
    as fields, whatever their orders; a pressure without conditions has two nodes less than the
    velocities that are held at both ends, which leaves it no spurious modes.

    The state w [size] holds the nodal values field by field, and then one number for each equation
    that there is too much (see `excess`).

    Args:
        more: points of the rows beyond `sizes`, an axis. The equations are then more than the
            unknowns, and hold in the least-squares sense.

    Attributes:
        grids: the nodal axes of each field.
        rows, cells: of each axis, the points of the rows, and the ends of the cells around them.
        excess: conditions at points beyond the number of unknowns, as where a pressure is pinned
            whose constant no other equation gives. Each adds a number λ to the state, times a
            random vector in the rows: where the equations have a solution, λ = 0.
    """

    def __init__(self, problem: Problem, sizes: dict[str, int], more: int = 0) -> None:
        self.problem, boundary = problem, problem.boundary
        self.sizes, self.more = sizes, more
        self.axes = nodal_axes(problem, sizes)
        axes = [axis.axis for axis in self.axes]
        places = [axis.inner(axis.size + more) for axis in self.axes]
        self.rows, self.cells = [rows for rows, _ in places], [ends for _, ends in places]
        self.grids = [
            nodal_axes(
                problem,
                {
                    axis.name: sizes[axis.name]
                    + sum(len(boundary.at(axis.name, upper, field)) for upper in (False, True))
                    for axis in axes
                },
            )
            for field in range(len(problem.fields))
        ]
        self.shapes = [tuple(axis.size for axis in grid) for grid in self.grids]
        self.ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes)])
        grid = np.meshgrid(*self.rows, indexing="ij")
        self.points = {axis.name: x.ravel() for axis, x in zip(axes, grid, strict=True)}
        self.names = sorted({"", *problem.derivatives_read})
        self.factors = [[self._factors(axis, k) for k, axis in enumerate(g)] for g in self.grids]
        self.row_scales = [float(scale) for scale in problem.row_scales]
        self._add_conditions()
        unknowns = int(self.ends[-1])
        self.n_equations = problem.n_rows * len(grid[0].ravel()) + len(self.values)
        extra = self.n_equations - unknowns
        self.excess = extra if 0 < extra <= len(boundary.points) else 0
        self.size = unknowns + self.excess
        noise = generator(0, "collocation").standard_normal((self.n_equations, self.excess))
        noise[self.n_equations - len(self.values) :] = 0.0
        self.border = noise

    def _factors(self, axis: NodalAxis, position: int) -> dict[int, np.ndarray]:
        """Order → matrix from the nodes of a field to derivatives at the rows of an axis."""
        order = max(name.count(axis.axis.name) for name in self.names)
        matrices = axis.matrices(order)
        if axis.periodic:
            return matrices
        to_rows = axis.interpolation(self.rows[position])
        return {k: to_rows @ matrix if k else to_rows for k, matrix in matrices.items()}

    def split(self, state: np.ndarray) -> list[np.ndarray]:
        """The nodal values of each field."""
        return [
            state[start:end].reshape(shape)
            for start, end, shape in zip(self.ends[:-1], self.ends[1:], self.shapes, strict=True)
        ]

    def joined(self, fields: Sequence[np.ndarray]) -> np.ndarray:
        """The state of nodal values."""
        return np.concatenate([*(values.ravel() for values in fields), np.zeros(self.excess)])

    def equations(self, state: np.ndarray) -> np.ndarray:
        """What is 0 at the solution: rows as shares of their size, then conditions."""
        rows = rows_at(self.problem, self.channels(state), self.points)
        shares = [row / scale for row, scale in zip(rows, self.row_scales, strict=True)]
        unknowns = self.ends[-1]
        held = self.conditions @ state[:unknowns] - self.values
        result = np.concatenate([*shares, held])
        return result + self.border @ state[unknowns:] if self.excess else result

    def channels(self, state: np.ndarray) -> dict[str, list[np.ndarray]]:
        """Every derivative of every field at the points of the rows, [points] each."""
        fields = self.split(state)
        return {
            name: [self._at_rows(k, v, name) for k, v in enumerate(fields)] for name in self.names
        }

    def _at_rows(self, field: int, values: np.ndarray, name: str) -> np.ndarray:
        for position, axis in enumerate(self.axes):
            matrix = self.factors[field][position][name.count(axis.axis.name)]
            values = along_axis(matrix, values, position)
        return values.ravel()

    def jacobian(self, state: np.ndarray) -> np.ndarray:
        """∂(equations)/∂(state) [equations, size], dense."""
        result = np.zeros((self.n_equations, self.size))
        count = len(next(iter(self.points.values())))
        slopes = self.slopes(state)
        for row, scale in enumerate(self.row_scales):
            for field in range(len(self.grids)):
                block = result[
                    row * count : (row + 1) * count, self.ends[field] : self.ends[field + 1]
                ]
                for name in self.names:
                    slope = slopes[name][row][field]
                    if slope is not None:
                        self._add_block(block, slope / scale, field, name)
        unknowns = self.ends[-1]
        result[self.n_equations - len(self.values) :, :unknowns] = self.conditions.toarray()
        result[:, unknowns:] = self.border
        return result

    def _add_block(self, block: np.ndarray, slope: np.ndarray, field: int, name: str) -> None:
        """Add diag(slope) times the matrix of a derivative, a slice of the first axis at a time."""
        first, *others = [
            self.factors[field][k][name.count(axis.axis.name)] for k, axis in enumerate(self.axes)
        ]
        rest = reduce(np.kron, others) if others else np.ones((1, 1))
        height, width = rest.shape
        for k, line in enumerate(first):
            part = block[k * height : (k + 1) * height].reshape(height, len(line), width)
            scaled = slope[k * height : (k + 1) * height, None] * rest
            used = np.flatnonzero(line)
            if len(used) < len(line):
                part[:, used] += line[used, None] * scaled[:, None, :]
            else:
                part += line[:, None] * scaled[:, None, :]

    def slopes(self, state: np.ndarray) -> Slopes:
        """∂(row)/∂(derivative of field) at the points of the rows; None where it is 0."""
        names = self.problem.domain.names
        return pointwise_slopes(self.problem.rows, self.channels(state), names, self.points)

    def _add_conditions(self) -> None:
        """The matrix and the right-hand side of all conditions, in units of the fields.

        At corners both axes have conditions, and those of the first axis hold.
        """
        boundary = self.problem.boundary
        blocks = [self._edge(edge) for edge in boundary.edges]
        blocks += [self._point(point) for point in boundary.points]
        shape = (0, int(self.ends[-1]))
        self.conditions = sparse.vstack([sparse.csr_matrix(shape), *(m for m, _ in blocks)]).tocsr()
        self.values = np.concatenate([np.zeros(0), *(values for _, values in blocks)])

    def _edge(self, edge: EdgeCondition) -> tuple[sparse.csr_matrix, np.ndarray]:
        grid, places = self.grids[edge.field], self.edge_places(edge)
        position = self._position(edge)
        row = self.edge_row(edge)[None]
        scale = self.edge_scale(edge)
        factors = [
            row / scale if k == position else axis.interpolation(x)
            for k, (axis, x) in enumerate(zip(grid, places, strict=True))
        ]
        at = np.meshgrid(*places, indexing="ij")
        coordinates = dict(zip(self.problem.domain.names, at, strict=True))
        values = np.broadcast_to(np.asarray(edge.value_at(coordinates), float), at[0].shape)
        return self._of_field(edge.field, factors), values.ravel() / scale

    def edge_places(self, edge: EdgeCondition) -> list[np.ndarray]:
        """Where a condition holds, one array an axis.

        Along axes before its own at the points of the rows, along those after at the nodes.
        """
        position = self._position(edge)
        end = self.edge_end(edge)
        return [
            end if k == position else axis.nodes if k > position else self.rows[k]
            for k, axis in enumerate(self.grids[edge.field])
        ]

    def edge_row(self, edge: EdgeCondition) -> np.ndarray:
        """The condition as a row over the nodes of its own axis."""
        matrices = self.grids[edge.field][self._position(edge)].matrices(1)
        end, normal = (-1, 1.0) if edge.upper else (0, -1.0)
        return np.asarray(edge.a * matrices[0][end] + edge.b * normal * matrices[1][end])

    def _position(self, edge: EdgeCondition) -> int:
        return self.problem.domain.names.index(edge.axis)

    def edge_end(self, edge: EdgeCondition) -> np.ndarray:
        """The coordinate of the end of its axis, [1]."""
        axis = self.axes[self._position(edge)].axis
        return np.array([axis.upper if edge.upper else axis.lower])

    def edge_scale(self, edge: EdgeCondition) -> float:
        """The size of a condition, in the units of its field and axis."""
        length = self.problem.domain.axis(edge.axis).length
        return self.problem.scales[edge.field] * edge.size(length)

    def _point(self, point: PointCondition) -> tuple[sparse.csr_matrix, np.ndarray]:
        scale = self.problem.scales[point.field]
        factors = [
            axis.interpolation(np.array([x]))
            for axis, x in zip(self.grids[point.field], point.point, strict=True)
        ]
        factors[0] = factors[0] / scale
        return self._of_field(point.field, factors), np.array([point.value / scale])

    def _of_field(self, field: int, factors: list[np.ndarray]) -> sparse.csr_matrix:
        """Rows for all unknowns from factors along the axes of one field."""
        matrices = [sparse.csr_matrix(factor) for factor in factors]
        own = reduce(lambda one, other: sparse.kron(one, other, "csr"), matrices)
        before, after = int(self.ends[field]), int(self.ends[-1] - self.ends[field + 1])
        height = own.shape[0]
        empty = [sparse.csr_matrix((height, n)) for n in (before, after)]
        return sparse.hstack([empty[0], own, empty[1]], format="csr")
