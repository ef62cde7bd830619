"""Seconds of a transfer from a stored source, over seeds: Burgers 0.01/π to 0.02/π and 0.005/π.

PAC's seconds count pruning and allocation. The clock is the record's; grading is outside it.

    python benchmarks/transfers.py [--seeds 3]
"""

import argparse
import math
import statistics
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, begun, markdown, reached, write_record
from over_seeds import seconds_or_never

# target, method → the error asked for
ASKED = {
    ("0.02/pi", "warm_start"): 5e-5,
    ("0.02/pi", "pac"): 5e-5,
    ("0.005/pi", "warm_start"): 3e-4,
    ("0.005/pi", "pac"): 5e-4,
}
TARGETS = {"0.02/pi": 0.02 / pi, "0.005/pi": 0.005 / pi}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "transfers.json")
    arguments = parser.parse_args()
    record = begun("Burgers 0.01/pi to other viscosities, from a stored source", arguments.threads)
    for seed in range(arguments.seeds):
        record["runs"] += of_seed(seed)
        write_record(record, arguments.output)
    print(table(record))


def of_seed(seed: int) -> list[dict[str, Any]]:
    """Both targets by both methods, from one source."""
    from pacpde import fit, transfer
    from pacpde.problems import Burgers

    source = fit(Burgers(nu=0.01 / pi), seed=seed)
    runs = []
    for (target, method), error in ASKED.items():
        made = transfer(source, Burgers(nu=TARGETS[target]), method=method, seed=seed)
        curve = [(e["seconds"], e["error"]) for e in made.history if "error" in e]
        runs.append(
            {
                "seed": seed,
                "target": target,
                "method": method,
                "asked": error,
                "seconds": reached(curve, error),
                "curve": curve,
                "end": made.target_error,
                "outcome": made.outcome,
                "allocated": made.source_error["allocated"],
                "recalled": made.source_error["recalled"],
            }
        )
        print({k: v for k, v in runs[-1].items() if k != "curve"}, flush=True)
    return runs


def table(record: Any) -> str:
    """Median and worst over the seeds; one that never arrives is the slowest."""
    rows = []
    for (target, method), error in ASKED.items():
        runs = [r for r in record["runs"] if (r["target"], r["method"]) == (target, method)]
        seconds = sorted(math.inf if r["seconds"] is None else r["seconds"] for r in runs)
        there = sum(map(math.isfinite, seconds))
        rows.append(
            [
                target,
                method,
                f"{error:g}",
                f"{there} of {len(runs)}",
                *map(seconds_or_never, (statistics.median(seconds), seconds[-1])),
                f"{statistics.median(r['end'] for r in runs):.1e}",
            ]
        )
    head = ["ν", "method", "error", "seeds", "median s", "worst s", "median error at the end"]
    return markdown(head, rows)


if __name__ == "__main__":
    main()
