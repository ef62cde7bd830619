"""TransTailor on a source of 4×64: what it removes, beside a warm start of the whole network.

python benchmarks/tailored.py [--seeds 3]
python benchmarks/tailored.py --join SOME.json OTHERS.json
"""

import argparse
from collections.abc import Sequence
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, begun, joined, markdown, write_record

SOURCE, TARGET = 0.01 / pi, 0.02 / pi
NETWORK = {"width": 64, "depth": 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, nargs="+", default=[10, 5], help="at most")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--join", type=Path, nargs="+", help="records of some rounds each, as one")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "tailored.json")
    arguments = parser.parse_args()
    if arguments.join:
        record = joined(arguments.join)
        write_record(record, arguments.output)
    else:
        record = carried_out(arguments)
    print(table(record["runs"]))


def carried_out(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every run; written down after each seed."""
    record = begun("TransTailor on 4x64, Burgers 0.01/pi to 0.02/pi", arguments.threads)
    settings = {"points": arguments.points, "steps": arguments.steps}
    for seed in range(arguments.seeds):
        record["runs"] += of_seed(seed, settings, arguments.rounds)
        write_record(record, arguments.output)
    return record


def of_seed(seed: int, settings: dict[str, Any], rounds: Sequence[int]) -> list[dict[str, Any]]:
    """Warm start and TransTailor from one source, a run for each number of rounds."""
    from pacpde import fit, transfer
    from pacpde.problems import Burgers

    source = fit(Burgers(nu=SOURCE), seed=seed, **NETWORK, **settings)

    def reached(method: str, **options: Any) -> dict[str, Any]:
        made = transfer(
            source, Burgers(nu=TARGET), method=method, seed=seed, settings=settings, **options
        )
        network = made.surrogate.network
        return {
            "error": made.target_error,
            "outcome": made.outcome,
            "widths": list(network.widths),
            "parameters": network.size,
            "flops": network.flops,
            "seconds": made.method_result.seconds["calibrate"],
        }

    found = {"seed": seed, "flops": source.network.flops, "warm_start": reached("warm_start")}
    runs = []
    for most in rounds:
        runs.append({**found, "rounds": most, "transtailor": reached("transtailor", rounds=most)})
        print(runs[-1], flush=True)
    return runs


def table(runs: list[dict[str, Any]]) -> str:
    """A row a seed and number of rounds."""
    rows = []
    for run in sorted(runs, key=lambda run: (-run["rounds"], run["seed"])):
        warm, tailored = run["warm_start"], run["transtailor"]
        rows.append(
            [
                str(run["rounds"]),
                str(run["seed"]),
                "–".join(map(str, tailored["widths"])),
                f"{1 - tailored['flops'] / run['flops']:.0%}",
                f"{1 - tailored['parameters'] / warm['parameters']:.0%}",
                f"{warm['error']:.1e}",
                f"{tailored['error']:.1e}",
                f"{tailored['error'] / warm['error']:.2f}",
                f"{warm['seconds']:.0f}",
                f"{tailored['seconds']:.0f}",
            ]
        )
    head = ["rounds", "seed", "widths left", "FLOPs removed", "weights removed",
            "warm start's error", "its error", "ratio", "warm start's s", "its s"]  # fmt: skip
    return markdown(head, rows)


if __name__ == "__main__":
    main()
