"""Refines grid and tolerance together until two successive solutions agree."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from pacpde.checks import check_number
from pacpde.errors import SolverError
from pacpde.physics import Problem
from pacpde.physics.problem import check_problem
from pacpde.reference.dense import DenseSolution, in_pieces
from pacpde.reference.grid import SpaceAxis
from pacpde.reference.levels import (
    FINEST_RTOL,
    Level,
    Pair,
    first_sizes,
    output_axes,
    size_text,
)
from pacpde.reference.ode import Effort, EffortError, IntegrationError, StiffError
from pacpde.reference.probe_lines import MissedFeature
from pacpde.reference.probes import PER_WIDTH, missed_feature
from pacpde.reference.solution import Reference, worst_field_error
from pacpde.runtime import gradients

LEVELS = 14  # refinements before giving up
FAILURES = 4  # of these, integrations that end early
UNKNOWNS = 2000  # of the largest grid of one axis: its dense Jacobian takes 32 MB
MODES = 20_000  # of one axis in Fourier modes, without a Jacobian
PLANE = 40_000  # of two axes or more: a solution in time of a thousand pieces takes 3 GiB
EFFORT = 2e10  # of all levels together (see Effort): minutes; the families of the package need 3e9
FIRST_RTOL = 1e-6
LOOSEST = 0.1  # a certificate above this says nothing
STAGNATION = "four refinements have not halved the difference"

Progress = Callable[[str], None]


def default_tolerance(problem: Problem) -> float:
    """1e-10; 1e-9 where there are two space axes or more."""
    return 1e-10 if len(problem.domain.space) < 2 else 1e-9


@gradients()
def solve_by_lines(
    problem: Problem, target: float, accepted: float, progress: Progress
) -> Reference:
    """The reference solution of an evolution by the method of lines.

    Levels refine the grid, and the tolerance of the integrator once the grid is in sight. The
    difference of two levels that differ in both is the error of the coarser one; it is certified
    for the finer one, which is returned. Its floor is a tenth of `target`, so it is never 0.

    Args:
        accepted: where `target` is not met, the best certificate is taken if it is at most this;
            `certified_error` says what it is.
        progress: called with a sentence after every level.

    Raises:
        SolverError: the solution does not reach the end of the span, or no two levels agree.
    """
    search = _Search(problem, target, progress)
    search.run()
    best = search.best()
    if best is None or best.error > accepted:
        kind = SolverError if search.levels or search.pairs else NoSolutionError
        raise kind(search.sentence(best))
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


class NoSolutionError(SolverError):
    """The solution of an evolution does not reach the end of its span."""


class _NoFinerLevelError(Exception):
    """Why a search ends without a certificate."""


class _Search:
    """Levels of one problem, until two of them agree to `target` or no finer one can be had.

    Attributes:
        levels: those that may be compared with the next one.
        pairs: all that were compared.
        missed: a feature that no level has seen.
        ended: why there is no finer level.
    """

    def __init__(self, problem: Problem, target: float, progress: Progress) -> None:
        self.problem, self.target = problem, target
        self.progress: Progress = lambda message: progress(f"{problem}: {message}")
        self.levels: list[Level] = []
        self.pairs: list[Pair] = []
        self.missed: MissedFeature | None = None
        self.ended = f"{LEVELS} refinements were not enough"
        self.effort = Effort(EFFORT)
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def run(self) -> None:
        try:
            self._refine()
        except _NoFinerLevelError as error:
            self.ended = str(error)

    def _refine(self) -> None:
        sizes = first_sizes(self.problem)
        rtol, failures, compared = FIRST_RTOL if sizes else self.target, 0, 0
        for _ in range(LEVELS):
            try:
                fine = self._level(sizes, rtol)
            except IntegrationError as error:
                failures += 1
                self.progress(f"grid {size_text(sizes)}, rtol {rtol:.0e}: {error}")
                if failures == FAILURES or not sizes:
                    raise _NoFinerLevelError(str(error)) from error
                self.levels, sizes = [], {name: 2 * size for name, size in sizes.items()}
                continue
            if self._add(fine):
                self.pairs[-1] = self._probed(self.pairs[-1])
                if self.pairs[-1].error <= self.target:
                    return
                sizes, rtol = self._finer(fine.sizes), FIRST_RTOL
                self.levels, compared = [], len(self.pairs)
                continue
            if rtol < 2 * FINEST_RTOL:
                raise _NoFinerLevelError(f"the integrator's tolerance of {rtol:.0e} is the finest")
            if stagnates([pair.difference for pair in self.pairs[compared:]]):
                raise _NoFinerLevelError(STAGNATION)
            sizes, rtol = fine.refined(self.target, *self._before())

    def _before(self) -> tuple[Level | None, float]:
        """The level before the last one, and their difference."""
        return (self.levels[-2], self.pairs[-1].difference) if self.levels[1:] else (None, np.inf)

    def _level(self, sizes: dict[str, int], rtol: float) -> Level:
        unknowns, most = self._unknowns(sizes), self._most(sizes)
        if unknowns > most:
            raise _NoFinerLevelError(
                f"a finer grid ({size_text(sizes)}) would have {unknowns:.0f} unknowns, and "
                f"{most} is the most"
            )
        steps = None  # of the level before, if this one is to differ from it in time
        if self.levels and rtol < self.levels[-1].rtol / 2:
            steps = self.levels[-1].integrated.steps
        try:
            return Level.of(self.problem, sizes, rtol, self.effort, steps)
        except StiffError as error:
            raise _NoFinerLevelError(
                f"a finer grid ({size_text(sizes)}) would have {error}"
            ) from error
        except EffortError as error:
            raise _NoFinerLevelError(
                f"the steps that a finer grid ({size_text(sizes)}) needs would take too long: "
                "something moves fast, or something narrow moves"
            ) from error

    def _add(self, fine: Level) -> bool:
        """Compare with the level before; whether that certifies the target."""
        if self.levels:
            coarse = self.levels[-1]
            difference = max(worst_field_error(coarse.values, fine.values), fine.start_error)
            self.progress(
                f"grid {size_text(fine.sizes)}, rtol {fine.rtol:.0e}: differs by {difference:.1e}"
            )
            self.pairs.append(Pair.of(coarse, fine, difference))
        self.levels.append(fine)
        return self._reaches_target()

    def _reaches_target(self) -> bool:
        last = self.pairs[-1] if self.pairs else None
        return last is not None and last.differs_in_time and last.error <= self.target

    def _probed(self, pair: Pair) -> Pair:
        """The pair, with what neither of its levels has seen added to its error."""
        enough = self.target / 10
        missed = missed_feature(self.problem, pair.fine.integrated, pair.fine.field_sizes, enough)
        self.missed = missed if missed.error > enough else None
        if self.missed is None:
            return replace(pair, probed=True)
        self.progress(f"{missed}: an error of about {missed.error:.1e}")
        difference = max(pair.difference, missed.error)
        return replace(pair, difference=difference, error=pair.error + missed.error, probed=True)

    def _finer(self, sizes: dict[str, int]) -> dict[str, int]:
        """A grid on the way to one that sees a narrow feature."""
        if self.missed is not None and self.missed.axis in sizes:
            axis = self.missed.axis
            needed = int(PER_WIDTH * sizes[axis] / self.missed.share)
            if self._unknowns({**sizes, axis: needed}) <= self._most({axis: needed}):
                return {**sizes, axis: 2 * sizes[axis]}
        raise _NoFinerLevelError("no grid or step that can be had would see it")

    def _most(self, sizes: dict[str, int]) -> int:
        """Unknowns of the largest grid."""
        if len(sizes) > 1:
            return PLANE
        in_modes = self.levels and self.levels[-1].integrated.system.modes is not None
        return MODES if in_modes else UNKNOWNS

    def _unknowns(self, sizes: dict[str, int]) -> float:
        return float(np.prod([float(n) for n in sizes.values()])) * len(self.problem.fields)

    def best(self) -> Pair | None:
        """The pair of the smallest error that can be certified."""
        if self._reaches_target():
            return self.pairs[-1]
        if self.missed is not None and not np.isfinite(self.missed.error):
            return None  # a coarser level has missed it as well
        best = self._most_certain()
        return best if best is None or best.probed else self._probed(best)

    def _most_certain(self) -> Pair | None:
        cautious = [replace(pair, error=self._cautious(k)) for k, pair in enumerate(self.pairs)]

        def smallest(in_time: bool) -> Pair | None:
            pairs = [pair for pair in cautious if pair.differs_in_time == in_time]
            return min(pairs, key=lambda pair: pair.error, default=None)

        best, other = smallest(True), smallest(False)
        if other is not None and (best is None or other.error < best.error / 2):
            try:
                return self._with_time_error(other)
            except IntegrationError as error:
                self.progress(str(error))
        return best

    def _cautious(self, k: int) -> float:
        """The error of a pair: the next difference tells that of its finer level.

        Of the last pair nothing is known but its own difference; where the differences do not fall,
        the largest of three is taken.
        """
        own, last = self.pairs[k].error, k == len(self.pairs) - 1
        if not last:
            return max(own, self.pairs[k + 1].difference)
        differences = [pair.difference for pair in self.pairs[max(0, k - 2) :]]
        falling = all(after < before / 2 for before, after in pairwise(differences))
        return own if falling else max(own, *differences)

    def _with_time_error(self, pair: Pair) -> Pair:
        """Of a pair of one rtol: the coarse grid with a finer rtol tells the error in time."""
        coarse = pair.coarse
        steps = coarse.integrated.steps
        again = Level.of(self.problem, coarse.sizes, coarse.rtol / 10, steps=steps)
        return replace(pair, error=pair.error + worst_field_error(coarse.values, again.values))

    @property
    def reason(self) -> str:
        """Why there is no better certificate."""
        if self.missed is not None:
            return f"{self.missed}, and {self.ended}"
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


def stagnates(differences: list[float]) -> bool:
    """Whether four refinements have not halved the difference."""
    return len(differences) > 4 and differences[-1] > differences[-5] / 2


def check_tolerance(tolerance: float, option: str = "tolerance") -> float:
    """`tolerance` if a reference may be certified to it."""
    expected = "a relative error from 1e-12 to 0.1"
    return check_number(option, tolerance, 1e-12, LOOSEST, expected=expected)


def tolerances(
    problem: Problem, tolerance: float | None, loosest: float | None = None
) -> tuple[float, float]:
    """(the error to certify, the largest error that is accepted), defaults filled in.

    A tolerance that is asked for is to be met; of the default one the best certificate is taken.
    """
    check_problem(problem, "problem")
    target = check_tolerance(default_tolerance(problem) if tolerance is None else tolerance)
    if loosest is None:
        return target, LOOSEST if tolerance is None else target
    return target, max(target, check_tolerance(loosest, "loosest"))


def _certified(
    problem: Problem, pair: Pair, target: float, limit: str | None, seconds: float
) -> Reference:
    coarse, fine = pair.coarse, pair.fine
    began = time.perf_counter()
    error = max(pair.error, target / 10)
    axes = output_axes(problem)
    space = fine.integrated.system.space
    absolute = error / 3 * fine.field_sizes
    times, nodal = in_pieces(fine.integrated, fine.integrated.system.span, absolute)
    dense = DenseSolution(times, space, nodal)
    values = dense.on_grid(*axes.values())
    atol = [fine.rtol * scale for scale in problem.scales]
    return Reference(
        problem=problem,
        axes=axes,
        fields=dict(zip(problem.fields, values, strict=True)),
        certified_error=error,
        solver=f"{fine.integrated.method}{_nodes(dense.space)}",
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
