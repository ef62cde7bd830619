"""Coefficients from 25 labels, near the source and far from it, beside scipy's least squares.

Both start from the source's coefficients and see the same labels; other labels and noise a seed.
A value counts as right within three standard errors of the truth or 0.1 % of it, and as scipy's
within 1 % of it. Then data that do not fit the equation: each is to be doubted.

    python benchmarks/identification.py [--seeds 20] [--only heat] [--sources FOLDER]

The record is written after every run, and runs that it holds are not carried out again.
"""

import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from common import Benchmark, Record, Run, earlier_record, markdown

from pacpde import fit, identify, identify_by_scipy, load, save
from pacpde.datasets import draw_labels, reference_for
from pacpde.physics import families

LABELS, NOISES = 25, (0.0, 0.01)
# family, the source's coefficients, the truth
ROWS: tuple[tuple[str, dict[str, float], dict[str, float]], ...] = (
    *(("heat", {"alpha": 0.4}, {"alpha": truth}) for truth in (0.05, 0.8, 2.0, 5.0)),
    ("burgers", {"nu": 0.0127}, {"nu": 0.0318}),
    ("burgers", {"nu": 0.0318}, {"nu": 0.0063}),
    ("lorenz", {}, {"sigma": 10.5, "rho": 16.0, "beta": 2.5}),
)
SPOILED: dict[str, Callable[[Any], Any]] = {
    "flipped": lambda values: -values,
    "÷ 1,000": lambda values: values / 1000,
    "zero": lambda values: 0 * values,
}


class Case(NamedTuple):
    """One set of labels."""

    row: tuple[str, dict[str, float], dict[str, float]]
    noise: float
    spoiled: str
    seed: int


def cases(seeds: int) -> list[Case]:
    """All of one seed before those of the next; data that do not fit after the second one."""
    right = [Case(row, noise, "", k) for k in range(seeds) for row in ROWS for noise in NOISES]
    wrong = [Case(row, 0.01, spoiled, 0) for spoiled in SPOILED for row in ROWS]
    first = 2 * len(ROWS) * len(NOISES)
    return [*right[:first], *wrong, *right[first:]]


def main() -> None:
    parser = Benchmark(__doc__, "identification", seeds=20, quick={"points": 60, "steps": 3})
    parser.set_defaults(threads=1)
    parser.add_argument("--only", default="", help="rows whose name begins so")
    parser.add_argument("--sources", type=Path, help="folder in which trained sources are stored")
    parser.carry_out("coefficients from 25 labels, beside scipy", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Those that the record does not hold yet."""
    record["runs"] = (earlier_record(options.output) or record)["runs"]
    done = {_key(run) for run in record["runs"]}
    sources: dict[str, Any] = {}
    for case in cases(options.seeds):
        name = _words(*case.row[:2])
        truth = ", ".join(f"{value:g}" for value in case.row[2].values())
        run: Run = {
            "row": f"{name} → {truth}", "truth": case.row[2], "noise": case.noise,
            "spoiled": case.spoiled, "seed": case.seed,
        }  # fmt: skip
        if _key(run) in done or not run["row"].startswith(options.only):
            continue
        if name not in sources:
            sources[name] = source_of(*case.row[:2], options)
        run |= both(sources[name], case, options.settings)
        yield run


def source_of(family: str, start: dict[str, float], options: Namespace) -> Any:
    """A trained source, stored in a folder if one is given."""
    place = options.sources and options.sources / _words(family, start).replace(" ", "_")
    if place and place.exists():
        return load(place)
    source = fit(families.get(family).from_coefficients(start), seed=0, settings=options.settings)
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        save(source, place)
    return source


def both(source: Any, case: Case, settings: Run) -> Run:
    """Both estimates from the same labels; of spoiled ones, the surrogate's alone."""
    target = source.problem.with_coefficients(**case.row[2])
    drawn = draw_labels(reference_for(target), LABELS, seed=case.seed, noise=case.noise)
    values = SPOILED[case.spoiled](drawn.values) if case.spoiled else drawn.values
    names = list(case.row[2])
    ways: dict[str, Callable[[], Any]] = {
        "pacpde": lambda: identify(
            source, drawn.points, values, unknown=names, seed=case.seed, settings=settings
        ),
        "scipy": lambda: identify_by_scipy(source.problem, drawn.points, values, unknown=names),
    }
    estimates = {}
    for way in ["pacpde"] if case.spoiled else ways:
        began = time.process_time()
        result = ways[way]()
        estimates[way] = {
            "estimates": {name: list(pair) for name, pair in result.estimates.items()},
            "noise": result.noise,
            "seconds": result.seconds,
            "processor_seconds": time.process_time() - began,
            "outcome": result.outcome,
            "doubts": result.doubts(),
        }
    return estimates


def _key(run: Run) -> tuple[Any, ...]:
    return run["row"], run["noise"], run["spoiled"], run["seed"]


def _words(family: str, values: dict[str, float]) -> str:
    return " ".join([family, *(f"{name}={value:g}" for name, value in values.items())])


def right(run: Run, way: str = "pacpde") -> bool:
    """Every coefficient within three standard errors, or 0.1 %."""
    return all(
        abs(value - run["truth"][name]) <= max(3 * (error or 0), 1e-3 * abs(run["truth"][name]))
        for name, (value, error) in run[way]["estimates"].items()
    )


def apart(run: Run) -> float:
    """The largest relative difference from scipy's estimate."""
    pairs = [run[way]["estimates"] for way in ("pacpde", "scipy")]
    return max(abs(pairs[0][name][0] / pairs[1][name][0] - 1) for name in pairs[0])


def off(run: Run) -> float:
    """The largest relative difference from the truth."""
    estimates = run["pacpde"]["estimates"]
    return max(abs(value / run["truth"][name] - 1) for name, (value, _) in estimates.items())


def doubted(run: Run) -> bool:
    """Whether it does not end as converged, or says why its values are none to rely on."""
    result = run["pacpde"]
    return result["outcome"] != "converged" or bool(result["doubts"])


def table(record: Record) -> str:
    """How near the truth and scipy, how often doubted, and how long; then data that do not fit."""
    runs, rows = record["runs"], []
    for row in dict.fromkeys(run["row"] for run in runs):
        for noise in NOISES:
            some = [r for r in runs if (r["row"], r["noise"], r["spoiled"]) == (row, noise, "")]
            if some:
                rows.append([row, f"{noise:.0%}" if noise else "exact", *_numbers(some)])
    head = ["source → truth", "labels", "right and scipy's", "scipy right", "off, median", "worst",
            "off scipy, worst", "doubted", "s", "scipy s"]  # fmt: skip
    return markdown(head, rows) + "\n" + _spoiled(runs)


def _numbers(runs: list[Run]) -> list[str]:
    def count(test: Callable[[Run], bool]) -> str:
        return f"{sum(map(test, runs))} of {len(runs)}"

    def seconds(way: str) -> str:
        return f"{statistics.median(run[way]['processor_seconds'] for run in runs):.1f}"

    return [
        count(lambda run: right(run) and apart(run) <= 0.01),
        count(lambda run: right(run, "scipy")),
        f"{statistics.median(map(off, runs)):.1e}",
        f"{max(map(off, runs)):.1e}",
        f"{max(map(apart, runs)):.1e}",
        count(doubted),
        seconds("pacpde"),
        seconds("scipy"),
    ]


def _spoiled(runs: list[Run]) -> str:
    """Data that do not fit: how many are doubted, and how they end."""
    rows = []
    for row in dict.fromkeys(run["row"] for run in runs if run["spoiled"]):
        ends = []
        for spoiled in SPOILED:
            some = [run for run in runs if (run["row"], run["spoiled"]) == (row, spoiled)]
            outcomes = ", ".join(sorted({run["pacpde"]["outcome"] for run in some}))
            ends.append(f"{sum(map(doubted, some))} of {len(some)} ({outcomes})" if some else "–")
        rows.append([row, *ends])
    return markdown(["doubted of", *SPOILED], rows)


if __name__ == "__main__":
    main()
