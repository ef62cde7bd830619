"""The grid on which the error of a solution is estimated: times and nodes where it changes most."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import exp

import numpy as np
import scipy.sparse as sp
import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.domain import Axis, mesh
from pacpde.physics.problem import Problem
from pacpde.residuals.differences import derivative_matrices, kronecker

ODE_STEPS = 1000  # over the family's own time span
EARLY = 120  # steps that grow geometrically from the start, for what happens at once there
GRADED = 101  # even times at which the error of a PDE counts
PDE_STEPS = 96  # over the time span, denser at the start
STEPS_PER_CHANGE = 6  # for every change of the solution by its own size
MOST_STEPS = {1: 480, 2: 192, 3: 96}  # by the number of space axes
NODES = {1: 161, 2: 25, 3: 11}  # per axis, by the number of space axes
# The same of problems that are solved on all axes at once, for one estimate after the other. Odd
# numbers: with an even one, differences on a periodic axis do not see a sawtooth.
BOX_NODES = {1: (81, 161, 241, 321), 2: (17, 33, 49, 65), 3: (7, 11)}
LOW, HIGH = 3, 7  # points of differences: of derivatives up to second order, and of higher ones
MIDDLE = 5  # in place of `LOW` where there are no steps in time
SNAPSHOTS = 33  # lines along an axis by which nodes are placed where the solution is steep
FEWER_SNAPSHOTS = 9  # the same, where other functions place nodes, too
THINNEST = 1e-4  # of an axis: layers at its edges that nodes are for
STRETCH = 0.07  # by which neighbouring gaps differ there, as few nodes allow
ROUNDING = 1e-13  # gap ** order of the closest nodes, whose differences keep a few digits
RATES = 2048  # random points at which rates of change are measured

Profile = tuple[np.ndarray, np.ndarray]  # nodes of an axis, and values at them [nodes, any]


@dataclass(frozen=True)
class Grid:
    """Times and nodes.

    Attributes:
        times: [steps + 1].
        names: of the space axes.
        axes: nodes along each of them; a periodic one goes without its upper end.
        differences: matrices of the derivatives along each space axis, by their order.
        weights: of the quadrature, [steps + 1, nodes].
    """

    times: np.ndarray
    names: tuple[str, ...]
    axes: tuple[np.ndarray, ...]
    differences: tuple[list[sp.csr_array], ...]
    weights: np.ndarray

    @classmethod
    def of(cls, solver: Surrogate, defects: np.ndarray, finer: int = 1) -> "Grid":
        """The grid of a solution.

        Args:
            defects: mean |defect| at equidistant times, [times]; may be empty.
            finer: factor of the number of nodes along an axis, and of steps in time.
        """
        problem = solver.problem
        space = problem.domain.space
        times = _times(solver, defects, finer)
        if not space:
            return cls(times, (), (), (), _graded(times, ODE_STEPS + 1)[:, None])
        axes, differences, everywhere = _on_nodes(
            solver, space, [finer * NODES[len(space)]] * len(space), LOW
        )
        weights = np.multiply.outer(_graded(times, GRADED), everywhere)
        names = tuple(axis.name for axis in space)
        return cls(times, names, axes, differences, weights)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of nodes along each space axis."""
        return tuple(len(x) for x in self.axes)

    @cached_property
    def nodes(self) -> np.ndarray:
        """Coordinates in space, [nodes, space axes]; one node of none for ODEs."""
        return mesh(self.axes).reshape(-1, len(self.axes)) if self.axes else np.zeros((1, 0))

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of the nodes, in the shape of the grid."""
        return np.arange(len(self.nodes)).reshape(self.shape)

    def points(self, nodes: np.ndarray | None = None) -> np.ndarray:
        """All times at some nodes, by default at all of them: [times, nodes, axes]."""
        chosen = self.nodes if nodes is None else self.nodes[nodes]
        columns = [np.repeat(self.times, len(chosen)), *np.tile(chosen, (len(self.times), 1)).T]
        return np.stack(columns, -1).reshape(len(self.times), len(chosen), -1)

    def in_quarters(self) -> "Grid":
        """With three more times in each step; without weights."""
        numbers = np.arange(4 * len(self.times) - 3) / 4
        times = np.interp(numbers, np.arange(len(self.times)), self.times)
        return replace(self, times=times, weights=np.zeros((len(times), 1)))

    def operator(self, orders: Sequence[int]) -> sp.csr_array:
        """The matrix on the nodes of a derivative of these orders along the space axes."""
        if not self.axes:
            return sp.csr_array(np.ones((1, 1)))
        return kronecker([own[k] for own, k in zip(self.differences, orders, strict=True)])


@dataclass(frozen=True)
class BoxGrid(Grid):
    """Nodes in all axes, time among them; there is one step, of no meaning."""

    @classmethod
    def on_box(
        cls, solver: Surrogate, counts: Sequence[int], weak: Sequence[Profile] | None = None
    ) -> "BoxGrid":
        """The grid of a solution of a problem that is no evolution.

        Args:
            counts: of the nodes along each axis.
            weak: a function along each axis; nodes are placed where it is steep, too, and where
                layers at the edges may be. None without such nodes.
        """
        domain = solver.problem.domain
        low = MIDDLE if weak is None or len(counts) == 2 else HIGH  # a factor takes its time
        axes, differences, weights = _on_nodes(solver, domain.axes, counts, low, weak)
        return cls(np.zeros(1), domain.names, axes, differences, weights[None])

    def profiles(self, fields: np.ndarray) -> list[Profile]:
        """Values [fields · nodes] along each axis: nodes, and values [nodes, rest]."""
        values = fields.reshape(-1, *self.shape)
        return [
            (x, np.moveaxis(values, 1 + k, 0).reshape(len(x), -1)) for k, x in enumerate(self.axes)
        ]

    def points(self, nodes: np.ndarray | None = None) -> np.ndarray:
        return (self.nodes if nodes is None else self.nodes[nodes])[None]


def highest_order(problem: Problem, axis: str) -> int:
    """Order of the highest derivative in an axis."""
    return max(channel.count(axis) for channel in problem.channels)


def may_have_layers(problem: Problem, axis: str) -> bool:
    """Whether layers may stand at the ends of an axis: what is of first order in all has none."""
    return sum(problem.recorded.orders(axis)) > 1 and axis not in problem.boundary.periodic


def _on_nodes(
    solver: Surrogate,
    axes: Sequence[Axis],
    counts: Sequence[int],
    low: int,
    weak: Sequence[Profile] | None = None,
) -> tuple[tuple[np.ndarray, ...], tuple[list[sp.csr_array], ...], np.ndarray]:
    """Nodes along axes, matrices of the derivatives, weights of the quadrature [nodes].

    Args:
        low: points of the differences of derivatives up to second order.
        weak: see `BoxGrid.on_box`; may be empty, for layers at the edges alone.
    """
    problem = solver.problem
    others: Sequence[Profile | None] = weak or [None] * len(axes)
    placed = tuple(
        _placed(solver, axis, count, other, weak is not None)
        for axis, count, other in zip(axes, counts, others, strict=True)
    )
    periods = [axis.length if axis.name in problem.boundary.periodic else None for axis in axes]
    orders = [highest_order(problem, axis.name) for axis in axes]
    differences = tuple(
        derivative_matrices(x, period, max(order, 1), low if order <= 2 else HIGH)
        for x, period, order in zip(placed, periods, orders, strict=True)
    )
    widths = [
        _shares(np.append(x, axis.upper) if period else x)[: len(x)]
        for x, axis, period in zip(placed, axes, periods, strict=True)
    ]
    return placed, differences, reduce(np.multiply.outer, widths).reshape(-1)


def _times(solver: Surrogate, defects: np.ndarray, finer: int) -> np.ndarray:
    problem = solver.problem
    time = problem.domain.axis("t")
    if problem.domain.space:
        most = MOST_STEPS[len(problem.domain.space)]
        changes = int(STEPS_PER_CHANGE * min(_changes(solver), most))
        share = np.linspace(0, 1, finer * min(max(PDE_STEPS, changes), most) + 1)
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


def _changes(solver: Surrogate) -> float:
    """By how many times its own size the solution changes over the time span, at a place."""
    domain = solver.problem.domain
    points = torch.from_numpy(domain.random(RATES, np.random.default_rng(0))).to(solver.weights)
    values, rates = solver.jet(points, ("", "t"))
    ratio = ((rates**2).mean(0) / (values**2).mean(0)).sqrt().nan_to_num(0.0, 0.0).max()
    return float(ratio) * domain.axis("t").length


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
    solver: Surrogate,
    axis: Axis,
    count: int,
    weak: Profile | None = None,
    layers: bool = False,
) -> np.ndarray:
    """Nodes of a space axis: evenly, where the solution is steep, and where others may be.

    A periodic axis goes without its upper end. Each of the reasons has as many nodes as any other.

    Args:
        weak: a function along the axis that is steep at nodes of its own.
        layers: whether edges have nodes for layers that the solution may lack.
    """
    problem = solver.problem
    domain = problem.domain
    periodic = axis.name in problem.boundary.periodic
    order = highest_order(problem, axis.name)
    lines = FEWER_SNAPSHOTS if layers else SNAPSHOTS
    layers = layers and may_have_layers(problem, axis.name)
    thinnest = max(THINNEST, 10 * ROUNDING ** (1 / max(order, 1)), 0.5 * exp(-STRETCH * count))
    x = axis.grid(4 * count)
    if layers:
        near = axis.length * np.geomspace(thinnest, 0.5, count)
        x = np.unique(np.concatenate([x, axis.lower + near, axis.upper - near]))
    gaps = np.diff(x)
    places = domain.random(lines, np.random.default_rng(0))
    if problem.order:
        places[:, 0] = domain.axis("t").grid(lines)
    points = np.repeat(places[:, None], len(x), 1)
    points[..., domain.names.index(axis.name)] = x
    flat = torch.from_numpy(points.reshape(-1, points.shape[-1])).to(solver.weights)
    fields = solver.at(flat).double().cpu().numpy().reshape(lines, len(x), -1)
    steep = np.abs(np.diff(fields, axis=1))
    largest = steep.sum(1, keepdims=True).max(0, keepdims=True)
    densities = [gaps, (steep / np.where(largest > 0, largest, 1)).max((0, 2))]
    if weak is not None:
        at, values = weak
        densities.append(np.abs(np.diff(_along(x, at, values), axis=0)).max(1))
    if layers:
        middles = (x[1:] + x[:-1]) / 2
        to_edge = np.minimum(middles - axis.lower, axis.upper - middles)
        densities.append(gaps / (to_edge + thinnest * axis.length))
    shares = [own / own.sum() for own in densities if np.isfinite(own.sum()) and own.sum() > 0]
    reached = np.insert(np.cumsum(sum(shares)), 0, 0.0)
    wanted = np.linspace(0, 1, count + 1)[:-1] if periodic else np.linspace(0, 1, count)
    placed = np.interp(wanted, reached / reached[-1], x)
    placed[0] = axis.lower
    if not periodic:
        placed[-1] = axis.upper
    return placed


def _along(x: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [nodes, rest] at nodes, linearly between them at x."""
    place = np.interp(x, at, np.arange(len(at)))
    below = np.minimum(place.astype(int), len(at) - 2)
    share = (place - below)[:, None]
    return (1 - share) * values[below] + share * values[below + 1]
