"""Coefficients from 25 labels, near the source and far from it, beside scipy's least squares.

Both start from the source's coefficients and see the same labels; other labels and noise a seed.
A value counts as right within three standard errors of the truth or 0.1 % of it, and as scipy's
within 1 % of it. Then data that do not fit the equation: each is to be doubted.

    python benchmarks/identification.py [--seeds 20] [--only heat] [--sources FOLDER]

The record is written after every run, and runs that it holds are not carried out again.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from common import RESULTS, begun, markdown, write_record

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="rows whose name begins so")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sources", type=Path, help="folder in which trained sources are kept")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "identification.json")
    arguments = parser.parse_args()
    record = begun("coefficients from 25 labels, beside scipy", arguments.threads)
    if arguments.output.exists():
        record["runs"] = json.loads(arguments.output.read_text())["runs"]
    done = {_key(run) for run in record["runs"]}
    sources: dict[str, Any] = {}
    for case in cases(arguments.seeds):
        run: dict[str, Any] = {
            "row": _row(*case.row), "truth": case.row[2], "noise": case.noise,
            "spoiled": case.spoiled, "seed": case.seed,
        }  # fmt: skip
        if _key(run) in done or not run["row"].startswith(arguments.only):
            continue
        name = run["row"].partition(" →")[0]
        if name not in sources:
            sources[name] = source_of(*case.row[:2], arguments.sources)
        run |= both(sources[name], case)
        record["runs"].append(run)
        write_record(record, arguments.output)
        print(json.dumps(run, ensure_ascii=False), flush=True)
    print(table(record["runs"]))


def source_of(family: str, start: dict[str, float], folder: Path | None) -> Any:
    """A trained source, kept in a folder if one is given."""
    from pacpde import fit
    from pacpde.networks import checkpoint
    from pacpde.physics import families

    problem = families.get(family).from_coefficients(start)
    place = folder and folder / _words(family, start).replace(" ", "_")
    if place and place.exists():
        return checkpoint.load(place)
    source = fit(problem, seed=0)
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save(source, place)
    return source


def both(source: Any, case: Case) -> dict[str, Any]:
    """Both estimates from the same labels; of spoiled ones, the surrogate's alone."""
    from pacpde.datasets import draw_labels, reference_for
    from pacpde.methods import identify, identify_by_scipy

    target = source.problem.with_coefficients(**case.row[2])
    drawn = draw_labels(reference_for(target), LABELS, seed=case.seed, noise=case.noise)
    values = SPOILED[case.spoiled](drawn.values) if case.spoiled else drawn.values
    names = list(case.row[2])
    ways: dict[str, Callable[[], Any]] = {
        "pacpde": lambda: identify(source, drawn.points, values, unknown=names, seed=case.seed),
        "scipy": lambda: identify_by_scipy(source.problem, drawn.points, values, unknown=names),
    }
    found = {}
    for way in ways if not case.spoiled else ["pacpde"]:
        began = time.process_time()
        made = ways[way]()
        found[way] = {
            "estimates": {name: list(pair) for name, pair in made.estimates.items()},
            "noise": made.noise,
            "seconds": made.seconds,
            "processor_seconds": time.process_time() - began,
            "outcome": made.outcome,
            "doubts": made.doubts(),
        }
    return found


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return run["row"], run["noise"], run["spoiled"], run["seed"]


def _row(family: str, start: dict[str, float], truth: dict[str, float]) -> str:
    return f"{_words(family, start)} → {', '.join(f'{value:g}' for value in truth.values())}"


def _words(family: str, values: dict[str, float]) -> str:
    return " ".join([family, *(f"{name}={value:g}" for name, value in values.items())])


def right(run: dict[str, Any], way: str = "pacpde") -> bool:
    """Every coefficient within three standard errors, or 0.1 %."""
    return all(
        abs(value - run["truth"][name]) <= max(3 * (error or 0), 1e-3 * abs(run["truth"][name]))
        for name, (value, error) in run[way]["estimates"].items()
    )


def apart(run: dict[str, Any]) -> float:
    """The largest relative difference from scipy's estimate."""
    pairs = [run[way]["estimates"] for way in ("pacpde", "scipy")]
    return max(abs(pairs[0][name][0] / pairs[1][name][0] - 1) for name in pairs[0])


def off(run: dict[str, Any]) -> float:
    """The largest relative difference from the truth."""
    found = run["pacpde"]["estimates"]
    return max(abs(value / run["truth"][name] - 1) for name, (value, _) in found.items())


def doubted(run: dict[str, Any]) -> bool:
    """Whether it does not end as converged, or says why its values are none to rely on."""
    found = run["pacpde"]
    return found["outcome"] != "converged" or bool(found["doubts"])


def table(runs: list[dict[str, Any]]) -> str:
    """How near the truth and scipy, how often doubted, and how long."""
    rows = []
    for row in dict.fromkeys(run["row"] for run in runs):
        for noise in NOISES:
            some = [r for r in runs if (r["row"], r["noise"], r["spoiled"]) == (row, noise, "")]
            if not some:
                continue
            good = [right(run) and apart(run) <= 0.01 for run in some]
            spent = [
                statistics.median(run[way]["processor_seconds"] for run in some)
                for way in ("pacpde", "scipy")
            ]
            rows.append(
                [
                    row,
                    f"{noise:.0%}" if noise else "exact",
                    f"{sum(good)} of {len(some)}",
                    f"{sum(right(run, 'scipy') for run in some)} of {len(some)}",
                    f"{statistics.median(map(off, some)):.1e}",
                    f"{max(map(off, some)):.1e}",
                    f"{max(map(apart, some)):.1e}",
                    f"{sum(doubted(run) for run in some)} of {len(some)}",
                    f"{spent[0]:.1f}",
                    f"{spent[1]:.1f}",
                ]
            )
    head = ["source → truth", "labels", "right and scipy's", "scipy right", "off, median", "worst",
            "off scipy, worst", "doubted", "s", "scipy s"]  # fmt: skip
    return markdown(head, rows) + "\n" + _spoiled(runs)


def _spoiled(runs: list[dict[str, Any]]) -> str:
    """Data that do not fit: how many are doubted, and how they end."""
    rows = []
    for row in dict.fromkeys(run["row"] for run in runs if run["spoiled"]):
        ends = []
        for spoiled in SPOILED:
            some = [run for run in runs if (run["row"], run["spoiled"]) == (row, spoiled)]
            count = sum(doubted(run) for run in some)
            outcomes = ", ".join(sorted({run["pacpde"]["outcome"] for run in some}))
            ends.append(f"{count} of {len(some)} ({outcomes})" if some else "–")
        rows.append([row, *ends])
    return markdown(["doubted of", *SPOILED], rows)


if __name__ == "__main__":
    main()
