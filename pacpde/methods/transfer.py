"""`fit` and `transfer`: the whole way in one call each."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pacpde.datasets import (
    check_labels,
    draw_labels,
    grading_reference,
    transfer_references,
)
from pacpde.datasets.grading import AUTO, Choice, check_label_source
from pacpde.errors import ContradictionWarning, InvalidValueError
from pacpde.methods.arguments import check_arguments, check_options
from pacpde.methods.base import MethodResult, TransferContext, methods, train_from_scratch
from pacpde.methods.grading import error_of, errors_of
from pacpde.methods.provenance import of_fit, of_transfer
from pacpde.networks.ansatz import network_for
from pacpde.networks.outcome import Outcome
from pacpde.networks.reference_ansatz import ReferenceAnsatz
from pacpde.networks.surrogate import Surrogate, relative_l2
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.domain import mesh
from pacpde.physics.fingerprint import family_difference
from pacpde.physics.problem import Problem
from pacpde.reference import Reference
from pacpde.residuals.task import Labels, PhysicsTask, SamplingSpec
from pacpde.runtime import Runtime, check_seed, versions
from pacpde.training.callbacks import Callback, ErrorHistory, Progress, ProgressReport
from pacpde.training.config import TrainingConfig
from pacpde.training.resume import ResumeState


@stepwise
def fit(
    problem: Problem,
    *,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
    journal: ResumeState | None = None,
    reference: Reference | str | Path | None = None,
    reference_tolerance: float | None = None,
    **settings: Any,
) -> Steps[Surrogate]:
    """Solve a problem by a network from random weights.

    Args:
        seed: of weights and points; the same seed gives the same bits on the same machine with the
            same number of threads (`OMP_NUM_THREADS`), which the surrogate's provenance tells.
        progress: called with an `Update` after every refresh.
        callbacks: your own, called after every refresh too; see `pacpde.training.Callback`.
        journal: where to keep the state, so that a killed fit resumes exactly.
        reference: grades the fit, whose history then has errors, and nothing more: "auto" (the
            best that scipy certifies, if any), None, a `Reference`, or a file of `pacpde solve`.
        reference_tolerance: relative error that "auto" tries to certify first.
        settings: see `pacpde.training.config.TrainingConfig`.

    Warns:
        ContradictionWarning: where start and edges contradict each other; they are then met by
            residuals.
    """
    check_problem(problem, "problem")
    check_arguments(runtime=runtime, progress=progress, journal=journal)
    warn_of_contradictions(problem)
    runtime = runtime or Runtime()
    config = TrainingConfig.of(problem, **settings)
    graded = grading_reference(problem, reference, reference_tolerance)
    task = PhysicsTask(problem, hard=config.hard, seed=check_seed(seed), runtime=runtime)
    network = network_for(
        task.ansatz(SamplingSpec()), config.width, config.depth, config.activation
    )
    called = _callbacks(problem, runtime, graded, journal, progress, callbacks)
    provenance = of_fit(problem, config, seed, runtime)
    made, _ = yield from steps_of(train_from_scratch)(task, network, config, seed, called)
    return replace(made, provenance=provenance)


@dataclass(frozen=True)
class TransferResult:
    """A transfer, graded.

    Attributes:
        target_error, zero_shot_error: relative L2 against the certified reference of the target,
            of all fields taken together; None without one.
        source_error: moment → relative L2 against the source's reference; None without one, and
            where a method has no such moment.
        reference_error: the certificate of the target's reference; None without one.
        target_error_by_field: field → relative L2 in its own size; None without a reference.
    """

    method: str
    source: Surrogate
    made: MethodResult
    seed: int
    labels: int
    noise: float
    physics: bool
    zero_shot_error: float | None
    target_error: float | None
    source_error: Mapping[str, float | None]
    reference_error: float | None = None
    target_error_by_field: Mapping[str, float] | None = None

    @property
    def worst_field_error(self) -> float | None:
        """The largest error of any field; a small field hardly counts in `target_error`."""
        apart = self.target_error_by_field
        return None if apart is None else max(apart.values())

    @property
    def surrogate(self) -> Surrogate:
        """Of the target."""
        return self.made.surrogate

    @property
    def outcome(self) -> Outcome:
        """How it ended; see `Surrogate.outcome`."""
        return self.surrogate.outcome

    @property
    def history(self) -> tuple[dict[str, Any], ...]:
        """stage, step, seconds, held_out, and error against the target's reference."""
        return self.surrogate.history

    def recall(self, name: str = "source") -> Surrogate:
        """A solver kept inside the weights, to the last bit."""
        return self.surrogate.recall(name)

    def record(self) -> dict[str, Any]:
        """All of it as JSON, as `pacpde transfer --json` writes it."""
        spent = {
            stage: self.made.seconds.get(stage) for stage in ("prune", "allocate", "calibrate")
        }
        runtime, apart = self.surrogate.runtime, self.target_error_by_field
        total = sum(value for value in spent.values() if value is not None)
        return {
            "family": self.surrogate.problem.name,
            "method": self.method,
            "seed": self.seed,
            "source": self.source.problem.coefficients,
            "target": self.surrogate.problem.coefficients,
            "labels": self.labels,
            "noise": self.noise,
            "physics": self.physics,
            "zero_shot_error": self.zero_shot_error,
            "target_error": self.target_error,
            "target_error_by_field": apart and dict(apart),
            "worst_field_error": self.worst_field_error,
            "source_error": dict(self.source_error),
            "free_parameters": self.made.free_parameters,
            "total_parameters": self.surrogate.n_stored,
            "steps": self.made.steps,
            "evaluations": self.made.evaluations,
            "seconds": {"source": self.source.seconds, **spent, "total": total},
            "outcome": self.outcome,
            "outcomes": dict(self.surrogate.outcomes),
            "assessment": self.surrogate.assessment and self.surrogate.assessment.as_json(),
            "device": runtime.device,
            "dtype": runtime.dtype,
            "versions": versions(),
            "provenance": dict(self.surrogate.provenance),
        }


@stepwise
def transfer(
    source: Surrogate,
    target: Problem,
    *,
    method: str = "pac",
    seed: int = 0,
    labels: int = 0,
    noise: float = 0.0,
    physics: bool = True,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
    journal: ResumeState | None = None,
    settings: Mapping[str, Any] | None = None,
    reference: Choice = AUTO,
    reference_tolerance: float | None = None,
    **options: Any,
) -> Steps[TransferResult]:
    """Move a source surrogate to other coefficients.

    Args:
        method: its name; see `pacpde methods`.
        labels, noise: measurements of the target, and their noise relative to the fields' spread.
        physics: use the target's equation; otherwise labels alone.
        settings: of the fits, see `pacpde.training.config.TrainingConfig`; the network is the
            source's.
        reference: grades the result and nothing more; labels are drawn from it. "auto" (the best
            that scipy certifies, if any), None, or a `Reference` or file of the target.
        reference_tolerance: relative error that "auto" tries to certify first.
        options: of the method.
    """
    check_arguments(
        runtime=runtime, progress=progress, journal=journal, settings=settings, physics=physics
    )
    check_options(methods.get(method), options)
    way = methods.get(method).make(options)
    check_transfer(source, target, labels, noise, physics)
    warn_of_contradictions(target)
    way.check(source.network, physics)
    runtime = runtime or source.runtime
    source = source.to(runtime)
    config = TrainingConfig.after(source, target, **(settings or {}))
    graded = transfer_references(source.problem, target, reference, reference_tolerance)
    check_label_source(labels, graded.target, reference)
    measured = None
    if labels and graded.target is not None:
        drawn = draw_labels(graded.target, labels, seed=seed, noise=noise)
        measured = Labels(drawn.points, drawn.values)
    task = PhysicsTask(
        target, measured, physics, config.hard, check_seed(seed), runtime, source.field_ansatz
    )
    context = TransferContext(
        replace(task, problem=source.problem, labels=None, physics=True),
        config,
        seed,
        _callbacks(target, runtime, graded.target, journal, progress, callbacks),
    )
    provenance = of_transfer(
        source, target, way, config, seed, runtime,
        labels=labels, noise=noise, physics=physics, references=graded,
    )  # fmt: skip
    made = yield from steps_of(way.run)(source, task, context)
    if not isinstance(made, MethodResult):
        raise InvalidValueError(
            f"the run of the method {method!r} gives {type(made).__name__}, expected a "
            "MethodResult: return one, as pacpde.methods.warm_start does."
        )
    made = replace(made, surrogate=replace(made.surrogate, provenance=provenance))
    zero_shot = source.with_problem(target)
    source_error: dict[str, float | None] = {
        moment: error_of(made.snapshots[moment], graded.source)
        if moment in made.snapshots
        else None
        for moment in ("trained", "pruned", "allocated")
    }
    kept = "source" in made.surrogate.retained
    source_error["recalled"] = (
        error_of(made.surrogate.recall("source"), graded.source) if kept else None
    )
    unmasked = replace(made.surrogate, ansatz=source.ansatz)
    source_error["unmasked"] = error_of(unmasked, graded.source) if made.free_parameters else None
    errors = errors_of(made.surrogate, graded.target)
    return TransferResult(
        method,
        source,
        made,
        seed,
        labels,
        noise,
        physics,
        error_of(zero_shot, graded.target),
        None if errors is None else errors.total,
        source_error,
        None if graded.target is None else graded.target.certified_error,
        None if errors is None else errors.by_field,
    )


def warn_of_contradictions(problem: Problem) -> None:
    """Say where start and edges contradict each other, before time goes into a fit.

    Warns:
        ContradictionWarning: with the place and the size of every jump.
    """
    if problem.contradictions:
        warnings.warn(
            f"{problem}: {'; '.join(map(str, problem.contradictions))}. Start and edges are met by "
            "residuals, not exactly.",
            ContradictionWarning,
            stacklevel=5,
        )


def check_problem(problem: Problem, what: str) -> None:
    """Refuse a name or a class in a problem's place."""
    if not isinstance(problem, Problem):
        raise InvalidValueError(
            f"the {what} is {problem!r}, expected a problem: make one with its coefficients, as in "
            "Heat(alpha=0.4) with Heat from pacpde.problems."
        )


def check_source(source: Surrogate) -> None:
    """Refuse what is no network of a problem."""
    if isinstance(source, TransferResult):
        raise InvalidValueError(
            "the source is the result of a transfer, expected a surrogate: give result.surrogate, "
            "or result.recall() for the solver it came from."
        )
    if not isinstance(source, Surrogate):
        raise InvalidValueError(
            f"the source is {source!r}, expected a surrogate: make one with fit, or load one."
        )
    if isinstance(source.ansatz, ReferenceAnsatz):
        raise InvalidValueError(
            f"the source is scipy's solution of {source.problem}, which has no weights to start "
            "from: give a network, made by `fit` or `pacpde train`."
        )


def check_transfer(
    source: Surrogate, target: Problem, labels: int, noise: float, physics: bool
) -> None:
    """Refuse what cannot be transferred, before anything runs."""
    check_source(source)
    check_problem(target, "target")
    if source.problem.name != target.name:
        raise InvalidValueError(
            f"the source solves {source.problem.name!r} and the target is {target.name!r}: "
            "transfer goes between coefficients of one family."
        )
    change = family_difference(source.problem, target)
    if change is not None:
        raise InvalidValueError(
            f"the family {target.name!r} was defined anew since the source was made, and {change}: "
            "train the source anew."
        )
    if physics and source.field_ansatz.hard and target.contradictions:
        raise InvalidValueError(
            f"the source meets its start and edges exactly, and {target} cannot: "
            f"{'; '.join(map(str, target.contradictions))}. Train the source with hard=False "
            "(--soft)."
        )
    check_labels(labels, noise)
    if not physics and labels < 2:
        raise InvalidValueError(
            f"without physics there must be at least 2 labels, got {labels}: give more labels or "
            "leave physics on."
        )


def _callbacks(
    target: Problem,
    runtime: Runtime,
    reference: Reference | None,
    resume_state: ResumeState | None,
    progress: Progress | None,
    callbacks: Sequence[Callback],
) -> tuple[Callback, ...]:
    """Those of the user last; the error joins the history before it is kept."""
    error_of_target = _grader(target, runtime, reference)
    return (
        *([ErrorHistory(error_of_target)] if error_of_target else []),
        *([resume_state] if resume_state else []),
        *([ProgressReport(progress)] if progress else []),
        *callbacks,
    )


def _grader(
    target: Problem, runtime: Runtime, reference: Reference | None
) -> Callable[[Surrogate], float] | None:
    """Error of a surrogate as a solver of the target, on a thinned grid of the reference."""
    if reference is None:
        return None
    thin = [slice(None, None, max(1, len(axis) // 65)) for axis in reference.axes.values()]
    points = mesh([axis[cut] for axis, cut in zip(reference.axes.values(), thin, strict=True)])
    expected = np.stack([field[tuple(thin)].ravel() for field in reference.fields.values()], -1)
    flat = runtime.tensor(points.reshape(-1, points.shape[-1]))

    def error(made: Surrogate) -> float:
        return relative_l2(made.with_problem(target).at(flat).cpu().numpy(), expected)

    return error
