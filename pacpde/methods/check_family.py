"""Check a family as a new user would try it: declare, solve, fit, transfer."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pacpde.datasets import reference_for
from pacpde.datasets.grading import Log, References, patiently
from pacpde.errors import PacpdeError
from pacpde.methods.advice import advice
from pacpde.methods.grading import errors_of, is_contradicted
from pacpde.methods.transfer import fit, transfer
from pacpde.networks.jets import HIGHEST
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.boundary import Boundary
from pacpde.physics.dependence import dependence, read_coefficients
from pacpde.physics.description import condition_words, description, nearby
from pacpde.physics.evaluation import exact_at
from pacpde.physics.exact_solution import exact_solution
from pacpde.physics.findings import Finding, Verdict, sentence_case
from pacpde.physics.numbers import relative_l2
from pacpde.physics.problem import Problem
from pacpde.physics.start_sizes import start_sizes
from pacpde.reference import Reference
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.training.callbacks import Progress
from pacpde.training.config import TrainingConfig, unused_beside

SHORT = {"points": 500, "steps": 30}  # settings of a short fit, where the family's recipe has none
METHODS = ("warm_start", "pac")
GRADED = 4096  # points at which an exact solution grades

Stage = Callable[[Progress | None], Iterator[Finding]]


@dataclass(frozen=True)
class FamilyCheck:
    """What a check of one problem of a family finds, stage after stage.

    Attributes:
        problem: with the coefficients that are checked; one of them is changed for a transfer.
        settings: of the fits; where neither these nor the family say so, short ones.
        seed: of the fits.
        fits: whether to try a reference, a fit and transfers, not the equation alone.
        log: called with a sentence after every level of a reference that takes long.

    Example:
        >>> check = FamilyCheck(Heat(), fits=False)
        >>> [finding.sentence for finding in check.findings()]
    """

    problem: Problem
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    fits: bool = True
    log: Log | None = None

    def findings(self, progress: Progress | None = None) -> Iterator[Finding]:
        """Everything that is found, in turn."""
        for stage in self.stages:
            yield from stage(progress)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The parts of the check: each is called with what is told of its progress."""
        tried: tuple[Stage, ...] = (self.reference_found, self.fit_found, self.transfers_found)
        return (self.equation_found, *(tried if self.fits else ()))

    def equation_found(self, progress: Progress | None = None) -> Iterator[Finding]:
        """The equation, its conditions, coefficients, units, and exact solution."""
        yield from description(self.problem)
        for name in sorted(self.problem.channels):
            if len(name) > HIGHEST:
                yield Finding(
                    "derivatives",
                    f"It reads a derivative of order {len(name)} ({name}), and networks give those "
                    f"up to order {HIGHEST}: write the equation as a system, with a field for a "
                    "lower derivative.",
                    Verdict.WRONG,
                )
        yield from self._conditions()
        yield from dependence(self.problem)
        yield from start_sizes(self.problem)
        yield from exact_solution(self.problem)

    def _conditions(self) -> Iterator[Finding]:
        problem = self.problem
        ansatz = PhysicsTask(problem).field_ansatz(SamplingSpec())
        exactly = Boundary(problem.boundary.periodic, ansatz.exactly.edges, ansatz.exactly.points)
        for how, part in (("exactly", exactly), ("by residuals", ansatz.by_residual)):
            words = condition_words(problem, part)
            if words:
                yield Finding(
                    "conditions", f"Conditions that a network meets {how}: {'; '.join(words)}.",
                    numbers={"met": how, "conditions": words},
                )  # fmt: skip

    def reference_found(self, progress: Progress | None = None) -> Iterator[Finding]:
        """The reference of the problem, and whether it agrees with `exact`."""
        if isinstance(self._reference, PacpdeError):
            yield Finding(
                "reference",
                f"There is no reference: {self._reference} Fits and transfers work without one, "
                "ungraded.",
                Verdict.DOUBTFUL,
            )
            return
        reference = self._reference
        numbers = {"certified_error": reference.certified_error, "seconds": reference.seconds}
        limit = reference.tolerances.get("limit")
        yield Finding(
            "reference",
            f"The reference is certified to {reference.certified_error:.1e} by {reference.solver}, "
            f"in {reference.seconds:.1f} s{f', and not further, since {limit}' if limit else ''}.",
            numbers=numbers,
        )
        exact = exact_at(self.problem, np.meshgrid(*reference.axes.values(), indexing="ij"))
        if exact is None:
            return
        error = relative_l2(reference.values, exact)
        wrong = not error <= 2 * reference.certified_error
        yield Finding(
            "reference",
            f"It differs from exact by {error:.1e}"
            + (", more than is certified: one of them is wrong." if wrong else "."),
            Verdict.WRONG if wrong else Verdict.FOUND,
            {"error": error},
        )

    def fit_found(self, progress: Progress | None = None) -> Iterator[Finding]:
        """How a short fit ends."""
        fitted = self._fitted(progress)
        error = self._error(fitted, self._reference)
        about = fitted.assessment
        numbers = {
            "outcome": fitted.outcome, "seconds": fitted.seconds, "steps": fitted.steps,
            "residual": about and about.residual, "error_estimate": about and about.error_estimate,
            "error": error,
        }  # fmt: skip
        config = TrainingConfig.of(self.problem, **self._settings)
        yield _ended("fit", "A fit from random weights", numbers, advice(fitted, config))
        for note in about.notes if about else ():
            yield Finding("fit", f"{sentence_case(note)}.", Verdict.DOUBTFUL)

    def transfers_found(self, progress: Progress | None = None) -> Iterator[Finding]:
        """How transfers to a nearby coefficient end."""
        source, target = self._fitted(progress), self.target
        if target is None:
            yield Finding("transfer", "It reads no coefficient that a transfer could change.")
            return
        if source.outcome != Outcome.CONVERGED:
            yield Finding("transfer", "No transfer is tried from a source that did not converge.")
            return
        there = self._reference_or_error(target)
        known = [None if isinstance(one, PacpdeError) else one for one in (self._reference, there)]
        for method in METHODS:
            began = time.perf_counter()
            try:
                config = TrainingConfig.after(source, target, **self._settings)
                result = transfer(
                    source, target, method=method, seed=self.seed, progress=progress,
                    settings=config, reference=References(*known),
                )  # fmt: skip
            except PacpdeError as error:
                yield Finding("transfer", f"{method} to {target}: {error}", Verdict.WRONG)
                continue
            about = result.surrogate.assessment
            numbers = {
                "method": method, "target": target.coefficients, "outcome": result.outcome,
                "seconds": time.perf_counter() - began,
                "steps": result.method_result.steps,
                "residual": about and about.residual,
                "error_estimate": about and about.error_estimate,
                "error": self._error(result.surrogate, there),
            }  # fmt: skip
            what, remedy = f"A transfer by {method} to {target}", advice(result.surrogate, config)
            yield _ended("transfer", what, numbers, remedy)

    @cached_property
    def target(self) -> Problem | None:
        """The problem with a coefficient changed a little; None where none has an effect."""
        names = read_coefficients(self.problem)
        return next((one for name in names for one in nearby(self.problem, name)), None)

    @cached_property
    def _reference(self) -> "Reference | PacpdeError":
        return self._reference_or_error(self.problem)

    def _reference_or_error(self, problem: Problem) -> "Reference | PacpdeError":
        """The best reference that can be certified, or why there is none."""
        try:
            return reference_for(problem, progress=patiently(self.log or (lambda sentence: None)))
        except PacpdeError as error:
            return error

    @cached_property
    def _settings(self) -> dict[str, Any]:
        given = {**self.problem.recipe, **self.settings}
        unused = unused_beside(given)
        fewer = {"points": min(SHORT["points"], TrainingConfig.of(self.problem).points)}
        short = {
            name: value for name, value in (SHORT | fewer).items() if name not in {*unused, *given}
        }
        return {**short, **self.settings}

    @cached_property
    def _fits(self) -> list[Surrogate]:
        """The fit, once it is made."""
        return []

    def _fitted(self, progress: Progress | None) -> Surrogate:
        if not self._fits:
            made = fit(self.problem, settings=self._settings, seed=self.seed, progress=progress)
            self._fits.append(made)
        return self._fits[0]

    def _error(self, solver: Surrogate, reference: "Reference | PacpdeError") -> float | None:
        """The worst field's error, by a reference or by `exact`; None where neither is there."""
        if not isinstance(reference, PacpdeError):
            errors = errors_of(solver, reference)
            return None if errors is None else errors.worst
        points = solver.problem.domain.random(GRADED, np.random.default_rng(self.seed))
        exact = exact_at(solver.problem, list(points.T))
        if exact is None:
            return None
        fields = solver.at(solver.runtime.tensor(points)).cpu().numpy().T
        return max(relative_l2(own, wanted) for own, wanted in zip(fields, exact, strict=True))


def _ended(about: str, what: str, numbers: Mapping[str, Any], remedy: str) -> Finding:
    """How a fit or a transfer ended, with its numbers and what to do."""
    outcome, error = Outcome(numbers["outcome"]), numbers["error"]
    figures = {
        "residual": numbers["residual"],
        "estimated error": numbers["error_estimate"],
        "true error": error,
    }
    told = [f"{name} {value:.1e}" for name, value in figures.items() if value is not None]
    sentence = (
        f"{what} ended {outcome} after {numbers['seconds']:.1f} s and {numbers['steps']} steps"
        f"{': ' if told else ''}{', '.join(told)}"
    )
    if is_contradicted(outcome, error):
        wrong = f"{sentence}. It looks converged and is not the solution: are conditions missing?"
        return Finding(about, wrong, Verdict.WRONG, numbers)
    if outcome == Outcome.CONVERGED:
        return Finding(about, f"{sentence}.", numbers=numbers)
    return Finding(about, f"{sentence}{f'; {remedy}' if remedy else ''}.", Verdict.WRONG, numbers)
