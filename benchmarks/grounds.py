"""PAC beside its rivals on the four grounds that PAC-Net was proposed for, from few labels.

- regression: Friedman #1 at three distances (`friedman`), Friedman #2 from low to high frequencies
  (`generated`), diabetes from low to high body mass (`diabetes`);
- classification: 8×8 digits 0 to 4, moved to 5 to 9, rotated, with noise (`digits`);
- ODE and PDE (`ode`, `pde`): labels alone with noise, beside the equation, and beside an equation
  that is known in part.

A seed is a source and a target with labels; every method and rival gets the same ones, and its
defaults. Methods that are slow are tried at some of the labels. A run is one number of labels of
one seed; runs that the record holds are not made again, and one of them that takes too long is
ended and recorded as such. Ratios are to PAC's error in the same run; their intervals are of a
bootstrap over seeds, which each have a source of their own.

    python benchmarks/grounds.py --threads 1                            # all of it
    python benchmarks/grounds.py --ground ode --seeds 0 5 -o part.json  # a part
    python benchmarks/grounds.py --join part.json other.json            # parts as one record
"""

import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grounds_equations
import grounds_images
import grounds_tables
import numpy as np
from common import Benchmark, Record, Run, earlier_runs
from grounds_base import Case, Pair, Unit
from grounds_summary import summary
from limited import Tell, streamed

from pacpde.errors import PacpdeError

GROUNDS: dict[str, Sequence[Case]] = {
    "friedman": grounds_tables.FRIEDMAN,
    "generated": grounds_tables.GENERATED,
    "diabetes": grounds_tables.DIABETES,
    "digits": grounds_images.DIGITS,
    "ode": grounds_equations.ODE,
    "pde": grounds_equations.PDE,
}
Item = tuple[str, int, Unit]  # ground, place of the case in it, labels and noise


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """A run for every seed, case and number of labels, seed after seed."""
    record["limit"] = options.limit
    record["runs"] = earlier_runs(options.output, record)
    known = {identity(run) for run in record["runs"]}
    until = time.time() + options.wall
    for seed in range(*options.seeds):
        items = [
            (ground, place, unit)
            for ground in options.ground
            for place, case in enumerate(GROUNDS[ground])
            for unit in case.units
            if identity(about(ground, case, unit, seed)) not in known
        ]
        yield from runs_of(items, seed, options.settings, until, options.limit)


def about(ground: str, case: Case, unit: Unit, seed: int) -> Run:
    """What a run is of."""
    labels, noise = unit
    return {"ground": ground, "case": case.name, "labels": labels, "noise": noise, "seed": seed}


def identity(run: Run) -> tuple[Any, ...]:
    return tuple(run[key] for key in ("ground", "case", "labels", "noise", "seed"))


def runs_of(
    items: list[Item], seed: int, settings: Mapping[str, int], until: float, limit: float
) -> Iterator[Run]:
    """Those of a seed, in a process; after a run that is ended the others go on in another one."""
    while items and time.time() < until:
        done, telling = 0, streamed(work, items, seed, settings, until, limit=limit)
        while True:
            try:
                run = next(telling)
            except StopIteration as end:
                ended = end.value
                break
            done += 1
            yield run
        items = items[done:]
        if ended and items:
            ground, place, unit = items.pop(0)
            yield {**about(ground, GROUNDS[ground][place], unit, seed), "ended": ended}
        elif not ended:
            return


def work(
    items: Sequence[Item], seed: int, settings: Mapping[str, int], until: float, tell: Tell
) -> None:
    """Tells a run for each item that begins before the time is up."""
    pairs: dict[tuple[str, int], Pair] = {}
    for ground, place, unit in items:
        if time.time() > until:
            return
        case = GROUNDS[ground][place]
        if (ground, place) not in pairs:
            pairs[ground, place] = case.pair(seed, settings)
        measured = measure(pairs[ground, place], unit, case.methods_at(unit))
        tell({**about(ground, case, unit, seed), "error": case.error, **measured})


def measure(pair: Pair, unit: Unit, methods: Sequence[str]) -> Run:
    """[error, CPU seconds] of every rival and method, accuracies of classes, and failures."""
    results: dict[str, list[float]] = {}
    accuracy: dict[str, float] = {}
    failures: dict[str, str] = {}
    for name, attempt in pair.attempts(unit, methods):
        clock = time.process_time()
        try:
            found = attempt()
        except (PacpdeError, ValueError, ArithmeticError, np.linalg.LinAlgError) as fault:
            failures[name] = f"{type(fault).__name__}: {fault}"
            continue
        seconds = time.process_time() - clock
        for own, values in found.items():
            measures = pair.measures(values)
            if not np.isfinite(measures["error"]):
                failures[own] = "not finite"
                continue
            results[own] = [measures["error"], seconds]
            if "accuracy" in measures:
                accuracy[own] = measures["accuracy"]
    run: Run = {"results": results}
    return run | {k: v for k, v in (("accuracy", accuracy), ("failures", failures)) if v}


def main() -> None:
    parser = Benchmark(__doc__, "grounds", quick={"steps": 2})
    parser.add_argument(
        "--ground", nargs="+", choices=list(GROUNDS), default=list(GROUNDS), metavar="GROUND"
    )
    parser.add_argument(
        "--seeds", nargs=2, type=int, default=(0, 10), metavar=("FIRST", "END"),
        help="from FIRST to END - 1",
    )  # fmt: skip
    parser.add_argument("--limit", type=float, default=120.0, help="CPU seconds of a run")
    parser.add_argument(
        "--wall", type=float, default=float("inf"), help="seconds after which no run begins"
    )
    parser.carry_out("PAC and its rivals from few labels", runs, summary, identity=identity)


if __name__ == "__main__":
    main()
