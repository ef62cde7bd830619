"""All families: what is certified of the reference, and how default fits and transfers end.

Of each family one row has the reference for its default coefficients: the certified error, the true
one where the exact solution is known, and the seconds. For each seed another row has a fit from
random weights with default settings, and a transfer to other coefficients by warm start, from
scratch and by PAC. They are graded by the exact solution, or by the reference where none is known,
at random points, in the worst field.

Every row is made in a process of its own, which ends after `--limit` CPU seconds without an answer:
other work on the machine makes no row fail. The record is written after every row; rows that it
holds are not made again (`--again` makes those that took too long or were refused). The exit status
is 1 if a fit calls itself converged and has an error above 1e-2, or a certificate is below the true
error.

    python benchmarks/families.py --families wave kdv --seeds 3 --workers 2
    python benchmarks/families.py --without-recipes
    python benchmarks/families.py --only fits --seeds 5 --families convection:beta=50 kdv
    python benchmarks/families.py --only fits --seeds 5 --families burgers --tolerance 1e-10
"""

import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
from common import (
    RESULTS,
    Benchmark,
    Record,
    Run,
    earlier_runs,
    load_average,
    markdown,
    number,
    read_record,
    without_faults,
)
from limited import Tell, messages_of

from pacpde import fit, transfer
from pacpde.datasets import reference_for
from pacpde.errors import PacpdeError
from pacpde.expressions import named_options
from pacpde.physics import Problem, families
from pacpde.reference import field_errors, solve
from pacpde.reference.exact import gives_exact

LIMIT = 1e-2  # true error of a field above which "converged" is wrong
POINTS = 8192  # at which a solution is graded
GRADING = 1e-6  # error that a reference is certified to where it grades fits by default
METHODS = ("warm_start", "scratch", "pac")
SHOWN = {"fit": "fit", "warm_start": "warm start", "scratch": "scratch", "pac": "PAC"}
# Coefficients that a transfer changes; those not named here move their first one by a tenth.
TARGETS: dict[str, dict[str, float]] = {
    "burgers": {"nu": 0.02 / np.pi},
    "burgers_periodic": {"nu": 0.02 / np.pi},
    "cavity": {"a": 1.2},
    "cavity_regularised": {"a": 1.2},
    "convection_diffusion": {"epsilon": 0.04},
    "heat": {"alpha": 0.3},
    "heat_gaussian": {"w": 0.12},
    "heat_medium": {"a": 1.3},
    "heat_modes": {"alpha": 0.3},
    "heat_robin": {"h": 2.5},
    "heat_source": {"alpha": 0.25, "q": 3.0},
    "helmholtz": {"k": 1.5, "a": 1.1},
    "kovasznay": {"reynolds": 25.0},
    "lorenz": {"rho": 16.5},
    "pendulum": {"theta0": 1.2},
    "poisson": {"a": 1.5},
    "poisson_1d": {"w": 0.25},
    "van_der_pol": {"mu": 1.2},
}


def target_of(problem: Problem) -> Problem:
    """The problem that the one of default coefficients is moved to."""
    name, about = next(iter(problem.declared().items()))
    moved = TARGETS.get(problem.name, {name: min(1.1 * about.default, about.upper)})
    return problem.with_coefficients(**moved)


class Grader:
    """The errors of solutions of one problem, by the exact solution or by the reference.

    Args:
        tolerance: of the fits; a reference is to be certified to a tenth of it.
    """

    def __init__(self, problem: Problem, tolerance: float | None = None) -> None:
        self.points = problem.domain.sample(POINTS, np.random.default_rng(0)).T
        self.problem, self.truth = problem, problem.exact(*self.points)
        self.by, self.floor = "exact", 0.0
        if self.truth is not None:
            return
        self.by = "reference"
        try:
            least = GRADING if tolerance is None else min(GRADING, tolerance / 10)
            reference = reference_for(problem, tolerance=least, loosest=LIMIT)
            self.truth, self.floor = reference(*self.points), reference.certified_error
        except PacpdeError:
            self.by = "nothing"

    def error(self, function: Callable[..., Any]) -> float | None:
        """Of the worst field; None where there is no truth."""
        if self.truth is None:
            return None
        values = np.asarray(function(*self.points)).reshape(self.truth.shape)
        return max(field_errors(values, self.truth, self.problem.scales))


def reference_row(problem: Problem, tell: Tell) -> None:
    """The best that can be certified of a problem."""
    clock, cpu = time.perf_counter(), time.process_time()
    try:
        reference = solve(problem)
    except PacpdeError as refusal:
        tell({"sentence": str(refusal), "seconds": time.perf_counter() - clock})
        return
    cpu = time.process_time() - cpu
    grader = Grader(problem) if gives_exact(problem) else None
    tell(
        {
            "certified": reference.certified_error,
            "true": grader and grader.error(reference),
            "solver": reference.solver,
            "seconds": reference.seconds,
            "cpu_seconds": cpu,
        }
    )


def transfers_row(
    problem: Problem, seed: int, methods: Sequence[str], tell: Tell, **settings: Any
) -> None:
    """A fit, and a transfer by each method; one message each."""
    cpu = time.process_time()
    try:
        source = fit(problem, seed=seed, **settings)
    except PacpdeError as refusal:
        tell({"what": "fit", "outcome": "refused", "sentence": str(refusal)})
        return
    cpu, tolerance = time.process_time() - cpu, settings.get("tolerance")
    tell(_end("fit", source, source.seconds, cpu, Grader(problem, tolerance)))
    if not methods:
        return
    target = target_of(problem)
    grader = Grader(target, tolerance)
    tell(
        {
            "what": "zero_shot",
            "error": grader.error(source),
            "graded_by": grader.by,
            "outcome": "",
            "seconds": 0.0,
        }
    )
    for method in methods:
        cpu = time.process_time()
        try:
            result = transfer(
                source, target, method=method, seed=seed, reference=None, settings=settings
            )
        except PacpdeError as refusal:
            tell({"what": method, "outcome": "refused", "sentence": str(refusal)})
            continue
        seconds = result.record()["seconds"]["total"]
        tell(_end(method, result.surrogate, seconds, time.process_time() - cpu, grader))


def _end(
    what: str, surrogate: Any, seconds: float, cpu_seconds: float, grader: Grader
) -> dict[str, Any]:
    """What a fit ended with; CPU seconds do not grow where other work shares the machine."""
    assessment = surrogate.assessment
    return {
        "what": what,
        "outcome": str(surrogate.outcome),
        "error": grader.error(surrogate),
        "graded_by": grader.by,
        "floor": grader.floor,
        "held_out": surrogate.held_out,
        "residual": assessment and assessment.residual,
        "estimate": assessment and assessment.error_estimate,
        "steps": surrogate.steps,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }


def row_work(text: str, seed: int | None, options: Namespace, tell: Tell) -> None:
    """One row, in a process of its own."""
    problem = problem_of(text)
    if not options.recipes:
        type(problem).recipe = {}
    if seed is None:
        reference_row(problem, tell)
    else:
        methods = () if options.only == "fits" else METHODS
        settings = {} if options.tolerance is None else {"tolerance": options.tolerance}
        transfers_row(problem, seed, methods, tell, **settings)


def problem_of(text: str) -> Problem:
    """The problem of a text such as "wave" or "convection:beta=50"."""
    coefficients = named_options("the family", text, "convection:beta=50")
    return families.get(coefficients.pop("name"))(**coefficients)


def row_of(name: str, seed: int | None, options: Namespace) -> Run:
    """A row, ended after `--limit` CPU seconds without a message."""
    load = load_average()
    messages, ended = messages_of(row_work, name, seed, options, limit=options.limit)
    row: Run = {"family": name, "load": load} | ({"ended": ended} if ended else {})
    if seed is None:
        return row | (messages[0] if messages else {"seconds": options.limit})
    return row | {"seed": seed, "ends": messages}


def main() -> None:
    parser = Benchmark(__doc__, "families", seeds=3)
    parser.set_defaults(threads=1)
    parser.add_argument(
        "--families", nargs="+", metavar="NAME", help="as wave or wave:c=2; all by default"
    )
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds of a fit")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--only", choices=["references", "fits", "transfers"])
    parser.add_argument("--without-recipes", dest="recipes", action="store_false")
    parser.add_argument("--tolerance", type=float, help="of fits and transfers")
    parser.add_argument("--again", action="store_true", help="also rows that were not finished")
    parser.carry_out("default settings on every family", runs, checked_table, "rows")


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Rows that the record does not hold yet: references first, then seed after seed."""
    if not options.recipes and options.output == RESULTS / "families.json":
        options.output = RESULTS / "families_without_recipes.json"
    record |= {"limit": options.limit, "recipes": options.recipes, "targets": {}}
    if options.tolerance is not None:
        record["tolerance"] = options.tolerance
    rows = earlier_runs(options.output, record, "rows")
    if options.again:
        rows = [row for row in rows if finished(row)]
    record["rows"] = rows
    known = {(row["family"], row.get("seed")) for row in rows}
    names = options.families or families.names()
    moved = {row["family"] for row in rows} | set(names)
    for name in () if options.only == "fits" else sorted(moved):
        record["targets"][name] = target_of(problem_of(name)).coefficients
    each = [*range(options.seeds)]
    seeds = {"references": [None], "fits": each, "transfers": each}
    chosen = seeds[options.only] if options.only else [None, *each]
    units = [(name, seed) for seed in chosen for name in names]
    missing = [unit for unit in units if unit not in known]
    with ThreadPoolExecutor(options.workers) as pool:
        jobs = [pool.submit(row_of, name, seed, options) for name, seed in missing]
        for job in as_completed(jobs):
            yield job.result()


def finished(row: Run) -> bool:
    """Whether a row has all that was asked for."""
    if "ended" in row:
        return False
    return "sentence" not in row and not any("sentence" in end for end in row.get("ends", []))


def faults(record: Record) -> list[str]:
    """What is wrong although it calls itself right."""
    result = []
    for row in record["rows"]:
        certified, true = row.get("certified"), row.get("true")
        if certified is not None and true is not None and true > certified:
            result.append(f"{row['family']}: certified to {certified:.1e}, wrong by {true:.1e}")
        for end in row.get("ends", []):
            error = end.get("error")
            if end["outcome"] == "converged" and error is not None and not error <= LIMIT:
                result.append(
                    f"{row['family']}: {end['what']} of seed {row['seed']} converged at {error:.1e}"
                )
    return result


def checked_table(record: Record) -> str:
    """The table; a fault ends with exit status 1."""
    return without_faults(table(record), faults(record))


def table(record: Record) -> str:
    """A line a family: medians over the seeds, the worst outcome, and a summary below."""
    names = list(dict.fromkeys(row["family"] for row in record["rows"]))
    shown = [*SHOWN] if transfers_made(record) else ["fit"]
    lines = []
    for name in sorted(names):
        rows = [row for row in record["rows"] if row["family"] == name]
        reference = next((row for row in rows if "seed" not in row), {})
        cells = [number(reference.get(key)) for key in ("certified", "true")]
        cells.append(_seconds([reference["seconds"]] if "seconds" in reference else []))
        for what in shown:
            made = [
                [end for end in row["ends"] if end["what"] == what] for row in rows if "seed" in row
            ]
            ended = {
                row["ended"]
                for row, ends in zip((row for row in rows if "seed" in row), made, strict=True)
                if not ends and "ended" in row
            }
            cells += _cells([end for ends in made for end in ends], ended)
        lines.append([name, *cells])
    head = ["family", "certified", "true", "s"]
    for what in shown:
        head += [SHOWN[what], "s"]
    return markdown(head, lines) + _summary(record, names)


def recipes_table(without: Record) -> str:
    """Families with and without the recipe that they bring: errors and CPU seconds, medians."""
    lines = []
    for name in sorted({row["family"] for row in without["rows"]}):
        for what, record in (("with", read_record("families")), ("without", without)):
            rows = [row for row in record["rows"] if row["family"] == name and "seed" in row]
            cells = []
            for method in SHOWN:
                ends = [end for row in rows for end in row["ends"] if end["what"] == method]
                seconds = statistics.median(end["cpu_seconds"] for end in ends)
                cells += [_cells(ends, set())[0], f"{seconds:.0f}"]
            lines.append([name, what, *cells])
    head = ["family", "recipe"]
    for shown in SHOWN.values():
        head += [shown, "CPU s"]
    return markdown(head, lines)


def fits_table(record: Record) -> str:
    """A line a problem: fits from random weights over the seeds, and the errors of their judges."""
    lines = []
    for name in sorted({row["family"] for row in record["rows"]}):
        rows = [row for row in record["rows"] if row["family"] == name]
        ends = [end for row in rows for end in row.get("ends", ()) if end["what"] == "fit"]
        errors = [end["error"] for end in ends if end.get("error") is not None]
        ended = {row["ended"] for row in rows if "ended" in row}
        if not errors:
            lines.append([name, "–", "–", "–", ", ".join(sorted(ended))])
            continue
        outcomes = ", ".join(sorted({end["outcome"] for end in ends} | ended))
        floor = number(max(end["floor"] for end in ends)) if ends[0]["floor"] else "exact"
        middle, worst = number(statistics.median(errors)), number(max(errors))
        seconds = _seconds([end["cpu_seconds"] for end in ends])
        lines.append([name, f"{middle}, {worst} ({len(errors)})", floor, seconds, outcomes])
    head = ["problem", "error: median, largest (seeds)", "judged to", "CPU s", "outcome"]
    return markdown(head, lines)


def seeds_table(record: Record) -> str:
    """A line a problem: the error of every seed in turn, and what the fits say of themselves."""
    lines = []
    for name in sorted({row["family"] for row in record["rows"]}):
        rows = sorted(
            (row for row in record["rows"] if row["family"] == name), key=lambda row: row["seed"]
        )
        ends = [end for row in rows for end in row["ends"] if end.get("error") is not None]
        late = {row["ended"] for row in rows if "ended" in row}
        if not ends:
            lines.append([name, "–", "–", "–", "–", ", ".join(sorted(late))])
            continue
        floor = number(max(end["floor"] for end in ends)) if ends[0]["floor"] else "exact"
        ratios = sorted(end["error"] / end["estimate"] for end in ends if end["estimate"])
        lines.append(
            [
                name,
                ", ".join(number(end["error"]) for end in ends),
                floor,
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}" if ratios else "–",
                _seconds([end["cpu_seconds"] for end in ends]),
                ", ".join(sorted({end["outcome"] for end in ends} | late)),
            ]
        )
    head = [
        "problem", "error of each seed", "judged to", "error / its estimate", "CPU s", "outcome"
    ]  # fmt: skip
    return markdown(head, lines)


def transfers_made(record: Record) -> bool:
    """Whether a record has more than references and fits."""
    return any(end["what"] in METHODS for row in record["rows"] for end in row.get("ends", ()))


def _cells(ends: Sequence[dict[str, Any]], ended: set[str]) -> list[str]:
    """Median error with every outcome that is not `converged`, and median seconds.

    Args:
        ended: why rows ended before there was one.
    """
    errors = [end["error"] for end in ends if end.get("error") is not None]
    others = sorted(({end["outcome"] for end in ends} - {"converged"}) | ended)
    error = number(statistics.median(errors) if errors else None)
    shown = " ".join([error, *others])
    return [shown, _seconds([end["seconds"] for end in ends if "seconds" in end])]


def _summary(record: Record, names: Sequence[str]) -> str:
    """How many families end below 1e-3 and 1e-5 by warm start and PAC, in the median."""
    if not transfers_made(record):
        return f"{len(names)} problems; {len(faults(record))} faults\n"
    counts = []
    for bound in (1e-3, 1e-5):
        good = 0
        for name in names:
            medians = []
            for what in ("warm_start", "pac"):
                errors = [
                    end["error"]
                    for row in record["rows"] if row["family"] == name
                    for end in row.get("ends", ())
                    if end["what"] == what and end.get("error") is not None
                ]  # fmt: skip
                medians.append(statistics.median(errors) if errors else np.inf)
            good += max(medians) <= bound
        counts.append(f"{good} at or below {bound:g}")
    seeds = len({row["seed"] for row in record["rows"] if "seed" in row})
    return (
        f"{len(names)} families, {seeds} seed{'s' if seeds > 1 else ''}; by warm start and PAC "
        f"{' and '.join(counts)}; {len(faults(record))} faults\n"
    )


def _seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f}" if values else "–"


if __name__ == "__main__":
    main()
