"""Residual, estimated and true error of fits of every family, rough ones and better ones.

A fit that counts as converged must have a true error below 1e-2, and an estimated error is to be
within a factor of two of the true one where that is below 0.1: estimates are of first order.
References with a certificate that is not far below the error say so.

    python benchmarks/assessments.py [--families kdv wave] [--steps 4 12 40]
"""

import time
import warnings
from argparse import Namespace
from collections.abc import Iterator

from common import Benchmark, Record, Run, load_average, markdown, number

from pacpde import fit
from pacpde.errors import ContradictionWarning, PacpdeError
from pacpde.methods.grading import errors_of
from pacpde.physics.problem import families
from pacpde.reference import Reference
from pacpde.reference.solvers import solve_or_exact

LIMIT = 1e-2  # of the true error of what counts as converged
SMALL = 0.1  # true error up to which first order is expected to hold
SETTINGS = {"width": 16, "depth": 2, "points": 500}


def main() -> None:
    parser = Benchmark(__doc__, "assessments", quick={"width": 8, "depth": 2, "points": 100})
    parser.add_argument("--families", nargs="+", default=families.names())
    parser.add_argument("--steps", nargs="+", type=int, default=[4, 12, 40])
    parser.carry_out("residuals and estimated errors beside true errors", runs, table)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    warnings.simplefilter("ignore", ContradictionWarning)
    for name in options.families:
        problem = families.get(name)()
        try:
            reference = solve_or_exact(problem, 1e-6, lambda message: None)
        except PacpdeError as error:
            yield {"family": name, "fault": str(error)}
            continue
        for steps in options.steps:
            yield {"family": name, "steps": steps} | one(
                reference, steps, SETTINGS | options.settings
            )


def one(reference: Reference, steps: int, settings: dict[str, int]) -> Run:
    """One fit, graded."""
    before, load = time.perf_counter(), load_average()
    made = fit(reference.problem, seed=0, steps=steps, reference=None, **settings)
    about, errors = made.assessment, errors_of(made, reference)
    assert errors is not None
    return {
        "residual": about and about.residual,
        "estimate": about and about.error_estimate,
        "error": errors.worst,
        "certified": reference.certified_error,
        "outcome": str(made.outcome),
        "seconds": time.perf_counter() - before,
        "load": load,
    }


def table(record: Record) -> str:
    """A row a fit, and how many are wrong."""
    graded = [run for run in record["runs"] if "error" in run]
    lines = [
        [
            run["family"],
            str(run["steps"]),
            number(run["residual"]),
            number(run["estimate"]),
            number(run["error"]),
            "" if not run["estimate"] else f"{run['estimate'] / run['error']:.2f}",
            run["outcome"] + (" **wrong**" if _wrong(run) else ""),
        ]
        for run in graded
    ]
    head = ["family", "steps", "residual", "estimate", "true error", "their ratio", "outcome"]
    first_order = [run for run in graded if run["estimate"] and run["error"] < SMALL]
    near = sum(0.5 <= run["estimate"] / run["error"] <= 2 for run in first_order)
    faults = "".join(
        f"{run['family']}: {run['fault']}\n" for run in record["runs"] if "fault" in run
    )
    wrong = sum(map(_wrong, graded))
    told = (
        f"{len(graded)} fits, {wrong} converged with an error above {LIMIT:g}; of "
        f"{len(first_order)} with an error below {SMALL:g}, {near} are estimated within a factor "
        f"of two\n"
    )
    return markdown(head, lines) + told + faults


def _wrong(run: Run) -> bool:
    return run["outcome"] == "converged" and run["error"] > LIMIT + run["certified"]


if __name__ == "__main__":
    main()
