"""Solve the linearised equation of a problem on all of its axes at once, for its error."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import SuperLU, splu

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.numbers import norm
from pacpde.residuals.differences import difference_weights, kronecker
from pacpde.residuals.edge_rows import LinearisedCondition
from pacpde.residuals.estimate_grid import MIDDLE, BoxGrid
from pacpde.residuals.linearised import linearise_rows

CONDITIONS = 10.0  # weight of a condition beside the equation, each relative to its own size
DENSE = 700  # unknowns up to which the matrix is dense
LEAST = 2e-15  # share of the largest singular value, of the others that count
ITERATIONS = 8  # of the inverse, for the smallest singular value
SMALL = 1e-9  # of what no row says something of, the smallest solution is taken

LEFT, LARGE = 0.5, 1e-2  # of the residual, and of the terms: a residual that no error explains

Rows = tuple[sp.csr_array, np.ndarray]  # matrix [rows, fields · nodes], right-hand sides [rows]


def solved_on_box(solver: Surrogate, grid: BoxGrid) -> tuple[np.ndarray, np.ndarray]:
    """Solve Σ_c ∂row/∂c ∂_c e = −row with the conditions, in the least-squares sense.

    There may be more or fewer rows than fields. Of an error that no row says something of, as of
    the mean of a pressure, the smallest is taken. Where a large residual is that of no error, as
    beside a kink that no solution has, the error is infinite.

    Returns:
        The error and the values of the fields, [nodes, fields] each.
    """
    linear = LinearisedBox.of(solver, grid)
    matrix, right, values = linear.matrix, linear.right, linear.values
    if not (np.isfinite(matrix.data).all() and np.isfinite(right).all()):
        return np.full_like(values, np.inf), values
    shares = _least_squares(matrix, right)
    equations = solver.problem.n_rows * len(grid.nodes)
    left = norm((matrix @ shares - right)[:equations])
    if left > max(LEFT * norm(right[:equations]), LARGE * equations**0.5):
        return np.full_like(values, np.inf), values
    return (linear.unit * shares).reshape(-1, len(grid.nodes)).T, values


@dataclass(frozen=True)
class LinearisedBox:
    """The linearised equation with the conditions: each row a share of the size of its terms.

    Attributes:
        matrix: [rows, fields · nodes], for errors as shares of the size of their field.
        right: right-hand sides, [rows].
        unit: that size, [fields · nodes].
        values: the fields, [nodes, fields].
        read: whether any row reads a derivative of a field, [channels, fields].
    """

    matrix: sp.csr_array
    right: np.ndarray
    unit: np.ndarray
    values: np.ndarray
    read: np.ndarray

    @classmethod
    def of(cls, solver: Surrogate, grid: BoxGrid) -> "LinearisedBox":
        points = torch.from_numpy(grid.points()[0]).to(solver.weights)
        jet, slopes, rows = linearise_rows(solver, points)
        values = jet[0].double().cpu().numpy()
        sizes = np.sqrt((grid.weights[0][:, None] * values**2).sum(0) / grid.weights.sum())
        sizes = np.where((sizes > 0) & np.isfinite(sizes), sizes, 1.0)
        parts = [
            *_equation(grid, solver.problem.channels, slopes.double().cpu().numpy(), jet, rows),
            *_edges(solver, grid, sizes),
            *_point_values(solver, grid, sizes),
        ]
        matrix = sp.vstack([own for own, _ in parts], format="csr")
        unit = np.repeat(sizes, len(grid.nodes))  # unknowns are shares of the size of their field
        return cls(
            sp.csr_array(matrix @ sp.diags_array(unit)),
            np.concatenate([own for _, own in parts]),
            unit,
            values,
            (slopes != 0).any(1).any(1).cpu().numpy(),
        )


def _equation(
    grid: BoxGrid,
    channels: tuple[str, ...],
    slopes: np.ndarray,
    jet: torch.Tensor,
    rows: torch.Tensor,
) -> Iterator[Rows]:
    """Each row of the problem at all nodes, as a share of the size of its terms."""
    linear = slopes * jet.double().cpu().numpy()[:, :, None]
    residual = rows.double().cpu().numpy()
    rest = residual - linear.sum((0, 3))
    operators = [grid.operator([name.count(axis) for axis in grid.names]) for name in channels]
    for i in range(residual.shape[1]):
        terms = np.sqrt((linear[:, :, i] ** 2).mean(1)).sum() + np.sqrt((rest[:, i] ** 2).mean())
        size = terms if terms > 0 else 1.0
        blocks = [
            sum(
                (
                    sp.diags_array(slopes[c, :, i, j] / size) @ operator
                    for c, operator in enumerate(operators)
                    if slopes[c, :, i, j].any()
                ),
                sp.csr_array((len(grid.nodes), len(grid.nodes))),
            )
            for j in range(slopes.shape[3])
        ]
        yield sp.hstack(blocks, format="csr"), -residual[:, i] / size


def _edges(solver: Surrogate, grid: BoxGrid, sizes: np.ndarray) -> Iterator[Rows]:
    for one in solver.problem.edge_conditions:
        edge = LinearisedCondition.of(solver, grid, one)
        unit = solver.problem.unit(one.axis)
        size = one.size(unit) * sizes[one.field] / CONDITIONS
        yield of_field(edge.matrix / size, one.field, len(sizes)), edge.missed[0] / size


def _point_values(solver: Surrogate, grid: BoxGrid, sizes: np.ndarray) -> Iterator[Rows]:
    for one in solver.problem.boundary.points:
        weights = []
        for x, place in zip(grid.axes, one.point, strict=True):
            nearest = np.sort(np.argsort(np.abs(x - place))[:MIDDLE])
            row = difference_weights((x[nearest] - place)[None], 0)[0]
            where = np.zeros(MIDDLE, int), nearest
            weights.append(sp.coo_array((row[0], where), shape=(1, len(x))).tocsr())
        point = torch.tensor([one.point]).to(solver.weights)
        missed = one.value - float(solver.at(point)[0, one.field])
        size = sizes[one.field] / CONDITIONS
        matrix = kronecker(weights) / size
        yield of_field(matrix, one.field, len(sizes)), np.array([missed / size])


def of_field(matrix: sp.csr_array, field: int, fields: int) -> sp.csr_array:
    """Rows that read one field alone."""
    empty = sp.csr_array(matrix.shape)
    return sp.hstack([matrix if k == field else empty for k in range(fields)], format="csr")


def _least_squares(matrix: sp.csr_array, right: np.ndarray) -> np.ndarray:
    """The smallest x of the smallest ‖matrix x − right‖; inf where there is none."""
    rows, columns = matrix.shape
    if columns <= DENSE:
        return np.asarray(np.linalg.lstsq(matrix.toarray(), right, rcond=LEAST)[0])
    try:
        solved = _factored(matrix).solve(np.concatenate([right, np.zeros(columns)]))
    except RuntimeError:  # exactly singular
        return np.full(columns, np.inf)
    return np.asarray(solved[rows:])


def least_determined(matrix: sp.csr_array) -> tuple[float, np.ndarray, float]:
    """What the rows say least of.

    Returns:
        The smallest singular value, its vector [columns], and the value up to which
        `solved_on_box` leaves such a vector out.
    """
    rows, columns = matrix.shape
    if columns <= DENSE:
        _, values, vectors = np.linalg.svd(matrix.toarray(), full_matrices=False)
        return float(values[-1]), vectors[-1], LEAST * float(values[0])
    vector = np.random.default_rng(0).normal(size=columns)
    least = SMALL**0.5
    try:
        factored = _factored(matrix)
    except RuntimeError:  # exactly singular
        return 0.0, vector, least
    for _ in range(ITERATIONS):
        # (AᵀA + ε)⁻¹ of the vector
        vector = factored.solve(np.concatenate([np.zeros(rows), -vector / norm(vector)]))[rows:]
    vector = vector / norm(vector)
    return norm(matrix @ vector), vector, least


def _factored(matrix: sp.csr_array) -> SuperLU:
    """Of r + A x = b, Aᵀ r − ε x = c: more digits than by AᵀA; RuntimeError where singular."""
    rows, columns = matrix.shape
    unit = sp.eye_array(rows)
    whole = sp.block_array([[unit, matrix], [matrix.T, -SMALL * sp.eye_array(columns)]])
    return splu(sp.csc_array(whole))
