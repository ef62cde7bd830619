"""Every optimiser under the same contract, the same loss and the same seconds: Burgers 0.01/π.

A fit from random weights in the family's network and phases, each phase with as many steps as the
clock allows; and SOAP or Adam for some seconds before Levenberg–Marquardt, on the points of its
first phase.

    python benchmarks/optimisers.py [--seconds 60] [--seeds 2]
"""

import statistics
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from math import pi

from common import Benchmark, Record, Run, markdown
from timed_fit import TimedFit
from times import Curve, never_is_longest, reached, shown

from pacpde.problems import Burgers

ALONE = ("levenberg_marquardt", "ssbroyden", "lbfgs", "soap", "adam")
FIRST = {"soap": 2.0, "adam": 2.0}  # seconds before Levenberg–Marquardt
REFRESH = {"ssbroyden": 200, "lbfgs": 200, "soap": 100, "adam": 100}  # of many cheap steps
THRESHOLDS = (1e-1, 1e-2, 1e-3, 1e-4)


def main() -> None:
    parser = Benchmark(__doc__, "optimisers", seeds=2)
    parser.add_argument("--seconds", type=float, default=60)
    parser.carry_out("optimisers from nothing on Burgers 0.01/pi", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every schedule of optimisers, seed by seed."""
    record["seconds"] = options.seconds
    for schedule in [(name,) for name in ALONE] + [(name, ALONE[0]) for name in FIRST]:
        for seed in range(options.seeds):
            curve = run(schedule, seed, options.seconds)
            yield {"schedule": schedule, "seed": seed, "curve": curve}


def run(schedule: tuple[str, ...], seed: int, seconds: float) -> Curve:
    """(seconds, error) of one schedule."""
    fit = TimedFit(Burgers(nu=0.01 / pi), seed)
    for place, name in enumerate(schedule):
        phases, last = fit.phases, place == len(schedule) - 1
        if name in REFRESH:
            many = {"steps": 10**6, "refresh": REFRESH[name]}
            first = replace(phases[0], **many)
            long = replace(phases[-1], **many, patience=0)
            phases = (first, long) if last else (replace(first, target_residual=0.0),)
        fit.run(phases, name, seconds if last else FIRST[name], f"{place} {name}")
    return fit.curve


def table(record: Record) -> str:
    """Worst seconds over the seeds, never where one of them does not arrive; median best error."""
    rows = []
    for schedule in dict.fromkeys(tuple(run["schedule"]) for run in record["runs"]):
        curves = [r["curve"] for r in record["runs"] if tuple(r["schedule"]) == schedule]
        worst = [
            max(never_is_longest(reached(curve, threshold) for curve in curves))
            for threshold in THRESHOLDS
        ]
        best = statistics.median(min(error for _, error in curve) for curve in curves)
        rows.append([", then ".join(schedule), *map(shown, worst), f"{best:.1e}"])
    head = ["optimiser", *[f"{threshold:g}, s" for threshold in THRESHOLDS], "best error"]
    return markdown(head, rows)


if __name__ == "__main__":
    main()
