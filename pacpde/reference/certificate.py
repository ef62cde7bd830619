"""Refines grid and tolerance together until two successive solutions agree."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np

from pacpde.errors import InvalidValueError, SolverError
from pacpde.physics import Problem
from pacpde.reference.dense import DenseSolution, in_pieces, to_points
from pacpde.reference.grid import SpaceAxis, space_axes
from pacpde.reference.method_of_lines import MethodOfLines
from pacpde.reference.ode import Integrated, IntegrationError, integrate
from pacpde.reference.solution import Reference, relative_l2

LEVELS = 14  # refinements before giving up
FAILURES = 4  # of these, integrations that end early
UNKNOWNS = 2000  # of the largest grid: its dense Jacobian takes 32 MB
FINEST_RTOL = 1e-13  # of the order of 100 units of roundoff, what the integrators stand
FIRST_RTOL = 1e-6
FIRST_SIZE = {0: 0, 1: 24, 2: 14}  # nodes an axis, by number of space axes
OUTPUT = {0: (1001,), 1: (101, 513), 2: (33, 65, 65)}  # points an axis

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Level:
    """One solution of the refinement."""

    sizes: dict[str, int]
    rtol: float
    integrated: Integrated
    values: np.ndarray
    tails: dict[str, float]
    start_error: float


def default_tolerance(problem: Problem) -> float:
    """1e-10; 1e-9 where there are two space axes or more."""
    return 1e-10 if len(problem.domain.space) < 2 else 1e-9


def solve(
    problem: Problem, *, tolerance: float | None = None, progress: Progress | None = None
) -> Reference:
    """The reference solution of a problem, certified to `tolerance` (relative L2).

    Levels refine the grid, and the tolerance of the integrator once the grid is in sight. The
    difference of two levels that differ in both is the error of the coarser one; it is certified
    for the finer one, which is returned. Its floor is a tenth of `tolerance`, so it is never 0.

    Raises:
        SolverError: the solution does not reach the end of the span, or no two levels agree.
    """
    target = check_tolerance(default_tolerance(problem) if tolerance is None else tolerance)
    say = progress or (lambda message: None)
    began = time.perf_counter()
    axes = output_axes(problem)
    coarse: Level | None = None
    sizes = {axis.name: first_size(problem) for axis in problem.domain.space}
    rtol, failures, differences = FIRST_RTOL if sizes else target, 0, [np.inf]
    for _ in range(LEVELS):
        if np.prod([float(size) for size in sizes.values()]) * len(problem.fields) > UNKNOWNS:
            break
        try:
            fine = _level(problem, sizes, rtol, axes)
        except IntegrationError as error:
            failures += 1
            say(f"{problem}: grid {_words(sizes)}, rtol {rtol:.0e}: {error}")
            if failures == FAILURES or not sizes:
                raise SolverError(
                    f"{problem} has no reference up to t = {problem.domain.axes[0].upper:g}: "
                    f"{error}. If the solution grows without bound, end before it does (until)."
                ) from error
            coarse, sizes = None, {name: 2 * size for name, size in sizes.items()}
            continue
        if coarse is not None:
            reached = max(relative_l2(coarse.values, fine.values), fine.start_error)
            say(f"{problem}: grid {_words(sizes)}, rtol {rtol:.0e}: differs by {reached:.1e}")
            differences.append(reached)
            if rtol < coarse.rtol / 2 and max(reached, rtol) <= target:
                return _certified(problem, axes, coarse, fine, target, reached, began)
        coarse = fine
        if rtol < 2 * FINEST_RTOL or _stagnates(differences):
            break
        sizes, rtol = _refined(fine, target)
    missed = coarse.start_error if coarse else 0.0
    why = f"its start is missed by {missed:.0e}, so it jumps or contradicts the edges"
    raise SolverError(
        f"{problem} was not certified to {target:.0e}: successive solutions still differed by "
        f"{differences[-1]:.1e}{f' ({why})' if missed > target else ''}. Ask for a larger "
        "tolerance, or smooth what starts or ends abruptly."
    )


def _stagnates(differences: list[float]) -> bool:
    """Four refinements have not halved the difference."""
    return len(differences) > 5 and differences[-1] > differences[-5] / 2


def check_tolerance(tolerance: float, option: str = "tolerance") -> float:
    """`tolerance` if a reference may be certified to it."""
    number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if not number or not 1e-12 <= tolerance <= 0.1:
        raise InvalidValueError(
            f"{option} is {tolerance!r}, expected a relative error from 1e-12 to 0.1."
        )
    return float(tolerance)


def output_axes(problem: Problem) -> dict[str, np.ndarray]:
    """The equidistant output grid: 101 × 513 in one dimension, 1001 times for an ODE."""
    axes = problem.domain.axes
    counts = OUTPUT.get(len(axes) - 1, (17, *[33] * (len(axes) - 1)))
    return {axis.name: axis.grid(count) for axis, count in zip(axes, counts, strict=True)}


def first_size(problem: Problem) -> int:
    """Nodes an axis of the first level."""
    return FIRST_SIZE.get(len(problem.domain.space), 8)


def _level(
    problem: Problem, sizes: dict[str, int], rtol: float, axes: dict[str, np.ndarray]
) -> Level:
    space = space_axes(problem, sizes)
    integrated = integrate(MethodOfLines(problem, space), rtol)
    t, *points = axes.values()
    values = integrated(t)
    tails = {
        axis.axis.name: axis.tail(values, position) for position, axis in enumerate(space, start=2)
    }
    on_points = to_points(space, values, points)
    return Level(sizes, rtol, integrated, on_points, tails, _start_error(problem, axes, on_points))


def _start_error(problem: Problem, axes: dict[str, np.ndarray], values: np.ndarray) -> float:
    """How far the start is missed between the nodes, relative to the mean size of each field.

    A start narrower than the coarse grids' spacing would look resolved to all of them.
    """
    _, *points = axes.values()
    grids = np.meshgrid(*points, indexing="ij", sparse=True)
    missed = 0.0
    for start, field in zip(problem.start(*grids), values, strict=True):
        size = float(np.sqrt(np.mean(field**2)))
        error = float(np.sqrt(np.mean((field[0] - start) ** 2)))
        missed = max(missed, error / size if size > 0 else error)
    return missed


def _refined(level: Level, target: float) -> tuple[dict[str, int], float]:
    """The next grid and tolerance.

    The highest modes decay exponentially with the size of an axis, so that their share now tells
    the size that will do. Until that is in sight the tolerance stays: coarse grids stay cheap.
    """
    goal = np.log(target / 3)
    growth = {
        name: float(np.clip(goal / np.log(min(tail, 0.5)), 1.15, 2.0))
        for name, tail in level.tails.items()
    }
    sizes = {name: 2 * ceil(size * growth[name] / 2) for name, size in level.sizes.items()}
    if any(factor == 2.0 for factor in growth.values()):
        return sizes, level.rtol
    return sizes, max(min(level.rtol / 10, target), FINEST_RTOL)


def _certified(
    problem: Problem,
    axes: dict[str, np.ndarray],
    coarse: Level,
    fine: Level,
    target: float,
    difference: float,
    began: float,
) -> Reference:
    error = max(difference, fine.rtol, target / 10)
    space = fine.integrated.system.space
    size = np.sqrt(np.mean(fine.values**2, axis=tuple(range(1, fine.values.ndim))))
    times, nodal = in_pieces(fine.integrated, fine.integrated.system.span, error / 3 * size)
    dense = DenseSolution(times, space, nodal)
    values = dense.on_grid(*axes.values())
    atol = [fine.rtol * scale for scale in problem.scales]
    return Reference(
        problem=problem,
        axes=axes,
        fields=dict(zip(problem.fields, values, strict=True)),
        certified_error=error,
        solver=f"scipy solve_ivp {fine.integrated.method}{_nodes(dense.space)}",
        tolerances={
            "target": target, "rtol": fine.rtol, "atol": atol, "grid": fine.sizes,
            "coarse_rtol": coarse.rtol, "coarse_grid": coarse.sizes,
        },
        seconds=time.perf_counter() - began,
        dense=dense,
    )  # fmt: skip


def _nodes(space: tuple[SpaceAxis, ...]) -> str:
    return "".join(f", {axis.kind} in {axis.axis.name} ({axis.size})" for axis in space)


def _words(sizes: dict[str, int]) -> str:
    return "×".join(str(size) for size in sizes.values()) or "none"
