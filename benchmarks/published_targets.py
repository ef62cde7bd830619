"""Ten coefficients of a published benchmark, each from the nearest of five sources.

Targets and published seconds of Burgers are those of TL-PINNs (github.com/mariusmerkle/TL-PINNs),
which moves networks of 8×20 by L-BFGS: a median of 6.7 s for each target, to an error of about
2.5e-4, on a machine of its authors. Sources are trained at 0.01/π times 1, 2, 3, 5 and 8. Of the
Kovasznay flow only seconds are published (17 s); targets and sources are ours, Re from 20 to 100.
The nearest source in the logarithm of the coefficient is moved by warm start and by PAC. A library
begins with the five sources and adds others until its estimated error is below 1e-6 over the
range, or it has 12; the seconds of that are its own, not the targets'. scipy is for Burgers the
quickest of several set-ups on half of the domain (Chebyshev nodes with BDF, Radau or LSODA) that
reaches each error at all ten targets, else the family's own reference solver.

With `--methods deepxde` DeepXDE does the same by its own means: 8×20, float64, sources by 15,000
steps of Adam and L-BFGS, targets by L-BFGS from the nearest source's weights.

Errors are those of the worst field against the exact solution. Seconds are those that this process
computed, by one thread, so that other work on the machine does not count. Rows that the record
holds are not made again.

    python benchmarks/published_targets.py
    python benchmarks/published_targets.py --methods deepxde --limit 400
    python benchmarks/published_targets.py --problem kovasznay
"""

import math
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import pi
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from common import (
    RESULTS,
    ROOT,
    Benchmark,
    Record,
    Run,
    earlier_record,
    load_average,
    markdown,
)
from library import INTEGRATORS, NODES, RTOLS, scipy_error
from times import Curve, never_is_longest, on_target, seconds_to

from pacpde import Library, fit, transfer
from pacpde.methods.library.storage import FOLDER
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem
from pacpde.physics.domain import mesh
from pacpde.problems import Burgers, Kovasznay
from pacpde.reference import field_errors, solve
from pacpde.reference.certificate import LOOSEST


@dataclass(frozen=True)
class Setting:
    """A family with targets and sources of one coefficient, the range of a library, a record."""

    family: type[Problem]
    coefficient: str
    targets: tuple[float, ...]
    sources: tuple[float, ...]
    range: tuple[float, float]
    published: dict[str, Any]
    file: str = "published_targets"

    def problem(self, value: float) -> Problem:
        return self.family(**{self.coefficient: value})

    def value(self, problem: Problem) -> float:
        return float(getattr(problem, self.coefficient))


WAY = {"network": "8x20", "method": "warm start, L-BFGS"}
SETTINGS = {
    "burgers": Setting(
        Burgers,
        "nu",
        (0.0037, 0.0059, 0.006, 0.0127, 0.0144, 0.0149, 0.0187, 0.0255, 0.0258, 0.0259),
        tuple(k * 0.01 / pi for k in (1, 2, 3, 5, 8)),
        (0.003, 0.03),
        {"seconds": 6.7, "error": 2.5e-4, **WAY},
    ),
    "kovasznay": Setting(
        Kovasznay,
        "reynolds",
        (22.0, 25.0, 28.0, 34.0, 39.0, 47.0, 55.0, 66.0, 79.0, 94.0),
        (20.0, 30.0, 45.0, 70.0, 100.0),
        (20.0, 100.0),
        {"seconds": 17.0, "error": None, **WAY},
        "published_kovasznay",
    ),
}
THRESHOLDS = (2.5e-4, 1e-5, 1e-6)
METHODS = ("warm_start", "pac", "library_head", "library_polish", "scipy")
NAMES = {
    "warm_start": "warm start", "pac": "PAC", "library_head": "library, head",
    "library_polish": "library, polish", "scipy": "scipy, tuned", "deepxde": "DeepXDE, warm start",
}  # fmt: skip
TOLERANCE, MOST = 1e-6, 12  # of the library


def main() -> None:
    parser = Benchmark(__doc__, "published_targets", quick={"points": 50, "steps": 1})
    parser.add_argument("--problem", choices=SETTINGS, default="burgers")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, "deepxde"], default=METHODS)
    parser.add_argument(
        "--library", type=Path,
        help="folder of the library; one that is there is taken, with its sources (default "
        "runs/published_targets, runs/published_kovasznay)",
    )  # fmt: skip
    parser.add_argument("--limit", type=float, default=900, help="seconds of a fit of DeepXDE")
    parser.set_defaults(threads=1)
    parser.carry_out("ten coefficients of TL-PINNs", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every source, then every target by every method."""
    setting = SETTINGS[options.problem]
    if options.output == RESULTS / f"{SETTINGS['burgers'].file}.json":
        options.output = RESULTS / f"{setting.file}.json"
    options.library = options.library or ROOT / "runs" / setting.file
    record["published"] = setting.published
    earlier = earlier_record(options.output)
    record |= {key: earlier[key] for key in ("sources", "library") if key in earlier}
    record["runs"] = list(earlier.get("runs", []))
    known = {run["method"] for run in record["runs"]}
    methods = [name for name in options.methods if name not in known]
    with patch("time.perf_counter", time.process_time):
        if "scipy" in methods:
            yield from scipy_runs(setting)
        if "deepxde" in methods:
            yield from deepxde_runs(setting, options)
        ours = [name for name in methods if name not in ("scipy", "deepxde")]
        if ours:
            yield from our_runs(setting, ours, options, record)


def our_runs(
    setting: Setting, methods: Sequence[str], options: Namespace, record: Record
) -> Iterator[Run]:
    """Warm start, PAC and a library, from the same sources."""
    folder = str(options.library)
    if "library" in record and FOLDER.state(options.library):
        sources = Library.load(folder).sources[: len(setting.sources)]
    else:
        sources = [
            fit(setting.problem(value), settings=options.source_settings)
            for value in setting.sources
        ]
        record["sources"] = [
            {setting.coefficient: setting.value(s.problem), "seconds": s.seconds} for s in sources
        ]
        record["library"] = build(setting, sources, folder)
    for method in methods:
        more = {"library": folder} if method.startswith("library") else {}
        settings = {} if method == "library_head" else options.settings
        for value in setting.targets:
            near = nearest([setting.value(source.problem) for source in sources], value)
            source = sources[near]
            result = transfer(
                source, setting.problem(value), method=method, seed=0, settings=settings, **more
            )
            yield {
                **row(setting, method, value, on_target(result)),
                "source": setting.value(source.problem),
                "calibrate": result.record()["seconds"]["calibrate"],
                "allocate": result.record()["seconds"]["allocate"],
                "error": error_of(result.surrogate, result.surrogate.problem),
                "estimate": result.surrogate.error_estimate,
                "recalled": result.source_error.get("recalled"),
                "outcome": result.outcome,
            }


def nearest(sources: Sequence[float], value: float) -> int:
    """Number of the source that is nearest in the logarithm."""
    return min(range(len(sources)), key=lambda k: abs(math.log(sources[k] / value)))


def row(setting: Setting, method: str, value: float, curve: Curve) -> Run:
    """What every method has."""
    return {
        "method": method, setting.coefficient: value, "seconds_to": seconds_to(curve, THRESHOLDS),
        "curve": curve, "load": load_average(),
    }  # fmt: skip


def build(setting: Setting, sources: Sequence[Surrogate], folder: str) -> Record:
    """Build the library and write it into a folder."""
    clock = time.process_time()
    library = Library.build(
        setting.family,
        {setting.coefficient: setting.range},
        tolerance=TOLERANCE,
        most=MOST,
        sources=sources,
        log=print,
    )
    seconds = time.process_time() - clock
    library.save(folder)
    estimate = float(library.estimates().max())
    return {"sources": len(library.sources), "seconds": seconds, "largest_estimate": estimate}


def scipy_runs(setting: Setting) -> Iterator[Run]:
    """The quickest solver for each error; a curve has a point for each."""
    if setting.family is not Burgers:
        for value in setting.targets:
            curve = [solved(setting.problem(value), threshold) for threshold in THRESHOLDS]
            yield {**row(setting, "scipy", value, curve), "error": curve[-1][1]}
        return
    tried: list[list[tuple[float, float]]] = [
        [scipy_error(nu, nodes, integrator, rtol) for nu in setting.targets]
        for integrator in INTEGRATORS
        for nodes in NODES
        for rtol in RTOLS
    ]
    for number, nu in enumerate(setting.targets):
        curve = []
        for threshold in THRESHOLDS:
            good = [own for own in tried if max(error for error, _ in own) <= threshold]
            if good:
                error, seconds = min(good, key=lambda own: sum(s for _, s in own))[number]
                curve.append((seconds, error))
        yield {**row(setting, "scipy", nu, curve), "error": curve[-1][1]}


def solved(problem: Problem, tolerance: float) -> tuple[float, float]:
    """Seconds and error of the family's own reference solver."""
    clock = time.process_time()
    reference = solve(problem, tolerance=tolerance, loosest=LOOSEST)
    return time.process_time() - clock, error_of(reference, problem)


def deepxde_runs(setting: Setting, options: Namespace) -> Iterator[Run]:
    """DeepXDE's example in a network of 8×20; targets by L-BFGS from the nearest source."""
    import deepxde as dde
    from deepxde_clock import Clock, adam_then_lbfgs, lbfgs_alone
    from deepxde_transfer import data_of

    dde.config.set_default_float("float64")
    dde.config.set_random_seed(0)

    def network() -> Any:
        inputs, outputs = len(setting.family.axes), len(setting.family.fields)
        return dde.nn.FNN([inputs, *[20] * 8, outputs], "tanh", "Glorot normal")

    def train(model: Any, problem: Problem, by: Any, *steps: int) -> Curve:
        clock = Clock(lambda trained: error_of(predicted(trained, problem), problem), options.limit)
        by(model, clock, *steps)
        return clock.curve

    models: dict[float, Any] = {}
    for value in setting.targets:
        near = setting.sources[nearest(setting.sources, value)]
        if near not in models:
            problem = setting.problem(near)
            models[near] = dde.Model(data_of(problem), network())
            source = train(models[near], problem, adam_then_lbfgs, 15_000, 15_000)
            print("source", near, source[-1], flush=True)
        problem, moved = setting.problem(value), network()
        moved.load_state_dict(models[near].net.state_dict())
        curve = train(dde.Model(data_of(problem), moved), problem, lbfgs_alone, 15_000)
        yield {**row(setting, "deepxde", value, curve), "source": near, "error": curve[-1][1]}


def predicted(model: Any, problem: Problem) -> Any:
    """A model as a function of the axes; DeepXDE has time last."""
    names = [axis.name for axis in problem.domain.axes]
    order = sorted(range(len(names)), key=lambda k: names[k] == "t")
    return lambda *axes: model.predict(np.stack([axes[k].ravel() for k in order], 1)).T


def error_of(function: Any, problem: Problem) -> float:
    """Relative L2 of the worst field against the exact solution, on 101 × 257 points."""
    first, second = problem.domain.axes
    points = mesh([first.grid(101), second.grid(257)])
    axes = points[..., 0], points[..., 1]
    truth = np.asarray(problem.exact(*axes)).reshape(-1, axes[0].size)
    found = np.asarray(function(*axes)).reshape(truth.shape)
    return max(field_errors(found, truth))


def table(record: Record) -> str:
    """A line a method: seconds over the ten targets, the median and the largest."""
    head = ["method", *(f"s to {level:g}" for level in THRESHOLDS), "error at the end"]
    lines = []
    for method in dict.fromkeys(run["method"] for run in record["runs"]):
        own = [run for run in record["runs"] if run["method"] == method]
        cells = []
        for level in THRESHOLDS:
            times = times_to(record, level, method)
            cells.append(f"{seconds(median(times))} (at most {seconds(max(times))})")
        errors = [run["error"] for run in own]
        cells.append(f"{median(errors):.0e} (at most {max(errors):.0e})")
        lines.append([NAMES[method], *cells])
    text = markdown(head, lines)
    return f"{text}\n{summary(record)}\n" if "library" in record else text


def times_to(record: Record, level: float, method: str) -> list[float]:
    """Seconds to an error, of every target."""
    own = [run for run in record["runs"] if run["method"] == method]
    return never_is_longest(run["seconds_to"][f"{level:g}"] for run in own)


def seconds(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.2g}"


def summary(record: Record) -> str:
    """The published number, and what sources and library took."""
    theirs, library = record["published"], record["library"]
    spent = [source["seconds"] for source in record["sources"]]
    to = "" if theirs["error"] is None else f" to {theirs['error']:g}"
    return (
        f"Medians over the ten targets. Published: {theirs['seconds']:g} s{to}. "
        f"The {len(spent)} sources took {median(spent):.0f} s each (median), and the library's "
        f"other {library['sources'] - len(spent)} sources and anchors {library['seconds']:.0f} s."
    )


if __name__ == "__main__":
    main()
