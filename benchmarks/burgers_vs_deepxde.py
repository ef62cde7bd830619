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

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, Curve, fitted, grid_of, machine, reached, write_record

RECORD = RESULTS / "burgers_vs_deepxde.json"
NU = 0.01 / pi
THRESHOLDS = (1e-2, 1e-3)
RUNS = ("pacpde", "deepxde-float32", "deepxde-float64")
GRID = 129  # points an axis, at most, that all are graded on

Run = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    from pacpde.runtime import versions

    options = parse(arguments)
    if options.worker:
        Path(options.output).write_text(json.dumps(work(options)), encoding="utf-8")
        return 0
    output = options.output or (None if options.quick else RECORD)
    with tempfile.TemporaryDirectory() as folder:
        write_grid(Path(folder) / "grid.npz")
        runs = [apart(name, options, Path(folder)) for name in options.runs]
    record = {
        "problem": f"Burgers, nu = 0.01/pi, graded on {GRID} points an axis at most",
        "machine": machine(options.threads),
        "versions": versions(),
        "options": {
            name: getattr(options, name)
            for name in ("width", "depth", "seed", "threads", "limit", "quick")
        },
        "runs": runs,
    }
    if output is not None:
        write_record(record, Path(output))
    print(table(runs))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=20, help="of every layer (default 20)")
    parser.add_argument("--depth", type=int, default=3, help="hidden layers (default 3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--limit", type=float, default=900, help="seconds after which a DeepXDE run is cut off"
    )
    parser.add_argument(
        "--runs",
        type=lambda text: text.split(","),
        default=list(RUNS),
        help=f"which of {','.join(RUNS)} (default all)",
    )
    parser.add_argument("--quick", action="store_true", help="a few steps of everything")
    parser.add_argument(
        "-o", "--output", help=f"JSON record (default {RECORD.relative_to(ROOT)}; none for --quick)"
    )
    parser.add_argument("--worker", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--grid", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name in options.runs:
        if name not in RUNS:
            parser.error(f"unknown run {name!r}: choose from {', '.join(RUNS)}")
    return options


def apart(name: str, options: argparse.Namespace, folder: Path) -> Run:
    """One run in a process of its own."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    output = folder / f"{name}.json"
    command = [sys.executable, __file__, "--worker", name, "--grid", str(folder / "grid.npz")]
    for option in ("width", "depth", "seed", "threads", "limit"):
        command += [f"--{option}", str(getattr(options, option))]
    command += ["--quick"] * options.quick + ["-o", str(output)]
    threads = str(options.threads)
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "CUDA_VISIBLE_DEVICES": "",  # DeepXDE would take a GPU by itself
        "DDE_BACKEND": "pytorch",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    load = os.getloadavg()[0]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout[-2000:]}")
    return {"name": name, "load_before": round(load, 2), **json.loads(output.read_text())}


def work(options: argparse.Namespace) -> Run:
    """Inside the process of a run."""
    import torch

    torch.set_num_threads(options.threads)
    grade = grader(Path(options.grid))
    if options.worker == "pacpde":
        made = pacpde_run(options)
    else:
        made = deepxde_run(options, grade, options.worker.removeprefix("deepxde-"))
    curve: Curve = made["curve"]
    made["seconds"], made["error"] = curve[-1]
    made["best_error"] = min(error for _, error in curve)
    made["seconds_to"] = {f"{threshold:g}": reached(curve, threshold) for threshold in THRESHOLDS}
    return made


Predict = Callable[[Any, Any], Any]  # t, x [points] → u [points]


def write_grid(path: Path) -> None:
    """The certified reference, thinned, for every process to be graded on."""
    import numpy as np

    from pacpde.problems import Burgers

    (t, x), u = grid_of(Burgers(nu=NU))
    np.savez(path, t=t, x=x, u=u[0])


def grader(path: Path) -> Callable[[Predict], float]:
    """Relative L2 error of a prediction on the grid."""
    import numpy as np

    grid = np.load(path)
    t, x, u = grid["t"], grid["x"], grid["u"]
    return lambda predict: float(np.linalg.norm(predict(t, x) - u) / np.linalg.norm(u))


def pacpde_run(options: argparse.Namespace) -> Run:
    """`pacpde.fit` with its defaults for Burgers in this network, watched."""
    from pacpde.problems import Burgers

    small = {"points": 200, "steps": 5} if options.quick else {}
    made = fitted(Burgers(nu=NU), options.seed, width=options.width, depth=options.depth, **small)
    return {
        "recipe": f"pacpde.fit: {made['optimiser']}, {made['points']} residual-weighted points",
        "dtype": "float64",
        "parameters": made["parameters"],
        "iterations": made["steps"],
        "outcome": made["outcome"],
        "curve": made["curve"],
    }


def deepxde_run(options: argparse.Namespace, grade: Callable[[Predict], float], dtype: str) -> Run:
    """DeepXDE's Burgers example."""
    import deepxde as dde
    import numpy as np
    from deepxde_clock import CHUNK, Clock, adam_then_lbfgs

    dde.config.set_default_float(dtype)
    dde.config.set_random_seed(options.seed)
    adam, lbfgs = (CHUNK, CHUNK) if options.quick else (15_000, 15_000)

    def pde(x: Any, y: Any) -> Any:
        slope_x, slope_t = dde.grad.jacobian(y, x, i=0, j=0), dde.grad.jacobian(y, x, i=0, j=1)
        return slope_t + y * slope_x - NU * dde.grad.hessian(y, x, i=0, j=0)

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
    model = dde.Model(data, net)

    def graded(trained: Any) -> float:
        return grade(lambda t, x: trained.predict(np.stack([x, t], 1))[:, 0])

    clock = Clock(graded, options.limit)
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


def table(runs: Sequence[Run]) -> str:
    """The runs side by side, with what each takes relative to pacpde."""
    lines = [
        f"{'':16s}{'dtype':>9s}{'weights':>9s}{'s to 1e-2':>11s}{'s to 1e-3':>11s}"
        f"{'seconds':>9s}{'best error':>12s}  end"
    ]
    for run in runs:
        to = [shown(run, f"{threshold:g}") for threshold in THRESHOLDS]
        lines.append(
            f"{run['name']:16s}{run['dtype']:>9s}{run['parameters']:9d}{to[0]:>11s}{to[1]:>11s}"
            f"{run['seconds']:9.1f}{run['best_error']:12.1e}  {run['outcome']}"
        )
    own = next((run for run in runs if run["name"] == "pacpde"), None)
    for run in runs if own else ():
        for threshold in (f"{threshold:g}" for threshold in THRESHOLDS):
            mine, theirs = own["seconds_to"][threshold], run["seconds_to"][threshold]
            if run is own or mine is None:
                continue
            more = "" if theirs is not None else "more than "
            times = f"{(theirs or run['seconds']) / mine:.0f} times"
            lines.append(f"pacpde is {more}{times} faster to {threshold} than {run['name']}")
    return "\n".join(lines)


def shown(run: Run, threshold: str) -> str:
    seconds = run["seconds_to"][threshold]
    return f"> {run['seconds']:.0f}" if seconds is None else f"{seconds:.1f}"


if __name__ == "__main__":
    sys.exit(main())
