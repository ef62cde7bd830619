"""Solve the linearised equation of an evolution for the error of a solution."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import splu

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.numbers import norm
from pacpde.residuals.edge_rows import ReplacedRows
from pacpde.residuals.estimate_grid import Grid
from pacpde.residuals.linearised import linearise_rows
from pacpde.residuals.terms import channels_of

AGREE = 1.25  # times as large, at most, is another estimate that agrees
NONLINEAR = 0.5  # of the change to first order: what a second order may add


@dataclass(frozen=True)
class LinearisedEvolution:
    """w_t = Σ_c slopes_c ∂_c w + defect for the errors w, at every time and node of a grid.

    w are the errors of the fields, and then, of an equation of order 2, those of their rates of
    change: "components".

    Attributes:
        values: the fields, [times, nodes, fields].
        slopes: derivative in space → [times, nodes, components, components].
        defect: [times, nodes, components].
        start_error: initial values − those of the solution, [nodes, components].
        rounding: what the defect of an ODE may be off by, [times, nodes, components].
    """

    values: np.ndarray
    slopes: dict[str, np.ndarray]
    defect: np.ndarray
    start_error: np.ndarray
    rounding: np.ndarray

    @classmethod
    def at(cls, solver: Surrogate, grid: Grid) -> "LinearisedEvolution":
        problem, order = solver.problem, solver.problem.order
        fields = len(problem.fields)
        points = grid.points()
        shape = points.shape[:2]
        flat = torch.from_numpy(points.reshape(-1, points.shape[-1])).to(solver.weights)
        jet, slopes, rows = linearise_rows(solver, flat)

        def shaped(values: torch.Tensor) -> np.ndarray:
            return values.double().cpu().numpy().reshape(*shape, *values.shape[1:])

        last = slice((order - 1) * fields, order * fields)  # their equation is the problem's
        blocks: dict[str, np.ndarray] = {}

        def block(name: str) -> np.ndarray:
            return blocks.setdefault(name, np.zeros((*shape, order * fields, order * fields)))

        if order == 2:
            block("")[..., :fields, last] = np.eye(fields)
        for name, own in zip(problem.channels, slopes, strict=True):
            if name != "t" * order and (rate := name.count("t")) < order:
                part = slice(rate * fields, (rate + 1) * fields)
                block(name.replace("t", ""))[..., last, part] -= shaped(own)
        defect, rounding = np.zeros((2, *shape, order * fields))
        defect[..., last] = -shaped(rows)
        if not problem.domain.space:  # of a PDE nobody asks for it
            linear = slopes * jet.unsqueeze(2)  # [channels, points, rows, fields]
            terms = linear.abs().sum((0, 3)) + (rows - linear.sum((0, 3))).abs()
            rounding[..., last] = np.finfo(np.float64).eps * shaped(terms)
        reached = [jet[problem.channels.index("t" * k)] for k in range(order)]
        first = torch.cat(reached, -1)[: shape[1]].double().cpu().numpy()
        start_error = _start(solver, grid, order * fields) - first
        return cls(shaped(jet[0]), blocks, defect, start_error, rounding)

    def every(self, step: int) -> "LinearisedEvolution":
        """The same at the first of so many times, and so on."""
        slopes = {name: own[::step] for name, own in self.slopes.items()}
        return replace(
            self,
            values=self.values[::step],
            slopes=slopes,
            defect=self.defect[::step],
            rounding=self.rounding[::step],
        )


def _start(solver: Surrogate, grid: Grid, components: int) -> np.ndarray:
    """Initial fields, and rates for order 2, [nodes, components]."""
    space = [torch.from_numpy(x).to(solver.weights) for x in grid.nodes.T]
    one = solver.weights.new_ones(len(grid.nodes))
    parts = solver.problem.evolution.initial_parts(*space)
    values = [field * one for part in parts for field in part]
    assert len(values) == components
    return torch.stack(values, -1).double().cpu().numpy()


def solved_as_ode(linear: LinearisedEvolution, times: np.ndarray) -> np.ndarray:
    """Solve a system of ODEs for its error at every fourth time, [times, 1, components].

    The trapezoidal rule on every fourth time, on every second and on all of them is extrapolated
    (Richardson): where errors grow by many digits, what is left of an oscillating defect is a small
    part of it. Where two extrapolations differ, the larger one counts, and where rounding grows to
    more than they are, its.
    """
    first, second, third = (
        _by_trapezoids(linear.every(step), times[::step])[:: 4 // step] for step in (4, 2, 1)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        found = [(4 * finer - coarser) / 3 for coarser, finer in ((first, second), (second, third))]
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=linear.rounding.shape)
    rounded = replace(linear, defect=signs * linear.rounding, start_error=0 * linear.start_error)
    found.append(_by_trapezoids(rounded.every(4), times[::4]))
    norms = [np.nan_to_num(norm(one), nan=np.inf) for one in found]
    if norms[0] <= AGREE * norms[1]:
        del found[0], norms[0]
    return found[int(np.argmax(norms))]


def _by_trapezoids(linear: LinearisedEvolution, times: np.ndarray) -> np.ndarray:
    """The error by the trapezoidal rule, [times, 1, components]; all steps' matrices at once."""
    jacobian = linear.slopes[""][:, 0]
    defect = linear.defect[:, 0]
    half = np.diff(times)[:, None, None] / 2
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


def is_first_order(solver: Surrogate, grid: Grid, error: np.ndarray) -> bool:
    """Whether the rates of an ODE at the corrected solution are what first order says they are.

    They are not where an equation has a range of the fields that is as narrow as the error.
    """
    problem = solver.problem
    points = torch.from_numpy(grid.points().reshape(len(grid.times), -1)).to(solver.weights)
    jet, slopes, rows = linearise_rows(solver, points)
    change = torch.zeros_like(jet)
    for order, part in enumerate(np.split(error[:, 0], problem.order, axis=-1)):
        name = "t" * order
        if name in problem.channels:
            change[problem.channels.index(name)] = torch.from_numpy(part).to(jet)
    channels, d = channels_of(problem, problem.channels, points, jet + change)
    moved = torch.stack([row + 0 * jet[0, :, 0] for row in problem.rows(channels[""], d)], -1)
    expected = torch.einsum("cnij,cnj->ni", slopes, change)
    left = float((moved - rows - expected).norm())
    return left <= NONLINEAR * float(expected.norm() + rows.norm())


def solved_as_pde(linear: LinearisedEvolution, grid: Grid, edges: ReplacedRows) -> np.ndarray:
    """Solve a PDE by the trapezoidal rule after two implicit Euler steps.

    Rows of conditions hold at each time. For order 2 they hold for the rates of change as well,
    with the values' own rates.
    """
    times, nodes, components = linear.defect.shape
    operators = _Assembled(grid, linear)
    missed, order = edges.missed, components // (len(edges.taken) // nodes)
    if order == 2:
        missed = np.concatenate([missed, np.gradient(missed, grid.times, axis=0)], 1)
    taken = np.tile(edges.taken, order)
    conditions = sp.block_diag([edges.matrix] * order, format="csr")
    inside = (~taken).astype(float)
    defect = linear.defect.transpose(0, 2, 1).reshape(times, -1)  # components, then nodes
    error = np.zeros_like(defect)
    error[0] = linear.start_error.T.reshape(-1)
    fixed = (sp.diags_array(inside) + conditions).tocsr()
    before = operators.at(0)
    for k in range(times - 1):
        step = grid.times[k + 1] - grid.times[k]
        after = operators.at(k + 1)
        # Two implicit steps damp what the trapezoidal rule would let oscillate (Rannacher 1984).
        new, old = (1.0, 0.0) if k < 2 else (0.5, 0.5)
        with np.errstate(over="ignore", invalid="ignore"):
            right = error[k] + step * new * defect[k + 1]
            if old:
                right = right + step * old * (before @ error[k] + defect[k])
            left = fixed - (sp.diags_array(step * new * inside) @ after)
            try:
                error[k + 1] = splu(left.tocsc()).solve(np.where(taken, missed[k + 1], right))
            except RuntimeError:  # exactly singular
                error[k + 1 :] = np.inf
                break
        before = after
    return error.reshape(times, components, nodes).transpose(0, 2, 1)


class _Assembled:
    """Assembles the operator Σ_c slopes_c ∂_c at one time; its sparsity pattern is constant."""

    def __init__(self, grid: Grid, linear: LinearisedEvolution) -> None:
        self.size = len(grid.nodes) * linear.defect.shape[-1]
        self.parts = []
        rows, columns = [], []
        for name, slopes in linear.slopes.items():
            entries = grid.operator([name.count(axis) for axis in grid.names]).tocoo()
            for i, j in zip(*np.nonzero(slopes.any((0, 1))), strict=True):
                self.parts.append((slopes[:, :, i, j], entries.row, entries.data))
                rows.append(entries.row + i * len(grid.nodes))
                columns.append(entries.col + j * len(grid.nodes))
        none = np.zeros(0, int)
        self.places = np.concatenate([none, *rows]), np.concatenate([none, *columns])

    def at(self, step: int) -> sp.csr_array:
        data = [slopes[step, rows] * values for slopes, rows, values in self.parts]
        matrix = sp.coo_array(
            (np.concatenate([np.zeros(0), *data]), self.places), shape=(self.size, self.size)
        )
        return matrix.tocsr()
