"""How far targets are reached: the follower beside straight fits, equal steps and growing.

And what was tried to make PAC as good as warm start there: other masks, sparsities and starts of
the freed weights, all of them by the follower. Seconds and errors are of the fit to the target;
graded outside the clock. What is allocated before it, and what is recalled after it, stands beside.

    python benchmarks/approaches.py [--seeds 3] [--threads 1] [--only attempts]
    python benchmarks/approaches.py --seeds 10 --only ways --ways adaptive
    python benchmarks/approaches.py --seeds 10 --only ways --ways adaptive \
        --targets "lorenz 28, 120 steps"
    python benchmarks/approaches.py --join SOME.json OTHERS.json
"""

import statistics
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from math import pi
from typing import Any

from common import Benchmark, Record, Run, markdown
from times import median_seconds, on_target, seconds_to, shown

from pacpde import fit, transfer
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.problems import Burgers, Lorenz
from pacpde.studies.groups import Group
from pacpde.studies.statistics import ratios

WAYS = ("adaptive", "direct", "fixed", "cold_start")
METHODS = ("warm_start", "pac")
RANDOM = {"reinit_mode": "random"}
ATTEMPTS: Mapping[str, Mapping[str, Any]] = {
    "nearer to kept neurons": {"reinit_scale": 0.3},
    "80 % pruned": {"sparsity": 0.8},
    "80 % pruned, nearer": {"sparsity": 0.8, "reinit_scale": 0.3},
    "80 % pruned, freed weights from 0": {"sparsity": 0.8, "reinit_scale": 0.0},
    "80 % pruned, freed neurons at random": {"sparsity": 0.8, **RANDOM},
    "the same, twice as large": {"sparsity": 0.8, "reinit_scale": 2.0, **RANDOM},
    "the same, 65 % pruned": {"sparsity": 0.65, **RANDOM},
    "the same, 88 % pruned": {"sparsity": 0.88, **RANDOM},
    "the same, six neurons more": {"sparsity": 0.8, "extra_neurons": 6, **RANDOM},
    "single weights, by sensitivity": {"sparsity": 0.8, "scope": "global", "reinit_scale": 0.0},
    "single weights, by magnitude (as published)": {
        "sparsity": 0.8, "scope": "global", "mask": "magnitude", "reinit_scale": 0.0,
        "strength": 1e-9,
    },
}  # fmt: skip
TARGETS: Mapping[str, tuple[float, Mapping[str, Any]]] = {  # coefficient, settings of the fit
    "burgers 0.005/pi": (0.005 / pi, {}),
    "burgers 0.0025/pi": (0.0025 / pi, {}),
    "lorenz 28": (28.0, {}),
    "lorenz 28, 120 steps": (28.0, {"steps": 120}),
}
THRESHOLDS = (1e-2, 1e-3, 1e-4)
BUDGETS = (5, 10, 20, 40)  # seconds on the target
HEAD = [
    "converged", *[f"s to {error:g}" for error in THRESHOLDS],
    *[f"after {budget} s" for budget in BUDGETS], "end", "worst", "s",
]  # fmt: skip


def main() -> None:
    parser = Benchmark(__doc__, "approaches", seeds=3, quick={"points": 50, "steps": 2})
    parser.set_defaults(threads=1)
    parser.add_argument("--first", type=int, default=0, help="seed to begin with")
    parser.add_argument("--only", choices=["ways", "attempts"])
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=[*TARGETS][:3])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="these alone")
    parser.add_argument("--attempts", nargs="+", choices=ATTEMPTS, help="these alone")
    parser.carry_out("three far targets, reached in several ways", runs, tables)


def grid(
    only: str | None, chosen: Iterable[str] = WAYS, some: Iterable[str] | None = None
) -> list[tuple[str, str, str]]:
    """(method, way, attempt) of every run; "" is the default of PAC."""
    ways = [(method, way, "") for method in METHODS for way in chosen]
    attempts = [("pac", "adaptive", attempt) for attempt in some or ATTEMPTS]
    return {"ways": ways, "attempts": attempts}.get(only or "", ways + attempts)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every transfer, from a source that is trained once a seed."""
    for seed in range(options.first, options.first + options.seeds):
        sources: dict[str, Any] = {}
        for name in options.targets:
            value, settings = TARGETS[name]
            family = name.split()[0]
            target = Burgers(nu=value) if family == "burgers" else Lorenz(rho=value)
            if family not in sources:
                source = Burgers(nu=0.01 / pi) if family == "burgers" else Lorenz()
                sources[family] = fit(source, seed=seed, settings=options.source_settings)
            for method, way, attempt in grid(options.only, options.ways, options.attempts):
                result = transfer(
                    sources[family], target, method=method, seed=seed, continuation=way,
                    settings={**settings, **options.settings}, **ATTEMPTS.get(attempt, {}),
                )  # fmt: skip
                curve = on_target(result)
                yield {
                    "seed": seed,
                    "target": name,
                    "method": method,
                    "continuation": way,
                    "attempt": attempt,
                    "seconds_to": seconds_to(curve, THRESHOLDS),
                    "curve": curve,
                    "calibrate": result.record()["seconds"]["calibrate"],
                    "error": result.target_error,
                    "outcome": result.outcome,
                    "held_out": result.surrogate.held_out,
                    "source_error": result.source_error,
                }


def tables(record: Record) -> str:
    """Those that have rows."""
    every = [make(record) for make in (table, goal_table, attempts_table)]
    return "\n".join(text for text in every if text.count("\n") > 2)


def table(record: Record) -> str:
    """Medians over the seeds of all ways; a seed that never arrives is the slowest."""
    rows, runs = [], _compared(_runs(record))
    for target in TARGETS:
        for method, way, _ in grid("ways"):
            some = _some(runs, target, method, way, "")
            if some:
                rows.append([target, method, way, *_numbers(some)])
    return markdown(["target", "method", "continuation", *HEAD], rows)


def goal_table(record: Record) -> str:
    """PAC against warm start after the same seconds on the target, paired by seed.

    On the way graded on a part of the reference's grid, at the end on all of it.
    """
    lines = []
    for target in TARGETS:
        for seconds in (*BUDGETS, None):
            rows = {
                method: {
                    run["seed"]: {
                        "target_error": _least(run["curve"], seconds) if seconds else run["error"]
                    }
                    for run in _some(_runs(record), target, method, "adaptive", "")
                }
                for method in METHODS
            }
            if not all(rows.values()):
                continue
            (pair,) = ratios(Group("", {}, {}, None, 0, 0.0, True, rows), "warm_start")
            errors = [[row["target_error"] for row in rows[method].values()] for method in METHODS]
            lines.append([
                target, "at the end" if seconds is None else f"after {seconds} s",
                *(f"{statistics.median(some):.1e}" for some in errors),
                f"{pair.ratio:.2g} [{pair.low:.2g}, {pair.high:.2g}]",
                f"{pair.wins} of {pair.pairs}",
            ])  # fmt: skip
    head = ["target", "seconds on it", "warm start", "PAC", "PAC ÷ warm start", "PAC's wins"]
    return markdown(head, lines)


def attempts_table(record: Record) -> str:
    """PAC as it is, what was tried in its place, and warm start; all by the follower."""
    rows, runs = [], _compared(_runs(record))
    for target in TARGETS:
        for name, method, attempt in (
            ("warm start", "warm_start", ""),
            ("PAC", "pac", ""),
            *((attempt, "pac", attempt) for attempt in ATTEMPTS),
        ):
            some = _some(runs, target, method, "adaptive", attempt)
            if some:
                recalled = [run["source_error"]["recalled"] for run in some]
                middle = "–" if None in recalled else f"{statistics.median(recalled):.1e}"
                rows.append([target, name, *_numbers(some), middle])
    return markdown(["target", "method", *HEAD, "recalled"], rows)


def _runs(record: Record) -> list[Run]:
    """The runs, those of older records under today's names of the option."""
    words = ContinuationMethod.renamed_values["continuation"]
    return [
        {**run, "continuation": words[run["approach"]]} if "approach" in run else run
        for run in record["runs"]
    ]


def _compared(runs: list[Run]) -> list[Run]:
    """Of seeds that not the follower of the defaults alone was carried out for."""
    seeds = {run["seed"] for run in runs if run["attempt"] or run["continuation"] != "adaptive"}
    return [run for run in runs if run["seed"] in seeds]


def _some(runs: list[Run], target: str, method: str, way: str, attempt: str) -> list[Run]:
    wanted = target, method, way, attempt
    return [
        r for r in runs if (r["target"], r["method"], r["continuation"], r["attempt"]) == wanted
    ]


def _numbers(runs: list[Run]) -> list[str]:
    ends = [run["error"] for run in runs]
    after = [statistics.median(_least(run["curve"], budget) for run in runs) for budget in BUDGETS]
    return [
        f"{sum(run['outcome'] == 'converged' for run in runs)} of {len(runs)}",
        *(shown(median_seconds(run["seconds_to"][f"{e:g}"] for run in runs)) for e in THRESHOLDS),
        *(f"{error:.1e}" for error in after),
        f"{statistics.median(ends):.1e}",
        f"{max(ends):.1e}",
        f"{statistics.median(run['calibrate'] for run in runs):.0f}",
    ]


def _least(curve: list[Any], budget: float) -> float:
    """The error of the last weights that there were after so many seconds."""
    return [error for seconds, error in curve if seconds <= budget or seconds == curve[0][0]][-1]


if __name__ == "__main__":
    main()
