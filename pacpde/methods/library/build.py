"""Build a library: the next source stands where the library is worst."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pacpde.errors import SolverError, TransferWarning
from pacpde.methods.arguments import Settings, config_of_fit
from pacpde.methods.library.coordinates import CoefficientRange
from pacpde.methods.transfer import fit, transfer
from pacpde.networks.choice import NamedNetwork
from pacpde.networks.mlp import MLP
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.error_estimate import error_estimate
from pacpde.runtime import Runtime, generator
from pacpde.training.callbacks import Progress, TimeLimit, prefixed
from pacpde.training.config import TrainingConfig

if TYPE_CHECKING:
    from pacpde.methods.library.library import Library

SHARE = 0.5  # of the tolerance, that the estimated error of a source is to be below
WIDTH, DEPTH = 30, 3  # of sources, where nobody chose the network
FIRST = (0.5, 0.62, 0.85)  # of the range, where the first source stands or, after zero ones, may
ZERO = 1e-6  # size of fields that are no function for others
PROBES = 256  # points at which that is seen
TRIES = 2  # warm starts of a source, each from the one before

Log = Callable[[str], None]


def built(
    kind: type["Library"],
    problem: Problem,
    ranges: Mapping[str, tuple[float, float]],
    *,
    tolerance: float,
    most: int,
    candidates: int,
    settings: Settings | None,
    seed: int,
    runtime: Runtime | None,
    progress: Progress | None,
    log: Log,
    limit: TimeLimit,
    sources: Sequence[Surrogate],
    library: "Library | None",
    callback: "Callable[[Library], None]",
) -> "Library":
    """A library whose estimated error is below a tolerance at every candidate; see `Library.build`.

    The first source is in the middle, where its solution is not zero. Then all candidates are
    solved, and the one of the largest residual that has not been chosen becomes a source, by warm
    start from the nearest one, until no estimated error is above the tolerance. When the time is
    over it ends with the sources so far; a few candidates are solved and a few errors estimated in
    any case.
    """
    box = CoefficientRange(problem, ranges)
    tried = box.candidates(candidates)
    config = _config(box.at([0.5] * len(ranges)), settings)
    if not sources and library is None:
        sources = [_first_source(box, config, seed, runtime, progress, log, limit)]
    if library is None:
        library = kind(sources, tolerance=tolerance, ranges=ranges)
        callback(library)  # which may store it: candidates of some families take minutes
    there = [source.problem for source in library.sources]
    if there[0] in (box.at([place] * len(ranges)) for place in FIRST):
        there = there[1:]
    chosen = np.array([one in there for one in tried])  # once each: again it would be no better
    why = ""
    while True:
        if not _go_on_from_anchors(library, tried):
            log(f"solving {len(tried)} candidates on {len(library.sources)} sources")
            library.anchor(tried, measured=False, limit=limit)
        worst = np.nan_to_num(library.anchors.shares, nan=np.inf)
        number = int(worst.argmax())
        estimate = _estimate(library, number, tried[number])
        if estimate <= tolerance:
            library.measure(tried, limit=limit)
            worst = np.nan_to_num(library.estimates())
            number = int(worst.argmax())
            estimate = float(worst[number])
        count = len(library.sources)
        log(f"{count} sources: estimated errors up to {estimate:.1e}, at {tried[number]}")
        callback(library)
        ended = (
            count >= most or chosen.all() or (estimate <= tolerance and len(worst) == len(tried))
        )
        why = "" if ended else _exhausted(library, config, limit)
        if ended or why:
            break
        following = int(np.where(chosen, -np.inf, worst).argmax())
        source = _next_source(library, tried[following], config, seed, progress, log, limit)
        if limit.is_over and source.outcome != Outcome.CONVERGED:
            why = _exhausted(library, config, limit)
            break
        chosen[following] = True
        library.sources = [one for one in library.sources if one.problem != source.problem]
        library.add_source(source)
    library.complete = not why
    if why or not estimate <= tolerance:
        library.measure(tried, limit=limit)
        warnings.warn(
            f"{count} sources reach an estimated error of {estimate:.1e} at {tried[number]}, the "
            f"worst of {len(library.anchors.units)} of {len(tried)} candidates, and {tolerance:g} "
            f"is wanted: {why or 'allow more sources (most), or wider networks'}.",
            TransferWarning,
            stacklevel=5,
        )
    library.refine(limit=limit)
    callback(library)
    return library


def _first_source(
    box: CoefficientRange,
    config: TrainingConfig,
    seed: int,
    runtime: Runtime | None,
    progress: Progress | None,
    log: Log,
    limit: TimeLimit,
) -> Surrogate:
    """The solver in the middle of the range, or beside it where its solution is zero."""
    for place in FIRST:
        problem = box.at([place] * len(box.names))
        source = fit(
            problem, settings=config, seed=seed, runtime=runtime,
            progress=_told(progress, 1, problem), callbacks=[limit],
        )  # fmt: skip
        if source.outcome == Outcome.CONVERGED:
            return source
        if limit.is_over or not _is_zero(source):
            break
        log(f"the solution of {problem} is zero, and no function for others")
    over = f" after {limit.seconds:g} seconds" if limit.is_over else ""
    raise SolverError(
        f"the first source, {problem}, ended {source.outcome}{over}: give "
        f"{'more seconds, or ' if over else ''}settings under which a fit of it converges, "
        "or another range."
    )


def _is_zero(source: Surrogate) -> bool:
    """Whether the fields are nothing beside their scales."""
    points = source.problem.domain.random(PROBES, generator(0, "library"))
    values = np.reshape(source(*points.T), (len(source.problem.fields), PROBES))
    return bool((np.abs(values).max(1) <= ZERO * np.array(source.problem.scales)).all())


def _go_on_from_anchors(library: "Library", tried: Sequence[Problem]) -> bool:
    """Whether a library was anchored at the candidates before it was stored; then just at these.

    So that an interrupted build ends with the same bits.
    """
    units, count = library.solver.units(tried), len(tried)
    if not np.array_equal(library.anchors.units[:count], units):
        return False
    library.anchors = library.anchors.chosen(np.arange(count))
    return True


def _exhausted(library: "Library", config: TrainingConfig, limit: TimeLimit) -> str:
    """Why no more sources are fitted though there may be some; "" where nothing is against it."""
    if limit.is_over:
        return f"the {limit.seconds:g} seconds are over; give more, and these sources to go on from"
    count = len(library.sources)
    more = ((count + 1) / count) ** 2 * library.equations.step_bytes / 2**30
    if more > config.step_memory_gib:
        return (
            f"a step on one more source may take {more:.2g} GiB, above the memory_gib of "
            f"{config.step_memory_gib:g}; give more, or narrower networks"
        )
    return ""


def _estimate(library: "Library", number: int, problem: Problem) -> float:
    """The estimated error of a candidate; of what has no estimate, its residual."""
    solver = library.backbone.solver(problem, library.anchors.heads[number])
    estimate = error_estimate(solver)
    return float(estimate if estimate is not None else np.inf)


def _next_source(
    library: "Library",
    problem: Problem,
    config: TrainingConfig,
    seed: int,
    progress: Progress | None,
    log: Log,
    limit: TimeLimit,
) -> Surrogate:
    """The solver of a problem by warm start from the nearest source, again where it fell short."""
    told = _told(progress, len(library.sources) + 1, problem)
    solver = library.nearest(problem)
    for attempt in range(TRIES):
        solver = transfer(
            solver, problem, method="warm_start", settings=_after(solver, config),
            seed=seed + attempt, reference=None, progress=told, callbacks=[limit],
        ).surrogate  # fmt: skip
        about = solver.assessment
        error = None if about is None else about.error_estimate
        if limit.is_over or (error is not None and error <= SHARE * library.tolerance):
            break
    else:
        log(
            f"the source {problem} ended {solver.outcome}"
            f"{'' if error is None else f' with an estimated error of {error:.1e}'}: more steps, "
            "points or neurons would do better"
        )
    return solver


def _config(problem: Problem, settings: Settings | None) -> TrainingConfig:
    """The settings of the first fit, with a dense network that no restart replaces."""
    config = config_of_fit(problem, settings, {})
    if config.network is not None:
        return config
    size = (WIDTH, DEPTH) if config.has_default_network else (config.width, config.depth)
    options = {"width": size[0], "depth": size[1], "activation": config.activation}
    default = {name: getattr(TrainingConfig, name) for name in options}
    return replace(config, network=NamedNetwork(MLP.name, options), **default)


def _after(solver: Surrogate, config: TrainingConfig) -> TrainingConfig:
    """The settings of a warm start, with at least the points that its start was fitted with.

    Conditions are met as its start meets them, which may be by residuals though `hard` is True.
    """
    config = replace(config, hard=solver.field_ansatz.hard)
    if config.schedule is not None:
        return config
    return replace(config, points=max(config.points, solver.points))


def _told(progress: Progress | None, number: int, problem: Problem) -> Progress | None:
    return progress and prefixed(f"source {number}, {problem}", progress)
