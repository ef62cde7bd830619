"""A coefficient over decades: ladders by warm start and by PAC, beside a fit from random weights.

Every problem has a source at an easy coefficient and a target at a hard one. The ladder is what
`ladder=` of a transfer takes; where it is "auto", no value was chosen by hand. Scratch is fitted to
the target with the same network and points, and given the CPU seconds that warm start's whole
ladder took, the source's among them: its last phase goes on until then, or ends by itself.

Errors are those of the worst field, by the exact solution where the family gives one, else by a
certified reference. PAC's rungs are graded after the last one is fitted, as they are recalled;
warm start has only its last solver then. Seconds are those that this process computed, by one
thread, so that other work on the machine does not count. Rows that the record holds are kept.

    export OMP_NUM_THREADS=1
    python benchmarks/ladders.py
    python benchmarks/ladders.py --only lorenz convection
"""

import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from common import Benchmark, Record, Run, earlier_runs, markdown

from pacpde import fit, transfer
from pacpde.errors import SolverError
from pacpde.methods.grading import errors_of
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem
from pacpde.problems import Burgers, CavityRegularised, Convection, Lorenz
from pacpde.reference import solve
from pacpde.reference.exact import exact_reference, gives_exact
from pacpde.training.callbacks import Callback, FitState, Update

METHODS = ("warm_start", "pac", "scratch")
QUICK = {"points": 100, "steps": 3}


@dataclass(frozen=True)
class Ladder:
    """A source, a target, and the way between them.

    Attributes:
        source_settings: of the source and of scratch, the network among them.
        settings: of the rungs.
        tolerance: below which the reference is certified where that can be done.
    """

    source: Problem
    target: Problem
    rungs: Any = "auto"
    source_settings: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    tolerance: float | None = None


CAVITY = {"points": 1500, "steps": 40}
LADDERS = {
    "lorenz": Ladder(Lorenz(rho=15.0), Lorenz(rho=28.0), [18.0, 21.0, 24.0, 26.0]),
    "lorenz_span": Ladder(Lorenz(rho=15.0), Lorenz(rho=15.0, until=10.0), [4.5, 6.5]),
    "convection": Ladder(Convection(beta=1.0), Convection(beta=80.0)),
    "burgers": Ladder(Burgers(nu=0.1), Burgers(nu=5e-4)),
    "cavity_1000": Ladder(
        CavityRegularised(nu=1 / 100), CavityRegularised(nu=1 / 1000), [1 / 400],
        {"width": 30, "depth": 4, **CAVITY}, CAVITY, 1e-5,
    ),
    "cavity_3200": Ladder(
        CavityRegularised(nu=1 / 100), CavityRegularised(nu=1 / 3200),
        [1 / 400, 1 / 1000, 1 / 1800],
        {"width": 30, "depth": 4, **CAVITY}, CAVITY | {"points": 4000, "steps": 60}, 1e-4,
    ),
}  # fmt: skip


class Budget(Callback):
    """Ends every fit once this process has computed for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.end = time.process_time() + seconds

    def on_refresh(self, fit: FitState) -> None:
        fit.done = time.process_time() > self.end


class Clock:
    """The seconds of this process by the end of each rung."""

    def __init__(self) -> None:
        self.ends: dict[str, float] = {}
        self.start = time.process_time()

    def __call__(self, update: Update) -> None:
        name = update.stage.partition(",")[0] if "rung" in update.stage else "target"
        self.ends[name] = time.process_time() - self.start


def true_error(solver: Surrogate, tolerance: float | None) -> dict[str, float | None]:
    """Error of the worst field, and what the reference is certified to; None without one."""
    problem = solver.problem
    try:
        if gives_exact(problem):
            reference = exact_reference(problem, 1e-10)
        else:
            reference = solve(problem, tolerance=tolerance, loosest=0.1)
    except SolverError:
        return {"error": None, "certified": None}
    errors = errors_of(solver, reference)
    return {
        "error": None if errors is None else errors.worst,
        "certified": reference.certified_error,
    }


def rung(name: str, solver: Surrogate, ladder: Ladder) -> dict[str, Any]:
    """What there is to say of a solver."""
    about = solver.assessment
    return {
        "name": name,
        "coefficients": solver.problem.coefficients,
        "until": solver.problem.until,
        "outcome": str(solver.outcome),
        "residual": None if about is None else about.residual,
        "error_estimate": solver.error_estimate,
        **true_error(solver, ladder.tolerance),
    }


def by_ladder(ladder: Ladder, method: str, seed: int, quick: dict[str, Any]) -> Run:
    """The source, and a transfer over the ladder."""
    clock = time.process_time()
    source = fit(ladder.source, settings=ladder.source_settings | quick, seed=seed, reference=None)
    source_seconds = time.process_time() - clock
    told = Clock()
    result = transfer(
        source, ladder.target, method=method, options={"ladder": ladder.rungs}, seed=seed,
        settings=ladder.settings | quick, progress=told, reference=None,
    )  # fmt: skip
    seconds = time.process_time() - clock
    rungs = []
    for one in result.rungs[:-1]:
        solver = None
        if one.name in result.surrogate.retained:
            solver = rung(one.name, result.recall(one.name), ladder)
        rungs.append({**one.as_json(), **(solver or {}), "cpu_seconds": told.ends.get(one.name)})
    last = {**result.rungs[-1].as_json(), **rung(result.rungs[-1].name, result.surrogate, ladder)}
    recalled = "source" in result.surrogate.retained
    return {
        "source": rung("source", source, ladder),
        "recalled": rung("source", result.recall(), ladder) if recalled else None,
        "source_seconds": source_seconds,
        "seconds": seconds,
        "parameters": result.surrogate.parameters,
        "rungs": [*rungs, last],
        "target": last,
    }


def from_random(ladder: Ladder, seconds: float, seed: int, quick: dict[str, Any]) -> Run:
    """A fit of the target from random weights, for so many seconds at most."""
    clock = time.process_time()
    settings = ladder.source_settings | ladder.settings
    steps = 10 * int(settings.get("steps", 60))
    solver = fit(
        ladder.target, settings={**settings, "steps": steps} | quick, seed=seed, reference=None,
        callbacks=[Budget(seconds)],
    )  # fmt: skip
    spent = time.process_time() - clock
    return {
        "budget": seconds,
        "seconds": spent,
        "parameters": solver.parameters,
        "target": rung("target", solver, ladder),
    }


def measured(options: Namespace, record: Record) -> Iterator[Run]:
    """Every problem, seed and method that the record does not hold."""
    known = list(record["runs"])
    for problem, seed in ((each, seed) for each in options.only for seed in range(options.seeds)):
        ladder = LADDERS[problem]
        for method in METHODS:
            about = {"problem": problem, "method": method, "seed": seed}
            if any(about.items() <= run.items() for run in known):
                continue
            if method not in options.methods:
                continue
            if method == "scratch":
                of = {**about, "method": "warm_start"}
                before = next((run for run in known if of.items() <= run.items()), None)
                if before is None:
                    continue
                found = from_random(ladder, before["seconds"], seed, options.settings)
            else:
                found = by_ladder(ladder, method, seed, options.settings)
            run = {**about, **found}
            known.append(run)
            yield run


def table(record: Record) -> str:
    """A row a problem, method and seed."""

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.1e}"

    rows = []
    for run in record["runs"]:
        target = run["target"]
        rungs = run.get("rungs", [])
        way = [
            f"{number(one.get('error'))} ({number(one['error_estimate'])})" for one in rungs[:-1]
        ]
        outcome = target["outcome"]
        rows.append([
            run["problem"], run["method"].replace("_", " "), str(run["seed"]),
            ", ".join(way) or "–",
            number(target["error"]), number(target["error_estimate"]), number(target["certified"]),
            number(run["recalled"]["error"]) if run.get("recalled") else "–",
            str(run["parameters"]), f"{run['seconds']:.0f}",
            "" if outcome == "converged" else outcome,
        ])  # fmt: skip
    headings = [
        "problem", "method", "seed", "rungs: error (estimate)", "target's error", "estimate",
        "certified", "source recalled", "weights", "CPU s", "outcome",
    ]  # fmt: skip
    return markdown(headings, rows)


def main() -> None:
    benchmark = Benchmark(__doc__, "ladders", seeds=1, quick=QUICK)
    benchmark.add_argument("--only", nargs="+", choices=LADDERS, default=list(LADDERS))
    benchmark.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    benchmark.carry_out(
        "ladders over decades of a coefficient",
        lambda options, record: with_earlier(options, record),
        table,
        identity=lambda run: (run["problem"], run["method"], run["seed"]),
    )


def with_earlier(options: Namespace, record: Record) -> Iterator[Run]:
    """The runs that are recorded already, and those that are not."""
    record["runs"] = earlier_runs(options.output, record)
    yield from measured(options, record)


if __name__ == "__main__":
    main()
