"""Refines the nodes of a collocation until two solutions agree: problems that are no evolution."""

import time
from math import ceil

from pacpde.errors import SolverError
from pacpde.physics import Problem
from pacpde.physics.narrow import NarrowFeature
from pacpde.reference.certificate import STAGNATION, Progress, not_certified, stagnates
from pacpde.reference.collocation import Collocation
from pacpde.reference.collocation_probes import out_of_sight
from pacpde.reference.levels import size_text
from pacpde.reference.newton import NewtonError, SingularError
from pacpde.reference.nodal import nodal_axes
from pacpde.reference.solution import Reference
from pacpde.reference.starts import starts
from pacpde.reference.steady_levels import GROWTH, Level, Pair, open_constants, steady_output
from pacpde.runtime import gradients

LEVELS = 16  # refinements before giving up
FAILURES = 4  # of these, levels on which Newton's method finds nothing
FIRST_SIZE = {1: 14, 2: 8, 3: 5}  # points an axis, by number of axes
MEMORY = 0.65e9  # bytes of the largest Jacobian: its factors take half a minute
RESOLVED = 0.1  # a larger difference says that grids are too coarse, and nothing else
RECTANGULAR = 0.3e9  # the same for one that is not square
SHARES = (0.5, 0.3, 0.15)  # of a refinement that does not fit, of which the largest is taken
MORE = 2  # points an axis where square equations leave something open


@gradients()
def solve_by_collocation(
    problem: Problem, target: float, accepted: float, progress: Progress
) -> Reference:
    """The reference solution of a problem on a box by spectral collocation and Newton's method.

    Levels refine the axes that are not resolved. The difference of two levels is the error of the
    coarser one; it is certified for the finer one, which is returned, where differences fall fast.
    The equations between the nodes of the finer one tell what neither of them has seen. The floor
    of a certificate is a tenth of `target`.

    Args:
        accepted: where `target` is not met, the best certificate is taken if it is at most this.
        progress: called with a sentence after every level.

    Raises:
        SolverError: Newton's method finds no solution, the equations leave something of it open, or
            no two levels agree.
    """
    search = _Search(problem, target, progress)
    search.run()
    best = search.pairs[-1] if search.pairs else None
    if best is None or best.error > accepted:
        raise SolverError(search.sentence(best))
    return search.reference(best)


class _Search:
    """Levels of one problem, until two of them agree to `target` or no finer one can be had.

    Attributes:
        pairs: all that were compared.
        ended: why there is no finer level.
    """

    def __init__(self, problem: Problem, target: float, progress: Progress) -> None:
        self.problem, self.target = problem, target
        self.progress: Progress = lambda message: progress(f"{problem}: {message}")
        self.level: Level | None = None
        self.more = 0
        self.pairs: list[Pair] = []
        self.ended = f"{LEVELS} refinements were not enough"
        self.began = time.perf_counter()

    def run(self) -> None:
        axes = self.problem.domain.axes
        sizes = {axis.name: FIRST_SIZE.get(len(axes), 4) for axis in axes}
        failures = 0
        for _ in range(LEVELS):
            system = Collocation(self.problem, sizes, self.more)
            if not self._fits(system):
                sizes = self._largest(sizes)
                if not sizes:
                    return
                system = Collocation(self.problem, sizes, self.more)
            try:
                fine = Level.of(system, sizes, self.level)
            except NewtonError as error:
                if self._takes_more(system, error):
                    continue
                failures += 1
                self.ended = self._reason(system, error)
                self.progress(f"{size_text(sizes)} points: {error}")
                if failures == FAILURES or isinstance(error, SingularError):
                    return
                sizes = {name: ceil(size * GROWTH) for name, size in sizes.items()}
                continue
            if self._add(fine):
                return
            sizes = fine.refined(self.target)

    def _takes_more(self, system: Collocation, error: NewtonError) -> bool:
        """Whether the search begins again with more equations than unknowns.

        Conditions that say again what the equations say, such as a pressure along an edge, leave
        as many equations as unknowns that are not independent.
        """
        if self.more or not isinstance(error, SingularError) or self._open(system):
            return False
        self.more, self.level, self.pairs = MORE, None, []
        self.progress("equations depend on each other: more of them are taken")
        return True

    def _open(self, system: Collocation) -> list[str]:
        """Fields to which a constant may be added."""
        return open_constants(system, next(starts(system)))

    def _largest(self, sizes: dict[str, int]) -> dict[str, int]:
        """A grid between the last level and one that does not fit; empty where none is finer."""
        if self.level is None:
            return {}
        last, ended = self.level.sizes, self.ended
        for share in SHARES:
            between = {
                name: last[name] + max(2, round(share * (size - last[name])))
                for name, size in sizes.items()
            }
            if self._fits(Collocation(self.problem, between, self.more)):
                self.ended = ended
                return between
        self.ended = ended
        return {}

    def _fits(self, system: Collocation) -> bool:
        """Whether the Jacobian of a level fits into memory; says why there is no finer one."""
        size = 8.0 * system.n_equations * system.size
        most = MEMORY if system.n_equations == system.size else RECTANGULAR
        if size <= most:
            return True
        sizes = {axis.axis.name: axis.size for axis in system.axes}
        self.ended = (
            f"a finer grid ({size_text(sizes)}) would have {system.size} unknowns, whose Jacobian "
            f"takes {size / 1e9:.1f} GB, and {most / 1e9:.2g} GB are the most"
        )
        return False

    def _add(self, fine: Level) -> bool:
        """Compare with the level before; whether that certifies the target, or nothing will."""
        coarse, self.level = self.level, fine
        if fine.missed > self.target and (feature := self._out_of_sight()):
            self.ended = f"no grid that can be had would see it: {feature}"
            return True
        if coarse is None:
            return False
        before = self.pairs[-1] if self.pairs else None
        pair = Pair.of(coarse, fine, before, tuple(self.problem.scales))
        self.pairs.append(pair)
        self.progress(
            f"{size_text(fine.sizes)} points: differs by {pair.difference:.1e}, misses "
            f"{fine.missed:.1e}, error {pair.error:.1e}"
        )
        differences = [max(one.difference, one.fine.missed) for one in self.pairs]
        stands_still = stagnates(differences) and differences[-5] < RESOLVED
        if stands_still:
            self.ended = STAGNATION
        contradicts = fine.contradiction > max(
            self.target, pair.difference, coarse.contradiction / 2
        )
        if contradicts:
            self.ended = "more points do not change that"
        return stands_still or contradicts or pair.error <= self.target

    def _out_of_sight(self) -> NarrowFeature | None:
        """A feature that is narrower than the nodes of the largest grid."""
        axes = self.problem.domain.axes
        most = int((MEMORY / 8) ** 0.5 / len(self.problem.fields)) ** (1 / len(axes))
        most = min(most, FIRST_SIZE.get(len(axes), 4) * GROWTH ** (LEVELS - 1))
        largest = nodal_axes(self.problem, {axis.name: int(most) for axis in axes})
        features = self.problem.narrow_features
        return next((one for one in features if out_of_sight(one, largest)), None)

    def _reason(self, system: Collocation, error: NewtonError) -> str:
        """Why there is no solution on a grid."""
        if not isinstance(error, SingularError):
            return f"Newton's method finds no solution: {error}"
        names = self._open(system)
        if names and self.problem.domain.time is not None:
            return (
                f"a function of t may be added to {' and '.join(names)}, for all that the "
                "equations and conditions say"
            )
        if names:
            point = {axis.name: axis.lower for axis in self.problem.domain.axes}
            several = f", field={names[0]!r}" if len(self.problem.fields) > 1 else ""
            return (
                f"a constant may be added to {' and '.join(names)}, for all that the equations "
                f"and conditions say: pin it, as by PointValue({point}, 0.0{several})"
            )
        return f"it has no single solution: {error}"

    @property
    def reason(self) -> str:
        """Why there is no better certificate."""
        last = self.pairs[-1] if self.pairs else None
        if last is not None and last.fine.contradiction > max(self.target, last.difference):
            return (
                "its equations and conditions contradict each other, by "
                f"{last.fine.contradiction:.0e} of their size, and {self.ended}"
            )
        missed = 0.0 if self.level is None else self.level.missed
        if missed > max(self.target, 0.0 if last is None else last.difference):
            return (
                "something between the nodes is narrower than they can see, which changes the "
                f"solution by {missed:.0e}, and {self.ended}"
            )
        return self.ended

    def sentence(self, best: Pair | None) -> str:
        """Why there is no certificate."""
        if self.level is None:
            return f"{self.problem} has no reference: {self.ended}."
        reached = None if best is None else best.error
        return not_certified(self.problem, self.target, reached, self.reason)

    def reference(self, pair: Pair) -> Reference:
        """The finer level of a pair as a reference."""
        fine = pair.fine
        nodes = ", ".join(
            f"{axis.kind} in {axis.axis.name} ({axis.size})" for axis in fine.solution.axes
        )
        limit = self.reason if pair.error > self.target else None
        return Reference(
            problem=self.problem,
            axes=steady_output(self.problem),
            fields=dict(zip(self.problem.fields, fine.values, strict=True)),
            certified_error=max(pair.error, self.target / 10),
            solver=f"Newton's method on collocation, {nodes}",
            tolerances={
                "target": self.target, "step": fine.step, "grid": fine.sizes,
                "coarse_grid": pair.coarse.sizes,
                **({} if limit is None else {"limit": limit}),
            },
            seconds=time.perf_counter() - self.began,
            dense=fine.solution,
        )  # fmt: skip
