"""Ten viscosities of Burgers in one 4×64 backbone, each recalled to the last bit.

python benchmarks/ten_targets.py [--count 10]
"""

import tempfile
from argparse import Namespace
from collections.abc import Iterator
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
from common import Benchmark, Record, Run, markdown

from pacpde import fit, load, save, transfer_in_turn
from pacpde.datasets import reference_for
from pacpde.methods.grading import error_of
from pacpde.physics.domain import mesh
from pacpde.problems import Burgers

FIRST, LAST = 0.0125 / pi, 0.05 / pi


def main() -> None:
    parser = Benchmark(__doc__, "ten_targets", quick={"points": 50, "steps": 2})
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.carry_out("ten viscosities of Burgers in one backbone", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """The source and all targets, recalled before and after the backbone is stored."""
    settings = {"points": 2000, "steps": 30, **options.settings}
    network = {"width": options.width, "depth": 4}
    source = fit(Burgers(nu=0.01 / pi), seed=options.seed, settings={**network, **settings})
    steps = max(1, options.count - 1)
    targets = [Burgers(nu=FIRST * (LAST / FIRST) ** (k / steps)) for k in range(options.count)]
    backbone = transfer_in_turn(
        source, targets, sparsity=options.sparsity, seed=options.seed, settings=settings
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "backbone"
        save(backbone.surrogate, place)
        loaded = load(place)
        record["bytes"] = sum(file.stat().st_size for file in place.iterdir())
    record |= {**network, "sparsity": options.sparsity, "parameters": source.parameters,
               "free": backbone.n_unused}  # fmt: skip
    for solver in backbone.solvers:
        recalled = backbone.recall(solver.name)
        yield {
            "name": solver.name,
            "nu": solver.problem.coefficients["nu"],
            "own": solver.n_own,
            "error": solver.error,
            "error_when_recalled": error_of(recalled, reference_for(solver.problem)),
            "outcome": solver.outcome,
            "seconds": solver.seconds,
            "same_bits_after_loading": same_bits(recalled, loaded.recall(solver.name)),
        }


def same_bits(one: Any, other: Any) -> bool:
    """Whether two solutions agree in every bit on a grid."""
    points = mesh([np.linspace(0, 1, 33), np.linspace(-1, 1, 65)])
    return one(*points.T).tobytes() == other(*points.T).tobytes()


def table(record: Record) -> str:
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
