"""`fit_many` and `transfer_many`: many fits side by side, their steps computed in batches."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pacpde.datasets import transfer_references
from pacpde.datasets.grading import AUTO, NONE, References, check_label_source
from pacpde.errors import InvalidValueError
from pacpde.methods.transfer import TransferResult, check_problem, check_transfer, fit, transfer
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.together import Together
from pacpde.optim.update import Progress
from pacpde.physics.problem import Problem
from pacpde.runtime import Runtime, gradients

T = TypeVar("T")


@gradients()
def fit_many(
    problems: Iterable[Problem],
    *,
    seeds: int | Sequence[int] = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> list[Surrogate]:
    """`fit` of every problem, in batches: the same results to rounding, in less time.

    Args:
        seeds: one for all, or one a problem.
        workers: batches computed at once, each by one thread; as many as torch has threads, and
            one on a GPU.
        progress: called with an `Update` whose stage starts with the number of the fit.
        settings: as of `fit`.
    """
    problems = _listed(problems, "problems", settings)
    for problem in problems:
        check_problem(problem, "problem")
    each_seed = _each(seeds, "seeds", len(problems))
    together = Together.of(workers, (settings.get("runtime") or Runtime()).device)
    return together.each(
        [
            partial(
                fit,
                problem,
                seed=seed,
                progress=together.relay(k, progress),
                together=together,
                **settings,
            )
            for k, (problem, seed) in enumerate(zip(problems, each_seed, strict=True))
        ]
    )


@gradients()
def transfer_many(
    source: Surrogate | Sequence[Surrogate],
    targets: Iterable[Problem],
    *,
    seeds: int | Sequence[int] = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> list[TransferResult]:
    """`transfer` to every target, in batches: the same results to rounding, in less time.

    What targets have in common is computed once: with one source and one seed, PAC allocates
    once. `seconds` of a result are its share of the whole.

    Args:
        source: one for all, or one a target.
        seeds: one for all, or one a target.
        workers: batches computed at once, each by one thread; as many as torch has threads, and
            one on a GPU.
        progress: called with an `Update` whose stage starts with the number of the target.
        settings: as of `transfer`.
    """
    targets = _listed(targets, "targets", settings)
    sources = _each(source, "sources", len(targets))
    each_seed = _each(seeds, "seeds", len(targets))
    given = {name: settings[name] for name in ("labels", "noise", "physics") if name in settings}
    for one, target in zip(sources, targets, strict=True):
        check_transfer(one, target, **{"labels": 0, "noise": 0.0, "physics": True, **given})
    graded = _references(sources, targets, settings)
    for references in graded:
        check_label_source(given.get("labels", 0), references.target)
    devices = {(settings.get("runtime") or one.runtime).device for one in sources}
    together = Together.of(workers, "cpu" if devices <= {"cpu"} else "cuda")
    return together.each(
        [
            partial(
                transfer,
                one,
                target,
                seed=seed,
                progress=together.relay(k, progress),
                together=together,
                **{**settings, "reference": references},
            )
            for k, (one, target, seed, references) in enumerate(
                zip(sources, targets, each_seed, graded, strict=True)
            )
        ]
    )


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
    found: list[Any] = list(value) if isinstance(value, Sequence) else [value] * count
    if len(found) != count:
        raise InvalidValueError(
            f"there are {len(found)} {what} for {count} fits: give one for all, or one for each."
        )
    return found
