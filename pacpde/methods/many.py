"""`fit_many` and `transfer_many`: many fits side by side, on all cores."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np

from pacpde.datasets import transfer_references
from pacpde.datasets.grading import AUTO, EXACT, NONE, References, check_label_source
from pacpde.errors import InvalidValueError
from pacpde.keywords import checked_call
from pacpde.methods.arguments import Settings, check_arguments, method_of
from pacpde.methods.base import Method
from pacpde.methods.checks import check_transfer
from pacpde.methods.result import TransferResult
from pacpde.methods.transfer import fit, transfer
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.scheduler import BatchScheduler
from pacpde.optim.stepwise import steps_of
from pacpde.physics.problem import Problem, check_problem
from pacpde.renamed import renamed_keywords
from pacpde.runtime import Runtime, gradients
from pacpde.training.callbacks import Callback, Progress, prefixed
from pacpde.training.resume import ResumeState

T = TypeVar("T")


@renamed_keywords(journal="resume_state")
@checked_call
@gradients()
def fit_many(
    problems: Iterable[Problem],
    *,
    settings: Settings | None = None,
    seeds: int | Sequence[int] = 0,
    workers: int | None = None,
    stacked: bool | None = None,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    resume_state: ResumeState | None = None,
    **others: Any,
) -> list[Surrogate]:
    """`fit` of every problem, side by side on all cores.

    On a CPU each has the bits that it has alone with the same number of threads of torch: one
    where there are several workers.

    Args:
        settings: of every fit, as of `fit`.
        seeds: one for all, or one a problem.
        workers: fits computed at once, each by one thread; as many as torch has threads, and
            one on a GPU.
        stacked: compute steps of one kind as a stack, quicker for small networks and on a GPU, in
            which case it is the default. Sums have another order then: every step is the same to
            rounding, which a whole fit grows to other weights, of about the same error.
        progress: called with an `Update` whose stage starts with the number of the fit.
        resume_state: where each keeps a state of its own, so that a killed call resumes.
        others: other arguments of `fit`.

    Raises:
        BatchError: some failed; it holds the results of the others. Where all failed, the error
            of the first.
    """
    problems = _as_list(problems, "problems", others)
    for problem in problems:
        check_problem(problem, "problem")
    check_arguments(
        runtime=runtime, progress=progress, resume_state=resume_state, settings=settings
    )
    each_seed = _for_each(seeds, "seeds", len(problems))
    scheduler = BatchScheduler.of(workers, (runtime or Runtime()).device, stacked)
    fits = [
        steps_of(fit)(
            problem,
            settings=settings,
            seed=seed,
            runtime=runtime,
            progress=progress and prefixed(k, progress),
            resume_state=resume_state and resume_state.child(str(k)),
            **others,
        )
        for k, (problem, seed) in enumerate(zip(problems, each_seed, strict=True))
    ]
    return scheduler.run(fits).all()


@renamed_keywords(journal="resume_state")
@checked_call
@gradients()
def transfer_many(
    source: Surrogate | Sequence[Surrogate],
    targets: Iterable[Problem],
    *,
    method: str | Method = "pac",
    options: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    seeds: int | Sequence[int] = 0,
    labels: int = 0,
    noise: float = 0.0,
    physics: bool = True,
    workers: int | None = None,
    stacked: bool | None = None,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
    resume_state: ResumeState | None = None,
    reference: str | None = AUTO,
    reference_tolerance: float | None = None,
    **shorthand: Any,
) -> list[TransferResult]:
    """`transfer` to every target, side by side on all cores.

    What targets have in common is computed once: with one source and one seed, PAC allocates
    once. `seconds` of a result are its share of the whole.

    Args:
        source: one for all, or one a target.
        seeds: one for all, or one a target.
        workers, stacked, resume_state: as of `fit_many`.
        progress: called with an `Update` whose stage starts with the number of the target.
        method, options, settings, shorthand: as of `transfer`, and all other arguments.

    Raises:
        BatchError: as of `fit_many`.
    """
    targets = _as_list(targets, "targets", shorthand)
    sources = _for_each(source, "sources", len(targets))
    check_arguments(
        runtime=runtime, progress=progress, callbacks=callbacks, resume_state=resume_state,
        settings=settings, options=options, physics=physics,
    )  # fmt: skip
    method = method_of(method, options, shorthand)
    each_seed = _for_each(seeds, "seeds", len(targets))
    for one, target in zip(sources, targets, strict=True):
        check_transfer(one, target, labels, noise, physics)
    each_references = _references(sources, targets, reference, reference_tolerance)
    for references in each_references:
        check_label_source(labels, references.target, reference)
    devices = {(runtime or one.runtime).device for one in sources}
    scheduler = BatchScheduler.of(workers, "cpu" if devices <= {"cpu"} else "cuda", stacked)
    transfers = [
        steps_of(transfer)(
            one,
            target,
            method=method,
            settings=settings,
            seed=seed,
            labels=labels,
            noise=noise,
            physics=physics,
            runtime=runtime,
            progress=progress and prefixed(k, progress),
            callbacks=callbacks,
            resume_state=resume_state and resume_state.child(str(k)),
            reference=references,
        )
        for k, (one, target, seed, references) in enumerate(
            zip(sources, targets, each_seed, each_references, strict=True)
        )
    ]
    return scheduler.run(transfers).all()


def _references(
    sources: Sequence[Surrogate],
    targets: Sequence[Problem],
    reference: str | None,
    tolerance: float | None,
) -> list[References]:
    """What grades each transfer, found before any of them runs; each problem once."""
    if not (reference is None or reference in (AUTO, NONE, EXACT)):
        raise InvalidValueError(
            f"reference is {reference!r}, expected 'auto', 'exact' or None: there are several "
            "targets."
        )
    each = cache(lambda source, target: transfer_references(source, target, reference, tolerance))
    return [each(one.problem, target) for one, target in zip(sources, targets, strict=True)]


def _as_list(problems: Iterable[Problem], what: str, others: Mapping[str, Any]) -> list[Problem]:
    if "seed" in others:
        raise InvalidValueError("seed is for one fit: give seeds, one for all or one for each.")
    if isinstance(problems, Problem) or not isinstance(problems, Iterable):
        raise InvalidValueError(f"the {what} are {problems!r}, expected a list of problems.")
    return list(problems)


def _for_each(value: T | Sequence[T], what: str, count: int) -> list[T]:
    """One value for each, from one for all or a list of them."""
    if isinstance(value, Sequence | np.ndarray):
        values: list[T] = list(value)
    else:
        values = [value] * count
    if len(values) != count:
        raise InvalidValueError(
            f"there are {len(values)} {what} for {count} fits: give one for all, or one for each."
        )
    return values
