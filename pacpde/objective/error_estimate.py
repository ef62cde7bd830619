"""The error that the residual of a solution grows into, without a reference.

A residual bounds the rate of the error, not the error: along a chaotic orbit it grows
exponentially, in a slow equation it adds up over a long time. To first order the error obeys the
linearised equation

    e_t = Σ_c ∂rhs/∂c · ∂_c e + (rhs(u) − u_t),    e = start − u at the start, edge − u on edges,

with a sum over the derivatives c in the right-hand side. That is one Newton step on the
differential equation (defect correction, Stetter 1978, doi:10.1007/BF01432879). It is solved with
finite differences of three points on a grid that follows the solution, and the trapezoidal rule.
An error of a few per cent of itself is enough here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import splu

from pacpde.networks.constraints import PhysicsAnsatz
from pacpde.networks.mlp import MLP
from pacpde.physics.conditions import Dirichlet, Periodic
from pacpde.physics.derivatives import ChannelDerivative
from pacpde.physics.domain import Axis, mesh
from pacpde.physics.problem import Problem
from pacpde.runtime import gradients

ODE_STEPS = 1000  # over the family's own time span
EARLY = 120  # steps that grow geometrically from the start, for what happens at once there
GRADED = 101  # even times at which the error of a PDE counts
PDE_STEPS = 96  # over the time span, denser at the start
NODES = {1: 161, 2: 25, 3: 11}  # per axis, by the number of space axes
FINE = 2**16  # points of a start that is narrow
SNAPSHOTS = 33  # times at which the solution is looked at to place the nodes


def error_estimate(network: MLP, weights: torch.Tensor, ansatz: PhysicsAnsatz) -> float | None:
    """Relative L2 error of the worst field, to first order; None where it is not known how.

    Equations that are not of the form u_t = rhs with derivatives in space up to second order, and
    more than three space axes, are left out.
    """
    problem = ansatz.problem
    channels = problem.channels
    names = [axis.name for axis in problem.domain.space]
    if (
        len(names) > max(NODES)
        or any("t" in channel and channel != "t" for channel in channels)
        or any(channel.count(name) > 2 for channel in channels for name in names)
    ):
        return None
    grid = _Grid.of(network, weights, ansatz)
    linear = _Linearised.at(network, weights, ansatz, grid)
    if not problem.domain.space:
        error = _solved_as_ode(linear, grid)
    else:
        error = _solved_as_pde(linear, grid)
    weight = grid.weights[..., None]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        errors = np.sqrt((weight * error**2).sum((0, 1)))
        sizes = np.sqrt((weight * linear.values**2).sum((0, 1)))
        shares = np.where(errors > 0, errors / np.where(sizes > 0, sizes, 0.0), 0.0)
    missed = _missed_start(network, weights, ansatz)
    return float(np.nan_to_num(shares, nan=np.inf, posinf=np.inf).max(initial=missed))


def _missed_start(network: MLP, weights: torch.Tensor, ansatz: PhysicsAnsatz) -> float:
    """Relative L2 by which a start is missed that is too narrow for the nodes; else 0."""
    problem = ansatz.problem
    if not any(found.narrow for found in problem.contradictions):
        return 0.0
    points = problem.domain.from_unit(
        np.random.default_rng(0).uniform(size=(FINE, len(problem.axes)))
    )
    points[:, 0] = problem.domain.axis("t").lower
    start = np.stack(
        [np.broadcast_to(part, len(points)) for part in problem.start(*points.T[1:])], -1
    )
    wrong, size = np.zeros(start.shape[1]), (start**2).sum(0)
    for own, expected in zip(np.array_split(points, 8), np.array_split(start, 8), strict=True):
        batch = ansatz.batch(torch.from_numpy(own).to(weights))
        with torch.no_grad():
            found = batch.fields(network.forward(weights, batch.inputs, batch.names))[0]
        wrong += ((found.double().cpu().numpy() - expected) ** 2).sum(0)
    return float(np.sqrt(wrong / np.where(size > 0, size, 1.0)).max())


@dataclass(frozen=True)
class _Grid:
    """Times and nodes.

    Attributes:
        times: [steps + 1].
        nodes: [nodes, space axes].
        inside: which nodes are unknown, bool [nodes]; the others lie on Dirichlet edges.
        operators: derivative channel → its matrix on the nodes.
        weights: of the quadrature, [steps + 1, nodes].
    """

    times: np.ndarray
    nodes: np.ndarray
    inside: np.ndarray
    operators: dict[str, sp.csr_array]
    weights: np.ndarray

    @classmethod
    def of(cls, network: MLP, weights: torch.Tensor, ansatz: PhysicsAnsatz) -> "_Grid":
        problem = ansatz.problem
        space = problem.domain.space
        times = _times(problem)
        if not space:
            one = sp.csr_array(np.ones((1, 1)))
            shares = _graded(times, ODE_STEPS + 1)[:, None]
            return cls(times, np.zeros((1, 0)), np.ones(1, bool), {"": one}, shares)
        count = NODES[len(space)]
        axes = [_placed(network, weights, ansatz, axis, count) for axis in space]
        periodic = [isinstance(problem.edges[axis.name], Periodic) for axis in space]
        inside = [np.ones(len(x), bool) for x in axes]
        for own, wraps in zip(inside, periodic, strict=True):
            if not wraps:
                own[[0, -1]] = False
        names = [axis.name for axis in space]
        orders = [
            _differences(x, axis.length if wraps else None)
            for x, axis, wraps in zip(axes, space, periodic, strict=True)
        ]
        operators = {
            channel: _product(
                [own[channel.count(name)] for name, own in zip(names, orders, strict=True)]
            )
            for channel in problem.channels
            if "t" not in channel
        }
        widths = [
            _shares(np.append(x, axis.upper) if wraps else x)[: len(x)]
            for x, axis, wraps in zip(axes, space, periodic, strict=True)
        ]
        everywhere = reduce(np.multiply.outer, widths).reshape(-1)
        return cls(
            times,
            mesh(axes).reshape(-1, len(space)),
            reduce(np.logical_and.outer, inside).reshape(-1),
            operators,
            np.multiply.outer(_graded(times, GRADED), everywhere),
        )


@dataclass(frozen=True)
class _Linearised:
    """The equation around a solution, at every time and node of a grid.

    Attributes:
        values: the fields, [times, nodes, fields].
        slopes: derivative channel → ∂(rhs of field i)/∂(channel of field j),
            [times, nodes, fields i, fields j].
        defect: rhs(u) − u_t, [times, nodes, fields].
        start_error: [nodes, fields].
        edge_error: what Dirichlet edges are missed by, [times, nodes, fields]; 0 inside.
    """

    values: np.ndarray
    slopes: dict[str, np.ndarray]
    defect: np.ndarray
    start_error: np.ndarray
    edge_error: np.ndarray

    @classmethod
    def at(
        cls, network: MLP, weights: torch.Tensor, ansatz: PhysicsAnsatz, grid: _Grid
    ) -> "_Linearised":
        problem = ansatz.problem
        shape = (len(grid.times), len(grid.nodes))
        columns = [np.repeat(grid.times, shape[1]), *np.tile(grid.nodes, (shape[0], 1)).T]
        points = torch.from_numpy(np.stack(columns, -1)).to(weights)
        jet, slopes, rates = linearised(network, weights, ansatz, points)
        names = problem.channels

        def shaped(values: torch.Tensor) -> np.ndarray:
            return values.double().cpu().numpy().reshape(*shape, *values.shape[1:])

        values, rate_of_change = shaped(jet[0]), shaped(jet[names.index("t")])
        space = [torch.from_numpy(x).to(weights) for x in grid.nodes.T]
        one = weights.new_ones(shape[1])
        start = torch.stack([part * one for part in problem.start(*space)], -1)
        return cls(
            values,
            {name: shaped(slopes[k]) for k, name in enumerate(names) if name != "t"},
            shaped(rates) - rate_of_change,
            start.double().cpu().numpy() - values[0],
            _edge_error(problem, grid, values),
        )


@gradients()
def linearised(
    network: MLP, weights: torch.Tensor, ansatz: PhysicsAnsatz, points: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A solution and its equation at points [points, axes].

    Returns:
        jet: [channels, points, fields], in the order of `problem.channels`.
        slopes: ∂(rhs of field i)/∂(channel of field j), [channels, points, fields i, fields j].
        rates: the right-hand sides, [points, fields].
    """
    problem = ansatz.problem
    batch = ansatz.batch(points, problem.channels)
    with torch.no_grad():
        jet = batch.fields(network.forward(weights, batch.inputs, batch.names))
    leaf = jet.detach().clone().requires_grad_(True)
    channels = {name: own.unbind(-1) for name, own in zip(batch.names, leaf.unbind(0), strict=True)}
    axes = [axis.name for axis in problem.axes]
    d = ChannelDerivative(channels, axes, dict(zip(axes, points.unbind(-1), strict=True)))
    rates = [rate + 0 * leaf[0, :, 0] for rate in problem.rates(channels[""], d)]
    slopes = [torch.autograd.grad(rate.sum(), leaf, retain_graph=True)[0] for rate in rates]
    return jet, torch.stack(slopes, 2), torch.stack([rate.detach() for rate in rates], -1)


def _times(problem: Problem) -> np.ndarray:
    time = problem.domain.axis("t")
    if problem.domain.space:
        share = np.linspace(0, 1, PDE_STEPS + 1)
        return time.lower + time.length * (0.3 * share + 0.7 * share**2)
    steps = int(ODE_STEPS * max(1.0, problem.stretch))
    early = np.concatenate([[0.0], np.geomspace(1e-9, 1 / steps, EARLY)])
    return time.lower + time.length * np.append(early, np.linspace(0, 1, steps + 1)[2:])


def _graded(times: np.ndarray, count: int) -> np.ndarray:
    """Weights of values at these times where even ones, with both ends, are what counts.

    So are errors graded, and a start that is missed has its share in them.
    """
    even = np.linspace(times[0], times[-1], count)
    place = np.interp(even, times, np.arange(len(times)))
    below = np.minimum(place.astype(int), len(times) - 2)
    share = place - below
    size = len(times)
    return np.bincount(below, 1 - share, size) + np.bincount(below + 1, share, size)


def _shares(x: np.ndarray) -> np.ndarray:
    """Weights of the trapezoidal rule on sorted x."""
    gaps = np.diff(x)
    return np.append(gaps, 0) / 2 + np.insert(gaps, 0, 0) / 2


def _placed(
    network: MLP, weights: torch.Tensor, ansatz: PhysicsAnsatz, axis: Axis, count: int
) -> np.ndarray:
    """Nodes of a space axis, half of them evenly, half where the solution is steep.

    A periodic axis goes without its upper end.
    """
    problem = ansatz.problem
    domain = problem.domain
    x = axis.grid(4 * count)
    rng = np.random.default_rng(0)
    places = domain.from_unit(rng.uniform(size=(SNAPSHOTS, len(domain.axes))))
    places[:, 0] = domain.axis("t").grid(SNAPSHOTS)
    points = np.repeat(places[:, None], len(x), 1)
    points[..., domain.names.index(axis.name)] = x
    batch = ansatz.batch(torch.from_numpy(points.reshape(-1, points.shape[-1])).to(weights))
    with torch.no_grad():
        fields = batch.fields(network.forward(weights, batch.inputs, batch.names))[0]
    seen = fields.double().cpu().numpy().reshape(SNAPSHOTS, len(x), -1)
    steep = np.abs(np.diff(seen, axis=1))
    largest = steep.sum(1, keepdims=True).max(0, keepdims=True)
    density = (steep / np.where(largest > 0, largest, 1)).max((0, 2))
    total = density.sum()
    share = np.full(len(density), 1 / len(density))
    if np.isfinite(total) and total > 0:
        share = (share + density / total) / 2
    reached = np.insert(np.cumsum(share), 0, 0.0)
    periodic = isinstance(problem.edges[axis.name], Periodic)
    wanted = np.linspace(0, 1, count + 1)[:-1] if periodic else np.linspace(0, 1, count)
    placed = np.interp(wanted, reached / reached[-1], x)
    placed[0] = axis.lower
    if not periodic:
        placed[-1] = axis.upper
    return placed


def _differences(x: np.ndarray, period: float | None) -> list[sp.csr_array]:
    """Matrices of the value, the first and the second derivative, by three points each.

    Rows of the two ends of an axis that is not periodic are one-sided and never used.
    """
    size = len(x)
    if period is None:
        ahead, behind = np.diff(x, append=2 * x[-1] - x[-2]), np.diff(x, prepend=2 * x[0] - x[1])
    else:
        ahead = np.diff(x, append=x[0] + period)
        behind = np.roll(ahead, 1)
    both = ahead + behind
    middle = np.arange(size)
    columns = [(middle - 1) % size, middle, (middle + 1) % size]
    first = [-ahead / (behind * both), (ahead - behind) / (ahead * behind), behind / (ahead * both)]
    second = [2 / (behind * both), -2 / (ahead * behind), 2 / (ahead * both)]

    def matrix(parts: Sequence[np.ndarray]) -> sp.csr_array:
        rows = np.tile(middle, 3)
        entries = np.concatenate(parts), (rows, np.concatenate(columns))
        return sp.coo_array(entries, shape=(size, size)).tocsr()

    return [sp.csr_array(sp.eye_array(size)), matrix(first), matrix(second)]


def _product(matrices: Sequence[sp.csr_array]) -> sp.csr_array:
    """The Kronecker product of one matrix an axis."""
    found = matrices[0]
    for matrix in matrices[1:]:
        found = sp.kron(found, matrix).tocsr()
    return found


def _edge_error(problem: Problem, grid: _Grid, values: np.ndarray) -> np.ndarray:
    """What the solution misses Dirichlet edges by; where two meet, the one that comes first."""
    error = np.zeros_like(values)
    for position, axis in reversed(list(enumerate(problem.domain.space))):
        edge = problem.edges[axis.name]
        if isinstance(edge, Dirichlet):
            for place, held in ((axis.lower, edge.lower), (axis.upper, edge.upper)):
                at = grid.nodes[:, position] == place
                error[:, at] = held - values[:, at]
    return error


def _solved_as_ode(linear: _Linearised, grid: _Grid) -> np.ndarray:
    """A system without space: the factors of every step at once, then one step after the other."""
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


def _solved_as_pde(linear: _Linearised, grid: _Grid) -> np.ndarray:
    """One sparse factorisation a step, the first two steps implicit."""
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
    """The operator Σ_c ∂rhs/∂c ∂_c at one time, from entries whose places never change."""

    def __init__(self, grid: _Grid, fields: int) -> None:
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
