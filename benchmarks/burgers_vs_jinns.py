"""Seconds to jinns's errors on Burgers' equation: pacpde and jinns's natural gradient.

The same network (3 layers of 16, tanh, float64), machine and threads, one after another. jinns
gets a virtual environment of its own (made here, `.venv-jinns`), its notebook's losses, and 4,000
interior points in place of 900, which miss the front. Its compilation is left out of its seconds;
pacpde has none. Both are graded on the same grid against the certified reference.

    python benchmarks/burgers_vs_jinns.py
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, Curve, fitted, grid_of, machine, markdown, reached, write_record

VERSION = "1.10.2"
WIDTH, DEPTH = 16, 3
LIMIT = 120.0  # seconds that count


def main(arguments: Sequence[str] | None = None) -> int:
    import numpy as np

    from pacpde.problems import Burgers
    from pacpde.runtime import versions

    options = parse(arguments)
    python = environment(options.venv)
    seeds = range(options.seeds)
    runs: dict[str, list[dict[str, Any]]] = {"pacpde": [], "jinns": []}
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder) / "grid.npz"
        (t, x), u = grid_of(Burgers(nu=0.01 / pi))
        np.savez(grid, t=t, x=x, u=u[0])
        for seed in seeds:
            runs["jinns"].append(jinns_run(python, grid, seed, options))
            runs["pacpde"].append(pacpde_run(seed, options))
            print(f"seed {seed}: {told(runs)}", file=sys.stderr, flush=True)
    record = {
        "network": f"{DEPTH}x{WIDTH} tanh, float64",
        "interior_points_of_jinns": options.points,
        "machine": machine(options.threads),
        "versions": versions() | runs["jinns"][0]["versions"],
        "runs": runs,
    }
    write_record(record, options.output)
    print(table(runs))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--points", type=int, default=4000, help="interior, of jinns")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-jinns")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "burgers_vs_jinns.json")
    return parser.parse_args(arguments)


def environment(folder: Path) -> Path:
    """The Python of jinns's environment, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "-q", f"jinns=={VERSION}"]
        subprocess.run(install, check=True)
    return python


def jinns_run(python: Path, grid: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "grid": str(grid), "seed": seed, "width": WIDTH, "depth": DEPTH,
        "points": options.points, "seconds": LIMIT, "version": VERSION,
    }  # fmt: skip
    flags = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={options.threads}"
    done = subprocess.run(
        [python, ROOT / "benchmarks" / "jinns_worker.py", json.dumps(given)],
        stdout=subprocess.PIPE, text=True, check=True,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    return {"seed": seed, **json.loads(done.stdout.splitlines()[-1])}


def pacpde_run(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from pacpde.problems import Burgers

    torch.set_num_threads(options.threads)
    return {"seed": seed, **fitted(Burgers(nu=0.01 / pi), seed, width=WIDTH, depth=DEPTH)}


def best(run: dict[str, Any]) -> float:
    """Lowest error within the two minutes; the number of steps is a guess at them."""
    return min(error for seconds, error in run["curve"] if seconds <= LIMIT)


def told(runs: dict[str, list[dict[str, Any]]]) -> str:
    return ", ".join(f"{name} {best(made[-1]):.1e}" for name, made in runs.items())


def seconds_to(made: Sequence[dict[str, Any]], level: float) -> float:
    """Median over seeds; infinite where more than half never got there."""
    curves: list[Curve] = [[point for point in run["curve"] if point[0] <= LIMIT] for run in made]
    times = [reached(curve, level) for curve in curves]
    return statistics.median(float("inf") if seconds is None else seconds for seconds in times)


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Median seconds of both to 2e-3 and to jinns's best error, and their ratio."""
    reach = statistics.median(best(run) for run in runs["jinns"])
    rows = []
    levels = {"1e-2": 1e-2, "5e-3": 5e-3, "2e-3": 2e-3, f"jinns's best, {reach:.1e}": reach}
    for name, level in levels.items():
        own, peer = (seconds_to(runs[key], level) for key in ("pacpde", "jinns"))
        late = peer > LIMIT
        times = f"> {LIMIT / own:.0f}" if late else f"{peer / own:.0f}"
        rows.append([name, f"{own:.1f}", f"> {LIMIT:.0f}" if late else f"{peer:.1f}", times])
    ends = [f"{name} {statistics.median(map(best, made)):.1e}" for name, made in runs.items()]
    head = ["relative L2 error", "pacpde, s", "jinns, s", "ratio"]
    return markdown(head, rows) + f"median best error: {', '.join(ends)}\n"


if __name__ == "__main__":
    sys.exit(main())
