"""How far targets are reached: the follower beside straight fits, equal steps and growing.

Seconds and errors are of the fit to the target; graded outside the clock. What is allocated before
it, and what is recalled after it, stands beside.

    python benchmarks/approaches.py [--seeds 3] [--threads 1]
    python benchmarks/approaches.py --join SOME.json OTHERS.json
"""

import argparse
import json
import statistics
from collections.abc import Mapping
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, begun, markdown, reached, write_record

WAYS = ("follow", "straight", "steps", "grow")
METHODS: Mapping[str, Mapping[str, Any]] = {"warm_start": {}, "pac": {}}
TARGETS = ("burgers 0.005/pi", "burgers 0.0025/pi", "lorenz 28")
THRESHOLDS = (1e-2, 1e-3, 1e-4)
BUDGETS = (5, 10, 20, 40)  # seconds on the target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="seed to begin with")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--join", type=Path, nargs="+", help="records of some seeds each, as one")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "approaches.json")
    arguments = parser.parse_args()
    record = begun("three far targets, reached in several ways", arguments.threads)
    if arguments.join:
        parts = [json.loads(file.read_text()) for file in arguments.join]
        record = {**parts[0], "runs": [run for part in parts for run in part["runs"]]}
        write_record(record, arguments.output)
        print(table(record["runs"]))
        return
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        sources: dict[str, Any] = {}
        for target in TARGETS:
            for method in METHODS:
                for way in WAYS:
                    record["runs"].append(run(sources, target, method, way, seed))
                    write_record(record, arguments.output)
    print(table(record["runs"]))


def run(sources: dict[str, Any], name: str, method: str, way: str, seed: int) -> dict[str, Any]:
    """One transfer, from a source that is trained once a seed."""
    from pacpde import fit, transfer
    from pacpde.problems import Burgers, Lorenz

    family, _, value = name.partition(" ")
    if family not in sources:
        sources[family] = fit(Burgers(nu=0.01 / pi) if family == "burgers" else Lorenz(), seed=seed)
    nu = {"0.005/pi": 0.005 / pi, "0.0025/pi": 0.0025 / pi}
    target = Burgers(nu=nu[value]) if family == "burgers" else Lorenz(rho=float(value))
    made = transfer(
        sources[family], target, method=method, approach=way, seed=seed, **METHODS[method]
    )
    graded = [entry for entry in made.history if entry.get("error") is not None]
    before = made.surrogate.seconds - made.made.seconds["calibrate"]
    curve = [(entry["seconds"] - before, entry["error"]) for entry in graded]
    found = {
        "seed": seed,
        "target": name,
        "method": method,
        "approach": way,
        "seconds_to": {f"{error:g}": reached(curve, error) for error in THRESHOLDS},
        "curve": curve,
        "calibrate": made.made.seconds["calibrate"],
        "error": made.target_error,
        "outcome": made.outcome,
        "source_error": made.source_error,
    }
    print({k: v for k, v in found.items() if k != "curve"}, flush=True)
    return found


def table(runs: list[dict[str, Any]]) -> str:
    """Medians over seeds; a seed that never arrives is the slowest."""
    rows = []
    for target in TARGETS:
        for method in METHODS:
            for way in WAYS:
                some = [
                    r for r in runs
                    if (r["target"], r["method"], r["approach"]) == (target, method, way)
                ]  # fmt: skip
                if some:
                    rows.append([target, method, way, *_numbers(some)])
    errors = [f"s to {error:g}" for error in THRESHOLDS]
    after = [f"after {budget} s" for budget in BUDGETS]
    head = ["target", "method", "approach", "converged", *errors, *after, "end", "worst", "s"]
    return markdown(head, rows)


def _numbers(runs: list[dict[str, Any]]) -> list[str]:
    ends = [run["error"] for run in runs]
    seconds = []
    for error in THRESHOLDS:
        taken = [run["seconds_to"][f"{error:g}"] for run in runs]
        middle = statistics.median(float("inf") if t is None else t for t in taken)
        seconds.append("never" if middle == float("inf") else f"{middle:.1f}")
    after = [statistics.median(_least(run["curve"], budget) for run in runs) for budget in BUDGETS]
    converged = sum(run["outcome"] == "converged" for run in runs)
    return [
        f"{converged} of {len(runs)}",
        *seconds,
        *(f"{error:.1e}" for error in after),
        f"{statistics.median(ends):.1e}",
        f"{max(ends):.1e}",
        f"{statistics.median(run['calibrate'] for run in runs):.0f}",
    ]


def _least(curve: list[Any], budget: float) -> float:
    """The error of the last weights that there were after so many seconds."""
    return [error for seconds, error in curve if seconds <= budget or seconds == curve[0][0]][-1]


if __name__ == "__main__":
    main()
