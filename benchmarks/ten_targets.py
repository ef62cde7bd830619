"""Ten viscosities of Burgers in one 4×64 backbone, each recalled to the last bit.

python benchmarks/ten_targets.py [--count 10]
"""

import argparse
import hashlib
import tempfile
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, begun, markdown, write_record

SOURCE, FIRST, LAST = 0.01 / pi, 0.0125 / pi, 0.05 / pi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "ten_targets.json")
    arguments = parser.parse_args()
    record = begun("ten viscosities of Burgers in one backbone", arguments.threads)
    record |= {"width": arguments.width, "depth": 4, "sparsity": arguments.sparsity}
    from pacpde import fit, load, save, transfer_in_turn
    from pacpde.problems import Burgers

    network = {"width": arguments.width, "depth": 4}
    settings = {"points": arguments.points, "steps": arguments.steps}
    source = fit(Burgers(nu=SOURCE), seed=arguments.seed, **network, **settings)
    targets = [
        Burgers(nu=FIRST * (LAST / FIRST) ** (k / max(1, arguments.count - 1)))
        for k in range(arguments.count)
    ]
    seen: dict[str, str] = {}

    def told(update: Any) -> None:
        name = update.stage.partition(",")[0]
        if name not in seen:
            seen[name] = name
            print(name, flush=True)

    made = transfer_in_turn(
        source, targets, sparsity=arguments.sparsity, seed=arguments.seed, settings=settings,
        progress=told,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        save(made.surrogate, Path(folder) / "backbone")
        back = load(Path(folder) / "backbone")
        record["bytes"] = sum(file.stat().st_size for file in (Path(folder) / "backbone").iterdir())
    record |= {"parameters": source.parameters, "free": made.n_unused}
    for held in made.solvers:
        again, now = outputs(back.recall(held.name)), outputs(made.recall(held.name))
        record["runs"].append(
            {
                "name": held.name,
                "nu": held.problem.coefficients["nu"],
                "own": held.n_own,
                "error": held.error,
                "error_when_recalled": error(made.recall(held.name), held.problem),
                "outcome": held.outcome,
                "seconds": held.seconds,
                "same_bits_after_loading": again == now,
            }
        )
    write_record(record, arguments.output)
    print(table(record))


def outputs(surrogate: Any) -> str:
    """A hash of every bit of the solution on a grid."""
    import numpy as np

    t, x = np.meshgrid(np.linspace(0, 1, 33), np.linspace(-1, 1, 65), indexing="ij")
    return hashlib.sha256(np.ascontiguousarray(surrogate(t, x)).tobytes()).hexdigest()


def error(surrogate: Any, problem: Any) -> float:
    """Relative L2 against the certified reference."""
    from pacpde.datasets import reference_for
    from pacpde.methods.grading import error_of

    return float(error_of(surrogate, reference_for(problem)))


def table(record: Any) -> str:
    """Each solver with the weights that are its own."""
    rows = [
        [
            run["name"],
            f"{run['nu'] * pi:.4f}/π",
            str(run["own"]),
            f"{run['error']:.1e}",
            f"{run['error_when_recalled']:.1e}",
            "yes" if run["same_bits_after_loading"] else "NO",
            f"{run['seconds']:.0f}",
        ]
        for run in record["runs"]
    ]
    head = ["solver", "ν", "own weights", "error", "recalled", "same bits after loading", "s"]
    return markdown(head, rows) + (
        f"\n{record['parameters']} weights, {record['free']} of them still free; "
        f"{record['bytes']} bytes.\n"
    )


if __name__ == "__main__":
    main()
