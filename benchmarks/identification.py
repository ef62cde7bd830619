"""Unknown ν from 25 labels with 1 % noise, beside scipy's least squares through the reference.

A source at 0.0127, measurements of the solutions at 0.0318 and at 0.02/π; other labels and noise a
seed. Both start from the source's coefficient and see the same labels. What 25 such labels can tell
at best is the least standard error of any unbiased estimate (Cramér and Rao): on the steeper front
it is several percent, whoever asks.

    python benchmarks/identification.py [--seeds 10]
"""

import argparse
import statistics
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, begun, markdown, write_record

SOURCE, TRUTHS = 0.0127, {"0.0318": 0.0318, "0.02/π": 0.02 / pi}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "identification.json")
    arguments = parser.parse_args()
    record = begun("nu of Burgers from 25 labels with 1 % noise", arguments.threads)
    from pacpde import fit
    from pacpde.problems import Burgers

    source = fit(Burgers(nu=SOURCE), seed=0)
    for truth in TRUTHS:
        for seed in range(arguments.seeds):
            record["runs"].append(of_seed(source, truth, seed))
            write_record(record, arguments.output)
    print(table(record["runs"]))


def of_seed(source: Any, truth: str, seed: int) -> dict[str, Any]:
    """Both estimates from the same labels."""
    from pacpde.datasets import draw_labels, reference_for
    from pacpde.methods import identify, identify_by_scipy
    from pacpde.problems import Burgers

    target = Burgers(nu=TRUTHS[truth])
    drawn = draw_labels(reference_for(target), 25, seed=seed, noise=0.01)
    found: dict[str, Any] = {"seed": seed, "truth": truth, "at_best": at_best(target, drawn)}
    for name, made in (
        ("pacpde", identify(source, drawn.points, drawn.values, seed=seed)),
        ("scipy", identify_by_scipy(source.problem, drawn.points, drawn.values)),
    ):
        value, error = made.estimates["nu"]
        found[name] = {
            "value": value,
            "standard_error": error,
            "noise": made.noise,
            "seconds": made.seconds,
            "outcome": made.outcome,
        }
    print(found, flush=True)
    return found


def at_best(problem: Any, drawn: Any) -> float:
    """The least relative standard error of ν, from the slopes of certified solutions."""
    import numpy as np

    from pacpde.reference import solve

    step = 0.01
    ahead, behind = (
        solve(problem.with_coefficients(nu=problem.nu * (1 + step) ** sign), tolerance=1e-8)
        for sign in (1, -1)
    )
    points = drawn.points.T
    slopes = (ahead(*points) - behind(*points)) / (2 * np.log(1 + step))
    spread = 0.01 * np.std(solve(problem, tolerance=1e-8).values)  # noise is relative to it
    return float(spread / np.linalg.norm(slopes))


def table(runs: list[dict[str, Any]]) -> str:
    """How near, how often covered, and how long."""
    rows = []
    for truth, value in TRUTHS.items():
        of_truth = [run for run in runs if run["truth"] == truth]
        best = statistics.median(run["at_best"] for run in of_truth)
        for name in ("pacpde", "scipy"):
            some = [run[name] for run in of_truth]
            off = [abs(one["value"] / value - 1) for one in some]
            sure = [abs(one["value"] - value) / one["standard_error"] for one in some]
            rows.append(
                [
                    truth,
                    name,
                    f"{sum(o <= 0.02 for o in off)} of {len(some)}",
                    f"{statistics.median(off):.2%}",
                    f"{max(off):.2%}",
                    f"{statistics.median(one['standard_error'] / value for one in some):.2%}",
                    f"{best:.2%}",
                    f"{sum(s <= 1 for s in sure)} of {len(some)}",
                    f"{sum(s <= 1.96 for s in sure)} of {len(some)}",
                    f"{statistics.median(one['seconds'] for one in some):.1f}",
                ]
            )
    head = ["ν", "by", "within 2 %", "off, median", "worst", "standard error", "at best",
            "within one", "within 1.96", "median s"]  # fmt: skip
    return markdown(head, rows)


if __name__ == "__main__":
    main()
