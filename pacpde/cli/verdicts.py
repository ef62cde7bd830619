"""Sentences on fits that did not converge: the stage, and its residual."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from pacpde.cli.streams import print_note
from pacpde.methods import TrainingConfig
from pacpde.methods.advice import advice
from pacpde.methods.grading import is_contradicted
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.pac import SOURCE
from pacpde.studies import records


def verdict(
    fitted: Mapping[str, Surrogate], settings: Mapping[str, Any], folder: Path
) -> str | None:
    """One sentence on the fits that fell short; None if all converged."""
    poor = {name: one for name, one in fitted.items() if one.outcome != Outcome.CONVERGED}
    if not poor:
        return None
    shortfalls = "; ".join(_shortfall(name, one, settings) for name, one in poor.items())
    remedies = (advice(one, TrainingConfig.of(one.problem, **settings)) for one in poor.values())
    remedy = "; ".join(dict.fromkeys(remedies))
    return f"{shortfalls}; what there is is kept in {folder}; {remedy}."


def remarks(fitted: Mapping[str, Surrogate]) -> list[str]:
    """The notes of the fits' assessments, without repetitions."""
    names: dict[str, str] = {}
    for name, surrogate in fitted.items():
        for note in surrogate.assessment.notes if surrogate.assessment else ():
            names.setdefault(note, name)
    return [f"{name}: {note}." for note, name in names.items()]


def _shortfall(name: str, surrogate: Surrogate, settings: Mapping[str, Any]) -> str:
    """A sentence on one fit, as `pac: allocate ended stalled, residual 3e-2 of its terms, ...`.

    Earlier stages that fell short as well follow: `calibrate ended path_lost, ...; before it:
    allocated not_converged`.
    """
    others = records.shortfalls({"outcome": surrogate.outcome, "outcomes": surrogate.outcomes})
    return _last(name, surrogate, settings) + (
        f"; before it: {', '.join(others)}" if others else ""
    )


def _last(name: str, surrogate: Surrogate, settings: Mapping[str, Any]) -> str:
    stage, how = surrogate.outcome.stage, surrogate.outcome.of_fit
    entries = [entry for entry in surrogate.history if not stage or entry["stage"] == stage]
    if not entries:
        return f"{name} ended {how}"
    sentence = f"{name}: {entries[-1]['stage']} ended {how}"
    held_out = float(entries[-1]["held_out"]) if stage else surrogate.held_out
    if not math.isfinite(held_out):
        return sentence
    tolerance = TrainingConfig.of(surrogate.problem, **settings).tolerance
    assessment = surrogate.assessment
    if stage == "allocate" and SOURCE in surrogate.retained:
        assessment = surrogate.retained[SOURCE].assessment
    if assessment is None:
        return f"{sentence}, held-out residual {held_out:.1e}, tolerance {tolerance:.1e}"
    sentence += f", residual {assessment.residual:.1e} of its terms, tolerance {tolerance:.1e}"
    if assessment.error_estimate is None:
        return sentence
    return f"{sentence}, estimated error {assessment.error_estimate:.1e}"


def contradicted(fitted: Mapping[str, Surrogate], errors: Mapping[str, float | None]) -> list[str]:
    """A sentence on each fit that converged and is not what grades it."""
    return [
        f"{name} converged, and by the reference its error is {error:.1e}: it looks converged and "
        "is not that solution. Are conditions missing, or has the equation several solutions? "
        "`pacpde check` looks into it."
        for name, error in errors.items()
        if is_contradicted(fitted[name].outcome, error)
    ]


def exit_for(
    fitted: Mapping[str, Surrogate],
    settings: Mapping[str, Any],
    kept: Path,
    errors: Mapping[str, float | None],
) -> None:
    """End with status 1 where a fit did not converge; what it has is kept.

    Args:
        errors: of the worst fields, by the names of fits; None where nothing graded them.
    """
    for remark in remarks(fitted) + contradicted(fitted, errors):
        print_note(remark)
    sentence = verdict(fitted, settings, kept)
    if sentence:
        print_note(sentence)
        raise typer.Exit(1)
