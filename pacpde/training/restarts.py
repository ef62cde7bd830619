"""Restarts: a fit from random weights that fell short begins again in shorter time windows.

A fit of a long time span at once often ends in a wrong solution that meets the equation almost
everywhere. In time windows [start, tᵢ] that grow, each begins from the solution of the one before.
Since a network may also be too small for the solution, a restart takes a larger one and more points
where the settings do not say otherwise, and one of them a network of time windows (`TimeWindows`)
where the equation allows it: the first one of ODEs, where it takes seconds, else the last one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from typing import Any

from pacpde.networks.choice import NamedNetwork, allows_time_windows
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.time_windows import TimeWindows
from pacpde.physics.problem import Problem
from pacpde.residuals.task import Task
from pacpde.training.config import TrainingConfig
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Spent

WINDOWS = 10, 30, 90  # of each restart in turn
FEWEST, MOST = 20, 400  # time windows of a network, of the family's own time span
WINDOWS_A_UNIT = 2  # for a unit of time
IN_TIME, IN_SPACE = (12, 2), (20, 3)  # width and depth of each, of ODEs and of equations in space
HARMONICS = 4  # of a periodic axis
WIDTH, DEPTH = 30, 4  # of the network of a restart, in place of one of default size
MORE_POINTS = 2  # times as many points for it
WINDOW_TOLERANCE = 0.1  # of the fit's own, at which a window counts as solved
ENDED_WELL = (Outcome.CONVERGED, Outcome.DEVICE_LOST)
ACCURATE = 1e-3  # estimated error; one that converged with a larger one begins again once


@dataclass(frozen=True)
class Restart:
    """One more try of a fit.

    Attributes:
        task, config: of it.
        stage: its name in histories.
    """

    task: Task
    config: TrainingConfig
    stage: str


def restarts(
    task: Task, config: TrainingConfig, stage: str, chosen: bool = False
) -> Iterator[Restart]:
    """The tries that follow a fit of a task with these settings; none where it has no time.

    Args:
        chosen: whether the network is given, and not that of the settings.
    """
    if config.schedule is not None or config.steps < TrainingConfig.steps:
        return
    growing = [_growing(task, config, windows) for windows in WINDOWS]
    divided = None if chosen else _in_time_windows(task, config)
    order = growing
    if divided is not None:
        order = [*growing[:2], divided] if task.problem.domain.space else [divided, *growing[:2]]
    for number, again in enumerate(order[: config.restarts], start=1):
        if again is not None:
            yield replace(again, stage=f"{stage}.restart_{number}")


def is_enough(fits: Sequence[FitResult]) -> bool:
    """Whether a fit and the tries after it need no further one."""
    if not any(fit.outcome in ENDED_WELL for fit in fits):
        return False
    assessment = fits[0].assessment
    estimate = assessment.error_estimate if assessment else None
    return len(fits) > 1 or estimate is None or estimate <= ACCURATE


def windowed_phases(
    task: Task, config: TrainingConfig, stage: str
) -> Iterator[tuple[str, Sequence[Phase]]]:
    """The first of these tries for weights that are given, in their own ansatz: (stage, phases)."""
    for again in islice(restarts(task, config, stage, chosen=True), 1):
        yield again.stage, again.config.phases.cold_start(task)


def network_of_time_windows(problem: Problem, activation: str) -> NamedNetwork | None:
    """The network of time windows of a restart; None where the equation does not allow one.

    Example:
        >>> network_of_time_windows(Lorenz(until=20.0), "tanh").options["count"]
        134
    """
    time = problem.domain.time
    if time is None or not allows_time_windows(problem):
        return None
    units = max(FEWEST * problem.span_ratio, WINDOWS_A_UNIT * time.length / problem.time_unit)
    count = min(max(FEWEST, ceil(units)), MOST)
    width, depth = IN_SPACE if problem.domain.space else IN_TIME
    return NamedNetwork(
        TimeWindows.name,
        {"count": count, "width": width, "depth": depth, "activation": activation},
    )


def tries_time_windows(problem: Problem, config: TrainingConfig) -> bool:
    """Whether a fit from random weights tries a network of time windows before it is given up."""
    place = len(WINDOWS) if problem.domain.space else 1
    return (
        config.has_default_network
        and config.schedule is None
        and config.steps >= TrainingConfig.steps
        and config.restarts >= place
    )


def _growing(task: Task, config: TrainingConfig, windows: int) -> Restart | None:
    """One network on a time span that grows in so many pieces; None where there is no time."""
    shorter = task.in_time_windows(windows)
    if shorter is None:
        return None
    larger = _larger(config)
    own = replace(
        larger,
        schedule=larger.standard_schedule(windows, WINDOW_TOLERANCE * config.tolerance),
        points=TrainingConfig.points, steps=TrainingConfig.steps,  # the schedule has its own
        restarts=TrainingConfig.restarts,
    )  # fmt: skip
    return Restart(shorter, own, "growing")


def _in_time_windows(task: Task, config: TrainingConfig) -> Restart | None:
    """A network of time windows; None where one was chosen, or where the slopes must go on."""
    if not (config.has_default_network and task.solves_equation):
        return None
    network = network_of_time_windows(task.problem, config.activation)
    if network is None:
        return None
    task = task.in_time_windows(network.options["count"], HARMONICS) or task
    own = replace(config, activation=TrainingConfig.activation, network=network)
    return Restart(task, own, TimeWindows.name)


def _larger(config: TrainingConfig) -> TrainingConfig:
    """Settings of a larger network and more points, where network and points are by default."""
    if not config.has_default_network:
        return config
    return replace(config, width=WIDTH, depth=DEPTH, points=MORE_POINTS * config.points)


def best_of(fits: Sequence[FitResult | Surrogate]) -> int:
    """The index of the fit that ended best: converged, or else the least wrong, see `rank_of`."""
    ranks = [(fit.outcome != Outcome.CONVERGED, rank_of(fit)) for fit in fits]
    return ranks.index(min(ranks))


def rank_of(fit: FitResult | Surrogate) -> tuple[float, float]:
    """Smaller for what is less wrong, see `Assessment.rank`; infinite where nothing is known."""
    return (float("inf"), float("inf")) if fit.assessment is None else fit.assessment.rank


def with_given_up(fit: FitResult, others: Sequence[FitResult]) -> FitResult:
    """A fit with the steps and seconds of tries after it that were no better; its history stays."""
    spent = Spent.on([fit, *others])
    return replace(fit, seconds=spent.seconds, steps=spent.steps, evaluations=spent.evaluations)


def after_given_up(solver: Surrogate, others: Sequence[FitResult]) -> Surrogate:
    """A solver with the steps and seconds of tries that were no better; its history stays."""
    spent = Spent.on(others)
    return replace(solver, seconds=solver.seconds + spent.seconds, steps=solver.steps + spent.steps)


def joined_fits(fits: Sequence[FitResult]) -> FitResult:
    """The last of some fits, with the history, steps and seconds of all on one clock."""
    if len(fits) == 1:
        return fits[0]
    history: list[dict[str, Any]] = []
    seconds, steps = 0.0, 0
    for fit in fits:
        history += [
            {**entry, "seconds": seconds + entry["seconds"], "step": steps + entry["step"]}
            for entry in fit.history
        ]
        seconds, steps = seconds + fit.seconds, steps + fit.steps
    return replace(
        fits[-1],
        history=tuple(history),
        seconds=seconds,
        steps=steps,
        evaluations=sum(fit.evaluations for fit in fits),
    )
