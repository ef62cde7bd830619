"""What each part of a fit's schedule is worth: Burgers 0.01/π without one of them, over seeds.

The family's network and phases (`TrainingConfig.first`), and the same with one thing changed. A
run ends at an error of 1e-5, measured against the reference outside the clock, or when its time is
up. The variants of a seed run one after another, so that what disturbs the machine disturbs them
alike.

    python benchmarks/phases.py [--seeds 10] [--seconds 40]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import pi
from pathlib import Path
from typing import Any
from unittest.mock import patch

from common import RESULTS, begun, markdown, reached, watched, write_record

from pacpde.optim import linear_systems

THRESHOLDS = (1e-2, 1e-3, 1e-4, 1e-5)


class OverError(Exception):
    """A run is over: its time is up, or its error is small enough."""


@dataclass
class Watch:
    """An error history that grades outside its own time, and ends the run."""

    grade: Callable[[Any], float]
    seconds: float
    used: float = 0.0
    since: float = field(default_factory=time.perf_counter)
    curve: list[tuple[float, float]] = field(default_factory=list)
    latest: Any = None

    def __call__(self, made: Any) -> float:
        self.used += time.perf_counter() - self.since
        self.latest = made.weights
        self.curve.append((self.used, self.grade(made)))
        if self.used > self.seconds or self.curve[-1][1] <= THRESHOLDS[-1]:
            raise OverError
        self.since = time.perf_counter()
        return self.curve[-1][1]


def every(**changes: Any) -> Callable[[Any], list[Any]]:
    """Every phase changed; the fields of its draw are given beside its own."""

    def changed(phases: Any) -> list[Any]:
        own = {k: v for k, v in changes.items() if k in ("refresh", "steps")}
        drawn = {k: v for k, v in changes.items() if k not in own}
        return [replace(p, **own, sampling=replace(p.sampling, **drawn)) for p in phases]

    return changed


def all_points(phases: Any) -> list[Any]:
    first, *_, last = phases
    return [replace(first, sampling=replace(first.sampling, points=last.sampling.points)), last]


def one_set(phases: Any) -> list[Any]:
    return [replace(phase, refresh=phase.steps) for phase in phases]


@dataclass(frozen=True)
class Variant:
    """One thing changed.

    Attributes:
        phases: those of the family → those of the variant.
        adam: seconds of Adam before them, on the points of the first.
        pool: candidates a point is chosen from by the residual; 1 draws evenly.
        bend: of Levenberg–Marquardt.
        scaled: damp along the columns of the Jacobian in proportion to their norms.
        network: settings of the network.
    """

    phases: Callable[[Any], Sequence[Any]] = list
    adam: float = 0.0
    pool: int = 4
    bend: float = 2.0
    scaled: bool = False
    network: Mapping[str, Any] = field(default_factory=dict)


VARIANTS = {
    "as it is": Variant(),
    "all points from the start": Variant(all_points),
    "odd from the start": Variant(every(odd=True)),
    "never odd": Variant(every(odd=False)),
    "points drawn evenly": Variant(pool=1),
    "points drawn anew every step": Variant(every(refresh=1)),
    "one set of points a phase": Variant(one_set),
    "straight steps": Variant(bend=0.0),
    "columns scaled": Variant(scaled=True),
    "sin in place of tanh": Variant(network={"activation": "sin"}),
    "sin, first layer spread by 3": Variant(network={"activation": "sin", "frequency": 3.0}),
    "1 s of Adam first": Variant(adam=1.0),
    "2 s of Adam first": Variant(adam=2.0),
}


class Scaled:
    """(JᵀJ + μD²) δ = −Jᵀr, D the norms of J's columns over their mean (Marquardt 1963)."""

    def __init__(self, r: Any, jacobian: Any, anchor: Any, x: Any) -> None:
        norms = jacobian.matrix.norm(dim=-1)
        norms = norms / norms.mean()
        self.r, self.jacobian = r, jacobian
        self.scale = norms.clamp(min=1e-3 * float(norms.max()))
        even = replace(jacobian, matrix=jacobian.matrix / self.scale[..., None])
        self.own = linear_systems.normal_system(r, even, anchor, x)
        self.name = self.own.name

    def solve(self, damping: Any) -> tuple[Any, Any]:
        step, promised = self.own.solve(damping)
        return step / self.scale, promised

    def step_for(self, r: Any) -> Any:
        return self.own.step_for(r) / self.scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "phases.json")
    options = parser.parse_args()
    record = begun("parts of a fit's schedule on Burgers 0.01/pi", options.threads)
    record["seconds"] = options.seconds
    for seed in range(options.seeds):
        for name in VARIANTS:
            curve = run(name, seed, options.seconds)
            short = [(round(used, 3), float(f"{error:.3g}")) for used, error in curve]
            record["runs"].append({"variant": name, "seed": seed, "curve": short})
            used, error = curve[-1]
            print(f"{name}, seed {seed}: {error:.1e} after {used:.1f} s", flush=True)
        write_record(record, options.output)
    print(table(record))


def run(name: str, seed: int, seconds: float) -> list[tuple[float, float]]:
    """(seconds, error) after every refresh of one variant."""
    import torch

    from pacpde.methods import TrainingConfig
    from pacpde.networks.ansatz import network_for
    from pacpde.networks.surrogate import Surrogate
    from pacpde.optim.base import optimisers
    from pacpde.problems import Burgers
    from pacpde.residuals.physics_task import PhysicsTask
    from pacpde.residuals.task import SamplingSpec
    from pacpde.runtime import generator
    from pacpde.training.callbacks import ErrorHistory
    from pacpde.training.trainer import Trainer

    variant, problem = VARIANTS[name], Burgers(nu=0.01 / pi)
    config = TrainingConfig.of(problem, **variant.network)
    task = PhysicsTask(problem, seed=seed)
    network = network_for(
        task.ansatz(SamplingSpec()), config.width, config.depth, config.activation
    )
    start = torch.as_tensor(network.init_weights(generator(seed, "weights"), config.frequency))
    phases = variant.phases(config.phases.cold_start(task))
    grade = watched(problem)

    def fit(weights: Any, phases: Sequence[Any], optimiser: Any, watch: Watch) -> None:
        with suppress(OverError):
            own = replace(config, optimiser=optimiser)
            surrogate = Surrogate(network, task.ansatz(phases[-1].sampling), weights)
            Trainer(surrogate, own, seed, [ErrorHistory(watch)], stage=name).fit(task, phases)

    before = Watch(grade, variant.adam, latest=start)
    if variant.adam:
        many = replace(phases[0], steps=10**6, refresh=50, target_residual=0.0)
        fit(start, [many], optimisers.get("adam")(), before)
    after = Watch(grade, seconds, used=before.used)
    made: Any = replace(optimisers.get("levenberg_marquardt")(), max_bend=variant.bend)
    system = Scaled if variant.scaled else linear_systems.normal_system
    with (
        patch("pacpde.residuals.physics_task.CANDIDATES", variant.pool),
        patch("pacpde.optim.levenberg_marquardt.normal_system", system),
    ):
        fit(before.latest, phases, made, after)
    return before.curve + after.curve


def table(record: Any) -> str:
    """Seeds that arrived at an error, and the median of their seconds."""
    rows = []
    for name in dict.fromkeys(run["variant"] for run in record["runs"]):
        curves = [run["curve"] for run in record["runs"] if run["variant"] == name]
        cells = []
        for threshold in THRESHOLDS:
            found = [reached(curve, threshold) for curve in curves]
            there = [value for value in found if value is not None]
            median = statistics.median([float("inf") if v is None else v for v in found])
            told = "–" if median == float("inf") else f"{median:.1f} s"
            cells.append(f"{told}, {len(there)} of {len(found)}" if there else "never")
        rows.append([name, *cells])
    return markdown(["schedule", *[f"{threshold:g}" for threshold in THRESHOLDS]], rows)


if __name__ == "__main__":
    main()
