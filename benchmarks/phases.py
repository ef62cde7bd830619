"""What each part of a fit's schedule is worth: Burgers 0.01/π without one of them, over seeds.

The family's network and phases of a fit from random weights, and the same with one thing changed. A
run ends at an error of 1e-5, measured against the reference outside the clock, or when its time is
up. The variants of a seed run one after another, so that what disturbs the machine disturbs them
alike.

    python benchmarks/phases.py [--seeds 10] [--seconds 40]
"""

import math
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import pi
from typing import Any
from unittest.mock import patch

from common import Benchmark, Record, Run, markdown
from timed_fit import TimedFit
from times import Curve, median_seconds, never_is_longest, reached, shown

from pacpde.optim import linear_systems
from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
from pacpde.problems import Burgers

THRESHOLDS = (1e-2, 1e-3, 1e-4, 1e-5)


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
    parser = Benchmark(__doc__, "phases", seeds=10)
    parser.add_argument("--seconds", type=float, default=40)
    parser.carry_out("parts of a fit's schedule on Burgers 0.01/pi", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """All variants of a seed, before those of the next."""
    record["seconds"] = options.seconds
    for seed in range(options.seeds):
        for name in VARIANTS:
            curve = run(name, seed, options.seconds)
            short = [(round(used, 3), float(f"{error:.3g}")) for used, error in curve]
            yield {"variant": name, "seed": seed, "curve": short}


def run(name: str, seed: int, seconds: float) -> Curve:
    """(seconds, error) after every refresh of one variant."""
    variant = VARIANTS[name]
    fit = TimedFit(Burgers(nu=0.01 / pi), seed, THRESHOLDS[-1], **variant.network)
    if variant.adam:
        many = replace(fit.phases[0], steps=10**6, refresh=50, target_residual=0.0)
        fit.run([many], "adam", variant.adam, name)
    optimiser = LevenbergMarquardt(max_bend=variant.bend)
    system = Scaled if variant.scaled else linear_systems.normal_system
    with (
        patch("pacpde.residuals.physics_task.CANDIDATES", variant.pool),
        patch("pacpde.optim.levenberg_marquardt.normal_system", system),
    ):
        fit.run(variant.phases(fit.phases), optimiser, seconds - fit.used, name)
    return fit.curve


def table(record: Record) -> str:
    """Seeds that arrived at an error, and the median of their seconds."""
    rows = []
    for name in dict.fromkeys(run["variant"] for run in record["runs"]):
        curves = [run["curve"] for run in record["runs"] if run["variant"] == name]
        cells = []
        for threshold in THRESHOLDS:
            times = never_is_longest(reached(curve, threshold) for curve in curves)
            there, median = sum(map(math.isfinite, times)), median_seconds(times)
            seconds = "–" if math.isinf(median) else f"{shown(median)} s"
            cells.append(f"{seconds}, {there} of {len(times)}" if there else "never")
        rows.append([name, *cells])
    return markdown(["schedule", *[f"{threshold:g}" for threshold in THRESHOLDS]], rows)


if __name__ == "__main__":
    main()
