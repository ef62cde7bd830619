"""TransTailor on a source of 4×64: what it removes, beside a warm start of the whole network.

python benchmarks/tailored.py [--seeds 3]
python benchmarks/tailored.py --join SOME.json OTHERS.json
"""

from argparse import Namespace
from collections.abc import Iterator
from math import pi
from typing import Any

from common import Benchmark, Record, Run, markdown

from pacpde import fit, transfer
from pacpde.problems import Burgers

NETWORK = {"width": 64, "depth": 4}


def main() -> None:
    parser = Benchmark(__doc__, "tailored", seeds=3, quick={"points": 50, "steps": 2})
    parser.add_argument("--rounds", type=int, nargs="+", default=[10, 5], help="at most")
    parser.carry_out("TransTailor on 4x64, Burgers 0.01/pi to 0.02/pi", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Warm start and TransTailor from one source a seed, a run for each number of rounds."""
    settings = {"points": 2000, "steps": 30, **options.settings}

    def end(source: Any, method: str, seed: int, **more: Any) -> Run:
        result = transfer(
            source, Burgers(nu=0.02 / pi), method=method, seed=seed, settings=settings, **more
        )
        network = result.surrogate.network
        return {
            "error": result.target_error,
            "outcome": result.outcome,
            "widths": list(network.widths),
            "parameters": network.size,
            "flops": network.flops,
            "seconds": result.record()["seconds"]["calibrate"],
        }

    for seed in range(options.seeds):
        source = fit(
            Burgers(nu=0.01 / pi), seed=seed, settings={**NETWORK, **options.network, **settings}
        )
        warm_start = end(source, "warm_start", seed)
        for rounds in options.rounds:
            yield {
                "seed": seed,
                "flops": source.network.flops,
                "warm_start": warm_start,
                "rounds": rounds,
                "transtailor": end(source, "transtailor", seed, rounds=rounds),
            }


def table(record: Record) -> str:
    """A row a seed and number of rounds."""
    rows = []
    for run in sorted(record["runs"], key=lambda run: (-run["rounds"], run["seed"])):
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
