"""Certificates of references against true errors, over all families and their coefficients.

Each family is solved at some random coefficients within their bounds, log-uniform where these span
decades, and with each coefficient at each of its two bounds, the others by default. A row has the
certified error and the true one over the output grid:

- by the exact solution where the family has one;
- else by a finer solution: the best there is judges one of a tolerance a hundred times larger.

With `--stress` families are solved where it is hardest instead: at random corners of all their
coefficients at once, and at random coefficients over a time span four times as long.

A row whose problem has no reference has the sentence of the refusal. Every row is made in a process
of its own, which ends after `--limit` CPU seconds; the record is written after every row, and rows
that it holds are not made again (`--again` makes those of the families named). The exit status is 1
if a certificate is below its true error.

    python benchmarks/certificates.py --families kdv wave --seeds 5
    python benchmarks/certificates.py --stress --seeds 2 -o FILE
"""

import time
from argparse import Namespace
from collections.abc import Iterator
from math import log10
from typing import Any

import numpy as np
from common import (
    Benchmark,
    Record,
    Run,
    earlier_runs,
    load_average,
    markdown,
    number,
    without_faults,
)
from limited import Tell, messages_of

from pacpde.errors import PacpdeError
from pacpde.physics import Problem, families
from pacpde.physics.coefficients import Coefficient
from pacpde.reference import Reference, default_tolerance, solve, worst_field_error
from pacpde.reference.certificate import LOOSEST
from pacpde.reference.exact import gives_exact

DECADES = 1.0  # of bounds, from which coefficients are drawn by their logarithm
LONGER = 4.0  # times the time span of a family, of the long ones
LOOSER = 100.0  # tolerance of the solution that a finer one judges

Coefficients = dict[str, float]


def cases(family: type[Problem], seeds: int) -> list[tuple[str, Coefficients]]:
    """What a family is solved at, with the name of each."""
    about = family().declared()
    drawn = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, *family.name.encode()])
        drawn.append((f"random {seed}", {name: draw(one, rng) for name, one in about.items()}))
    bounds = [
        (f"{name} {side}", {name: float(getattr(one, side))})
        for name, one in about.items()
        for side in ("lower", "upper")
    ]
    return drawn + bounds


def hard_cases(family: type[Problem], seeds: int) -> list[tuple[str, Coefficients]]:
    """Corners of the coefficients' bounds, and long time spans; both at random."""
    about = family().declared()
    end = max((axis.upper for axis in family.axes if axis.name == "t"), default=None)
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, *b"hard", *family.name.encode()])
        corner = {
            name: float((one.lower, one.upper)[rng.integers(2)]) for name, one in about.items()
        }
        if len(about) > 1:  # else it is a bound
            found.append((f"corner {seed}", corner))
        if end is not None:
            long = {name: draw(one, rng) for name, one in about.items()}
            found.append((f"long {seed}", {**long, "until": LONGER * end}))
    return found


def draw(about: Coefficient, rng: np.random.Generator) -> float:
    """A coefficient within its bounds."""
    lower, upper = about.lower, about.upper
    if lower > 0 and log10(upper / lower) >= DECADES:
        return float(np.clip(np.exp(rng.uniform(np.log(lower), np.log(upper))), lower, upper))
    return float(rng.uniform(lower, upper))


def row_work(name: str, coefficients: Coefficients, tell: Tell) -> None:
    """One row, in a process of its own."""
    problem = families.get(name)(**coefficients)
    clock, cpu = time.perf_counter(), time.process_time()
    try:
        reference = solve(problem)
    except PacpdeError as refusal:
        tell({"sentence": str(refusal), "seconds": time.perf_counter() - clock})
        return
    tell(
        {
            "certified": reference.certified_error,
            "solver": reference.solver,
            "seconds": time.perf_counter() - clock,
            "cpu_seconds": time.process_time() - cpu,
        }
    )
    tell(exact_error(reference) if gives_exact(problem) else finer_error(reference))


def exact_error(reference: Reference) -> dict[str, Any]:
    """The error of a reference by the exact solution."""
    grid = np.meshgrid(*reference.axes.values(), indexing="ij")
    truth = reference.problem.exact(*grid)
    error = worst_field_error(reference.values, truth.reshape(reference.values.shape))
    return {"by": "exact", "checked": reference.certified_error, "error": error}


def finer_error(reference: Reference) -> dict[str, Any]:
    """The error of a solution of a larger tolerance, by a reference."""
    problem = reference.problem
    finest = max(reference.certified_error, default_tolerance(problem))
    tolerance = min(LOOSER * finest, LOOSEST)
    try:
        looser = solve(problem, tolerance=tolerance)
    except PacpdeError as refusal:
        return {"by": "nothing finer", "sentence": str(refusal)}
    error = worst_field_error(looser.values, reference.values)
    return {"by": "finer", "checked": looser.certified_error, "error": error}


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Rows that the record does not hold yet: random coefficients first, then bounds."""
    names = options.families or families.names()
    rows = earlier_runs(options.output, record, "rows")
    if options.again:
        rows = [row for row in rows if row["family"] not in names]
    record |= {"limit": options.limit, "rows": rows}
    known = {identity(row) for row in rows}
    of_family = hard_cases if options.stress else cases
    units = [
        (name, *case) for name in names for case in of_family(families.get(name), options.seeds)
    ]
    for name, case, coefficients in sorted(units, key=lambda unit: "random" not in unit[1]):
        if (name, case) not in known:
            yield row_of(name, case, coefficients, options.limit)


def identity(row: Run) -> tuple[str, str]:
    """What a row is of."""
    return row["family"], row["case"]


def row_of(name: str, case: str, coefficients: Coefficients, limit: float) -> Run:
    """A row, ended after `limit` CPU seconds without a message."""
    row: Run = {"family": name, "case": case, "coefficients": coefficients, "load": load_average()}
    messages, ended = messages_of(row_work, name, coefficients, limit=limit)
    for message in messages:
        row |= message
    return row | ({"ended": ended} if ended else {})


def faults(record: Record) -> list[str]:
    """Rows whose certificate is below the error."""
    return [
        f"{row['family']}, {row['case']} ({coefficient_text(row)}): certified to "
        f"{row['checked']:.2e}, wrong by {row['error']:.2e}"
        for row in record["rows"]
        if "error" in row and not row["error"] <= row["checked"]
    ]


def coefficient_text(row: Run) -> str:
    return ", ".join(f"{name}={value:.6g}" for name, value in row["coefficients"].items())


def checked_table(record: Record) -> str:
    """The table; a fault ends with exit status 1."""
    return without_faults(table(record), faults(record))


def table(record: Record) -> str:
    """A line a family: how many rows, the largest certificate and share of it, and the seconds."""
    rows = record["rows"]
    lines = []
    for name in sorted({row["family"] for row in rows}):
        own = [row for row in rows if row["family"] == name]
        certified = [row["certified"] for row in own if "certified" in row]
        shares = [row["error"] / row["checked"] for row in own if "error" in row]
        seconds = [row["cpu_seconds"] for row in own if "cpu_seconds" in row]
        by = sorted({row["by"] for row in own if "by" in row})
        lines.append(
            [
                name, f"{len(certified)} of {len(own)}", number(max(certified, default=None)),
                ", ".join(by), f"{max(shares):.2f}" if shares else "–",
                f"{max(seconds):.1f}" if seconds else "–",
            ]
        )  # fmt: skip
    head = ["family", "certified", "largest", "judged by", "largest error ÷ certificate", "most s"]
    return markdown(head, lines) + summary(record) + without_certificate(record)


def summary(record: Record) -> str:
    """How many rows there are of each kind."""
    rows = record["rows"]
    certified = sum("certified" in row for row in rows)
    judged = sum("error" in row for row in rows)
    ended = sum("ended" in row for row in rows)
    refused = sum("sentence" in row and "certified" not in row for row in rows)
    return (
        f"{len(rows)} rows; {certified} certified, {judged} of them judged; {refused} refused; "
        f"{ended} took too long; {len(faults(record))} faults\n"
    )


def without_certificate(record: Record) -> str:
    """The rows that have none, and why."""
    lines = []
    for row in record["rows"]:
        if "certified" not in row:
            why = row.get("sentence") or f"no answer after {record['limit']:g} CPU seconds"
            lines.append(f"- {row['family']}, {row['case']} ({coefficient_text(row)}): {why}\n")
    return "\n" + "".join(lines) if lines else ""


def main() -> None:
    parser = Benchmark(__doc__, "certificates", seeds=5)
    parser.set_defaults(threads=1)
    parser.add_argument("--families", nargs="+", metavar="NAME", help="all by default")
    parser.add_argument("--limit", type=float, default=180.0, help="CPU seconds of a solution")
    parser.add_argument(
        "--stress", action="store_true",
        help="corners of all coefficients and long time spans, in place of the others",
    )  # fmt: skip
    parser.add_argument("--again", action="store_true", help="make rows of these families again")
    parser.carry_out("certificates of references", runs, checked_table, "rows", identity=identity)


if __name__ == "__main__":
    main()
