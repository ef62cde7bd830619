"""Estimate the error of a solution from its residual, without a reference.

A small residual does not mean a small error: the error grows exponentially along a chaotic orbit,
and adds up over a long time in a slow equation. To first order the error e obeys the linearised
equation

    e_t = Σ_c ∂rhs/∂c · ∂_c e + (rhs(u) − u_t),
    e = initial value − u at the start,    e = edge value − u on Dirichlet edges,

with a sum over the derivatives c in the right-hand side rhs. That is one Newton step on the
differential equation (defect correction, Stetter 1978, doi:10.1007/BF01432879); rhs(u) − u_t is the
defect. The equation is solved by three-point finite differences on a grid that is refined where the
solution is steep, and by the trapezoidal rule in time. An accuracy of a few per cent is enough.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import splu

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.narrow import START
from pacpde.physics.problem import Problem
from pacpde.residuals.estimate_grid import NODES, Grid
from pacpde.residuals.linearised import CHUNK, linearise_rows

DEFECT_TIMES, DEFECT_PLACES = 2048, 4  # equidistant times, and random places at each time
START_POINTS, BOX_POINTS = 2**16, 2**12  # points of an initial field, and around a narrow feature


def error_estimate(solver: Surrogate) -> float | None:
    """Estimate the relative L2 error of the worst field, to first order.

    Returns:
        The estimate, inf where it overflows. None where no estimate exists: for an equation that is
        not u_t = rhs with space derivatives up to second order, for conditions other than periodic
        axes and constant values for all fields, or for more than three space axes.
    """
    problem = solver.problem
    channels = problem.channels
    names = [axis.name for axis in problem.domain.space]
    if (
        problem.order != 1
        or not problem.boundary.classical(names, len(problem.fields))
        or len(names) > max(NODES)
        or any("t" in channel and channel != "t" for channel in channels)
        or any(channel.count(name) > 2 for channel in channels for name in names)
    ):
        return None
    grid = Grid.of(solver, _defects_in_time(solver))
    linear = _Linearised.at(solver, grid)
    if not problem.domain.space:
        error = _solved_as_ode(linear, grid)
    else:
        error = _solved_as_pde(linear, grid)
    weight = grid.weights[..., None]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        errors = np.sqrt((weight * error**2).sum((0, 1)))
        sizes = np.sqrt((weight * linear.values**2).sum((0, 1)))
        shares = np.where(errors == 0, 0.0, errors / np.where(sizes > 0, sizes, 0.0))
    missed = _missed_start(solver)
    return float(np.nan_to_num(shares, nan=np.inf, posinf=np.inf).max(initial=missed))


def _defects_in_time(solver: Surrogate) -> np.ndarray:
    """Mean |defect| at equidistant times, [times]; empty unless a PDE reads the time."""
    problem = solver.problem
    if not problem.domain.space or "t" not in problem.coordinates_read:
        return np.zeros(0)
    unit = np.random.default_rng(0).uniform(size=(DEFECT_TIMES, DEFECT_PLACES, len(problem.axes)))
    unit[..., 0] = np.linspace(0, 1, DEFECT_TIMES)[:, None]
    points = torch.from_numpy(problem.domain.from_unit(unit.reshape(-1, unit.shape[-1])))
    total = np.zeros(0)
    for own in points.to(solver.weights).split(CHUNK):
        rows = linearise_rows(solver, own)[2]
        defect = rows / rows.new_tensor(problem.scales)
        total = np.append(total, defect.abs().sum(-1).double().cpu().numpy())
    return np.nan_to_num(total.reshape(DEFECT_TIMES, DEFECT_PLACES).mean(1), posinf=0.0)


def _missed_start(solver: Surrogate) -> float:
    """Relative L2 error at the start, for initial fields too narrow for the grid; else 0."""
    problem = solver.problem
    narrow = [one for one in problem.narrow_features if one.what == START]
    if not narrow:
        return 0.0
    points = problem.domain.random(START_POINTS, np.random.default_rng(0))
    points[:, 0] = problem.domain.axis("t").lower
    wrong, size = np.zeros(len(problem.fields)), np.zeros(len(problem.fields))
    for some, share in [(points, 1.0), *(one.box(problem, BOX_POINTS) for one in narrow)]:
        parts = problem.evolution.initial_fields(*some.T[1:])
        start = np.stack([np.broadcast_to(part, len(some)) for part in parts], -1)
        size += share * (start**2).mean(0)
        for own, expected in zip(np.array_split(some, 8), np.array_split(start, 8), strict=True):
            values = solver.at(torch.from_numpy(own).to(solver.weights))
            squares = ((values.double().cpu().numpy() - expected) ** 2).sum(0)
            wrong += share * squares / len(some)
    return float(np.sqrt(wrong / np.where(size > 0, size, 1.0)).max())


@dataclass(frozen=True)
class _Linearised:
    """The linearised equation at every time and node of a grid.

    Attributes:
        values: the fields, [times, nodes, fields].
        slopes: derivative channel → ∂(rhs of field i)/∂(channel of field j),
            [times, nodes, fields i, fields j].
        defect: rhs(u) − u_t, [times, nodes, fields].
        start_error: initial value − u, [nodes, fields].
        edge_error: edge value − u on Dirichlet edges, 0 elsewhere, [times, nodes, fields].
    """

    values: np.ndarray
    slopes: dict[str, np.ndarray]
    defect: np.ndarray
    start_error: np.ndarray
    edge_error: np.ndarray

    @classmethod
    def at(cls, solver: Surrogate, grid: Grid) -> "_Linearised":
        problem, weights = solver.problem, solver.weights
        shape = (len(grid.times), len(grid.nodes))
        columns = [np.repeat(grid.times, shape[1]), *np.tile(grid.nodes, (shape[0], 1)).T]
        points = torch.from_numpy(np.stack(columns, -1)).to(weights)
        jet, slopes, rows = linearise_rows(solver, points)
        names = problem.channels

        def shaped(values: torch.Tensor) -> np.ndarray:
            return values.double().cpu().numpy().reshape(*shape, *values.shape[1:])

        values = shaped(jet[0])
        space = [torch.from_numpy(x).to(weights) for x in grid.nodes.T]
        one = weights.new_ones(shape[1])
        start = torch.stack([part * one for part in problem.evolution.initial_fields(*space)], -1)
        return cls(
            values,
            {name: -shaped(slopes[k]) for k, name in enumerate(names) if name != "t"},
            -shaped(rows),
            start.double().cpu().numpy() - values[0],
            _edge_error(problem, grid, values),
        )


def _edge_error(problem: Problem, grid: Grid, values: np.ndarray) -> np.ndarray:
    """Edge value − u on Dirichlet edges; in a corner, that of the first axis."""
    error = np.zeros_like(values)
    for position, axis in reversed(list(enumerate(problem.domain.space))):
        ends = problem.boundary.constant_edges(axis.name, 0) or ()
        for place, value in zip((axis.lower, axis.upper), ends, strict=False):
            at = grid.nodes[:, position] == place
            error[:, at] = value - values[:, at]
    return error


def _solved_as_ode(linear: _Linearised, grid: Grid) -> np.ndarray:
    """Solve a system of ODEs by the trapezoidal rule; the matrices of all steps at once."""
    jacobian = linear.slopes[""][:, 0]
    defect = linear.defect[:, 0]
    half = np.diff(grid.times)[:, None, None] / 2
    one = np.eye(defect.shape[-1])
    left = one - half * jacobian[1:]
    forward = np.linalg.solve(left, one + half * jacobian[:-1])
    pushed = np.linalg.solve(left, half * (defect[1:] + defect[:-1])[..., None])[..., 0]
    error = np.zeros_like(defect)
    error[0] = linear.start_error[0]
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(len(pushed)):
            error[k + 1] = forward[k] @ error[k] + pushed[k]
    return error[:, None]


def _solved_as_pde(linear: _Linearised, grid: Grid) -> np.ndarray:
    """Solve a PDE by the trapezoidal rule after two implicit Euler steps."""
    times, nodes, fields = linear.values.shape
    inside = np.tile(grid.inside, fields)
    operators = _Assembled(grid, fields)
    error = linear.edge_error.transpose(0, 2, 1).reshape(times, -1)  # fields, then nodes
    error[0] = linear.start_error.T.reshape(-1)
    defect = linear.defect.transpose(0, 2, 1).reshape(times, -1)
    before = operators.at(linear, 0)
    one = sp.eye_array(int(inside.sum()), format="csc")
    for k in range(times - 1):
        step = grid.times[k + 1] - grid.times[k]
        after = operators.at(linear, k + 1)
        # Two implicit steps damp what the trapezoidal rule would let oscillate (Rannacher 1984).
        new, old = (1.0, 0.0) if k < 2 else (0.5, 0.5)
        known = new * (after[:, ~inside] @ error[k + 1][~inside] + defect[k + 1])
        if old:
            known = known + old * (before @ error[k] + defect[k])
        right = error[k][inside] + step * known[inside]
        left = (one - step * new * after[inside][:, inside]).tocsc()
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                error[k + 1][inside] = splu(left).solve(right)
            except RuntimeError:  # exactly singular
                error[k + 1 :] = np.inf
                break
        before = after
    return error.reshape(times, fields, nodes).transpose(0, 2, 1)


class _Assembled:
    """Assembles the operator Σ_c ∂rhs/∂c ∂_c at one time; its sparsity pattern is constant."""

    def __init__(self, grid: Grid, fields: int) -> None:
        self.nodes, self.fields = len(grid.nodes), fields
        self.parts = []
        rows, columns = [], []
        for name, matrix in grid.operators.items():
            entries = matrix.tocoo()
            self.parts.append((name, entries.row, entries.data))
            for i in range(fields):
                for j in range(fields):
                    rows.append(entries.row + i * self.nodes)
                    columns.append(entries.col + j * self.nodes)
        self.places = np.concatenate(rows), np.concatenate(columns)

    def at(self, linear: _Linearised, step: int) -> sp.csr_array:
        data = [
            linear.slopes[name][step, rows, i, j] * values
            for name, rows, values in self.parts
            for i in range(self.fields)
            for j in range(self.fields)
        ]
        size = self.nodes * self.fields
        return sp.coo_array((np.concatenate(data), self.places), shape=(size, size)).tocsr()
