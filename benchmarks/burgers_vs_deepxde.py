"""Seconds to a relative L2 error of 1e-2 and 1e-3 on Burgers' equation: pacpde and DeepXDE.

Both get the same network (tanh, `--depth` layers of `--width`), the same machine and number of
threads, one after another in a process each. DeepXDE runs its published Burgers example: 2540
points inside, 80 on the edges, 160 at the start, Adam with 15,000 steps of 1e-3, then L-BFGS, in
its default float32 and again in float64. One thing differs from the example: time goes to 1 and
not to 0.99, as all are graded on [0, 1] against the certified reference. Grading happens outside
the clock, and so do imports and building the model.

    python benchmarks/burgers_vs_deepxde.py            # some 15 minutes of an idle machine
    python benchmarks/burgers_vs_deepxde.py --quick    # does it run? its numbers mean nothing
"""

import json
import os
from argparse import SUPPRESS, Namespace
from collections.abc import Iterator, Sequence
from math import pi
from typing import Any

from common import ROOT, Benchmark, Record, Run, in_process, load_average, markdown
from times import error_on_grid, fitted, reached, seconds_to, shown

from pacpde.problems import Burgers

PROBLEM = Burgers(nu=0.01 / pi)
THRESHOLDS = (1e-2, 1e-3)
RUNS = ("pacpde", "deepxde-float32", "deepxde-float64")
PASSED_ON = ("width", "depth", "seed", "threads", "limit")  # to the process of a run

__all__ = ["reached", "table"]


def main() -> None:
    parser = Benchmark(__doc__, "burgers_vs_deepxde", quick={"points": 200, "steps": 5})
    parser.add_argument("--width", type=int, default=20, help="of every layer (default 20)")
    parser.add_argument("--depth", type=int, default=3, help="hidden layers (default 3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--limit", type=float, default=900, help="seconds after which a DeepXDE run is cut off"
    )
    parser.add_argument(
        "--runs", type=lambda text: text.split(","), default=RUNS, help=f"of {','.join(RUNS)}"
    )
    parser.add_argument("--worker", choices=RUNS, help=SUPPRESS)
    options = parser.parse_args()
    unknown = [name for name in options.runs if name not in RUNS]
    if unknown:
        parser.error(f"unknown run {unknown[0]!r}: choose from {', '.join(RUNS)}")
    if options.worker:
        print(json.dumps(work(options)))
    else:
        what = "Burgers, nu = 0.01/pi, graded on about 65 points an axis"
        parser.carry_out(what, runs, lambda record: table(record["runs"]))


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """One after another, each in a process of its own."""
    record["options"] = {name: getattr(options, name) for name in (*PASSED_ON, "quick")}
    error_on_grid(PROBLEM)  # computes the reference for all
    environment = os.environ | {
        "OMP_NUM_THREADS": str(options.threads),
        "MKL_NUM_THREADS": str(options.threads),
        "CUDA_VISIBLE_DEVICES": "",  # DeepXDE would take a GPU by itself
        "DDE_BACKEND": "pytorch",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    passed_on = [f"--{name}={getattr(options, name)}" for name in PASSED_ON]
    for name in options.runs:
        load = load_average()
        done = in_process(
            "burgers_vs_deepxde.py", "--worker", name, *passed_on, *["--quick"] * options.quick,
            env=environment, check=True,
        )  # fmt: skip
        run = {"name": name, "load_before": load, **json.loads(done.stdout.splitlines()[-1])}
        yield run


def work(options: Namespace) -> Run:
    """Inside the process of a run."""
    if options.worker == "pacpde":
        run = pacpde_run(options)
    else:
        run = deepxde_run(options, options.worker.removeprefix("deepxde-"))
    curve = run["curve"]
    run["seconds"], run["error"] = curve[-1]
    run["best_error"] = min(error for _, error in curve)
    run["seconds_to"] = seconds_to(curve, THRESHOLDS)
    return run


def pacpde_run(options: Namespace) -> Run:
    """`pacpde.fit` with its defaults for Burgers in this network."""
    run = fitted(
        PROBLEM, options.seed, width=options.width, depth=options.depth, **options.settings
    )
    return {
        "recipe": "pacpde.fit with its defaults",
        "dtype": "float64",
        "parameters": run["parameters"],
        "iterations": run["steps"],
        "outcome": run["outcome"],
        "curve": run["curve"],
    }


def deepxde_run(options: Namespace, dtype: str) -> Run:
    """DeepXDE's Burgers example."""
    import deepxde as dde
    import numpy as np
    from deepxde_clock import CHUNK, Clock, adam_then_lbfgs, predicted

    dde.config.set_default_float(dtype)
    dde.config.set_random_seed(options.seed)
    adam, lbfgs = (CHUNK, CHUNK) if options.quick else (15_000, 15_000)

    def pde(x: Any, y: Any) -> Any:
        slope_x, slope_t = dde.grad.jacobian(y, x, i=0, j=0), dde.grad.jacobian(y, x, i=0, j=1)
        return slope_t + y * slope_x - PROBLEM.nu * dde.grad.hessian(y, x, i=0, j=0)

    box = dde.geometry.GeometryXTime(
        dde.geometry.Interval(-1, 1), dde.geometry.TimeDomain(0, 1)
    )  # fmt: skip
    edges = dde.icbc.DirichletBC(box, lambda x: 0, lambda _, on_boundary: on_boundary)
    start = dde.icbc.IC(
        box, lambda x: -np.sin(np.pi * x[:, 0:1]), lambda _, on_initial: on_initial
    )  # fmt: skip
    data = dde.data.TimePDE(
        box, pde, [edges, start], num_domain=2540, num_boundary=80, num_initial=160
    )
    layers = [2, *[options.width] * options.depth, 1]
    net = dde.nn.FNN(layers, "tanh", "Glorot normal")
    grade = error_on_grid(PROBLEM)
    clock = Clock(lambda trained: grade(predicted(trained)), options.limit)
    model = dde.Model(data, net)
    after_adam = adam_then_lbfgs(model, clock, adam, lbfgs)
    return {
        "recipe": f"DeepXDE {dde.__version__}'s example: Adam {adam} of 1e-3, then L-BFGS {lbfgs}",
        "dtype": dtype,
        "parameters": sum(p.numel() for p in net.parameters()),
        "iterations": int(model.train_state.step),
        "outcome": "cut off" if clock.spent > options.limit else "ended",
        "after_adam": after_adam,
        "curve": clock.curve,
    }


def seconds_table(record: Record) -> str:
    """Seconds to an error, a line a package."""
    rows = []
    for run in record["runs"]:
        name = "pacpde" if run["name"] == "pacpde" else f"DeepXDE, {run['dtype']}"
        to = map(shown, run["seconds_to"].values())
        rows.append([name, *to, f"{run['seconds']:.0f} s", f"{run['best_error']:.1e}"])
    return markdown(["", "seconds to 1e-2", "seconds to 1e-3", "in all", "best error"], rows)


def table(runs: Sequence[Run]) -> str:
    """The runs side by side, with what each takes relative to pacpde."""
    lines = [seconds_table({"runs": runs})]
    own = next((run for run in runs if run["name"] == "pacpde"), None)
    for run in runs if own else ():
        for threshold, mine in own["seconds_to"].items():
            if run is own or mine is None:
                continue
            theirs = run["seconds_to"][threshold]
            more = "" if theirs is not None else "more than "
            times = f"{(theirs or run['seconds']) / mine:.0f} times"
            lines.append(f"pacpde is {more}{times} faster to {threshold} than {run['name']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
