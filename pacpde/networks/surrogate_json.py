"""Convert a surrogate to a JSON object and named tensors, and back."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pacpde.errors import DataFileError
from pacpde.networks import kinds
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.assessment import Assessment
from pacpde.networks.batch import Ansatz
from pacpde.networks.class_ansatz import ClassAnsatz
from pacpde.networks.correction import Correction
from pacpde.networks.protocol import Network
from pacpde.networks.reference_ansatz import ReferenceAnsatz
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.physics.fingerprint import Fingerprint, check_registered, check_unchanged
from pacpde.physics.problem import families


def as_json(surrogate: Surrogate) -> dict[str, Any]:
    """The JSON object of a surrogate: everything but its tensors.

    Raises:
        InvalidValueError: its network or its ansatz is of a class that no file can be read as.
    """
    return {
        **_describe(surrogate.ansatz),
        **kinds.as_json(surrogate.network, surrogate.weights),
        "memories": {
            name: {
                **_describe(solver.ansatz),
                "outcome": solver.outcome,
                "assessment": solver.assessment and solver.assessment.as_json(),
                **({"random_neurons": solver.correction.neurons} if solver.correction else {}),
            }
            for name, solver in surrogate.retained.items()
        },
        "stage": surrogate.stage,
        "outcome": surrogate.outcome,
        "assessment": surrogate.assessment and surrogate.assessment.as_json(),
        "seconds": surrogate.seconds,
        "steps": surrogate.steps,
        "points": surrogate.points,
        "held_out": surrogate.held_out,
        "outcomes": dict(surrogate.outcomes),
        "history": list(surrogate.history),
        "provenance": dict(surrogate.provenance),
    }


def tensors_of(surrogate: Surrogate) -> dict[str, torch.Tensor]:
    """The tensors of a surrogate, by name.

    Returns:
        "weights": [size].
        "mask/NAME": of retained solver NAME, bool [size].
        "weights/NAME": of a retained solver that has separate weights.
        "correction/NAME": of the correction of one that is refined.
    """
    tensors = {"weights": surrogate.weights.cpu()}
    for name, solver in surrogate.retained.items():
        tensors[f"mask/{name}"] = solver.mask.cpu()
        if solver.weights is not None:
            tensors[f"weights/{name}"] = solver.weights.cpu()
        if solver.correction is not None:
            tensors[f"correction/{name}"] = solver.correction.weights.cpu()
    return tensors


def from_json(
    about: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    given: Network | None = None,
) -> Surrogate:
    """Rebuild the surrogate of a JSON object and its tensors.

    Args:
        about: as from `as_json`.
        tensors: as from `tensors_of`.
        given: its network, where no file can make it.

    Raises:
        DataFileError: family or network is unknown here, or was changed since.
        Exception: of other classes, where the content is damaged.
    """
    weights = tensors["weights"]
    network = kinds.from_json(about, weights, given)
    retained = {
        name: RetainedSolver(
            _ansatz(own),
            tensors[f"mask/{name}"],
            tensors.get(f"weights/{name}"),
            own.get("outcome"),
            _assessment(own),
            Correction(own["random_neurons"], tensors[f"correction/{name}"])
            if "random_neurons" in own
            else None,
        )
        for name, own in about["memories"].items()
    }
    return Surrogate(
        network,
        _ansatz(about),
        weights,
        retained,
        about["stage"],
        about["outcome"],
        tuple(about["history"]),
        about["seconds"],
        about["steps"] if "steps" in about else _steps(about["history"]),
        about.get("held_out", math.nan),
        about.get("provenance", {}),
        about.get("outcomes", {}),
        _assessment(about),
        about.get("points", 0),
    )


def _steps(history: Sequence[Mapping[str, Any]]) -> int:
    """Number of steps, for files without it: in a history each sequence of fits counts from 0."""
    counts = [entry["step"] for entry in history]
    ends = [now for now, after in zip(counts, [*counts[1:], 0], strict=True) if after < now]
    return sum(ends)


def _assessment(about: Mapping[str, Any]) -> Assessment | None:
    assessment = about.get("assessment")
    return None if assessment is None else Assessment.from_json(assessment)


def _describe(ansatz: Ansatz) -> dict[str, Any]:
    problem, settings = ansatz.problem_or_none, ansatz.settings
    if problem is None:
        return {"family": None, "constraints": settings}
    check_registered(problem)
    return {
        "fingerprint": Fingerprint.of(problem).as_json(),
        "family": problem.name,
        "coefficients": problem.coefficients,
        "until": problem.until,
        "constraints": settings,
        "odd_axes": list(problem.odd) if settings["odd"] else [],
    }


def _ansatz(about: Mapping[str, Any]) -> Ansatz:
    if about["family"] is None:
        return ClassAnsatz.from_settings(about["constraints"])
    if about["family"] not in families.names():
        raise DataFileError(
            f"the surrogate solves {about['family']!r}, which is not known here: name the file of "
            "that family with --plugin (in Python: pacpde.plugins.load_plugin)."
        )
    problem = families.get(about["family"]).from_coefficients(about["coefficients"], about["until"])
    # files without the key: one odd axis had the same meaning as today
    mirrored = about.get("odd_axes", problem.odd if len(problem.odd) == 1 else ())
    if about["constraints"]["odd"] and tuple(mirrored) != problem.odd:
        before = ", ".join(mirrored) or "all axes at once"
        raise DataFileError(
            f"the surrogate of {problem} was made odd in {before}, and its family is odd in each "
            f"of {', '.join(problem.odd) or 'no axis'}: train it anew."
        )
    if "fingerprint" in about:  # folders of older versions lack it
        check_unchanged(problem, about["fingerprint"], "the surrogate")
    ansatz_class = ReferenceAnsatz if "tolerance" in about["constraints"] else PhysicsAnsatz
    return ansatz_class(problem, **about["constraints"])
