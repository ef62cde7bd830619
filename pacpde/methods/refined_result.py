"""Transfers refined to a small tolerance: the target, and what is retained of the source."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from pacpde.methods.base import MethodResult, TransferContext, build_surrogate
from pacpde.methods.rung import with_more_of_last
from pacpde.networks.correction import Correction
from pacpde.networks.outcome import Outcome
from pacpde.networks.refined import unrefined
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.pac import SOURCE
from pacpde.residuals.task import Task
from pacpde.training.refinement import refine
from pacpde.training.restarts import after_given_up
from pacpde.training.trainer import FitResult, Spent, regraded


@stepwise
def refined_result(
    result: MethodResult, task: Task, context: TransferContext
) -> Steps[MethodResult]:
    """A result of fits to the default tolerance, refined to that of the settings.

    What is retained of the source gets a correction of its own. It is kept beside the weights, in
    which source and target stay as they are.
    """
    config = context.config
    result = _regraded(result, config.tolerance)
    result = yield from steps_of(_with_refined_source)(result, context)
    solver = result.surrogate
    refined = yield from steps_of(refine)(
        solver, task, config, context.seed, context.callbacks, "calibrate.refine"
    )
    if not refined.fits:
        solver = _after_allocate(refined.surrogate, result)
        return _with_fits(result, solver, refined.given_up, "calibrate")
    solver = build_surrogate(refined.surrogate, task, refined.fits, solver.stage)
    result = replace(result, n_trainable=result.n_trainable + refined.n_trainable)
    return _with_fits(result, _after_allocate(solver, result), refined.fits, "calibrate")


def with_correction_of(source: Surrogate, result: MethodResult) -> MethodResult:
    """A result whose retained source has the correction of a refined source, if it is that source.

    Methods begin from the solver below the correction. Where they retain it bit for bit, as two
    checkpoints do, the correction suits it.
    """
    correction = Correction.of(source.network, source.weights)
    if correction is None:
        return result
    solver, snapshots = result.surrogate, dict(result.snapshots)
    if "trained" in snapshots:
        snapshots["trained"] = source
    own = solver.retained.get(SOURCE)
    if own is not None and own.correction is None:
        kept, base = unrefined(solver.recall(SOURCE)), unrefined(source)
        if kept.network == base.network and torch.equal(kept.weights, base.weights):
            own = replace(
                own, correction=correction, outcome=source.outcome, assessment=source.assessment
            )
            solver = replace(solver, retained={**solver.retained, SOURCE: own})
            snapshots["allocated"] = source
    return replace(result, surrogate=solver, snapshots=snapshots)


def with_given_up_fits(result: MethodResult, fits: Sequence[FitResult]) -> MethodResult:
    """A result with the steps and seconds of fits to the target before it, which were no result."""
    return _with_fits(result, after_given_up(result.surrogate, fits), fits, "calibrate")


@stepwise
def _with_refined_source(result: MethodResult, context: TransferContext) -> Steps[MethodResult]:
    """A result whose retained source is refined, where it is right, but not to the tolerance."""
    solver, snapshots = result.surrogate, dict(result.snapshots)
    if SOURCE not in solver.retained:
        return result
    task = context.source_task
    refined = yield from steps_of(refine)(
        solver.recall(SOURCE),
        task,
        context.config,
        context.seed,
        [each for each in context.callbacks if not each.target_only],
        "allocate.refine",
    )
    kept = refined.surrogate
    if refined.fits:
        kept = build_surrogate(kept, task, refined.fits, "allocated")
    own = replace(
        solver.retained[SOURCE],
        ansatz=kept.ansatz,
        outcome=kept.outcome,
        assessment=kept.assessment,
        correction=Correction.of(kept.network, kept.weights) if refined.fits else None,
    )
    solver = replace(
        solver,  # on one clock
        history=kept.history,
        seconds=kept.seconds,
        steps=kept.steps,
        retained={**solver.retained, SOURCE: own},
        outcomes={**solver.outcomes, **kept.outcomes},
    )
    if refined.fits and "allocated" in snapshots:
        now = solver.recall(SOURCE)
        snapshots["allocated"] = replace(
            snapshots["allocated"],
            network=now.network,
            ansatz=now.ansatz,
            weights=now.weights,
            retained=now.retained,
            outcome=now.outcome,
            assessment=now.assessment,
        )
    fits = [*refined.fits, *refined.given_up]
    return _with_fits(replace(result, snapshots=snapshots), solver, fits, "allocate")


def _with_fits(
    result: MethodResult, solver: Surrogate, fits: Sequence[FitResult], stage: str
) -> MethodResult:
    """A result with another solver, and with the steps and seconds of these fits."""
    seconds, steps, evaluations = Spent.on(fits)
    spent = {**result.seconds, stage: result.seconds.get(stage, 0.0) + seconds}
    to_target = stage == "calibrate"
    return replace(
        result,
        surrogate=solver,
        steps=result.steps + steps,
        evaluations=result.evaluations + evaluations,
        seconds=spent if fits else result.seconds,
        rungs=with_more_of_last(result.rungs, steps, seconds) if to_target else result.rungs,
    )


def _regraded(result: MethodResult, tolerance: float) -> MethodResult:
    """A result with the outcomes of its target and of what is retained by a smaller tolerance."""

    def by_tolerance(solver: Surrogate) -> Surrogate:
        about = solver.assessment
        return replace(solver, outcome=regraded(solver.outcome, about, tolerance))

    snapshots, solver = dict(result.snapshots), result.surrogate
    retained, outcomes = dict(solver.retained), dict(solver.outcomes)
    if "allocated" in snapshots:
        snapshots["allocated"] = allocated = by_tolerance(snapshots["allocated"])
        outcomes["allocated"] = allocated.outcome
        if SOURCE in retained:
            retained[SOURCE] = replace(retained[SOURCE], outcome=allocated.outcome)
    solver = replace(by_tolerance(solver), retained=retained, outcomes=outcomes)
    return replace(result, surrogate=solver, snapshots=snapshots)


def _after_allocate(solver: Surrogate, result: MethodResult) -> Surrogate:
    """The solver; where it converged and its allocation did not, the outcome and notes say that."""
    allocated = result.snapshots.get("allocated", solver)
    if solver.outcome != Outcome.CONVERGED or allocated.outcome == Outcome.CONVERGED:
        return solver
    solver = replace(solver, outcome=allocated.outcome.in_stage("allocate"))
    notes = allocated.assessment.notes if allocated.assessment else ()
    return solver.with_notes([f"source: {note}" for note in notes])
