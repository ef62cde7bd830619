"""Refines grid and tolerance together until two successive solutions agree."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

import numpy as np

from pacpde.checks import check_number
from pacpde.errors import SolverError
from pacpde.physics import Problem
from pacpde.physics.evaluation import initial_at
from pacpde.reference.dense import DenseSolution, in_pieces, to_points
from pacpde.reference.grid import SpaceAxis, space_axes
from pacpde.reference.lines import Unseen
from pacpde.reference.method_of_lines import MethodOfLines, check_finite
from pacpde.reference.ode import Effort, EffortError, Integrated, IntegrationError, integrate
from pacpde.reference.probes import PER_WIDTH, unseen
from pacpde.reference.solution import Reference, worst_field_error
from pacpde.runtime import gradients

LEVELS = 14  # refinements before giving up
FAILURES = 4  # of these, integrations that end early
UNKNOWNS = 2000  # of the largest grid: its dense Jacobian takes 32 MB
EFFORT = 2e10  # of all levels together (see Effort): minutes; the families of the package need 3e9
FINEST_RTOL = 1e-13  # of the order of 100 units of roundoff, what the integrators stand
FIRST_RTOL = 1e-6
FIRST_SIZE = {0: 0, 1: 24, 2: 14}  # nodes an axis, by number of space axes
LOOSEST = 0.1  # a certificate above this says nothing
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


@gradients()
def solve(
    problem: Problem,
    *,
    tolerance: float | None = None,
    loosest: float | None = None,
    progress: Progress | None = None,
) -> Reference:
    """The reference solution of a problem, certified to `tolerance` (relative L2).

    Levels refine the grid, and the tolerance of the integrator once the grid is in sight. The
    difference of two levels that differ in both is the error of the coarser one; it is certified
    for the finer one, which is returned. Its floor is a tenth of `tolerance`, so it is never 0.

    Args:
        loosest: where `tolerance` is not met, the best certificate is taken if it is at most this;
            `certified_error` says what it is.
        progress: called with a sentence after every level.

    Raises:
        SolverError: the solution does not reach the end of the span, or no two levels agree.
    """
    target, accepted = tolerances(problem, tolerance, loosest)
    search = _Search(problem, target, progress or (lambda message: None))
    search.run()
    best = search.best()
    if best is None or best.error > accepted:
        raise SolverError(search.sentence(best))
    limit = search.reason if best.error > target else None
    return _certified(problem, best, target, limit, search.seconds)


def not_certified(problem: Problem, target: float, reached: float | None, why: str) -> str:
    """The sentence of a certificate that was not reached; `reached` is the best there is."""
    best = (
        f"nothing up to {LOOSEST:g} can be certified"
        if reached is None or reached > LOOSEST
        else f"the best that can be certified is {reached:.1e}"
    )
    return f"{problem} was not certified to {target:.0e}: {best}, since {why}."


@dataclass(frozen=True)
class Pair:
    """Two levels, their difference, and the error certified for the finer one."""

    coarse: Level
    fine: Level
    difference: float
    error: float
    probed: bool = False


class _Search:
    """Levels of one problem, until two of them agree to `target` or no finer one can be had."""

    def __init__(self, problem: Problem, target: float, progress: Progress) -> None:
        self.problem, self.target, self.progress = problem, target, progress
        self.axes = output_axes(problem)
        self.levels: list[Level] = []
        self.pairs: list[Pair] = []
        self.hidden: Unseen | None = None  # a feature that no level has seen
        self.ended = ""  # why there is no finer level
        self.effort = Effort(EFFORT)
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def run(self) -> None:
        sizes = {axis.name: first_size(self.problem) for axis in self.problem.domain.space}
        rtol, failures, blind = FIRST_RTOL if sizes else self.target, 0, 0
        self.ended = f"{LEVELS} refinements were not enough"
        for _ in range(LEVELS):
            unknowns = self._unknowns(sizes)
            if unknowns > UNKNOWNS:
                self.ended = (
                    f"a finer grid ({_size_text(sizes)}) would have {unknowns:.0f} unknowns, and "
                    f"{UNKNOWNS} is the most"
                )
                return
            try:
                steps = None  # of the level before, if this one is to differ from it in time
                if self.levels and rtol < self.levels[-1].rtol / 2:
                    steps = self.levels[-1].integrated.steps
                fine = _level(self.problem, sizes, rtol, self.axes, self.effort, steps)
            except EffortError:
                self.ended = (
                    f"the steps that a finer grid ({_size_text(sizes)}) needs would take too long: "
                    "something moves fast, or something narrow moves"
                )
                return
            except IntegrationError as error:
                failures += 1
                self.progress(f"{self.problem}: grid {_size_text(sizes)}, rtol {rtol:.0e}: {error}")
                if failures == FAILURES or not sizes:
                    self.ended = str(error)
                    return
                self.levels, sizes = [], {name: 2 * size for name, size in sizes.items()}
                continue
            if self._add(fine):
                self.pairs[-1] = self._probed(self.pairs[-1])
                if self.pairs[-1].error <= self.target:
                    return
                sizes, rtol = self._finer(fine.sizes), FIRST_RTOL
                self.levels, blind = [], len(self.pairs)
                if not sizes:
                    self.ended = "no grid or step that can be had would see it"
                    return
                continue
            if rtol < 2 * FINEST_RTOL:
                self.ended = f"the integrator's tolerance of {rtol:.0e} is the finest"
                return
            if _stagnates([pair.difference for pair in self.pairs[blind:]]):
                self.ended = "four refinements have not halved the difference"
                return
            sizes, rtol = _refined(fine, self.target)

    def _add(self, fine: Level) -> bool:
        """Compare with the level before; whether that certifies the target."""
        if self.levels:
            coarse = self.levels[-1]
            reached = max(worst_field_error(coarse.values, fine.values), fine.start_error)
            self.progress(
                f"{self.problem}: grid {_size_text(fine.sizes)}, rtol {fine.rtol:.0e}: differs by "
                f"{reached:.1e}"
            )
            self.pairs.append(Pair(coarse, fine, reached, max(reached, fine.rtol)))
        self.levels.append(fine)
        last = self.pairs[-1] if self.pairs else None
        return last is not None and _differ(last) and last.error <= self.target

    def _probed(self, pair: Pair) -> Pair:
        """The pair, with what neither of its levels has seen added to its error."""
        size = np.sqrt(np.mean(pair.fine.values**2, axis=tuple(range(1, pair.fine.values.ndim))))
        hidden = unseen(self.problem, pair.fine.integrated, size, self.target / 10)
        self.hidden = hidden if hidden.error > self.target / 10 else None
        if self.hidden is None:
            return replace(pair, probed=True)
        self.progress(f"{self.problem}: {hidden}: an error of about {hidden.error:.1e}")
        difference = max(pair.difference, hidden.error)
        return replace(pair, difference=difference, error=pair.error + hidden.error, probed=True)

    def _finer(self, sizes: dict[str, int]) -> dict[str, int]:
        """A grid on the way to one that sees a narrow feature; empty where none can."""
        if self.hidden is None or self.hidden.axis not in sizes:
            return {}
        axis = self.hidden.axis
        needed = int(PER_WIDTH * sizes[axis] / self.hidden.share)
        if self._unknowns({**sizes, axis: needed}) > UNKNOWNS:
            return {}
        return {**sizes, axis: 2 * sizes[axis]}

    def _unknowns(self, sizes: dict[str, int]) -> float:
        return float(np.prod([float(n) for n in sizes.values()])) * len(self.problem.fields)

    def best(self) -> Pair | None:
        """The pair of the smallest error that can be certified."""
        if self.pairs and _differ(self.pairs[-1]) and self.pairs[-1].error <= self.target:
            return self.pairs[-1]
        best = self._most_certain()
        return best if best is None or best.probed else self._probed(best)

    def _most_certain(self) -> Pair | None:
        cautious = [replace(pair, error=self._cautious(k)) for k, pair in enumerate(self.pairs)]
        certain = [pair for pair in cautious if _differ(pair)]
        best = min(certain, key=lambda pair: pair.error, default=None)
        rest = [pair for pair in cautious if not _differ(pair)]
        other = min(rest, key=lambda pair: pair.error, default=None)
        if other is not None and (best is None or other.error < best.error / 2):
            try:
                return self._with_time_error(other)
            except IntegrationError as error:
                self.progress(f"{self.problem}: {error}")
        return best

    def _cautious(self, k: int) -> float:
        """The error of a pair: the next difference tells that of its finer level.

        Of the last pair nothing is known but its own difference; where the differences do not fall,
        the largest of three is taken.
        """
        own, last = self.pairs[k].error, k == len(self.pairs) - 1
        if not last:
            return max(own, self.pairs[k + 1].difference)
        found = [pair.difference for pair in self.pairs[max(0, k - 2) :]]
        falling = all(after < before / 2 for before, after in pairwise(found))
        return own if falling else max(own, *found)

    def _with_time_error(self, pair: Pair) -> Pair:
        """Of a pair of one rtol: the coarse grid with a finer rtol tells the error in time."""
        coarse = pair.coarse
        again = _level(
            self.problem, coarse.sizes, coarse.rtol / 10, self.axes, steps=coarse.integrated.steps
        )
        return replace(pair, error=pair.error + worst_field_error(coarse.values, again.values))

    @property
    def reason(self) -> str:
        """Why there is no better certificate."""
        if self.hidden is not None:
            return f"{self.hidden}, and {self.ended}"
        missed = self.levels[-1].start_error if self.levels else 0.0
        if missed <= self.target:
            return self.ended
        return (
            f"{self.ended}; its start is missed by {missed:.0e}, so it jumps, has a kink or "
            "contradicts the edges"
        )

    def sentence(self, best: Pair | None) -> str:
        """Why there is no certificate."""
        if not self.levels and not self.pairs:
            end = self.problem.domain.axes[0].upper
            return f"{self.problem} has no reference up to t = {end:g}: {self.ended}."
        reached = None if best is None else best.error
        return not_certified(self.problem, self.target, reached, self.reason)


def _differ(pair: Pair) -> bool:
    """Whether its levels differ in time too."""
    return pair.fine.rtol < pair.coarse.rtol / 2


def _stagnates(differences: list[float]) -> bool:
    """Four refinements have not halved the difference."""
    return len(differences) > 4 and differences[-1] > differences[-5] / 2


def check_tolerance(tolerance: float, option: str = "tolerance") -> float:
    """`tolerance` if a reference may be certified to it."""
    expected = "a relative error from 1e-12 to 0.1"
    return check_number(option, tolerance, 1e-12, LOOSEST, expected=expected)


def tolerances(
    problem: Problem, tolerance: float | None, loosest: float | None = None
) -> tuple[float, float]:
    """(the error to certify, the largest error that is accepted), defaults filled in."""
    target = check_tolerance(default_tolerance(problem) if tolerance is None else tolerance)
    accepted = target if loosest is None else max(target, check_tolerance(loosest, "loosest"))
    return target, accepted


def output_axes(problem: Problem) -> dict[str, np.ndarray]:
    """The equidistant output grid: 101 × 513 in one dimension, 1001 times for an ODE."""
    axes = problem.domain.axes
    counts = OUTPUT.get(len(axes) - 1, (17, *[33] * (len(axes) - 1)))
    return {axis.name: axis.grid(count) for axis, count in zip(axes, counts, strict=True)}


def first_size(problem: Problem) -> int:
    """Nodes an axis of the first level."""
    return FIRST_SIZE.get(len(problem.domain.space), 8)


def _level(
    problem: Problem,
    sizes: dict[str, int],
    rtol: float,
    axes: dict[str, np.ndarray],
    effort: Effort | None = None,
    steps: np.ndarray | None = None,
) -> Level:
    space = space_axes(problem, sizes)
    integrated = integrate(MethodOfLines(problem, space), rtol, effort, steps)
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
    shape = tuple(len(x) for x in points)
    exact = initial_at(problem, grids, shape)
    space = {axis.name: x for axis, x in zip(problem.domain.space, points, strict=True)}
    check_finite(problem, "initial", np.stack(exact), space)
    for start, field in zip(exact, values, strict=True):
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
    problem: Problem, pair: Pair, target: float, limit: str | None, seconds: float
) -> Reference:
    coarse, fine = pair.coarse, pair.fine
    began = time.perf_counter()
    error = max(pair.error, target / 10)
    axes = output_axes(problem)
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
            **({} if limit is None else {"limit": limit}),
        },
        seconds=seconds + time.perf_counter() - began,
        dense=dense,
    )  # fmt: skip


def _nodes(space: tuple[SpaceAxis, ...]) -> str:
    return "".join(f", {axis.kind} in {axis.axis.name} ({axis.size})" for axis in space)


def _size_text(sizes: dict[str, int]) -> str:
    return "×".join(str(size) for size in sizes.values()) or "none"
