"""Estimate the error of a solution from its residual, without a reference.

A small residual does not mean a small error: the error grows exponentially along a chaotic orbit,
and adds up over a long time in a slow equation. To first order the error e obeys the linearised
equation

    Σ_c ∂row/∂c · ∂_c e = −row,    for each row of the residual,
    e = initial value − u at the start,    a e + b ∂e/∂n = value − (a u + b ∂u/∂n) on edges,

with a sum over the derivatives c that the row reads. That is one Newton step on the differential
equation (defect correction, Stetter 1978, doi:10.1007/BF01432879). It is solved by finite
differences on a grid that is refined where the solution is steep:

- of an evolution by the trapezoidal rule in time (`evolution_error`);
- of any other problem on all axes at once, in the least-squares sense (`box_error`).

An accuracy of a few ten per cent is enough.
"""

from math import inf

import numpy as np
import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.narrow import START, narrow_features
from pacpde.physics.problem import Problem
from pacpde.residuals.box_error import solved_on_box
from pacpde.residuals.edge_rows import ReplacedRows, missed_at
from pacpde.residuals.estimate_grid import BOX_NODES, NODES, BoxGrid, Grid
from pacpde.residuals.evolution_error import (
    AGREE,
    LinearisedEvolution,
    is_first_order,
    solved_as_ode,
    solved_as_pde,
)
from pacpde.residuals.linearised import CHUNK, linearise_rows

DEFECT_TIMES, DEFECT_PLACES = 2048, 4  # equidistant times, and random places at each time
GROWN = 10.0  # times the residual: an estimate above it is made again
FINER = 2, 4  # times as many nodes and steps in time, one after the other
SMALL = 0.1  # an error of an ODE up to which first order has to hold
START_POINTS, BOX_POINTS = 2**16, 2**12  # points of an initial field, and around a narrow feature


def error_estimate(solver: Surrogate, residual: float = inf) -> float | None:
    """Estimate the relative L2 error of the worst field, to first order.

    Args:
        residual: relative to the equation's terms. Where errors grow far beyond it along one space
            axis, that may be what too few nodes and steps make of steep waves: it is estimated
            again on twice as many, as long as these change it. Where there are no steps in time,
            two numbers of nodes have to agree in any case.

    Returns:
        The estimate, inf where it overflows. None where there are too many axes for a grid: more
        than three in space, or more than three in all where there are no steps in time.
    """
    problem = solver.problem
    steps = solved_in_steps(problem)
    if len(problem.domain.space if steps else problem.axes) > max(NODES):
        return None
    missed = _missed_start(solver)
    if not steps:
        return max(_on_box(solver), missed)
    defects = _defects_in_time(solver)
    estimate = max(_worst(*_in_steps(solver, defects)), missed)
    for finer in FINER if len(problem.domain.space) == 1 else ():
        if estimate <= GROWN * residual:
            break
        before, estimate = estimate, max(_worst(*_in_steps(solver, defects, finer)), missed)
        if before / 2 < estimate < 2 * before:
            break
    return estimate


def _worst(errors: np.ndarray, sizes: np.ndarray) -> float:
    """The largest share of errors [fields] in the sizes of their fields; inf where it overflows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(errors == 0, 0.0, errors / np.where(sizes > 0, sizes, 0.0))
    return float(np.nan_to_num(shares, nan=np.inf, posinf=np.inf).max(initial=0.0))


def solved_in_steps(problem: Problem) -> bool:
    """Whether the error is solved step by step: rates of change are given by what is in space."""
    mixed = any(channel.count("t") >= problem.order for channel in problem.derivatives_read)
    return problem.order > 0 and not (mixed or problem.boundary.points)


def _in_steps(
    solver: Surrogate, defects: np.ndarray, finer: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Size of the error and of the solution, [fields] each.

    Args:
        defects, finer: see `Grid.of`.
    """
    problem = solver.problem
    grid = Grid.of(solver, defects, finer)
    if problem.domain.space:
        linear = LinearisedEvolution.at(solver, grid)
        error = solved_as_pde(linear, grid, ReplacedRows.of(solver, grid))
    else:
        quarters = grid.in_quarters()
        linear = LinearisedEvolution.at(solver, quarters)
        error, linear = solved_as_ode(linear, quarters.times), linear.every(4)
    sizes = _size(grid, error[..., : len(problem.fields)]), _size(grid, linear.values)
    small = bool((sizes[0] <= SMALL * sizes[1]).all())
    if small and not problem.domain.space and not is_first_order(solver, grid, error):
        return np.full_like(sizes[0], np.inf), sizes[1]
    return sizes


def _on_box(solver: Surrogate) -> float:
    """The estimate on more and more nodes until two agree, else the larger of the last two."""
    first, *more = BOX_NODES[len(solver.problem.axes)]
    largest = before = _at_nodes(solver, first)
    for count in more:
        estimate = _at_nodes(solver, count)
        least, largest = sorted([before, estimate])
        if largest <= AGREE * least:
            return estimate
        before = estimate
    return largest


def _at_nodes(solver: Surrogate, count: int) -> float:
    """The estimate of a problem that is no evolution, with `count` nodes along each axis."""
    return estimate_on(solver, BoxGrid.on_box(solver, [count] * len(solver.problem.axes)))


def estimate_on(solver: Surrogate, grid: BoxGrid) -> float:
    """The estimate on a grid of all axes."""
    error, values = solved_on_box(solver, grid)
    return _worst(_size(grid, error[None]), _size(grid, values[None]))


def _size(grid: Grid, values: np.ndarray) -> np.ndarray:
    """√∫ of the squares of values [times, nodes, fields]."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((grid.weights[..., None] * values**2).sum((0, 1))))


def _defects_in_time(solver: Surrogate) -> np.ndarray:
    """Mean |defect| at equidistant times, [times]; empty unless a PDE or an edge reads the time."""
    problem = solver.problem
    moving = [one for one in problem.boundary.edges if one.constant is None]
    if not problem.domain.space or not ("t" in problem.coordinates_read or moving):
        return np.zeros(0)
    unit = np.random.default_rng(0).uniform(size=(DEFECT_TIMES, DEFECT_PLACES, len(problem.axes)))
    unit[..., 0] = np.linspace(0, 1, DEFECT_TIMES)[:, None]
    points = problem.domain.from_unit(unit.reshape(-1, unit.shape[-1]))
    parts = []
    for own in torch.from_numpy(points).to(solver.weights).split(CHUNK):
        rows = linearise_rows(solver, own)[2]
        defect = rows / rows.new_tensor(problem.scales)
        parts.append(defect.abs().sum(-1).double().cpu().numpy())
    total = np.concatenate(parts)
    for one in moving:
        axis = problem.domain.axis(one.axis)
        edge = points.copy()
        edge[:, problem.domain.names.index(one.axis)] = axis.upper if one.upper else axis.lower
        size = one.size(axis.length) * problem.scales[one.field]
        total += np.abs(missed_at(solver, one, edge)) / (size * problem.time_unit**problem.order)
    return np.nan_to_num(total.reshape(DEFECT_TIMES, DEFECT_PLACES).mean(1), posinf=0.0)


def _missed_start(solver: Surrogate) -> float:
    """Relative L2 error at the start, for initial fields too narrow for the grid; else 0."""
    problem = solver.problem
    narrow = narrow_features(problem, START) if problem.order else ()
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
