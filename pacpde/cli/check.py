"""`pacpde check`: what is right and wrong with a family of the user's own."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pacpde.cli import inputs, options
from pacpde.cli.output import emit, progress_display
from pacpde.cli.streams import print_note, print_stderr
from pacpde.errors import ContradictionWarning, InvalidValueError, MissingConditionWarning, unknown
from pacpde.methods.check_family import SHORT, FamilyCheck
from pacpde.physics import Problem, families
from pacpde.physics.findings import Finding, Verdict
from pacpde.plugins import defined_by, load_plugin
from pacpde.runtime import check_seed
from pacpde.training.config import TrainingConfig, unused_in_fits

SIGNS = {Verdict.FOUND: "  ", Verdict.DOUBTFUL: "? ", Verdict.WRONG: "! "}


@dataclass(frozen=True)
class ShortFitOptions(options.FitOptions):
    """Settings of the short fit of a check."""

    steps: Annotated[int | None, typer.Option(help=options.steps_help(SHORT["steps"]))] = None
    points: Annotated[int | None, typer.Option(help=options.points_help(SHORT["points"]))] = None


def check(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A Python file with families of yours.")
    ],
    coefficients: options.Coefficients = None,
    family: Annotated[
        str | None, typer.Option(help="Check this family alone, of several in the file.")
    ] = None,
    fits: Annotated[
        bool,
        typer.Option("--fit/--no-fit", help="Try a reference, a short fit and short transfers."),
    ] = True,
    fit: ShortFitOptions,
    until: options.Until = None,
    seed: options.Seed = 0,
    result: options.ResultOptions,
) -> None:
    """Say what a family of yours does, what is wrong with it, and whether it can be solved.

    Sentences with ? may be meant, those with ! are wrong: then the exit status is 1. Where neither
    you nor the family say so, the fit is a short one, of 30 steps on 500 points (300 of an ODE);
    fits of fewer than 60 steps do not begin again.

    Example: pacpde check my_family.py k=0.5
    """
    inputs.json_target(result.json, file, overwrite=result.overwrite)
    check_seed(seed)
    load_plugin(file)
    names = _families(file, family)
    if coefficients and len(names) > 1:
        raise InvalidValueError(
            f"{coefficients[0]!r} is given for {' and '.join(names)}: name one by --family."
        )
    problems = [inputs.problem(name, coefficients or [], until) for name in names]
    if not fits:
        fit.check(dict.fromkeys(fit.settings, "nothing is fitted"))
    for problem in problems:
        fit.check(unused_in_fits(TrainingConfig.of(problem, **fit.settings)))
    checks = [FamilyCheck(one, fit.settings, seed, fits, print_stderr) for one in problems]
    found = [_checked(one, result.json) for one in checks]
    result.emit({"families": found, "passed": all(one["passed"] for one in found)})
    wrong = sum(not one["passed"] for one in found)
    if wrong:
        print_note(f"{wrong} of {len(found)} families failed: see the sentences with !.")
        raise typer.Exit(1)


def _families(file: Path, chosen: str | None) -> Sequence[str]:
    """Names of the families of a file, or of the chosen one."""
    here = {id(item) for item in defined_by(file)}
    names = [one.name for one in families if id(one) in here]
    if not names:
        raise InvalidValueError(
            f"{str(file)!r} defines no family: write a class below Problem or Evolution with a "
            "name in it."
        )
    if chosen is not None and chosen not in names:
        raise unknown(f"family of {str(file)!r}", chosen, names)
    return names if chosen is None else [chosen]


def _checked(check: FamilyCheck, json: str | None) -> dict[str, Any]:
    """Run a check and show each sentence when it is known; the result as a JSON object."""
    found: list[Finding] = []
    for stage in check.stages:
        with progress_display() as display, warnings.catch_warnings():
            for said in (ContradictionWarning, MissingConditionWarning):  # by findings
                warnings.simplefilter("ignore", said)
            fresh = list(stage(display))
        found += fresh
        if json != "-":
            for finding in fresh:
                emit(None, None, SIGNS[finding.verdict] + finding.sentence)
    passed = all(one.verdict != Verdict.WRONG for one in found)
    if json != "-":
        emit(None, None, _summary(check.problem, found))
    return {
        "family": check.problem.name,
        "coefficients": check.problem.coefficients,
        "passed": passed,
        "findings": [one.as_json() for one in found],
    }


def _summary(problem: Problem, found: Sequence[Finding]) -> str:
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in Verdict}
    return (
        f"{problem.name}: {counts[Verdict.WRONG]} wrong, {counts[Verdict.DOUBTFUL]} to look at, "
        f"{counts[Verdict.FOUND]} found."
    )
