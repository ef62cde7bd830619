"""What a Levenberg–Marquardt step costs: seconds and memory against parameters and points.

Burgers with the plain ansatz and tanh networks of 4 layers from random weights; a process a cell,
so that its peak memory is its own. The first step is thrown away, the rest are averaged. A budget
(`--memory`, GiB) bounds the Jacobian and its normal matrix; where no matrix fits, conjugate
gradients take over, and the table says so.

    python benchmarks/cost.py
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, machine, markdown, write_record

WIDTHS = {"1k": 17, "5k": 40, "20k": 81, "100k": 182}
POINTS = (2_000, 16_000, 64_000)


def main(arguments: Sequence[str] | None = None) -> int:
    from pacpde.runtime import versions

    options = parse(arguments)
    if options.cell:
        print(json.dumps(cell(*options.cell, options)))
        return 0
    cells = []
    for width in WIDTHS.values():
        for points in options.points:
            cells.append(apart(width, points, options))
            print(cells[-1], file=sys.stderr, flush=True)
    record = {
        "memory": options.memory,
        "machine": machine(options.threads),
        "versions": versions(),
        "cells": cells,
    }
    write_record(record, options.output)
    print(table(cells))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--memory", type=float, default=2.0, help="GiB (default 2)")
    parser.add_argument("--steps", type=int, default=2, help="timed after the first (default 2)")
    parser.add_argument(
        "--points", type=lambda t: [int(n) for n in t.split(",")], default=list(POINTS)
    )
    parser.add_argument("--limit", type=float, default=600, help="seconds a cell may take")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "cost.json")
    parser.add_argument("--cell", type=int, nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def apart(width: int, points: int, options: argparse.Namespace) -> dict[str, Any]:
    """One cell in a process of its own."""
    command = [sys.executable, __file__, "--cell", str(width), str(points)]
    for name in ("memory", "steps", "threads"):
        command += [f"--{name}", str(getattr(options, name))]
    known = {"width": width, "points": points}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.limit)
    except subprocess.TimeoutExpired:
        return known | {"outcome": f"cut off after {options.limit:g} s"}
    if done.returncode:
        return known | {"outcome": f"exit status {done.returncode}"}
    return known | {"outcome": "ended"} | json.loads(done.stdout)


def cell(width: int, points: int, options: argparse.Namespace) -> dict[str, Any]:
    """Inside the process of a cell."""
    import numpy as np
    import torch

    torch.set_num_threads(options.threads)
    from pacpde.networks.ansatz import network_for
    from pacpde.optim.least_squares import LeastSquares
    from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
    from pacpde.problems import Burgers
    from pacpde.residuals.physics_task import PhysicsTask
    from pacpde.residuals.task import SamplingSpec

    task = PhysicsTask(Burgers(nu=0.01 / pi))
    network = network_for(task.ansatz(SamplingSpec()), width, 4, "tanh")
    rng = np.random.default_rng(0)
    weights = torch.as_tensor(network.init_weights(rng))
    before = peak()
    terms = task.terms(network, weights, SamplingSpec(points), rng)
    free = torch.ones_like(weights, dtype=torch.bool)
    problem = LeastSquares(network, weights, free, terms)
    optimiser = LevenbergMarquardt(memory_gib=options.memory)
    made = optimiser.run(problem, problem.x0, 1)
    clock = time.perf_counter()
    made = optimiser.run(problem, made.x, options.steps, made.state)
    seconds = time.perf_counter() - clock
    return {
        "parameters": network.size,
        "seconds_a_step": seconds / max(1, made.steps),
        "evaluations_a_step": made.evaluations / max(1, made.steps),
        "solver": made.solver,
        "peak_gib": peak(),
        "before_gib": before,
    }


def peak() -> float:
    """Highest memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def table(cells: Sequence[dict[str, Any]]) -> str:
    rows = []
    for made in cells:
        if made["outcome"] != "ended":
            rows.append(
                [f"width {made['width']}", f"{made['points']:,}", made["outcome"], *3 * [""]]
            )
            continue
        taken = made["peak_gib"] - made["before_gib"]
        rows.append(
            [f"{made['parameters']:,}", f"{made['points']:,}", f"{made['seconds_a_step']:.2f}",
             f"{made['evaluations_a_step']:g}", f"{taken:.2f}", made["solver"]]
        )  # fmt: skip
    headings = ["parameters", "points", "seconds a step", "evaluations a step", "GiB", "solved in"]
    return markdown(headings, rows)


if __name__ == "__main__":
    sys.exit(main())
