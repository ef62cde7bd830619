"""`fit` and `transfer`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pacpde.datasets import draw_labels, grading_reference, transfer_references
from pacpde.datasets.grading import AUTO, ReferenceChoice, check_label_source
from pacpde.errors import InvalidValueError
from pacpde.keywords import checked_call
from pacpde.methods.arguments import (
    Settings,
    check_arguments,
    config_after,
    config_of_fit,
    method_of,
)
from pacpde.methods.base import (
    Method,
    MethodResult,
    TransferContext,
    train_from_scratch,
)
from pacpde.methods.checks import check_source, check_transfer, warn_of_contradictions
from pacpde.methods.few_labels import beside_source
from pacpde.methods.grading import error_of, error_on_thin_grid, errors_of
from pacpde.methods.measurements import measurements_of
from pacpde.methods.moved_windows import moved_windows
from pacpde.methods.provenance import of_fit, of_transfer
from pacpde.methods.refined_result import (
    refined_result,
    with_correction_of,
    with_given_up_fits,
)
from pacpde.methods.result import MOMENTS, TransferResult
from pacpde.networks.refined import unrefined
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.physics.dependence import warn_of_missing_conditions
from pacpde.physics.problem import Problem, check_problem
from pacpde.reference import Reference
from pacpde.renamed import renamed_keywords
from pacpde.residuals.measurements import Measurements
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.runtime import Runtime, check_seed
from pacpde.training.callbacks import Callback, ErrorHistory, Progress, ProgressReport
from pacpde.training.refinement import before_refinement
from pacpde.training.resume import ResumeState


@renamed_keywords(journal="resume_state")
@checked_call
@stepwise
def fit(
    problem: Problem,
    *,
    data: Any = None,
    settings: Settings | None = None,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
    resume_state: ResumeState | None = None,
    reference: Reference | str | Path | None = None,
    reference_tolerance: float | None = None,
    **shorthand: Any,
) -> Steps[Surrogate]:
    """Solve a problem by a network from random weights.

    Example:
        >>> source = fit(Heat(alpha=0.4), settings={"points": 500})
        >>> source(0.5, 0.3)

    Args:
        data: measurements of the solution, fitted beside the equation: `Measurements(points,
            values, noise)`, or a file or table that `Measurements.of` takes.
        settings: of the fit, see `pacpde.TrainingConfig`: a mapping such as {"steps": 20}, or a
            `TrainingConfig`. Other keywords are settings too, as in fit(problem, steps=20), or
            fit(problem, network=MLP(2, 1, width=30)) for a network of your own.
        seed: of weights and points; the same seed gives the same bits on the same machine with the
            same number of threads (`OMP_NUM_THREADS`), which the surrogate's provenance tells.
        progress: called with an `Update` after every refresh.
        callbacks: your own, called after every refresh too; see `pacpde.training.Callback`.
        resume_state: where to keep the state, so that a killed fit resumes exactly.
        reference: grades the fit, whose history then has errors, and nothing more: "auto" (the
            best that can be certified, if any), None, "exact" (the exact solution that the family
            gives), a `Reference`, a file of `pacpde solve`, or a table on a grid of your own.
        reference_tolerance: relative error that "auto" tries to certify first; refused where
            "auto" is not to.

    Warns:
        ContradictionWarning: where start and edges contradict each other; they are then met by
            residuals.
        MissingConditionWarning: where the problem has fewer conditions than its derivatives ask
            for, or only derivatives of a field are read and neither a condition nor a measurement
            gives its value.
        KinkWarning: where the network has kinks, as of ReLU, in a derivative of which the equation
            has the next one: the result cannot converge.
    """
    check_problem(problem, "problem")
    check_arguments(
        runtime=runtime, progress=progress, callbacks=callbacks, resume_state=resume_state,
        settings=settings,
    )  # fmt: skip
    measured = measurements_of(data, problem)
    warn_of_contradictions(problem)
    warn_of_missing_conditions(problem, stacklevel=6, measured=measured is not None)
    runtime = runtime or Runtime()
    config = config_of_fit(problem, settings, shorthand)
    graded = grading_reference(problem, reference, reference_tolerance)
    task = PhysicsTask(problem, measured, hard=config.hard, seed=check_seed(seed), runtime=runtime)
    config = config.with_built_network(task.ansatz(SamplingSpec()))
    called = _callbacks(problem, runtime, graded, resume_state, progress, callbacks)
    about = None if measured is None else measured.summary(problem)
    provenance = of_fit(problem, config, seed, runtime, about)
    surrogate, _ = yield from steps_of(train_from_scratch)(task, None, config, seed, called)
    return replace(surrogate, provenance=provenance)


@renamed_keywords(journal="resume_state")
@checked_call
@stepwise
def transfer(
    source: Surrogate,
    target: Problem,
    *,
    method: str | Method = "pac",
    options: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    data: Any = None,
    labels: int = 0,
    noise: float = 0.0,
    physics: bool = True,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
    resume_state: ResumeState | None = None,
    reference: ReferenceChoice = AUTO,
    reference_tolerance: float | None = None,
    **shorthand: Any,
) -> Steps[TransferResult]:
    """Move a source surrogate to other coefficients.

    Example:
        >>> result = transfer(source, Heat(alpha=0.3), method=PAC(sparsity=0.8))
        >>> result.surrogate(0.5, 0.3), result.target_error, result.recall()

    Args:
        method: an object such as PAC(sparsity=0.8), or a name; see `pacpde methods`.
        options: of a method that is named, as method="pac", options={"sparsity": 0.8}. Other
            keywords are options too, as in transfer(source, target, sparsity=0.8).
        settings: of the fits, see `pacpde.TrainingConfig`: a mapping such as {"steps": 20}, or a
            `TrainingConfig`; the network is the source's.
        data: measurements of the target: `Measurements(points, values, noise)`, or a file or table
            that `Measurements.of` takes.
        labels, noise: so many values drawn from the reference in place of `data`, and their noise
            relative to the fields' spread.
        physics: use the target's equation; otherwise labels alone.
        reference: grades the result and nothing more; labels are drawn from it. "auto" (the best
            that can be certified, if any), None, "exact" (the exact solution that the family
            gives), or a `Reference` or file of the target, in which case "auto" grades the source
            alone.
        reference_tolerance: relative error that "auto" tries to certify first.

    Raises:
        UnknownNameError: there is no such method, option or setting.
        InvalidValueError: an argument is wrong, is given twice, or has no effect.
        SolverError: labels are asked for, and no reference certifies that they can be drawn from.
    """
    check_arguments(
        runtime=runtime, progress=progress, callbacks=callbacks, resume_state=resume_state,
        settings=settings, options=options, physics=physics,
    )  # fmt: skip
    method = method_of(method, options, shorthand)
    check_source(source)
    check_problem(target, "target")
    given = measured = measurements_of(data, target, labels=labels, noise=noise)
    check_transfer(source, target, labels, noise, physics, given)
    warn_of_contradictions(target)
    method.rungs(source.problem, target)  # or a sentence
    method.check(source.network, physics)
    runtime = runtime or source.runtime
    given_source = source.to(runtime)
    source = unrefined(given_source)
    config = config_after(source, target, settings, method=method)
    graded = transfer_references(source.problem, target, reference, reference_tolerance)
    check_label_source(labels, graded.target, reference)
    if labels and graded.target is not None:
        drawn = draw_labels(graded.target, labels, seed=seed, noise=noise)
        measured = Measurements(drawn.points, drawn.values)
    task = PhysicsTask(
        target, measured, physics, config.hard, check_seed(seed), runtime, source.field_ansatz
    )
    context = TransferContext(
        replace(task, problem=source.problem, labels=None, physics=True),
        config,
        seed,
        _callbacks(target, runtime, graded.target, resume_state, progress, callbacks),
    )
    about: dict[str, Any] = {"labels": labels, "noise": noise}
    if given is not None:
        about = given.summary(target)
    provenance = of_transfer(
        given_source, target, method, config, seed, runtime, **about, physics=physics,
        references=graded,
    )  # fmt: skip
    result = yield from steps_of(run_method)(method, source, task, context)
    result = with_correction_of(given_source, result)
    solver = replace(result.surrogate, provenance=provenance)
    errors = errors_of(solver, graded.target)
    return TransferResult(
        method.name,
        given_source,
        replace(result, surrogate=solver),
        seed,
        about["labels"],
        about["noise"],
        physics,
        error_of(given_source.with_problem(target), graded.target),
        None if errors is None else errors.total,
        _source_errors(source, result, graded.source),
        None if graded.target is None else graded.target.known_error,
        None if errors is None else errors.by_field,
    )


def _source_errors(
    source: Surrogate, result: MethodResult, reference: Reference | None
) -> dict[str, float | None]:
    """Moment → error of what is then left of the source; None where there is no such moment."""
    solver, moments = result.surrogate, dict(result.snapshots)
    if SOURCE in solver.retained:
        moments["recalled"] = solver.recall(SOURCE)
    if result.n_trainable:
        moments["unmasked"] = replace(solver, ansatz=source.ansatz)
    return {
        moment: error_of(moments[moment], reference) if moment in moments else None
        for moment in MOMENTS
    }


@stepwise
def run_method(
    method: Method, source: Surrogate, task: Task, context: TransferContext
) -> Steps[MethodResult]:
    """Run a method, and refuse what is no result.

    What labels alone have moved has to be better than the source, see `beside_source`.
    """
    moved, given_up = yield from steps_of(moved_windows)(method, source, task, context)
    if moved is not None:
        return moved
    config = before_refinement(source.network, task, context.config)
    own, rungs = replace(context, config=config), _rungs(method, source, task)
    if rungs:
        result = yield from steps_of(method.run_ladder)(source, task, own, rungs)
    else:
        result = yield from steps_of(method.run)(source, task, own)
    if not isinstance(result, MethodResult):
        raise InvalidValueError(
            f"the run of the method {method.name!r} gives {type(result).__name__}, expected a "
            "MethodResult: return one, as pacpde.methods.warm_start does."
        )
    if config is not context.config:
        result = yield from steps_of(refined_result)(result, task, context)
    result = with_given_up_fits(result, given_up)
    return beside_source(_with_last_rung(result), source, task, context.config)


def _with_last_rung(result: MethodResult) -> MethodResult:
    """The result of a ladder, which is recalled by the name of the last rung too."""
    if not result.rungs:
        return result
    solver, name = result.surrogate, result.rungs[-1].name
    every = torch.ones_like(solver.weights, dtype=torch.bool)
    own = RetainedSolver(solver.ansatz, every, None, solver.outcome, solver.assessment)
    return replace(result, surrogate=replace(solver, retained={**solver.retained, name: own}))


def _rungs(method: Method, source: Surrogate, task: Task) -> Sequence[Problem]:
    """The rungs of the ladder, if the method has one."""
    return method.rungs(source.problem, task.problem) if task.solves_equation else ()


def _callbacks(
    target: Problem,
    runtime: Runtime,
    reference: Reference | None,
    resume_state: ResumeState | None,
    progress: Progress | None,
    callbacks: Sequence[Callback],
) -> tuple[Callback, ...]:
    """Those of the user last; the error joins the history before the resume state stores it."""
    error_of_target = error_on_thin_grid(target, runtime, reference)
    return (
        *([ErrorHistory(error_of_target)] if error_of_target else []),
        *([resume_state] if resume_state else []),
        *([ProgressReport(progress)] if progress else []),
        *callbacks,
    )
