"""One solution by collocation, what is read off it, and pairs of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf

import numpy as np

from pacpde.physics import Problem
from pacpde.physics.way import interpolate
from pacpde.reference.collocation import Collocation
from pacpde.reference.collocation_probes import (
    changes_abruptly,
    equations_between,
    missed_share,
)
from pacpde.reference.levels import OUTPUT, output_axes
from pacpde.reference.newton import NewtonError, Root, newton
from pacpde.reference.nodal import NodalSolution, nodal_axes
from pacpde.reference.solution import ZERO, field_errors
from pacpde.reference.starts import on_nodes, starts

GROWTH = 1.4  # of an axis that is not resolved
STEADY_OUTPUT = {1: (1001,), 2: (129, 129)}  # points an axis
VISIBLE = 1e-6  # what is missed of a narrow range of the fields: the places are 20 000
SAFETY = 2.0  # of the error that the equations between the nodes give, or a first ratio
FIRST = 4.0  # times the first difference: how fast they fall is not known yet
TINY = 1e-300
LEAST_STEP = 1 / 32  # of the way from the default coefficients to those of a problem
SLOW = 0.9  # differences that fall less tell nothing of the error


@dataclass(frozen=True, eq=False)
class Level:
    """One solution.

    Attributes:
        sizes: axis → number of points of the rows.
        values: on the output grid, [fields, points...].
        tails: axis → share of the highest modes, which are not resolved.
        missed: relative error by what lies between the nodes, to first order.
        abrupt: whether it is missed in the fields, so that first order says nothing of it.
        contradiction: by how much the equations contradict each other, as a share of a row.
        step: the last step of Newton's method.
    """

    sizes: dict[str, int]
    solution: NodalSolution
    values: np.ndarray
    tails: dict[str, float]
    missed: float
    abrupt: bool
    contradiction: float
    step: float

    @classmethod
    def of(cls, system: Collocation, sizes: dict[str, int], coarse: "Level | None") -> "Level":
        """Solve on a grid, from the coarser solution first.

        Raises:
            NewtonError: no start leads to a solution.
        """
        root = _root(system, coarse)
        solution = common_grid(system, root.state)
        axes = steady_output(system.problem)
        grid = list(axes.values())
        correction = root.factors.solve(equations_between(system, root.state))
        missed = missed_share(system, root.state, correction, grid)
        return cls(
            sizes=sizes,
            solution=solution,
            values=solution.on_grid(*grid),
            tails=_tails(system, solution),
            missed=missed,
            abrupt=missed > VISIBLE and changes_abruptly(system, root.state),
            contradiction=_contradiction(system, root.state),
            step=root.step,
        )

    def refined(self, target: float) -> dict[str, int]:
        """More points, on axes that are not resolved many more.

        None is resolved where the solution misses something between the nodes.
        """
        blind = self.missed > target
        return {
            name: ceil(size * GROWTH) if blind or self.tails[name] > target / 10 else size + 2
            for name, size in self.sizes.items()
        }


@dataclass(frozen=True, eq=False)
class Pair:
    """Two levels, their difference, and the error certified for the finer one.

    Attributes:
        ratio: of the difference to that of the pair before; 0 for the first one.
    """

    coarse: Level
    fine: Level
    difference: float
    ratio: float
    error: float

    @classmethod
    def of(
        cls, coarse: Level, fine: Level, before: "Pair | None", scales: Sequence[float]
    ) -> "Pair":
        """Compare two levels; `before` is the pair whose finer level is the coarser one here.

        Where differences fall by the factor q, those of all finer levels together are q / (1 − q)
        of the last one; twice that where no earlier q confirms it. Where they do not fall, the
        error of the coarser level and the difference bound that of the finer one.
        """
        difference = max(field_errors(coarse.values, fine.values, scales))
        ratio = 0.0 if before is None else difference / max(before.difference, TINY)
        slowest = ratio if before is None else max(ratio, (ratio * before.ratio) ** 0.5)
        if before is None:
            error = FIRST * difference
        elif slowest <= SLOW:
            left = slowest / (1 - slowest) * (1.0 if before.ratio else SAFETY)
            error = difference * max(left, 1.0)
        else:
            error = before.error + difference
        between = inf if fine.abrupt else max(SAFETY * fine.missed, fine.contradiction)
        return cls(coarse, fine, difference, ratio, max(error, between))


def _root(system: Collocation, coarse: Level | None) -> Root:
    """The solution from the coarser one, else from the first start that leads to one.

    Where none does, the family's default coefficients are solved, and from there the problem is
    reached by continuation.
    """

    def size(state: np.ndarray) -> float:
        fields = zip(system.split(state), system.problem.scales, strict=True)
        return float(np.sqrt(np.mean([np.mean((values / scale) ** 2) for values, scale in fields])))

    fault: NewtonError | None = None
    others = starts(system)
    for start in others if coarse is None else (on_nodes(system, coarse.solution), *others):
        try:
            return newton(system, start, size)
        except NewtonError as error:
            fault = fault or error
    assert fault is not None
    root = _continued(system, size) if len(system.grids[0]) > 1 else None
    if root is None:
        raise fault
    return root


def _continued(system: Collocation, size: Callable[[np.ndarray], float]) -> Root | None:
    """The solution by steps in the coefficients from the family's defaults; None where they fail.

    A step that fails is halved, down to `LEAST_STEP`; one that succeeds is followed by a longer.
    """
    target = system.problem
    if target.domain.time is not None:
        return None
    near = target.with_coefficients(
        **{name: about.default for name, about in target.declared().items()}
    )
    if near == target:
        return None

    def at(share: float, start: np.ndarray) -> Root:
        own = Collocation(interpolate(near, target, share), system.sizes, system.more)
        return newton(own, start, size)

    try:
        root = at(0.0, next(starts(Collocation(near, system.sizes, system.more))))
    except NewtonError:
        return None
    share, step = 0.0, 0.25
    while share < 1:
        ahead = min(share + step, 1.0)
        try:
            root, share, step = at(ahead, root.state), ahead, 1.5 * step
        except NewtonError:
            step /= 2
            if step < LEAST_STEP:
                return None
    return root


def _contradiction(system: Collocation, state: np.ndarray) -> float:
    """What the equations lack of a common solution, where they are more than the unknowns."""
    if system.n_equations > system.size:
        return float(np.sqrt(np.mean(system.equations(state) ** 2)))
    return float(np.abs(state[system.ends[-1] :]).max(initial=0.0))


def _tails(system: Collocation, solution: NodalSolution) -> dict[str, float]:
    """Of the worst field; one that is nothing but rounding has none."""
    fields = [
        values
        for values, scale in zip(solution.values, system.problem.scales, strict=True)
        if np.abs(values).max() > ZERO * scale
    ]
    return {
        axis.axis.name: max((axis.tail(values, k) for values in fields), default=0.0)
        for k, axis in enumerate(solution.axes)
    }


def common_grid(system: Collocation, state: np.ndarray) -> NodalSolution:
    """The fields of a state at the nodes of one grid, which is fine enough for all of them."""
    names = [axis.axis.name for axis in system.axes]
    sizes = {name: max(grid[k].size for grid in system.grids) for k, name in enumerate(names)}
    axes = nodal_axes(system.problem, sizes)
    fields = [
        NodalSolution(grid, values[None]).on_grid(*(axis.nodes for axis in axes))[0]
        for grid, values in zip(system.grids, system.split(state), strict=True)
    ]
    return NodalSolution(axes, np.stack(fields))


def steady_output(problem: Problem) -> dict[str, np.ndarray]:
    """The equidistant output grid: 1001 points, or 129 × 129; with a time that of evolutions."""
    axes = problem.domain.axes
    if problem.domain.time is not None and len(axes) - 1 in OUTPUT:
        return output_axes(problem)
    counts = STEADY_OUTPUT.get(len(axes), (33,) * len(axes))
    return {axis.name: axis.grid(count) for axis, count in zip(axes, counts, strict=True)}


def open_constants(system: Collocation, state: np.ndarray) -> list[str]:
    """Names of the fields to which a constant may be added, for all that the equations say.

    With a time it is a function of it.
    """
    jacobian = system.jacobian(state)
    names = []
    for field, name in enumerate(system.problem.fields):
        columns = jacobian[:, system.ends[field] : system.ends[field + 1]]
        shift = np.ones(system.shapes[field])
        if system.problem.domain.time is not None:
            times = system.grids[field][0].nodes
            shift *= np.cos(times).reshape(-1, *[1] * (shift.ndim - 1))
        size = np.abs(columns).sum(1)
        change = np.abs(columns @ shift.ravel())
        if (change <= 1e-9 * np.maximum(size, size.max() * 1e-6)).all():
            names.append(name)
    return names
