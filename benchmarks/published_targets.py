"""Ten viscosities of Burgers from a published benchmark, each from the nearest of five sources.

The targets and the published seconds are those of TL-PINNs (github.com/mariusmerkle/TL-PINNs),
which moves networks of 8×20 by L-BFGS: a median of 6.7 s for each target, to an error of about
2.5e-4, on a machine of its authors. Here the sources are trained at 0.01/π times 1, 2, 3, 5 and 8,
and the nearest in log ν is moved by warm start and by PAC. A library begins with the five sources
and adds others until its estimated error is below 1e-6 over [0.003, 0.03], or it has 12; the
seconds of that are its own, not the targets'. scipy is the quickest of several set-ups on half of
the domain (Chebyshev nodes with BDF, Radau or LSODA) that reaches each error at all ten targets.

With `--deepxde` DeepXDE does the same by its own means: 8×20, 2540 + 80 + 160 points, float64,
sources by 15,000 steps of Adam and L-BFGS, targets by L-BFGS from the nearest source's weights.

Errors are measured against the exact solution of Cole and Hopf. Seconds are those that this process
computed, by one thread, so that other work on the machine does not count. Rows that the record
holds are not made again.

    python benchmarks/published_targets.py
    python benchmarks/published_targets.py --methods deepxde --limit 400
"""

import math
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from math import pi
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from common import ROOT, Benchmark, Record, Run, earlier_record, load_average, markdown
from library import INTEGRATORS, NODES, RTOLS, scipy_error
from times import Curve, never_is_longest, on_target, seconds_to

from pacpde import Library, fit, transfer
from pacpde.methods.library.storage import FOLDER
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.domain import mesh
from pacpde.physics.numbers import relative_l2
from pacpde.problems import Burgers

TARGETS = (0.0037, 0.0059, 0.006, 0.0127, 0.0144, 0.0149, 0.0187, 0.0255, 0.0258, 0.0259)
SOURCES = tuple(k * 0.01 / pi for k in (1, 2, 3, 5, 8))
PUBLISHED = {"seconds": 6.7, "error": 2.5e-4, "network": "8x20", "method": "warm start, L-BFGS"}
THRESHOLDS = (PUBLISHED["error"], 1e-5, 1e-6)
METHODS = ("warm_start", "pac", "library_head", "library_polish", "scipy")
NAMES = {
    "warm_start": "warm start", "pac": "PAC", "library_head": "library, head",
    "library_polish": "library, polish", "scipy": "scipy, tuned", "deepxde": "DeepXDE, warm start",
}  # fmt: skip
RANGE, TOLERANCE, MOST = {"nu": (0.003, 0.03)}, 1e-6, 12  # of the library


def main() -> None:
    parser = Benchmark(__doc__, "published_targets", quick={"points": 50, "steps": 1})
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, "deepxde"], default=METHODS)
    parser.add_argument(
        "--library", type=Path, default=ROOT / "runs" / "published_targets",
        help="folder of the library; one that is there is taken, with its sources",
    )  # fmt: skip
    parser.add_argument("--limit", type=float, default=900, help="seconds of a fit of DeepXDE")
    parser.set_defaults(threads=1)
    parser.carry_out("TL-PINNs' ten viscosities of Burgers", runs, table, published=PUBLISHED)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every source, then every target by every method."""
    earlier = earlier_record(options.output)
    record |= {key: earlier[key] for key in ("sources", "library") if key in earlier}
    record["runs"] = list(earlier.get("runs", []))
    known = {run["method"] for run in record["runs"]}
    methods = [name for name in options.methods if name not in known]
    with patch("time.perf_counter", time.process_time):
        if "scipy" in methods:
            yield from scipy_runs()
        if "deepxde" in methods:
            yield from deepxde_runs(options)
        ours = [name for name in methods if name not in ("scipy", "deepxde")]
        if ours:
            yield from our_runs(ours, options, record)


def our_runs(methods: Sequence[str], options: Namespace, record: Record) -> Iterator[Run]:
    """Warm start, PAC and a library, from the same sources."""
    folder = str(options.library)
    if "library" in record and FOLDER.state(options.library):
        sources = Library.load(folder).sources[: len(SOURCES)]
    else:
        sources = [fit(Burgers(nu=nu), settings=options.source_settings) for nu in SOURCES]
        record["sources"] = [{"nu": s.problem.nu, "seconds": s.seconds} for s in sources]
        record["library"] = build(sources, folder)
    for method in methods:
        more = {"library": folder} if method.startswith("library") else {}
        settings = {} if method == "library_head" else options.settings
        for nu in TARGETS:
            source = min(sources, key=lambda source: abs(math.log(source.problem.nu / nu)))
            result = transfer(
                source, Burgers(nu=nu), method=method, seed=0, settings=settings, **more
            )
            yield {
                **row(method, nu, on_target(result)),
                "source": source.problem.nu,
                "calibrate": result.record()["seconds"]["calibrate"],
                "allocate": result.record()["seconds"]["allocate"],
                "error": exact_error(result.surrogate),
                "estimate": result.surrogate.error_estimate,
                "recalled": result.source_error.get("recalled"),
                "outcome": result.outcome,
            }


def row(method: str, nu: float, curve: Curve) -> Run:
    """What every method has."""
    to = seconds_to(curve, THRESHOLDS)
    return {"method": method, "nu": nu, "seconds_to": to, "curve": curve, "load": load_average()}


def build(sources: Sequence[Surrogate], folder: str) -> Record:
    """Build the library and write it into a folder."""
    clock = time.process_time()
    library = Library.build(
        Burgers, RANGE, tolerance=TOLERANCE, most=MOST, sources=sources, log=print
    )
    seconds = time.process_time() - clock
    library.save(folder)
    estimate = float(library.estimates().max())
    return {"sources": len(library.sources), "seconds": seconds, "largest_estimate": estimate}


def scipy_runs() -> Iterator[Run]:
    """The quickest set-up for each error; a curve has a point for each."""
    tried: list[list[tuple[float, float]]] = [
        [scipy_error(nu, nodes, integrator, rtol) for nu in TARGETS]
        for integrator in INTEGRATORS
        for nodes in NODES
        for rtol in RTOLS
    ]
    for number, nu in enumerate(TARGETS):
        curve = []
        for threshold in THRESHOLDS:
            good = [own for own in tried if max(error for error, _ in own) <= threshold]
            if good:
                error, seconds = min(good, key=lambda own: sum(s for _, s in own))[number]
                curve.append((seconds, error))
        yield {**row("scipy", nu, curve), "error": curve[-1][1]}


def deepxde_runs(options: Namespace) -> Iterator[Run]:
    """DeepXDE's example in a network of 8×20; targets by L-BFGS from the nearest source."""
    import deepxde as dde
    from deepxde_clock import Clock, adam_then_lbfgs, lbfgs_alone, predicted
    from deepxde_transfer import data_of

    dde.config.set_default_float("float64")
    dde.config.set_random_seed(0)

    def train(model: Any, nu: float, by: Any, *steps: int) -> Curve:
        clock = Clock(lambda trained: error_of(predicted(trained), nu), options.limit)
        by(model, clock, *steps)
        return clock.curve

    models = {}
    for nu in TARGETS:
        near = min(SOURCES, key=lambda own: abs(math.log(own / nu)))
        if near not in models:
            network = dde.nn.FNN([2, *[20] * 8, 1], "tanh", "Glorot normal")
            models[near] = dde.Model(data_of(Burgers(nu=near)), network)
            source = train(models[near], near, adam_then_lbfgs, 15_000, 15_000)
            print("source", near, source[-1], flush=True)
        network = dde.nn.FNN([2, *[20] * 8, 1], "tanh", "Glorot normal")
        network.load_state_dict(models[near].net.state_dict())
        curve = train(dde.Model(data_of(Burgers(nu=nu)), network), nu, lbfgs_alone, 15_000)
        yield {**row("deepxde", nu, curve), "source": near, "error": curve[-1][1]}


def error_of(function: Any, nu: float) -> float:
    """Relative L2 against the solution of Cole and Hopf, on 101 × 257 points."""
    points = mesh([np.linspace(0, 1, 101), np.linspace(-1, 1, 257)])
    t, x = points[..., 0], points[..., 1]
    return relative_l2(np.reshape(function(t, x), t.shape), Burgers(nu=nu).exact(t, x))


def exact_error(surrogate: Surrogate) -> float:
    """The same of a surrogate."""
    return error_of(surrogate, surrogate.problem.nu)


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
    return (
        f"Medians over the ten targets. Published: {theirs['seconds']:g} s to {theirs['error']:g}. "
        f"The {len(spent)} sources took {median(spent):.0f} s each (median), and the library's "
        f"other {library['sources'] - len(spent)} sources and anchors {library['seconds']:.0f} s."
    )


if __name__ == "__main__":
    main()
