"""CPU seconds to the best error of other programs: jinns, DeepXDE and PINA beside pacpde.

Every fit has a process of its own, one thread on one core, and the same CPU seconds
(`time.process_time`): other work on the machine makes it later and not longer. All are graded on
the same grid against a reference that is certified, with the clock stopped; imports, and the
compilation of jinns, are not counted. All compute in float64 and have all their points in every
batch.

- jinns, natural gradient: `vanilla_ngd`; Burgers as in its notebook "1D_non_stationary_Burgers",
  but for 4,000 points inside in place of 900, which miss the front.
- jinns, SSBroyden: `scale_by_SSBroyden_family` after Adam for a twentieth of the time, as in Urbán,
  Stefanou & Pons (arXiv 2405.04230); the same losses and points.
- DeepXDE: the recipes of its examples (`deepxde_worker.py`); Adam ends after a quarter of the time,
  so that L-BFGS has the rest.
- PINA: the problems of its zoo and its physics-informed solver, Adam and L-BFGS likewise.
- pacpde: `fit(problem, tolerance=1e-8)`, and no other setting.

Where a peer has no example of a problem, start and edges are met by its network, as in DeepXDE's
example of Allen–Cahn.

jinns and PINA get virtual environments of their own, made here (`.venv-jinns`, `.venv-pina`).

    python benchmarks/peers.py                     # an hour and a half of an idle core
    python benchmarks/peers.py --problems wave --programs pacpde deepxde --limit 30 -o FILE

A run that the record has is repeated where `--limit` is longer than its own; a problem's runs count
until the shortest limit among them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, pi
from pathlib import Path
from typing import Any

from common import (
    ROOT,
    Benchmark,
    Record,
    Run,
    earlier_record,
    earlier_runs,
    in_process,
    load_average,
    markdown,
)
from times import Curve, median_seconds, reached, shown, store_grid

from pacpde.datasets import reference_for
from pacpde.physics.problem import Problem
from pacpde.problems import AllenCahn, Burgers, Helmholtz, Wave

PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "burgers": lambda: Burgers(nu=0.01 / pi),
    "helmholtz": Helmholtz,
    "wave": Wave,
    "allen_cahn": AllenCahn,
}
SHOWN = {
    "burgers": "Burgers, ν = 0.01/π",
    "helmholtz": "Helmholtz, a = 1, b = 4",
    "wave": "wave, c = 1",
    "allen_cahn": "Allen–Cahn, ε = 1e-4",
}
POINTS = {"burgers": 4000, "helmholtz": 2000, "wave": 2000, "allen_cahn": 4000}
TARGET = 10  # times sooner than the best peer


@dataclass(frozen=True)
class Program:
    """One way to a solution, in a process of its own.

    Attributes:
        shown: its name in tables.
        worker: script that makes the fit.
        needs: packages of an environment of its own; none for this one.
        options: of the worker, beside those of the run.
    """

    shown: str
    worker: str
    needs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def python(self) -> str:
        """Of its environment, made if it is not there."""
        if not self.needs:
            return sys.executable
        folder = ROOT / f".venv-{self.worker.removesuffix('_worker.py')}"
        python = folder / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *self.needs], check=True)
        return str(python)


JINNS = "1.10.2"
NETWORK = {"width": 20, "depth": 3}
PROGRAMS = {
    "pacpde": Program("pacpde", "pacpde_worker.py", options={"tolerance": 1e-8}),
    **{
        f"jinns_{short}": Program(
            f"jinns, {name}", "jinns_worker.py", (f"jinns=={JINNS}",),
            {"optimiser": name, "version": JINNS, **NETWORK},
        )
        for short, name in (("ngd", "natural gradient"), ("ssbroyden", "SSBroyden"))
    },
    "deepxde": Program("DeepXDE", "deepxde_worker.py"),
    "pina": Program(
        "PINA", "pina_worker.py", ("pina-mathlab==0.3.2.post2610", "torch==2.13.0"), NETWORK
    ),
}  # fmt: skip


def main() -> None:
    parser = Benchmark(__doc__ or "", "peers", seeds=1)
    parser.set_defaults(threads=1)
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds of a fit")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.carry_out("CPU seconds to the best error of peers", runs, table, identity=identity)


def identity(run: Run) -> tuple[Any, ...]:
    """What a run is of."""
    return run["problem"], run["program"], run["seed"]


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """A problem after the other, one fit at a time; one of a record with less time is replaced."""
    record["references"] = earlier_record(options.output).get("references", {})
    record["runs"] = earlier_runs(options.output, record)
    known = {identity(run): run for run in record["runs"]}
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # of the workers too
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for name in options.problems:
                grid = Path(folder) / f"{name}.npz"
                store_grid(PROBLEMS[name](), grid)
                certified = reference_for(PROBLEMS[name]()).certified_error
                record["references"][name] = certified
                for program in options.programs:
                    run = {"problem": name, "program": program, "seed": seed,
                           "limit": options.limit}  # fmt: skip
                    earlier = known.get(identity(run))
                    if earlier is not None and earlier["limit"] >= options.limit:
                        continue
                    run |= {"load_before": load_average()} | carried_out(run, grid)
                    if earlier is not None:
                        record["runs"].remove(earlier)
                    yield run


def carried_out(run: Run, grid: Path) -> Run:
    """The worker's own account of a run."""
    program = PROGRAMS[run["program"]]
    options = {
        "problem": run["problem"], "seed": run["seed"], "seconds": run["limit"],
        "points": POINTS[run["problem"]], "grid": str(grid), **program.options,
    }  # fmt: skip
    one_thread = {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "DDE_BACKEND": "pytorch",
    }
    ours = {"PYTHONPATH": str(ROOT)} if not program.needs else {}
    done = in_process(
        program.worker, json.dumps(options), python=program.python(), check=True,
        env=os.environ | one_thread | ours,
    )  # fmt: skip
    return {"options": program.options, **json.loads(done.stdout.splitlines()[-1])}


def until(record: Record, problem: str) -> float:
    """CPU seconds that count: the shortest limit of a problem's runs."""
    return min(run["limit"] for run in record["runs"] if run["problem"] == problem)


def curves(record: Record, problem: str) -> dict[str, list[Curve]]:
    """program → curves of its runs, as far as they count."""
    end = until(record, problem)
    by: dict[str, list[Curve]] = {name: [] for name in PROGRAMS}
    for run in record["runs"]:
        if run["problem"] == problem:
            by[run["program"]].append([point for point in run["curve"] if point[0] <= end])
    return {name: own for name, own in by.items() if own}


def best(curve: Curve) -> float:
    """Lowest error; infinite where there was none in the time."""
    return min((error for _, error in curve), default=inf)


def time_to(own: Sequence[Curve], level: float) -> float:
    """Median over seeds; infinite where more than half never got there."""
    return median_seconds(reached(curve, level) for curve in own)


def comparison(record: Record, problem: str) -> dict[str, tuple[float, float, float]]:
    """program → its median best error, and the CPU seconds of it and of pacpde to that error.

    The best error comes first.
    """
    by = curves(record, problem)
    levels = {name: statistics.median(map(best, own)) for name, own in by.items()}
    return {
        name: (level, time_to(by[name], level), time_to(by["pacpde"], level))
        for name, level in sorted(levels.items(), key=lambda item: item[1])
        if "pacpde" in by
    }


def table(record: Record) -> str:
    """A line a problem and program, losses too, and on how many problems the target is met."""
    rows, met, names = [], 0, {run["problem"] for run in record["runs"]}
    problems = [name for name in PROBLEMS if name in names]
    for problem in problems:
        own = comparison(record, problem)
        for name, (level, theirs, ours) in own.items():
            beside = ["", ""] if name == "pacpde" else [shown(ours), _ratio(theirs, ours)]
            cells = [PROGRAMS[name].shown, f"{level:.1e}", shown(theirs), *beside]
            rows.append([SHOWN[problem], *cells])
        missing = [program.shown for name, program in PROGRAMS.items() if name not in own]
        rows += [[SHOWN[problem], name, "not run", "", "", ""] for name in missing]
        best_peer = next((line for name, line in own.items() if name != "pacpde"), None)
        met += best_peer is not None and best_peer[1] / best_peer[2] >= TARGET
    ends = " and ".join(f"{end:.0f}" for end in sorted({until(record, own) for own in problems}))
    seeds = len({run["seed"] for run in record["runs"]})
    head = ["problem", "program", "its best error", "its CPU s", "pacpde's CPU s", "ratio"]
    return markdown(head, rows) + (
        f"until {ends} CPU s, {seeds} seed{'s' * (seeds > 1)}: pacpde is at least {TARGET} times "
        f"sooner than the best peer to that peer's best error on {met} of {len(problems)} "
        "problems\n"
    )


def _ratio(theirs: float, ours: float) -> str:
    """How many times sooner pacpde is."""
    if ours == inf:
        return "lost"
    ratio = theirs / ours
    return f"{ratio:.0f}" if ratio >= TARGET else f"{ratio:.1f}" + (" (lost)" if ratio < 1 else "")


if __name__ == "__main__":
    main()
