"""Every optimiser under the same contract, the same loss and the same seconds: Burgers 0.01/π.

A fit from random weights in the family's network and phases (`TrainingConfig.first`), each phase
with as many steps as the clock allows; and SOAP or Adam for some seconds before
Levenberg–Marquardt, on the points of its first phase.

    python benchmarks/optimisers.py [--seconds 60] [--seeds 2]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, begun, markdown, reached, watched, write_record

ALONE = ("levenberg_marquardt", "ssbroyden", "lbfgs", "soap", "adam")
FIRST = {"soap": 2.0, "adam": 2.0}  # seconds before Levenberg–Marquardt
REFRESH = {"levenberg_marquardt": None, "ssbroyden": 200, "lbfgs": 200, "soap": 100, "adam": 100}
THRESHOLDS = (1e-1, 1e-2, 1e-3, 1e-4)


class TimeIsUpError(Exception):
    """The clock ends a fit."""


@dataclass
class Clock:
    """An error history that grades outside its own time, and ends the fit when that is up."""

    grade: Callable[[Any], float]
    limit: float = 0.0
    used: float = 0.0
    latest: Any = None
    curve: list[tuple[float, float]] = field(default_factory=list)
    since: float = 0.0

    def start(self, seconds: float) -> None:
        self.limit, self.since = self.used + seconds, time.perf_counter()

    def __call__(self, made: Any) -> float:
        self.used += time.perf_counter() - self.since
        self.latest = made.weights
        self.curve.append((self.used, self.grade(made)))
        if self.used > self.limit:
            raise TimeIsUpError
        self.since = time.perf_counter()
        return self.curve[-1][1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "optimisers.json")
    arguments = parser.parse_args()
    record = begun("optimisers from nothing on Burgers 0.01/pi", arguments.threads)
    record["seconds"] = arguments.seconds
    schedules = [(name,) for name in ALONE]
    schedules += [(name, "levenberg_marquardt") for name in FIRST]
    for schedule in schedules:
        for seed in range(arguments.seeds):
            curve = run(schedule, seed, arguments.seconds)
            record["runs"].append({"schedule": schedule, "seed": seed, "curve": curve})
            print(schedule, seed, min(error for _, error in curve), flush=True)
            write_record(record, arguments.output)
    print(table(record))


def run(schedule: tuple[str, ...], seed: int, seconds: float) -> list[tuple[float, float]]:
    """(seconds, error) of one schedule."""
    import torch

    from pacpde.methods import TrainingConfig
    from pacpde.networks.ansatz import network_for
    from pacpde.networks.surrogate import Surrogate
    from pacpde.problems import Burgers
    from pacpde.residuals.physics_task import PhysicsTask
    from pacpde.residuals.task import SamplingSpec
    from pacpde.runtime import generator
    from pacpde.training.callbacks import ErrorHistory
    from pacpde.training.trainer import Trainer

    problem = Burgers(nu=0.01 / pi)
    config, task = TrainingConfig.of(problem), PhysicsTask(problem, seed=seed)
    network = network_for(
        task.ansatz(SamplingSpec()), config.width, config.depth, config.activation
    )
    weights = torch.as_tensor(network.init_weights(generator(seed, "weights")))
    clock = Clock(watched(problem))
    for place, name in enumerate(schedule):
        phases = config.phases.cold_start(task)
        last = place == len(schedule) - 1
        if REFRESH[name] is not None:  # many cheap steps between two draws of points
            long = replace(phases[-1], steps=10**6, refresh=REFRESH[name], patience=0)
            first = replace(phases[0], steps=10**6, refresh=REFRESH[name])
            phases = (first, long) if last else (replace(first, target_residual=0.0),)
        clock.start(seconds if last else FIRST[name])
        with suppress(TimeIsUpError):
            own = replace(config, optimiser=name)
            start = Surrogate(network, task.ansatz(phases[-1].sampling), weights)
            Trainer(start, own, seed, [ErrorHistory(clock)], stage=f"{place} {name}").fit(
                task, phases
            )
        weights = clock.latest
    return clock.curve


def table(record: Any) -> str:
    """Worst seconds over the seeds, never where one of them does not arrive; median best error."""
    rows = []
    for schedule in dict.fromkeys(tuple(run["schedule"]) for run in record["runs"]):
        curves = [r["curve"] for r in record["runs"] if tuple(r["schedule"]) == schedule]
        cells = []
        for threshold in THRESHOLDS:
            found = [reached(curve, threshold) for curve in curves]
            seconds = [value for value in found if value is not None]
            cells.append(f"{max(seconds):.1f}" if len(seconds) == len(found) else "never")
        best = statistics.median(min(error for _, error in curve) for curve in curves)
        rows.append([", then ".join(schedule), *cells, f"{best:.1e}"])
    head = ["optimiser", *[f"{threshold:g}, s" for threshold in THRESHOLDS], "best error"]
    return markdown(head, rows)


if __name__ == "__main__":
    main()
