"""A library: several solved coefficients as one frozen backbone for others."""

import copy
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pacpde.checks import check_count
from pacpde.errors import InvalidValueError, TransferWarning
from pacpde.methods.arguments import Settings
from pacpde.methods.identification import IdentificationResult, identify_by_solver
from pacpde.methods.library import storage
from pacpde.methods.library.anchors import Anchors
from pacpde.methods.library.backbone import Backbone
from pacpde.methods.library.build import Log, built
from pacpde.methods.library.checks import (
    check_sources,
    check_target,
    checked_family,
    checked_seconds,
    checked_tolerance,
    spanned,
)
from pacpde.methods.library.coordinates import CoefficientRange
from pacpde.methods.library.head_solver import HeadSolver
from pacpde.methods.library.kept import Kept
from pacpde.methods.library.slopes import LibraryForward, Values, as_rows
from pacpde.methods.library.solutions import LibrarySolutions
from pacpde.methods.library.targets import HELD_OUT, TargetEquations
from pacpde.methods.measurements import Noise, given_values
from pacpde.networks.coordinates import as_points, clipped
from pacpde.networks.outcome import Outcome
from pacpde.networks.refined import unrefined
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.error_estimate import error_estimate
from pacpde.runtime import Runtime, gradients
from pacpde.training.callbacks import UNLIMITED, Progress, TimeLimit

BUILD_SECONDS = 3600.0  # that a build takes at most, by default
ANCHOR_SECONDS = 600.0  # that anchors take at most where nothing but a target was asked for
DOUBT = 0.5  # of an estimate, by which other points may change a steady target's head
ANCHORS = 33  # by default, in one coefficient; four times as many in several


class Library:
    """Solved coefficients of one family as one frozen backbone; others are heads on it.

    The hidden neurons of all sources, frozen, are functions of which a target needs a linear
    combination: its head, found by a few damped Gauss–Newton steps. Pi-PINN (arXiv 2604.21761) and
    one-shot transfer (Desai et al. 2022, arXiv 2110.11286) do so on one backbone trained for
    many tasks; here the sources are solvers of their own, chosen where the library is worst
    (reduced-basis greedy, Prud'homme et al. 2002; GPT-PINN, arXiv 2303.14878).

    Args:
        sources: surrogates of one family with dense networks and one ansatz.
        tolerance: relative L2 error that a solution has to be estimated below to be `converged`.
        ranges: coefficient → (lower, upper) that targets lie in; by default what the sources span.

    Attributes:
        box: these ranges.
        sources: in the order in which they joined.
        backbones: the one of all sources last; earlier ones that kept targets are of.
        kept: problem → its target, see `add`.
        call: what built it, as a JSON object, for the folder of a command; None for none.
        complete: whether `build` ended by itself, before its time and memory were over.

    Example:
        >>> library = Library([fit(Heat(alpha=a)) for a in (0.2, 0.4, 0.8)])
        >>> quick = library.solve(Heat(alpha=0.3))
        >>> quick(0.5, 0.3), quick.error_estimate
    """

    complete = True

    def __init__(
        self,
        sources: Sequence[Surrogate],
        *,
        tolerance: float = 1e-4,
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        check_sources(sources)
        self.tolerance = checked_tolerance(tolerance)
        self.sources = [unrefined(source) for source in sources]
        self.backbones: list[Backbone] = []
        self.kept: dict[Problem, Kept] = {}
        self.call: dict[str, Any] | None = None
        self.box = CoefficientRange(sources[0].problem, ranges or spanned(sources))
        self._renew()

    @classmethod
    @gradients()
    def build(
        cls,
        family: type[Problem] | Problem,
        ranges: Mapping[str, tuple[float, float]],
        *,
        tolerance: float = 1e-4,
        most: int = 20,
        candidates: int | None = None,
        seconds: float = BUILD_SECONDS,
        settings: Settings | None = None,
        seed: int = 0,
        runtime: Runtime | None = None,
        progress: Progress | None = None,
        log: Log | None = None,
        sources: Sequence[Surrogate] = (),
        library: "Library | None" = None,
        callback: "Callable[[Library], None] | None" = None,
    ) -> "Library":
        """Fit sources until a tolerance holds over a range of coefficients.

        Each next source stands where the library is worst among candidates that fill the range, and
        is fitted by warm start from the nearest one.

        Example:
            >>> library = Library.build(Heat, {"alpha": (0.2, 0.8)}, tolerance=1e-4)

        Args:
            family: a class, or a problem whose other coefficients and time span hold for all.
            ranges: coefficient → (lower, upper).
            tolerance: relative L2 error of the worst field.
            most: number of sources at which it ends in any case.
            candidates: problems that fill the range; 65 of one coefficient, 150 of several.
            seconds: on the clock, after which it ends with what it has; `math.inf` for no limit. It
                is looked at between the steps of fits, between candidates and between anchors, so
                that the step or the candidate of that moment is finished first, and then a few
                errors are estimated: some seconds more, and minutes where a candidate takes them.
            settings: of the fits, see `pacpde.TrainingConfig`. Their `memory_gib` is the most that
                a step of a target on the library may take too; no source joins that needs more.
            seed: of the fits.
            runtime: device and precision of the first fit, and so of all; those of `sources`
                where there are some.
            progress: called with an `Update` of every fit.
            log: called with a sentence after every source.
            sources: that there are already.
            library: what an interrupted build with the same arguments gave `callback` last. It is
                gone on with, to the same bits as without the interruption. `most` and `seconds` may
                be others, and what was added to it stays.
            callback: called with the library after every source.

        Raises:
            SolverError: the first source does not converge.

        Warns:
            TransferWarning: `most` sources do not reach the tolerance, or the time or memory was
                over before. `build(..., library=library)` goes on from there.
        """
        problem = checked_family(family)
        box = CoefficientRange(problem, ranges)  # refused before anything is fitted
        checked_tolerance(tolerance)
        if library is not None and not (
            library.tolerance == tolerance and library.box.is_same(box)
        ):
            raise InvalidValueError(
                f"the library is of {library.box.problem} in {dict(library.box.ranges)}, to a "
                f"tolerance of {library.tolerance:g}: give what it was built with, or its sources "
                "alone."
            )
        if library is not None and sources:
            raise InvalidValueError(
                "sources and a library are given, which has its own: leave one of them out."
            )
        if candidates is None:
            candidates = 65 if len(ranges) == 1 else 150
        check_count("candidates", candidates, 2)
        check_count("most", most, 1)
        seconds = checked_seconds(seconds)
        return built(
            cls, problem, ranges, tolerance=tolerance, most=most, candidates=candidates,
            settings=settings, seed=seed, runtime=runtime, progress=progress, sources=sources,
            library=library, limit=TimeLimit(seconds), log=log or (lambda sentence: None),
            callback=callback or (lambda library: None),
        )  # fmt: skip

    def _renew(self) -> None:
        """What follows from the sources."""
        if self.backbones and not any(
            one.backbone == len(self.backbones) - 1 for one in self.kept.values()
        ):
            self.backbones.pop()  # nothing that is kept is of it
        self.backbones.append(Backbone.of(self.sources))
        self.solver = HeadSolver(
            self.box,
            TargetEquations.sampled(self.backbone, self.sources, 0, None, self.box.names),
            TargetEquations.sampled(self.backbone, self.sources, 1, HELD_OUT, self.box.names),
        )
        problems = [source.problem for source in self.sources]
        heads = torch.stack([self.backbone.head_of(source) for source in self.sources])
        self.anchors = self.solver.measured(problems, heads)

    @gradients()
    def anchor(
        self,
        problems: Sequence[Problem] | None = None,
        *,
        measured: bool = True,
        limit: TimeLimit = UNLIMITED,
    ) -> None:
        """Solve problems inside the range, from which targets start and whose errors are estimated.

        Args:
            problems: by default ones that fill the range.
            measured: whether their errors are estimated, see `measure`.
            limit: when it is over, only the first problems are solved.
        """
        if problems is None:
            axes = len(self.box.names)
            problems = self.box.candidates(ANCHORS if axes == 1 else 4 * ANCHORS)
        problems = self.box.problems(problems)
        anchors = self.solver.anchored(problems, self.anchors, limit)
        if measured:
            anchors = self.solver.with_factors(problems, anchors, limit)
        self.anchors = anchors

    @gradients()
    def measure(self, problems: Sequence[Problem], *, limit: TimeLimit = UNLIMITED) -> None:
        """Estimate errors of anchors by the linearised equation, which takes long.

        Args:
            problems: that the library was anchored at.
            limit: when it is over, only the first errors are estimated.
        """
        self.anchors = self.solver.with_factors(problems, self.anchors, limit)

    @gradients()
    def refine(self, *, limit: TimeLimit = UNLIMITED) -> None:
        """Put anchors between those of one coefficient, until no target needs a step.

        Args:
            limit: when it is over, no more are put there.
        """
        self.anchors = self.solver.refined(self.anchors, limit)

    def estimates(self) -> np.ndarray:
        """Estimated errors of the anchors, [anchors]."""
        return self.anchors.factor(self.anchors.units) * self.anchors.shares

    @gradients()
    def solve(self, problem: Any) -> Surrogate:
        """The solver of other coefficients, in milliseconds.

        Its `error_estimate` is that of the relative L2 error of the worst field, and its outcome
        `converged` only where that is at most the library's tolerance. Errors of PDEs are estimated
        by their residuals, with factors that the anchors tell; those of ODEs, of targets outside
        the range, and of steady problems that may be nearly singular (their head changes by more at
        other points), by the linearised equation, which takes longer.

        Args:
            problem: a problem, or what `solve_many` takes for one.
        """
        return self.solve_many([self.box.problem_of(problem)])[0]

    @gradients()
    def solve_many(self, coefficients: Any) -> LibrarySolutions:
        """Solvers of many other coefficients, in stacks.

        Args:
            coefficients: a problem or several, or values of the coefficients: numbers where there
                is one coefficient, else name → numbers.

        Example:
            >>> many = library.solve_many([0.25, 0.3, 0.35])
            >>> many(0.5, x).shape, many.error_estimates, many[1]
        """
        problems = self.box.problems(coefficients)
        if not problems:
            raise InvalidValueError("there are no coefficients to solve for: give at least one.")
        for problem in problems:
            check_target(problem, self.box)
        if not self._is_anchored:
            limit = TimeLimit(ANCHOR_SECONDS)
            self.anchor(limit=limit)
            self.refine(limit=limit)
            if limit.is_over:
                warnings.warn(
                    f"the library was anchored at {len(self.anchors.units)} problems alone in "
                    f"{ANCHOR_SECONDS:g} seconds, so that targets take longer and estimates of "
                    "errors are coarser: library.anchor() takes the time that it needs.",
                    TransferWarning,
                    stacklevel=3,
                )
        clock = time.perf_counter()
        found = self.solver.found(problems, self.anchors)
        estimates = self.anchors.factor(found.units) * found.shares
        doubted = np.zeros(len(problems), bool)
        if not any(axis.name == "t" for axis in self.box.problem.axes):
            doubted = ~(self.solver.doubts(problems, found.heads) <= DOUBT * estimates)
        for k, problem in enumerate(problems):
            if doubted[k] or not (problem.domain.space and self.box.holds(problem)):
                estimate = error_estimate(self.backbone.solver(problem, found.heads[k]))
                estimates[k] = np.nan if estimate is None else estimate
        outcomes = [Outcome.of_error(estimate, self.tolerance) for estimate in estimates]
        return LibrarySolutions(
            self.backbone, tuple(self.sources), tuple(problems), found.heads, found.shares,
            estimates, tuple(outcomes), time.perf_counter() - clock, self.equations.alike,
        )  # fmt: skip

    @gradients()
    def values(self, coefficients: Any, *coordinates: Any) -> Any:
        """The fields for some coefficients, as a function that torch can differentiate in them.

        The slopes are those of the implicit function theorem: of the head, which solves the
        equation for every coefficient.

        Args:
            coefficients: [targets], or [targets, coefficients] in the order of `box.names`;
                numbers, arrays or a tensor; without the first axis for one target.
            coordinates: t, x, ... as of a surrogate.

        Returns:
            [targets, ...], or [targets, fields, ...] of several fields; a tensor where coefficients
            or coordinates are one.

        Example:
            >>> alpha = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
            >>> library.values(alpha, 0.5, x).square().mean().backward()
            >>> alpha.grad
        """
        ansatz, runtime = self.backbone.ansatz, self.sources[0].runtime
        rows, single = as_rows(coefficients, self.box.names)
        points, shape = as_points(coordinates, ansatz.coordinates, str(self.box.problem), runtime)
        found = Values.apply(rows, self, clipped(points, self.box.problem.domain).detach())
        values = found.mT.reshape(len(found), -1, *shape)
        values = values[:, 0] if values.shape[1] == 1 else values
        values = values[0] if single else values
        given = [coefficients, *coordinates]
        if any(isinstance(one, torch.Tensor) for one in given):
            return values
        return values.detach().cpu().numpy()

    @gradients()
    def identify(
        self,
        points: np.ndarray | None = None,
        values: np.ndarray | None = None,
        *,
        data: Any = None,
        unknown: Sequence[str] | None = None,
        noise: Noise | None = None,
    ) -> IdentificationResult:
        """Find coefficients inside the range from measurements; as `pacpde.identify`, but at once.

        Args:
            points, values, data, noise: as of `pacpde.identify`.
            unknown: names of the coefficients; all of the library by default.

        Example:
            >>> library.identify(points, values).estimates["alpha"]
        """
        names = self.box.names if unknown is None else unknown
        middle = self.box.at([0.5] * len(self.box.names))
        points, values, noise = given_values(middle, points, values, noise, data)
        return identify_by_solver(
            LibraryForward(self), middle, points, values, unknown=names, noise=noise
        )

    @property
    def equations(self) -> TargetEquations:
        """The equations that heads are found by."""
        return self.solver.equations

    @property
    def backbone(self) -> Backbone:
        """The frozen functions of all sources."""
        return self.backbones[-1]

    @gradients()
    def add(self, what: Any) -> Surrogate:
        """Keep a target, or let a solver join the sources.

        What was there before stays as it is, to the last bit, and so does what is added.

        Args:
            what: a problem, or what `solve` takes for one, which is solved unless it is kept
                already; or a surrogate of a problem that no source solves yet.

        Returns:
            The solver: of a problem the one that `recall` gives from now on.

        Example:
            >>> library.add(Heat(alpha=0.3))
            >>> library.recall(Heat(alpha=0.3))
        """
        if isinstance(what, Surrogate):
            self.add_source(what)
            return what
        what = self.box.problem_of(what)
        if what not in self.kept:
            solver = self.solve(what)
            assert solver.assessment is not None
            rows = self.backbone.rows_in(solver.weights)
            number = len(self.backbones) - 1
            self.kept[what] = Kept(
                what, number, rows, solver.outcome, solver.assessment, solver.seconds
            )
        return self.recall(what)

    @gradients()
    def recall(self, problem: Any) -> Surrogate:
        """A kept target, or a source, as it was when it was added, to the last bit.

        Args:
            problem: a problem, or what `solve` takes for one.

        Raises:
            InvalidValueError: nothing of exactly these coefficients is kept.
        """
        problem = self.box.problem_of(problem)
        if problem in self.kept:
            one = self.kept[problem]
            solver = self.backbones[one.backbone].with_rows(problem, one.rows)
            return replace(
                solver, outcome=one.outcome, assessment=one.assessment, seconds=one.seconds
            )
        for source in self.sources:
            if source.problem == problem:
                return source
        raise InvalidValueError(
            f"the library keeps no {problem!r}: it keeps {len(self.kept)} targets and "
            f"{len(self.sources)} sources; add it, or solve it."
        )

    def save(self, folder: str | Path) -> None:
        """Write the library into a folder whole; another library there is replaced."""
        storage.write(self, folder)

    @classmethod
    @gradients()
    def load(cls, folder: str | Path, runtime: Runtime | None = None) -> "Library":
        """The library in a folder, on a device: by default on the CPU."""
        return storage.read(cls, folder, runtime or Runtime())

    @gradients()
    def add_source(self, source: Surrogate) -> None:
        """Let a solver join the sources; anchors are solved anew when they are next needed."""
        check_sources([*self.sources, source])
        if any(own.problem == source.problem for own in self.sources):
            raise InvalidValueError(
                f"the library has a source of {source.problem} already: give one of other "
                "coefficients."
            )
        before, anchors = self.backbone, self.anchors
        joined = copy.copy(self)  # what interrupts leaves this one as it was
        joined.sources, joined.backbones = [*self.sources, unrefined(source)], [*self.backbones]
        joined._renew()
        moved = joined.backbone.projected(before, anchors.heads)
        old = Anchors.unmeasured(anchors.units, moved, anchors.shares)
        joined.anchors = joined.anchors.joined(old)
        vars(self).update(vars(joined))

    def nearest(self, problem: Any) -> Surrogate:
        """The source whose coefficients are nearest, of a problem or what `solve` takes for one."""
        units = self.solver.units([source.problem for source in self.sources])
        distances = np.abs(units - self.box.unit(self.box.problem_of(problem))).sum(1)
        return self.sources[int(distances.argmin())]

    @property
    def _is_anchored(self) -> bool:
        return not np.isnan(self.anchors.factors).all()
