"""Seconds to an error over seeds: a config that needs a lucky seed is not one.

Every case is `pacpde.fit` with its family's defaults (some with more steps or points, as named),
from nothing, one seed after another. Grading against the certified reference happens outside the
clock. The record keeps every curve's crossings; nothing is dropped.

    python benchmarks/over_seeds.py --cases burgers,heat,lorenz --seeds 10
    python benchmarks/over_seeds.py --cases heat_fine --seeds 3
"""

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, fitted, machine, markdown, reached, write_record

THRESHOLDS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)

# name → (family, coefficients, settings, until)
CASES: dict[str, tuple[str, dict[str, float], dict[str, Any], float | None]] = {
    "burgers": ("burgers", {"nu": 0.01 / pi}, {}, None),
    "burgers_steep": ("burgers", {"nu": 0.005 / pi}, {}, None),
    "burgers_periodic": ("burgers_periodic", {}, {}, None),
    "heat": ("heat", {}, {}, None),
    "heat_fine": ("heat", {}, {"width": 16, "steps": 1500}, None),
    "heat2d": ("heat2d", {}, {}, None),
    "heat_modes": ("heat_modes", {}, {}, None),
    "lorenz": ("lorenz", {"rho": 15.0}, {}, None),
    "lorenz_28": ("lorenz", {"rho": 28.0}, {}, None),
    "lorenz_28_fine": ("lorenz", {"rho": 28.0}, {"points": 400, "steps": 600}, None),
    "lorenz_28_long": ("lorenz", {"rho": 28.0}, {}, 5.0),
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    import torch

    torch.set_num_threads(options.threads)
    from pacpde.runtime import versions

    for name in options.cases:
        runs = []
        for seed in range(options.seeds):
            load = round(os.getloadavg()[0], 2)
            runs.append({"seed": seed, "load_before": load, **run(name, seed, options.quick)})
            print(f"{name}, seed {seed}: {told(runs[-1])}", file=sys.stderr, flush=True)
        family, coefficients, settings, until = CASES[name]
        record = {
            "case": name,
            "family": family,
            "coefficients": coefficients,
            "settings": settings,
            "until": until,
            "quick": options.quick,
            "machine": machine(options.threads),
            "versions": versions(),
            "runs": runs,
        }
        if not options.quick:
            write_record(record, options.folder / f"seeds_{name}.json")
        print(table(name, runs))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases", type=lambda text: text.split(","), default=["burgers", "heat", "lorenz"],
        help=f"of {','.join(CASES)}",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=10, help="0, 1, ... (default 10 of them)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--quick", action="store_true", help="a few steps; nothing is written")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="of the records")
    options = parser.parse_args(arguments)
    for name in options.cases:
        if name not in CASES:
            parser.error(f"unknown case {name!r}: choose from {', '.join(CASES)}")
    return options


def run(name: str, seed: int, quick: bool) -> dict[str, Any]:
    """One fit from nothing."""
    from pacpde.physics.problem import families

    family, coefficients, settings, until = CASES[name]
    small = {"points": 50, "steps": 2} if quick else {}
    made = fitted(families.get(family)(**coefficients, until=until), seed, **{**settings, **small})
    curve = made.pop("curve")
    to = {f"{level:g}": reached(curve, level) for level in THRESHOLDS}
    return {"seconds_to": to, "error": curve[-1][1], **made}


def told(run: dict[str, Any]) -> str:
    return f"error {run['error']:.1e} in {run['seconds']:.1f} s, {run['outcome']}"


def table(name: str, runs: Sequence[dict[str, Any]]) -> str:
    """Median and worst seconds to every error that some seed reached, and how many reached it."""
    rows = []
    for level in runs[0]["seconds_to"]:
        times = [run["seconds_to"][level] for run in runs]
        there = [seconds for seconds in times if seconds is not None]
        if there:
            known = [float("inf") if seconds is None else seconds for seconds in times]
            middle = statistics.median(known)
            rows.append(
                [level, f"{len(there)} of {len(runs)}", seconds_or_never(middle),
                 seconds_or_never(max(known))]
            )  # fmt: skip
    errors = [run["error"] for run in runs]
    end = (
        f"at the end: median error {statistics.median(errors):.1e}, worst {max(errors):.1e}, "
        f"median {statistics.median(run['seconds'] for run in runs):.0f} s\n"
    )
    head = [name, "seeds", "median s", "worst s"]
    return markdown(head, rows) + end


def seconds_or_never(seconds: float) -> str:
    return "never" if seconds == float("inf") else f"{seconds:.1f}"


if __name__ == "__main__":
    sys.exit(main())
