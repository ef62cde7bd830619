"""How long a study will take, from its records, else from the time of a step."""

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from pacpde.optim.least_squares import LeastSquares
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.runtime import generator
from pacpde.studies.cells import Cell, Training, trainings
from pacpde.studies.records import Row


@dataclass(frozen=True)
class Estimate:
    """Seconds of fitting in one process, if no fit ends before its last step.

    Attributes:
        sources, cells: seconds of all sources, and of all cells.
    """

    sources: float
    cells: float


def estimate(cells: Iterable[Cell], rows: Iterable[Row] = ()) -> Estimate:
    """Estimate the seconds of some cells and of the sources that they need."""
    cells = list(cells)
    needed = trainings(cells)
    fits: dict[str, float] = {}
    for training in needed.values():
        if training.shape not in fits:
            fits[training.shape] = _seconds(training)
    median = _median_seconds(rows)
    measured = [median.get((cell.source.name, cell.variant)) for cell in cells]
    return Estimate(
        sum(fits[training.shape] for training in needed.values()),
        sum(
            fits[cell.training.shape] if seconds is None else seconds
            for cell, seconds in zip(cells, measured, strict=True)
        ),
    )


def _median_seconds(rows: Iterable[Row]) -> Mapping[tuple[str, str], float]:
    """(family, variant) → median seconds of finished cells."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["seconds"]["total"] is not None:
            seconds.setdefault((row["family"], row["variant"]), []).append(row["seconds"]["total"])
    return {variant: statistics.median(some) for variant, some in seconds.items()}


def _seconds(training: Training) -> float:
    """Of a fit that takes every step, from one of its steps on the points of its last phase."""
    config, task = training.config, PhysicsTask(training.problem)
    phases = config.phases.cold_start(task)
    network = config.build_network(task.ansatz(phases[-1].sampling))
    rng = generator(0, "estimate")
    weights = torch.from_numpy(network.init_weights(rng, config.frequency))
    terms = task.terms(network, weights, phases[-1].sampling, rng)
    free = torch.zeros_like(weights, dtype=torch.bool)
    free[network.window(0)] = True  # one time window after the other is fitted
    ready, optimiser = LeastSquares(network, weights, free, terms), config.optimiser_object
    optimiser.run(ready, ready.x0, 1)
    clock = time.perf_counter()
    optimiser.run(ready, ready.x0, 1)
    step = (time.perf_counter() - clock) * network.time_windows
    last = phases[-1].sampling.points
    return step * sum(phase.steps * (phase.sampling.points / last) ** 1.5 for phase in phases)
