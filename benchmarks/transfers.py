"""Seconds of a transfer from a stored source, over seeds: Burgers 0.01/π to 0.02/π and 0.005/π.

PAC's seconds count pruning and allocation. The clock is the record's; grading is outside it.

    python benchmarks/transfers.py [--seeds 3]
"""

import math
import statistics
from argparse import Namespace
from collections.abc import Iterator
from math import pi

from common import Benchmark, Record, Run, markdown
from times import curve_of, median_seconds, never_is_longest, reached, shown

from pacpde import fit, transfer
from pacpde.problems import Burgers

# target, method → the error to be reached
GOALS = {
    ("0.02/pi", "warm_start"): 5e-5,
    ("0.02/pi", "pac"): 5e-5,
    ("0.005/pi", "warm_start"): 3e-4,
    ("0.005/pi", "pac"): 5e-4,
}
TARGETS = {"0.02/pi": 0.02 / pi, "0.005/pi": 0.005 / pi}


def main() -> None:
    parser = Benchmark(__doc__, "transfers", seeds=3, quick={"points": 100, "steps": 2})
    parser.carry_out("Burgers 0.01/pi to other viscosities, from a stored source", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Both targets by both methods, from one source a seed."""
    for seed in range(options.seeds):
        source = fit(Burgers(nu=0.01 / pi), seed=seed, settings=options.source_settings)
        for (target, method), error in GOALS.items():
            result = transfer(
                source, Burgers(nu=TARGETS[target]), method=method, seed=seed,
                settings=options.settings,
            )  # fmt: skip
            curve = curve_of(result.history)
            yield {
                "seed": seed,
                "target": target,
                "method": method,
                "asked": error,
                "seconds": reached(curve, error),
                "curve": curve,
                "end": result.target_error,
                "outcome": result.outcome,
                "allocated": result.source_error["allocated"],
                "recalled": result.source_error["recalled"],
            }


def table(record: Record) -> str:
    """Median and worst over the seeds; one that never arrives is the slowest."""
    rows = []
    for (target, method), error in GOALS.items():
        runs = [r for r in record["runs"] if (r["target"], r["method"]) == (target, method)]
        seconds = never_is_longest(run["seconds"] for run in runs)
        rows.append(
            [
                target,
                method,
                f"{error:g}",
                f"{sum(map(math.isfinite, seconds))} of {len(runs)}",
                shown(median_seconds(seconds)),
                shown(max(seconds)),
                f"{statistics.median(run['end'] for run in runs):.1e}",
            ]
        )
    head = ["ν", "method", "error", "seeds", "median s", "worst s", "median error at the end"]
    return markdown(head, rows)


if __name__ == "__main__":
    main()
