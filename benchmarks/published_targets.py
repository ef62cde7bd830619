"""Ten coefficients of a published benchmark, each from the nearest of five sources.

Targets and published seconds of Burgers are those of TL-PINNs (github.com/mariusmerkle/TL-PINNs),
which moves networks of 8×20 by L-BFGS: a median of 6.7 s for each target, to an error of about
2.5e-4, on a machine of its authors. Sources are trained at 0.01/π times 1, 2, 3, 5 and 8. Of the
Kovasznay flow only seconds are published (17 s); targets and sources are ours, Re from 20 to 100.
The nearest source in the logarithm of the coefficient is moved by warm start and by PAC. A library
begins with the five sources and adds others until its estimated error is below 1e-6 over the
range, or it has 12; the seconds of that are its own, not the targets'. scipy is the quickest of
several set-ups that reaches each error at all ten targets: for Burgers Chebyshev nodes on half of
the domain with BDF, Radau or LSODA, for Kovasznay Newton's method on Chebyshev nodes, with the
dense factors of scipy and no certificate.

With `--methods deepxde` DeepXDE does the same by its own means: 8×20, float64, the 2,540 + 80 + 160
points of its example; sources by 1,000 steps of Adam and L-BFGS, targets by L-BFGS from the nearest
source's weights. (TL-PINNs: 10,000 steps of Adam first, 10,000 + 50 + 50 points, float32.)

Errors are those of the worst field against the exact solution, on the way too. Seconds are those
that this process computed, by one thread, so that other work on the machine does not count. Rows
that the record holds are not made again.

    export OMP_NUM_THREADS=1
    python benchmarks/published_targets.py
    python benchmarks/published_targets.py --methods deepxde --limit 80
    python benchmarks/published_targets.py --problem kovasznay
"""

import math
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import pi
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from common import (
    RESULTS,
    ROOT,
    Benchmark,
    Record,
    Run,
    earlier_record,
    earlier_runs,
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
from pacpde.reference import field_errors
from pacpde.reference.collocation import Collocation
from pacpde.reference.newton import NewtonError, newton
from pacpde.reference.starts import starts
from pacpde.reference.steady_levels import common_grid
from pacpde.runtime import gradients
from pacpde.training.callbacks import ErrorHistory


@gradients()
def by_collocation(reynolds: float, x: int, y: int) -> tuple[float, float]:
    """Error of Newton's method on Chebyshev nodes, and seconds of the solution alone."""
    problem = Kovasznay(reynolds=reynolds)
    clock = time.perf_counter()
    system = Collocation(problem, {"x": x, "y": y})
    try:
        root = newton(system, next(starts(system)), lambda state: float(np.sqrt(np.mean(state**2))))
    except NewtonError:
        return math.inf, math.inf
    solution = common_grid(system, root.state)
    seconds = time.perf_counter() - clock

    def fields(*axes: np.ndarray) -> np.ndarray:
        return solution.on_grid(*map(np.unique, axes))

    return error_of(fields, problem), seconds


@dataclass(frozen=True)
class Setting:
    """A family with targets and sources of one coefficient, the range of a library, a record.

    Attributes:
        classical: coefficient and a set-up → error, seconds of a solver without networks.
        setups: that are tried.
    """

    family: type[Problem]
    coefficient: str
    targets: tuple[float, ...]
    sources: tuple[float, ...]
    range: tuple[float, float]
    published: dict[str, Any]
    classical: Callable[..., tuple[float, float]]
    setups: tuple[tuple[Any, ...], ...]
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
        scipy_error,
        tuple((nodes, way, rtol) for way, nodes, rtol in product(INTEGRATORS, NODES, RTOLS)),
    ),
    "kovasznay": Setting(
        Kovasznay,
        "reynolds",
        (22.0, 25.0, 28.0, 34.0, 39.0, 47.0, 55.0, 66.0, 79.0, 94.0),
        (20.0, 30.0, 45.0, 70.0, 100.0),
        (20.0, 100.0),
        {"seconds": 17.0, "error": None, **WAY},
        by_collocation,
        tuple(product(range(14, 24, 2), range(12, 22, 2))),
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
ADAM, LBFGS, SOURCE_LIMIT = 1_000, 15_000, 200.0  # DeepXDE: steps at most, seconds of a source


def main() -> None:
    parser = Benchmark(__doc__, "published_targets", quick={"points": 50, "steps": 1})
    parser.add_argument("--problem", choices=SETTINGS, default="burgers")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, "deepxde"], default=METHODS)
    parser.add_argument(
        "--library", type=Path,
        help="folder of the library; one that is there is taken, with its sources (default "
        "runs/published_targets, runs/published_kovasznay)",
    )  # fmt: skip
    parser.add_argument("--limit", type=float, default=900, help="seconds of a DeepXDE target")
    parser.set_defaults(threads=1)
    problem = parser.parse_known_args()[0].problem
    parser.file = RESULTS / f"{SETTINGS[problem].file}.json"
    parser.carry_out("ten coefficients of TL-PINNs", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every source, then every target by every method."""
    setting = SETTINGS[options.problem]
    options.library = options.library or ROOT / "runs" / setting.file
    record["published"] = setting.published
    earlier = earlier_record(options.output)
    record |= {key: earlier[key] for key in ("sources", "library") if key in earlier}
    record["runs"] = earlier_runs(options.output, record)
    known = {(run["method"], run[setting.coefficient]) for run in record["runs"]}
    left: dict[str, list[float]] = {}
    for name, value in product(options.methods, setting.targets):
        if (name, value) not in known:
            left.setdefault(name, []).append(value)
    with patch("time.perf_counter", time.process_time):
        if "scipy" in left:
            yield from scipy_runs(setting, left.pop("scipy"))
        if "deepxde" in left:
            yield from deepxde_runs(setting, left.pop("deepxde"), options)
        if left:
            yield from our_runs(setting, left, options, record)


def our_runs(
    setting: Setting, left: dict[str, list[float]], options: Namespace, record: Record
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
    for method, values in left.items():
        more = {"library": folder} if method.startswith("library") else {}
        settings = {} if method == "library_head" else options.settings
        for value in values:
            near = nearest([setting.value(source.problem) for source in sources], value)
            source, target = sources[near], setting.problem(value)
            result = transfer(
                source, target, method=method, seed=0, settings=settings, **more,
                callbacks=[ErrorHistory(partial(error_of, problem=target))],
            )  # fmt: skip
            yield {
                **row(setting, method, value, on_target(result)),
                "source": setting.value(source.problem),
                "calibrate": result.record()["seconds"]["calibrate"],
                "allocate": result.record()["seconds"]["allocate"],
                "error": error_of(result.surrogate, target),
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


def scipy_runs(setting: Setting, values: Sequence[float]) -> Iterator[Run]:
    """The quickest set-up for each error; a curve has a point for each."""
    tried = {
        setup: [setting.classical(value, *setup) for value in setting.targets]
        for setup in setting.setups
    }
    best: dict[float, tuple[Any, ...]] = {}
    for threshold in THRESHOLDS:
        good = [setup for setup, own in tried.items() if max(e for e, _ in own) <= threshold]
        if good:
            best[threshold] = min(good, key=lambda setup: sum(s for _, s in tried[setup]))
    for value in values:
        number = setting.targets.index(value)
        curve = [tried[setup][number][::-1] for setup in best.values()]
        yield {
            **row(setting, "scipy", value, curve),
            "error": curve[-1][1],
            "setups": {f"{threshold:g}": setup for threshold, setup in best.items()},
        }


def deepxde_runs(setting: Setting, values: Sequence[float], options: Namespace) -> Iterator[Run]:
    """A network of 8×20 by DeepXDE; targets by L-BFGS from the nearest source's weights."""
    import deepxde as dde
    from deepxde_clock import Clock, adam_then_lbfgs, lbfgs_alone
    from deepxde_transfer import data_of

    dde.config.set_default_float("float64")
    dde.config.set_random_seed(0)
    folder = options.library.with_name(f"{options.library.name}_deepxde")
    folder.mkdir(parents=True, exist_ok=True)

    def model(problem: Problem) -> Any:
        inputs, outputs = len(setting.family.axes), len(setting.family.fields)
        net = dde.nn.FNN([inputs, *[20] * 8, outputs], "tanh", "Glorot normal")
        return dde.Model(data_of(problem), net)

    def train(model: Any, problem: Problem, limit: float, by: Any, *steps: int) -> Curve:
        clock = Clock(lambda trained: error_of(predicted(trained, problem), problem), limit)
        by(model, clock, *steps)
        return clock.curve

    def source_of(value: float) -> dict[str, Any]:
        """Weights, seconds and error of a source, stored once it is trained."""
        file = folder / f"{value:.6g}.pt"
        if not file.exists():
            problem = setting.problem(value)
            trained = model(problem)
            curve = train(trained, problem, SOURCE_LIMIT, adam_then_lbfgs, ADAM, LBFGS)
            seconds, error = curve[-1]
            stored = {"weights": trained.net.state_dict(), "seconds": seconds, "error": error}
            torch.save(stored, file)
        return torch.load(file)

    for value in values:
        near = setting.sources[nearest(setting.sources, value)]
        source, problem = source_of(near), setting.problem(value)
        moved = model(problem)
        moved.net.load_state_dict(source["weights"])
        curve = train(moved, problem, options.limit, lbfgs_alone, LBFGS)
        yield {
            **row(setting, "deepxde", value, curve), "source": near,
            "source_seconds": source["seconds"], "source_error": source["error"],
            "limit": options.limit, "error": curve[-1][1],
        }  # fmt: skip


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
            reached = sum(map(math.isfinite, times))
            most = f"at most {seconds(max(times))}"
            if reached < len(times):
                most = f"{reached} of {len(times)} targets"
            cells.append(f"{seconds(median(times))} ({most})")
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
    """The published number, what sources and library took, and how DeepXDE's rows were made."""
    theirs, library = record["published"], record["library"]
    spent = [source["seconds"] for source in record["sources"]]
    to = "" if theirs["error"] is None else f" to {theirs['error']:g}"
    others = library["sources"] - len(spent)
    text = (
        f"Medians over the ten targets. Published: {theirs['seconds']:g} s{to}. "
        f"The {len(spent)} sources took {median(spent):.0f} s each (median), and the library's "
        f"{f'other {others} sources and ' if others else ''}anchors {library['seconds']:.0f} s."
    )
    ratios = [run["estimate"] / run["error"] for run in record["runs"] if run.get("estimate")]
    text += f" Estimated errors are {min(ratios):.1f} to {max(ratios):.1f} times the true ones."
    by_deepxde = [run for run in record["runs"] if run["method"] == "deepxde"]
    if by_deepxde:
        sources = {run["source"]: run for run in by_deepxde}.values()
        errors = [run["source_error"] for run in sources]
        text += (
            f" DeepXDE: {len(by_deepxde)} targets, each ended after "
            f"{max(run['limit'] for run in by_deepxde):g} s at the latest; its {len(errors)} "
            f"sources took {median(run['source_seconds'] for run in sources):.0f} s (median), to "
            f"errors of {min(errors):.0e} to {max(errors):.0e}."
        )
    elsewhere: dict[str, set[str]] = {}
    for run in record["runs"]:
        if "machine" in run:
            elsewhere.setdefault(run["machine"]["cpu"], set()).add(NAMES[run["method"]])
    for cpu, names in elsewhere.items():
        text += f" {', '.join(sorted(names))}: on another processor, {cpu}."
    return text


if __name__ == "__main__":
    main()
