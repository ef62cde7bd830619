"""What a Levenberg–Marquardt step costs: seconds and memory against parameters and points.

Burgers with the plain ansatz and tanh networks of 4 layers from random weights; a process a cell,
so that its peak memory is its own. The first step is thrown away, the rest are averaged. A budget
(`--memory`, GiB) bounds the Jacobian and its normal matrix; where no matrix fits, conjugate
gradients take over, and the table says so. These have a record of their own, on one thread.

    python benchmarks/cost.py
    python benchmarks/cost.py --threads 1 --widths 81,182 --points 16000,64000 \
        -o benchmarks/results/cost_large.json
"""

import json
import resource
import subprocess
import time
from argparse import SUPPRESS, Namespace
from collections.abc import Iterator
from math import pi

import numpy as np
import torch
from common import Benchmark, Record, Run, in_process, markdown

from pacpde.networks.ansatz import network_for
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
from pacpde.problems import Burgers
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec

WIDTHS = {"1k": 17, "5k": 40, "20k": 81, "100k": 182}
POINTS = (2_000, 16_000, 64_000)


def main() -> None:
    parser = Benchmark(__doc__, "cost")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB (default 2)")
    parser.add_argument("--steps", type=int, default=2, help="timed after the first (default 2)")
    parser.add_argument("--widths", type=numbers, default=list(WIDTHS.values()))
    parser.add_argument("--points", type=numbers, default=list(POINTS))
    parser.add_argument("--limit", type=float, default=600, help="seconds a cell may take")
    parser.add_argument("--cell", type=int, nargs=2, help=SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(measured(*options.cell, options)))
    else:
        parser.carry_out("seconds and memory of a step", runs, table, "cells")


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every cell, in a process of its own."""
    record["memory"] = options.memory
    for width in options.widths:
        for points in options.points:
            cell = {"width": width, "points": points}
            arguments = [
                f"--{name}={getattr(options, name)}" for name in ("memory", "steps", "threads")
            ]
            try:
                done = in_process(
                    "cost.py", *arguments, "--cell", width, points, timeout=options.limit
                )
            except subprocess.TimeoutExpired:
                cell |= {"outcome": f"cut off after {options.limit:g} s"}
            else:
                failed = {"outcome": f"exit status {done.returncode}"}
                cell |= failed if done.returncode else json.loads(done.stdout)
            yield cell


def measured(width: int, points: int, options: Namespace) -> Run:
    """Inside the process of a cell."""
    task = PhysicsTask(Burgers(nu=0.01 / pi))
    network = network_for(task.ansatz(SamplingSpec()), width, 4, "tanh")
    rng = np.random.default_rng(0)
    weights = torch.as_tensor(network.init_weights(rng))
    before = peak()
    blocks = task.terms(network, weights, SamplingSpec(points), rng)
    problem = LeastSquares(network, weights, torch.ones_like(weights, dtype=torch.bool), blocks)
    optimiser = LevenbergMarquardt(memory_gib=options.memory)
    first = optimiser.run(problem, problem.x0, 1)
    clock = time.perf_counter()
    rest = optimiser.run(problem, first.x, options.steps, first.state)
    seconds = time.perf_counter() - clock
    return {
        "outcome": "ended",
        "parameters": network.size,
        "seconds_a_step": seconds / max(1, rest.steps),
        "evaluations_a_step": rest.evaluations / max(1, rest.steps),
        "solver": rest.solver,
        "iterations_a_step": rest.iterations / max(1, rest.steps),
        "solver_residual": rest.solver_residual,
        "peak_gib": peak(),
        "before_gib": before,
    }


def peak() -> float:
    """Highest memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def table(record: Record) -> str:
    rows = []
    for cell in record["cells"]:
        points = f"{cell['points']:,}"
        if cell["outcome"] != "ended":
            rows.append([f"width {cell['width']}", points, cell["outcome"], "", "", ""])
            continue
        solved = cell["solver"]
        if cell.get("iterations_a_step"):
            solved += f", {cell['iterations_a_step']:g} iterations"
        rows.append(
            [f"{cell['parameters']:,}", points, f"{cell['seconds_a_step']:.2f}",
             f"{cell['evaluations_a_step']:g}", f"{cell['peak_gib'] - cell['before_gib']:.2f}",
             solved]
        )  # fmt: skip
    head = ["parameters", "points", "seconds a step", "evaluations a step", "GiB", "solved in"]
    return markdown(head, rows)


if __name__ == "__main__":
    main()
