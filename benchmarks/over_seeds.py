"""Seconds to an error over seeds: a recipe that needs a lucky seed is not one.

Every case is `pacpde.fit` with its family's defaults (some with more steps or points, as named),
from nothing, one seed after another. Grading against the certified reference happens outside the
clock. The record keeps every curve's crossings; nothing is dropped.

    python benchmarks/over_seeds.py --cases burgers,heat,lorenz --seeds 10
    python benchmarks/over_seeds.py --cases heat_fine --seeds 3
"""

import math
import statistics
from argparse import Namespace
from collections.abc import Iterator, Sequence
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, Benchmark, Record, Run, load_average, markdown, new_record, write_each
from times import fitted, median_seconds, never_is_longest, seconds_to, shown

from pacpde.physics import families

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


def main() -> None:
    parser = Benchmark(__doc__, "seeds_CASE", seeds=10, quick={"points": 50, "steps": 2})
    parser.add_argument(
        "--cases", type=lambda text: text.split(","), default=["burgers", "heat", "lorenz"],
        help=f"of {','.join(CASES)}",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, default=RESULTS, help="of the records")
    options = parser.parse_args()
    for name in options.cases:
        if name not in CASES:
            parser.error(f"unknown case {name!r}: choose from {', '.join(CASES)}")
    for name in options.cases:
        family, coefficients, settings, until = CASES[name]
        record = new_record(
            "seconds to an error over seeds", options.threads, case=name, family=family,
            coefficients=coefficients, settings=settings, until=until,
        )  # fmt: skip
        output = None if options.quick else options.folder / f"seeds_{name}.json"
        write_each(record, runs(options, record), output)
        print(table(record))


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """A fit from nothing for every seed."""
    problem = families.get(record["family"])(**record["coefficients"], until=record["until"])
    for seed in range(options.seeds):
        load = load_average()
        end = fitted(problem, seed, **{**record["settings"], **options.settings})
        curve = end.pop("curve")
        yield {
            "seed": seed,
            "load_before": load,
            "seconds_to": seconds_to(curve, THRESHOLDS),
            "error": curve[-1][1],
            **end,
        }


def table(record: Record) -> str:
    """Median and worst seconds to every error that some seed reached, and how many reached it."""
    runs: Sequence[Run] = record["runs"]
    rows = []
    for level in runs[0]["seconds_to"]:
        times = never_is_longest(run["seconds_to"][level] for run in runs)
        there = sum(map(math.isfinite, times))
        if there:
            rows.append([level, f"{there} of {len(runs)}", shown(median_seconds(times)),
                         shown(max(times))])  # fmt: skip
    errors = [run["error"] for run in runs]
    return markdown([record["case"], "seeds", "median s", "worst s"], rows) + (
        f"at the end: median error {statistics.median(errors):.1e}, worst {max(errors):.1e}, "
        f"median {statistics.median(run['seconds'] for run in runs):.0f} s\n"
    )


if __name__ == "__main__":
    main()
