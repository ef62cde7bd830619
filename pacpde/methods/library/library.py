"""A library: several solved coefficients as one frozen backbone for others."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError, short
from pacpde.methods.arguments import Settings
from pacpde.methods.checks import check_problem, check_source
from pacpde.methods.identification import IdentificationResult, identify_by_solver
from pacpde.methods.library import storage
from pacpde.methods.library.anchors import Anchors
from pacpde.methods.library.backbone import Backbone
from pacpde.methods.library.build import Log, built
from pacpde.methods.library.coordinates import CoefficientRange
from pacpde.methods.library.kept import Kept
from pacpde.methods.library.slopes import LibraryForward, Values, as_rows
from pacpde.methods.library.solutions import LibrarySolutions
from pacpde.methods.library.targets import TargetEquations
from pacpde.methods.measurements import Noise
from pacpde.networks.coordinates import as_points, clipped
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.fingerprint import family_difference
from pacpde.physics.problem import Problem
from pacpde.residuals.error_estimate import error_estimate
from pacpde.runtime import gradients
from pacpde.training.callbacks import Progress

ANCHORS = 33  # by default, in one coefficient; four times as many in several
HELD_OUT = 1000  # points
MEASURED = 33  # at most, whose errors are estimated; in several coefficients as well
MOST_ANCHORS = 500
LARGER, READY = 1.1, 0.95  # times the residual around, of a head that needs no step; their share
SWEEPS = 8  # over anchors that have not been found


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

    Example:
        >>> library = Library([fit(Heat(alpha=a)) for a in (0.2, 0.4, 0.8)])
        >>> quick = library.solve(Heat(alpha=0.3))
        >>> quick(0.5, 0.3), quick.error_estimate
    """

    def __init__(
        self,
        sources: Sequence[Surrogate],
        *,
        tolerance: float = 1e-4,
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        check_sources(sources)
        self.tolerance = float(tolerance)
        self.sources = list(sources)
        self.backbones: list[Backbone] = []
        self.kept: dict[Problem, Kept] = {}
        self.call: dict[str, Any] | None = None
        self.box = CoefficientRange(sources[0].problem, ranges or _spanned(sources))
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
        settings: Settings | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        log: Log | None = None,
        sources: Sequence[Surrogate] = (),
        callback: "Callable[[Library], None] | None" = None,
    ) -> "Library":
        """Fit sources until a tolerance holds over a range of coefficients.

        Each next source stands where the library is worst among candidates that fill the range, and
        is fitted by warm start from the nearest one.

        Example:
            >>> library = Library.build(Burgers, {"nu": (0.003, 0.1)}, tolerance=1e-4)

        Args:
            family: a class, or a problem whose other coefficients and time span hold for all.
            ranges: coefficient → (lower, upper).
            tolerance: relative L2 error of the worst field.
            most: number of sources at which it ends in any case.
            candidates: problems that fill the range; 65 of one coefficient, 150 of several.
            settings: of the fits, see `pacpde.TrainingConfig`.
            seed: of the fits.
            progress: called with an `Update` of every fit.
            log: called with a sentence after every source.
            sources: that there are already, as of a build that was interrupted.
            callback: called with the library after every source.

        Raises:
            SolverError: the first source does not converge.

        Warns:
            TransferWarning: `most` sources do not reach the tolerance.
        """
        problem = family if isinstance(family, Problem) else family()
        check_problem(problem, "family")
        if candidates is None:
            candidates = 65 if len(ranges) == 1 else 150
        return built(
            cls, problem, ranges, tolerance=tolerance, most=most, candidates=candidates,
            settings=settings, seed=seed, progress=progress, log=log or (lambda sentence: None),
            sources=sources, callback=callback or (lambda library: None),
        )  # fmt: skip

    def _renew(self) -> None:
        """What follows from the sources."""
        if self.backbones and not any(
            one.backbone == len(self.backbones) - 1 for one in self.kept.values()
        ):
            self.backbones.pop()  # nothing that is kept is of it
        self.backbones.append(Backbone.of(self.sources))
        self.equations = TargetEquations.sampled(self.backbone, self.sources, 0)
        self.held_out = TargetEquations.sampled(self.backbone, self.sources, 1, HELD_OUT)
        problems = [source.problem for source in self.sources]
        heads = torch.stack([self.backbone.head_of(source) for source in self.sources])
        self.anchors = Anchors.unmeasured(
            self._units(problems), heads, self.held_out.shares(problems, heads)
        )

    _known_factors: tuple[Anchors, torch.Tensor] | None = None

    def _units(self, problems: Sequence[Problem]) -> np.ndarray:
        """Coordinates [problems, coefficients], see `CoefficientRange.unit`."""
        return np.stack([self.box.unit(problem) for problem in problems])

    @gradients()
    def anchor(self, problems: Sequence[Problem] | None = None, *, measured: bool = True) -> None:
        """Solve problems inside the range, from which targets start and whose errors are estimated.

        They start from sources and anchors so far. Those that end with a large residual are tried
        again from the others that did not, nearer ones by now.

        Args:
            problems: by default ones that fill the range.
            measured: whether their errors are estimated by the linearised equation, which takes
                most of the time.
        """
        if problems is None:
            axes = len(self.box.names)
            problems = self.box.candidates(ANCHORS if axes == 1 else 4 * ANCHORS)
        known, units = self.anchors.trusted, self._units(problems)
        found = self._solved(problems, known.start(units))
        for sweep in range(SWEEPS):
            bad = found.poor if sweep else found.doubtful
            near = found.chosen(np.delete(np.arange(len(problems)), bad)).joined(known)
            if not len(bad) or not len(near.units):
                break
            some = [problems[int(k)] for k in bad]
            starts = near.start(units[bad]), near.heads[near.nearest(units[bad])]
            again = [self._solved(some, start) for start in starts]
            better = found.improved(bad, *again)
            if not better:
                break
        if measured:
            step = ceil(len(problems) / MEASURED)
            for k, problem in list(enumerate(problems))[::step]:
                estimate = error_estimate(self.backbone.solver(problem, found.heads[k]))
                if estimate is not None:
                    found.factors[k] = estimate / max(found.shares[k], 1e-300)
        self.anchors = found

    @gradients()
    def refine(self) -> None:
        """Put anchors between those of one coefficient, until no target needs a step.

        That is so where an interpolated head has a residual as small as the anchors around it.
        """
        if len(self.box.names) > 1:
            return
        while len(self.anchors.units) < MOST_ANCHORS:
            units = self.anchors.between
            problems = [self.box.at(unit) for unit in units]
            heads = self.anchors.trusted.start(units)
            if self._is_ready(problems, heads)[1].mean() >= READY:
                break
            self.anchors = self.anchors.joined(self._solved(problems, heads, self._matrices(units)))

    def _is_ready(
        self, problems: Sequence[Problem], heads: torch.Tensor
    ) -> tuple[np.ndarray, np.ndarray]:
        """Residuals of heads, and whether they are as small as those of the anchors around."""
        shares = self.held_out.shares(problems, heads)
        around = self.anchors.trusted.share_around(self._units(problems))
        return shares, shares <= LARGER * around

    def _solved(
        self,
        problems: Sequence[Problem],
        heads: torch.Tensor,
        factors: Callable[[slice], torch.Tensor] | None = None,
    ) -> Anchors:
        found = self.equations.solve(problems, heads, factors)
        shares = self.held_out.shares(problems, found.heads)
        return Anchors.unmeasured(self._units(problems), found.heads, shares)

    def estimates(self) -> np.ndarray:
        """Estimated errors of the anchors, [anchors]."""
        return self.anchors.factor(self.anchors.units) * self.anchors.shares

    @gradients()
    def solve(self, problem: Problem) -> Surrogate:
        """The solver of other coefficients, in milliseconds.

        Its `error_estimate` is that of the relative L2 error of the worst field, and its outcome
        `converged` only where that is at most the library's tolerance. Errors of PDEs are estimated
        by their residuals, with factors that the anchors tell; those of ODEs, and of targets
        outside the range, by the linearised equation, which takes longer.
        """
        return self.solve_many([problem])[0]

    @gradients()
    def solve_many(self, coefficients: Any) -> LibrarySolutions:
        """Solvers of many other coefficients, in stacks.

        Args:
            coefficients: problems, or values of the coefficients: numbers where there is one
                coefficient, else name → numbers.

        Example:
            >>> many = library.solve_many([0.25, 0.3, 0.35])
            >>> many(0.5, x).shape, many.error_estimates, many[1]
        """
        problems = self.box.problems(coefficients)
        if not problems:
            raise InvalidValueError("there are no coefficients to solve for: give at least one.")
        for problem in problems:
            self._check(problem)
        if not self._is_anchored:
            self.anchor()
            self.refine()
        clock = time.perf_counter()
        units = self._units(problems)
        found = self._found(problems, units)
        estimates = self.anchors.factor(units) * found.shares
        for k, problem in enumerate(problems):
            if not (problem.domain.space and self.box.holds(problem)):
                estimate = error_estimate(self.backbone.solver(problem, found.heads[k]))
                estimates[k] = np.nan if estimate is None else estimate
        outcomes = [
            Outcome.CONVERGED if estimate <= self.tolerance else Outcome.NOT_CONVERGED
            for estimate in estimates
        ]
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
            >>> nu = torch.tensor(0.02, dtype=torch.float64, requires_grad=True)
            >>> library.values(nu, 0.5, x).square().mean().backward()
            >>> nu.grad
        """
        ansatz, runtime = self.backbone.ansatz, self.sources[0].runtime
        rows, single = as_rows(coefficients, len(self.box.names))
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
        points: np.ndarray,
        values: np.ndarray,
        *,
        unknown: Sequence[str] | None = None,
        noise: Noise | None = None,
    ) -> IdentificationResult:
        """Find coefficients inside the range from measurements; as `pacpde.identify`, but at once.

        Args:
            points, values, noise: as of `pacpde.identify`.
            unknown: names of the coefficients; all of the library by default.

        Example:
            >>> library.identify(points, values).estimates["nu"]
        """
        names = self.box.names if unknown is None else unknown
        return identify_by_solver(
            LibraryForward(self), self.box.at([0.5] * len(self.box.names)), points, values,
            unknown=names, noise=noise,
        )  # fmt: skip

    @property
    def backbone(self) -> Backbone:
        """The frozen functions of all sources."""
        return self.backbones[-1]

    @gradients()
    def add(self, what: Problem | Surrogate) -> Surrogate:
        """Keep a target, or let a solver join the sources.

        What was there before stays as it is, to the last bit, and so does what is added.

        Args:
            what: a problem, which is solved unless it is kept already; or a surrogate of one.

        Returns:
            The solver: of a problem the one that `recall` gives from now on.

        Example:
            >>> library.add(Heat(alpha=0.3))
            >>> library.recall(Heat(alpha=0.3))
        """
        if isinstance(what, Surrogate):
            self.add_source(what)
            return what
        if what not in self.kept:
            solver = self.solve(what)
            assert solver.assessment is not None
            rows = self.backbone.rows_in(solver.weights)
            number = len(self.backbones) - 1
            self.kept[what] = Kept(what, number, rows, solver.outcome, solver.assessment)
        return self.recall(what)

    @gradients()
    def recall(self, problem: Problem) -> Surrogate:
        """A kept target, or a source, as it was when it was added, to the last bit."""
        if problem in self.kept:
            one = self.kept[problem]
            solver = self.backbones[one.backbone].with_rows(problem, one.rows)
            return replace(solver, outcome=one.outcome, assessment=one.assessment)
        for source in self.sources:
            if source.problem == problem:
                return source
        raise InvalidValueError(
            f"the library keeps no {problem}: it keeps {len(self.kept)} targets and "
            f"{len(self.sources)} sources; add it, or solve it."
        )

    def save(self, folder: str | Path) -> None:
        """Write the library into a folder whole; another library there is replaced."""
        storage.write(self, folder)

    @classmethod
    @gradients()
    def load(cls, folder: str | Path) -> "Library":
        """The library in a folder."""
        return storage.read(cls, folder)

    @gradients()
    def add_source(self, source: Surrogate) -> None:
        """Let a solver join the sources; anchors are solved anew when they are next needed."""
        check_sources([*self.sources, source])
        before, anchors = self.backbone, self.anchors
        self.sources.append(source)
        self._renew()
        moved = self.backbone.projected(before, anchors.heads)
        old = Anchors.unmeasured(anchors.units, moved, anchors.shares)
        self.anchors = self.anchors.joined(old)

    def _found(self, problems: Sequence[Problem], units: np.ndarray) -> Anchors:
        """Heads, interpolated, and solved where that is not good enough."""
        inside = np.clip(units, 0, 1)
        heads = self.anchors.trusted.start(inside)
        shares, ready = self._is_ready(problems, heads)
        found = Anchors.unmeasured(units, heads, shares)
        rest = np.flatnonzero(~ready)
        if len(rest):
            some = [problems[int(k)] for k in rest]
            solved = self._solved(some, heads[torch.from_numpy(rest)], self._matrices(inside[rest]))
            found.improved(rest, solved)
        return found

    def _matrices(self, units: np.ndarray) -> Callable[[slice], torch.Tensor]:
        """Gives the matrices of the measured anchors that are nearest to some of the targets."""
        anchors = self.anchors.measured
        if self._known_factors is None or self._known_factors[0] is not anchors:
            problems = [self.box.at(unit) for unit in anchors.units]
            self._known_factors = anchors, self.equations.factors(problems, anchors.heads)
        nearest, factors = anchors.nearest(units), self._known_factors[1]
        return lambda some: factors[nearest[some]]

    @property
    def _is_anchored(self) -> bool:
        return not np.isnan(self.anchors.factors).all()

    def _check(self, problem: Problem) -> None:
        """Refuse a problem that differs in more than the coefficients of the library."""
        check_problem(problem, "target")
        own = self.box.problem
        if problem.name != own.name:
            raise InvalidValueError(
                f"the library solves {own.name!r} and the target is {problem.name!r}: build one "
                "of that family."
            )
        change = family_difference(own, problem)
        if change is not None:
            raise InvalidValueError(
                f"the family {own.name!r} was defined anew since the library was made, and "
                f"{change}: build it anew."
            )
        values = {name: getattr(problem, name) for name in self.box.names}
        if own.with_coefficients(**values) != problem:
            raise InvalidValueError(
                f"the target is {problem}{problem.span_text}, and the library goes from "
                f"{self.box.at([0.0] * len(values))} to {self.box.at([1.0] * len(values))}"
                f"{own.span_text}: only {', '.join(values)} may differ."
            )


def check_sources(sources: object) -> None:
    """Refuse what cannot be one backbone."""
    if isinstance(sources, Surrogate) or not isinstance(sources, Sequence) or not sources:
        raise InvalidValueError(
            f"the sources are {short(sources)}, expected a list of surrogates: write [source]."
        )
    for source in sources:
        check_source(source)
        if family_difference(sources[0].problem, source.problem) is not None or (
            source.problem.name != sources[0].problem.name
        ):
            raise InvalidValueError(
                f"the sources solve {sources[0].problem} and {source.problem}, expected one family."
            )
        if source.field_ansatz.settings != sources[0].field_ansatz.settings:
            raise InvalidValueError(
                f"the sources of {sources[0].problem} and {source.problem} meet their conditions "
                f"in different ways ({sources[0].field_ansatz.settings} and "
                f"{source.field_ansatz.settings}): fit them by the same settings, or by warm start "
                "from one of them."
            )


def _spanned(sources: Sequence[Surrogate]) -> dict[str, tuple[float, float]]:
    """The coefficients in which sources differ, from the least to the largest."""
    ranges = {}
    for name in sources[0].problem.declared():
        values = [float(getattr(source.problem, name)) for source in sources]
        if min(values) < max(values):
            ranges[name] = (min(values), max(values))
    if not ranges:
        raise InvalidValueError(
            "all sources have the same coefficients: give sources that differ, or the ranges that "
            'targets lie in, as ranges={"nu": (0.003, 0.03)}.'
        )
    return ranges
