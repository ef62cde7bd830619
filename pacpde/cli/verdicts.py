"""What is said of fits that did not converge: which stage fell short, and by how much."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pacpde.methods import TrainingConfig
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.pac import SOURCE
from pacpde.studies import records


def verdict(fitted: Mapping[str, Surrogate], settings: Mapping[str, Any], kept: Path) -> str | None:
    """One sentence on the fits that fell short; None if all converged."""
    poor = {name: made for name, made in fitted.items() if made.outcome != Outcome.CONVERGED}
    if not poor:
        return None
    told = "; ".join(_shortfall(name, made, settings) for name, made in poor.items())
    return f"{told}; what there is is kept in {kept}; {_advice(list(poor.values()))} may help."


def _advice(poor: Sequence[Surrogate]) -> str:
    """What may help, of every stage that fell short."""
    last = [made for made in poor if not made.outcome.stage]
    found = []
    if len(last) < len(poor) or any(
        made.outcomes.get("allocated", Outcome.CONVERGED) != Outcome.CONVERGED for made in poor
    ):
        found.append("a lower --sparsity or a larger --set allocate_steps=...")
    if any(made.outcome.of_fit == Outcome.DRIFTED for made in poor):
        found.append(
            "drifted means that the equation makes a large error of a residual within the "
            "tolerance: a smaller --tolerance, more --steps and --points or an earlier --until"
        )
    elif last:
        found.append("more --steps or another --seed")
    return ", and ".join(found)


def remarks(fitted: Mapping[str, Surrogate]) -> list[str]:
    """What fits noticed beside their outcome, each remark once."""
    told: dict[str, str] = {}
    for name, made in fitted.items():
        for note in made.assessment.notes if made.assessment else ():
            told.setdefault(note, name)
    return [f"{name}: {note}." for note, name in told.items()]


def _shortfall(name: str, made: Surrogate, settings: Mapping[str, Any]) -> str:
    """Of one fit, as in `pac: allocate ended stalled, residual 3e-2 of its terms, ...`.

    Earlier stages that fell short as well follow: `calibrate ended path_lost, ...; before it:
    allocated not_converged`.
    """
    others = records.shortfalls({"outcome": made.outcome, "outcomes": made.outcomes})
    return _last(name, made, settings) + (f"; before it: {', '.join(others)}" if others else "")


def _last(name: str, made: Surrogate, settings: Mapping[str, Any]) -> str:
    stage, how = made.outcome.stage, made.outcome.of_fit
    entries = [entry for entry in made.history if not stage or entry["stage"] == stage]
    if not entries:
        return f"{name} ended {how}"
    told = f"{name}: {entries[-1]['stage']} ended {how}"
    held_out = float(entries[-1]["held_out"]) if stage else made.held_out
    if not math.isfinite(held_out):
        return told
    tolerance = TrainingConfig.of(made.problem, **settings).tolerance
    assessment = made.assessment
    if stage == "allocate" and SOURCE in made.retained:
        assessment = made.retained[SOURCE].assessment
    if assessment is None:
        return f"{told}, held-out residual {held_out:.1e}, tolerance {tolerance:.1e}"
    told += f", residual {assessment.residual:.1e} of its terms, tolerance {tolerance:.1e}"
    if assessment.error_estimate is None:
        return told
    return f"{told}, estimated error {assessment.error_estimate:.1e}"
