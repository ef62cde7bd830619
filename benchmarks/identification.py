"""Unknown ν from 25 labels with 1 % noise, beside scipy's least squares through the reference.

A source at 0.01/π, measurements of the solution at 0.02/π; other labels and noise a seed. Both
start from the source's coefficient and see the same labels.

    python benchmarks/identification.py [--seeds 10]
"""

import argparse
import statistics
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, begun, markdown, write_record

TRUTH = 0.02 / pi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "identification.json")
    arguments = parser.parse_args()
    record = begun("nu of Burgers from 25 labels with 1 % noise", arguments.threads)
    record["truth"] = TRUTH
    from pacpde import fit
    from pacpde.problems import Burgers

    source = fit(Burgers(nu=0.01 / pi), seed=0)
    for seed in range(arguments.seeds):
        record["runs"].append(of_seed(source, seed))
        write_record(record, arguments.output)
    print(table(record["runs"]))


def of_seed(source: Any, seed: int) -> dict[str, Any]:
    """Both estimates from the same labels."""
    from pacpde.datasets import draw_labels, reference_for
    from pacpde.methods import identify, identify_by_scipy
    from pacpde.problems import Burgers

    drawn = draw_labels(reference_for(Burgers(nu=TRUTH)), 25, seed=seed, noise=0.01)
    found: dict[str, Any] = {"seed": seed}
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


def table(runs: list[dict[str, Any]]) -> str:
    """How near, how often covered, and how long."""
    rows = []
    for name in ("pacpde", "scipy"):
        some = [run[name] for run in runs]
        off = [abs(one["value"] / TRUTH - 1) for one in some]
        # 1.96 standard errors: 95 % of normal estimates
        covered = sum(abs(one["value"] - TRUTH) <= 1.96 * one["standard_error"] for one in some)
        once = sum(abs(one["value"] - TRUTH) <= one["standard_error"] for one in some)
        rows.append(
            [
                name,
                f"{sum(o <= 0.02 for o in off)} of {len(runs)}",
                f"{statistics.median(off):.2%}",
                f"{max(off):.2%}",
                f"{statistics.median(one['standard_error'] / TRUTH for one in some):.2%}",
                f"{covered} of {len(runs)}",
                f"{once} of {len(runs)}",
                f"{statistics.median(one['seconds'] for one in some):.1f}",
            ]
        )
    head = ["by", "within 2 %", "off, median", "off, worst", "standard error",
            "covered at 95 %", "within one", "median s"]  # fmt: skip
    return markdown(head, rows)


if __name__ == "__main__":
    main()
