"""The grid on which the error of a solution is estimated: times and nodes where it changes most."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import scipy.sparse as sp
import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.domain import Axis, mesh
from pacpde.physics.problem import Problem

ODE_STEPS = 1000  # over the family's own time span
EARLY = 120  # steps that grow geometrically from the start, for what happens at once there
GRADED = 101  # even times at which the error of a PDE counts
PDE_STEPS = 96  # over the time span, denser at the start
NODES = {1: 161, 2: 25, 3: 11}  # per axis, by the number of space axes
SNAPSHOTS = 33  # times of the solution by which the nodes are placed


@dataclass(frozen=True)
class Grid:
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
    def of(cls, solver: Surrogate, defects: np.ndarray) -> "Grid":
        """The grid of a solution.

        Args:
            defects: mean |defect| at equidistant times, [times]; may be empty.
        """
        problem = solver.problem
        space = problem.domain.space
        times = _times(problem, defects)
        if not space:
            one = sp.csr_array(np.ones((1, 1)))
            shares = _graded(times, ODE_STEPS + 1)[:, None]
            return cls(times, np.zeros((1, 0)), np.ones(1, bool), {"": one}, shares)
        count = NODES[len(space)]
        axes = [_placed(solver, axis, count) for axis in space]
        periodic = [axis.name in problem.boundary.periodic for axis in space]
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


def _times(problem: Problem, defects: np.ndarray) -> np.ndarray:
    time = problem.domain.axis("t")
    if problem.domain.space:
        share = np.linspace(0, 1, PDE_STEPS + 1)
        result = time.lower + time.length * (0.3 * share + 0.7 * share**2)
        if not defects.any():
            return result
        # as many more, each for the same part of the defect: a source may be short
        reached = np.insert(np.cumsum((defects[1:] + defects[:-1]) / 2), 0, 0.0)
        even = np.linspace(0, 1, len(defects))
        more = np.interp(share, reached / reached[-1], even)
        return np.unique(np.concatenate([result, time.lower + time.length * more]))
    steps = int(ODE_STEPS * max(1.0, problem.span_ratio))
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


def _placed(solver: Surrogate, axis: Axis, count: int) -> np.ndarray:
    """Nodes of a space axis, half of them evenly, half where the solution is steep.

    A periodic axis goes without its upper end.
    """
    problem = solver.problem
    domain = problem.domain
    x = axis.grid(4 * count)
    places = domain.random(SNAPSHOTS, np.random.default_rng(0))
    places[:, 0] = domain.axis("t").grid(SNAPSHOTS)
    points = np.repeat(places[:, None], len(x), 1)
    points[..., domain.names.index(axis.name)] = x
    flat = torch.from_numpy(points.reshape(-1, points.shape[-1])).to(solver.weights)
    fields = solver.at(flat).double().cpu().numpy().reshape(SNAPSHOTS, len(x), -1)
    steep = np.abs(np.diff(fields, axis=1))
    largest = steep.sum(1, keepdims=True).max(0, keepdims=True)
    density = (steep / np.where(largest > 0, largest, 1)).max((0, 2))
    total = density.sum()
    share = np.full(len(density), 1 / len(density))
    if np.isfinite(total) and total > 0:
        share = (share + density / total) / 2
    reached = np.insert(np.cumsum(share), 0, 0.0)
    periodic = axis.name in problem.boundary.periodic
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
    result = matrices[0]
    for matrix in matrices[1:]:
        result = sp.kron(result, matrix).tocsr()
    return result
