"""Restarts: a fit from random weights that fell short begins again in shorter time windows.

A fit of a long time span at once often ends in a wrong solution that meets the equation almost
everywhere. In time windows [start, tᵢ] that grow, each begins from the solution of the one before.
Since a network may also be too small for the solution, a restart takes a larger one and more points
where the settings do not say otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pacpde.networks.outcome import Outcome
from pacpde.residuals.task import Task
from pacpde.training.config import TrainingConfig
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult

WINDOWS = 10, 30, 90  # of each restart in turn
WIDTH, DEPTH = 30, 4  # of the network of a restart, in place of one of default size
MORE_POINTS = 2  # times as many points for it
WINDOW_TOLERANCE = 0.1  # of the fit's own, at which a window counts as solved
ENDED_WELL = (Outcome.CONVERGED, Outcome.DEVICE_LOST)


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


def restarts(task: Task, config: TrainingConfig, stage: str) -> Iterator[Restart]:
    """The tries that follow a fit of a task with these settings; none where it has no time."""
    if config.schedule is not None or config.steps < TrainingConfig.steps:
        return
    for number, windows in enumerate(WINDOWS[: config.restarts], start=1):
        shorter = task.in_time_windows(windows)
        if shorter is None:
            continue
        larger = _larger(config)
        schedule = larger.standard_schedule(windows, WINDOW_TOLERANCE * config.tolerance)
        own = replace(
            larger, schedule=schedule,
            points=TrainingConfig.points, steps=TrainingConfig.steps,  # the schedule has its own
            restarts=TrainingConfig.restarts,
        )  # fmt: skip
        yield Restart(shorter, own, f"{stage}.restart_{number}")


def windowed_phases(
    task: Task, config: TrainingConfig, stage: str
) -> Iterator[tuple[str, Sequence[Phase]]]:
    """The first of these tries for weights that are given, in their own ansatz: (stage, phases)."""
    for again in islice(restarts(task, config, stage), 1):
        yield again.stage, again.config.phases.cold_start(task)


def _larger(config: TrainingConfig) -> TrainingConfig:
    """Settings of a larger network and more points, where network and points are by default."""
    if not config.has_default_network:
        return config
    return replace(config, width=WIDTH, depth=DEPTH, points=MORE_POINTS * config.points)


def best_of(fits: Sequence[FitResult]) -> int:
    """The index of the fit that ended best: converged, or else with the smallest estimated error.

    Where no error is estimated, the residual stands in its place.
    """

    def rank(number: int) -> tuple[bool, float]:
        fit = fits[number]
        if fit.assessment is None:
            return fit.outcome != Outcome.CONVERGED, float("inf")
        estimate = fit.assessment.error_estimate
        residual = fit.assessment.residual
        return fit.outcome != Outcome.CONVERGED, residual if estimate is None else max(
            estimate, residual
        )

    return min(range(len(fits)), key=rank)


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
