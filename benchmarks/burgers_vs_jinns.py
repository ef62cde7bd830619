"""Seconds to jinns's errors on Burgers' equation: pacpde and jinns's natural gradient.

The same network (3 layers of 16, tanh, float64), machine and threads, one after another. jinns
gets a virtual environment of its own (made here, `.venv-jinns`), its notebook's losses, and 4,000
interior points in place of 900, which miss the front. Its compilation is left out of its seconds;
pacpde has none. Both are graded on the same grid against the certified reference.

    python benchmarks/burgers_vs_jinns.py
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from math import pi
from pathlib import Path

from common import ROOT, Benchmark, Record, Run, in_process, markdown
from times import fitted, median_seconds, reached, store_grid

from pacpde.problems import Burgers

VERSION = "1.10.2"
WIDTH, DEPTH = 16, 3
LIMIT = 120.0  # seconds that count


def main() -> None:
    parser = Benchmark(__doc__, "burgers_vs_jinns", seeds=3)
    parser.add_argument("--points", type=int, default=4000, help="interior, of jinns")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that jinns trains")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-jinns")
    parser.carry_out("Burgers 0.01/pi beside jinns's natural gradient", runs, table, key="")


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """jinns, then pacpde, seed by seed."""
    python = environment(options.venv)
    problem = Burgers(nu=0.01 / pi)
    record |= {"network": f"{DEPTH}x{WIDTH} tanh, float64", "runs": {"pacpde": [], "jinns": []},
               "interior_points_of_jinns": options.points}  # fmt: skip
    flags = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={options.threads}"
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder) / "grid.npz"
        store_grid(problem, grid)
        for seed in range(options.seeds):
            inputs = {
                "grid": str(grid), "seed": seed, "width": WIDTH, "depth": DEPTH,
                "points": options.points, "seconds": options.limit, "version": VERSION,
            }  # fmt: skip
            done = in_process(
                "jinns_worker.py", json.dumps(inputs), python=python, check=True,
                env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
            )  # fmt: skip
            own = fitted(problem, seed, width=WIDTH, depth=DEPTH)
            for name, run in (("jinns", json.loads(done.stdout.splitlines()[-1])), ("pacpde", own)):
                record["runs"][name].append({"seed": seed, **run})
                record["versions"] |= run.get("versions", {})
                yield {"name": name, "seed": seed, "best": best(run)}


def environment(folder: Path) -> Path:
    """The Python of jinns's environment, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "-q", f"jinns=={VERSION}"]
        subprocess.run(install, check=True)
    return python


def best(run: Run) -> float:
    """Lowest error within the two minutes; the number of steps is a guess at them."""
    return min(error for seconds, error in run["curve"] if seconds <= LIMIT)


def time_to(runs: Sequence[Run], level: float) -> float:
    """Median over seeds; infinite where more than half never got there."""
    curves = [[point for point in run["curve"] if point[0] <= LIMIT] for run in runs]
    return median_seconds(reached(curve, level) for curve in curves)


def table(record: Record) -> str:
    """Median seconds of both to 2e-3 and to jinns's best error, and their ratio."""
    runs = record["runs"]
    reach = statistics.median(best(run) for run in runs["jinns"])
    rows = []
    levels = {"1e-2": 1e-2, "5e-3": 5e-3, "2e-3": 2e-3, f"jinns's best, {reach:.1e}": reach}
    for name, level in levels.items():
        own, peer = (time_to(runs[key], level) for key in ("pacpde", "jinns"))
        late = peer > LIMIT
        times = f"> {LIMIT / own:.0f}" if late else f"{peer / own:.0f}"
        rows.append([name, f"{own:.1f}", f"> {LIMIT:.0f}" if late else f"{peer:.1f}", times])
    ends = [
        f"{name} {statistics.median(map(best, own_runs)):.1e}" for name, own_runs in runs.items()
    ]
    head = ["relative L2 error", "pacpde, s", "jinns, s", "ratio"]
    return markdown(head, rows) + f"median best error: {', '.join(ends)}\n"


if __name__ == "__main__":
    main()
