"""`fit_many` and `transfer_many`: many fits side by side, on all cores."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from pacpde.datasets import transfer_references
from pacpde.datasets.grading import AUTO, NONE, References, check_label_source
from pacpde.errors import InvalidValueError
from pacpde.methods.arguments import check_arguments
from pacpde.methods.transfer import TransferResult, check_problem, check_transfer, fit, transfer
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.scheduler import BatchScheduler
from pacpde.optim.stepwise import steps_of
from pacpde.physics.problem import Problem
from pacpde.runtime import Runtime, gradients
from pacpde.training.callbacks import Progress, prefixed
from pacpde.training.resume import ResumeState

T = TypeVar("T")


@gradients()
def fit_many(
    problems: Iterable[Problem],
    *,
    seeds: int | Sequence[int] = 0,
    workers: int | None = None,
    stacked: bool | None = None,
    progress: Progress | None = None,
    journal: ResumeState | None = None,
    **settings: Any,
) -> list[Surrogate]:
    """`fit` of every problem, side by side on all cores.

    On a CPU each has the bits that it has alone with the same number of threads of torch: one
    where there are several workers.

    Args:
        seeds: one for all, or one a problem.
        workers: fits computed at once, each by one thread; as many as torch has threads, and
            one on a GPU.
        stacked: compute steps of one kind as a stack, quicker for small networks and on a GPU, in
            which case it is the default. Sums have another order then: every step is the same to
            rounding, which a whole fit grows to other weights, of about the same error.
        progress: called with an `Update` whose stage starts with the number of the fit.
        journal: where each keeps a state of its own, so that a killed call resumes.
        settings: as of `fit`.

    Raises:
        BatchError: some failed; it holds the results of the others. Where all failed, the error
            of the first.
    """
    problems = _listed(problems, "problems", settings)
    for problem in problems:
        check_problem(problem, "problem")
    check_arguments(runtime=settings.get("runtime"), progress=progress, journal=journal)
    each_seed = _each(seeds, "seeds", len(problems))
    scheduler = BatchScheduler.of(workers, (settings.get("runtime") or Runtime()).device, stacked)
    fits = [
        steps_of(fit)(
            problem,
            seed=seed,
            progress=progress and prefixed(k, progress),
            journal=journal and journal.child(str(k)),
            **settings,
        )
        for k, (problem, seed) in enumerate(zip(problems, each_seed, strict=True))
    ]
    return scheduler.run(fits).all()


@gradients()
def transfer_many(
    source: Surrogate | Sequence[Surrogate],
    targets: Iterable[Problem],
    *,
    seeds: int | Sequence[int] = 0,
    workers: int | None = None,
    stacked: bool | None = None,
    progress: Progress | None = None,
    journal: ResumeState | None = None,
    **settings: Any,
) -> list[TransferResult]:
    """`transfer` to every target, side by side on all cores.

    What targets have in common is computed once: with one source and one seed, PAC allocates
    once. `seconds` of a result are its share of the whole.

    Args:
        source: one for all, or one a target.
        seeds: one for all, or one a target.
        workers, stacked, journal: as of `fit_many`.
        progress: called with an `Update` whose stage starts with the number of the target.
        settings: as of `transfer`.

    Raises:
        BatchError: as of `fit_many`.
    """
    targets = _listed(targets, "targets", settings)
    sources = _each(source, "sources", len(targets))
    kinds = {
        name: settings[name] for name in ("runtime", "settings", "physics") if name in settings
    }
    check_arguments(progress=progress, journal=journal, **kinds)
    each_seed = _each(seeds, "seeds", len(targets))
    given = {name: settings[name] for name in ("labels", "noise", "physics") if name in settings}
    for one, target in zip(sources, targets, strict=True):
        check_transfer(one, target, **{"labels": 0, "noise": 0.0, "physics": True, **given})
    graded = _references(sources, targets, settings)
    for references in graded:
        choice = settings.get("reference", AUTO)
        check_label_source(given.get("labels", 0), references.target, choice)
    devices = {(settings.get("runtime") or one.runtime).device for one in sources}
    scheduler = BatchScheduler.of(workers, "cpu" if devices <= {"cpu"} else "cuda", stacked)
    transfers = [
        steps_of(transfer)(
            one,
            target,
            seed=seed,
            progress=progress and prefixed(k, progress),
            journal=journal and journal.child(str(k)),
            **{**settings, "reference": references},
        )
        for k, (one, target, seed, references) in enumerate(
            zip(sources, targets, each_seed, graded, strict=True)
        )
    ]
    return scheduler.run(transfers).all()


def _references(
    sources: Sequence[Surrogate], targets: Sequence[Problem], settings: Mapping[str, Any]
) -> list[References]:
    """What grades each transfer, found before any of them runs; each problem once."""
    reference, tolerance = settings.get("reference", AUTO), settings.get("reference_tolerance")
    if not (reference is None or reference in (AUTO, NONE)):
        raise InvalidValueError(
            f"reference is {reference!r}, expected 'auto' or None: there are several targets."
        )
    known: dict[tuple[Problem, Problem], References] = {}
    for one, target in zip(sources, targets, strict=True):
        ends = one.problem, target
        if ends not in known:
            known[ends] = transfer_references(*ends, reference, tolerance)
    return [known[one.problem, target] for one, target in zip(sources, targets, strict=True)]


def _listed(problems: Iterable[Problem], what: str, settings: Mapping[str, Any]) -> list[Problem]:
    if "seed" in settings:
        raise InvalidValueError("seed is for one fit: give seeds, one for all or one for each.")
    if isinstance(problems, Problem) or not isinstance(problems, Iterable):
        raise InvalidValueError(f"the {what} are {problems!r}, expected a list of problems.")
    return list(problems)


def _each(value: T | Sequence[T], what: str, count: int) -> list[T]:
    """One value for each, from one for all or a list of them."""
    several = isinstance(value, Sequence | np.ndarray)
    found: list[Any] = list(value) if several else [value] * count  # type: ignore[arg-type]
    if len(found) != count:
        raise InvalidValueError(
            f"there are {len(found)} {what} for {count} fits: give one for all, or one for each."
        )
    return found
