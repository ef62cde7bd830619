"""Rows of studies: the record of a transfer, and what a study keeps of a cell besides."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pacpde.datasets import References
from pacpde.methods import TransferResult
from pacpde.methods.grading import seconds_to_error
from pacpde.methods.result import MOMENTS
from pacpde.physics.domain import mesh
from pacpde.physics.numbers import norm
from pacpde.reference import Reference
from pacpde.runtime import versions
from pacpde.studies.records import CLOCKS, LATER, Row, check

if TYPE_CHECKING:
    from pacpde.studies.cells import Cell

THRESHOLDS = (1e-2, 1e-3, 1e-4)
FAILED = "failed"  # the outcome of a cell that has no result


def row_of(cell: "Cell", result: TransferResult, references: References) -> Row:
    """The row of a cell that was carried out."""
    reference, held_out = references.target, result.surrogate.held_out
    return {
        **check(result.record()),
        **_names(cell),
        "distance": distance(references.source, reference),
        "reference_seconds": None if reference is None else reference.seconds,
        "reference_error": None if reference is None else reference.known_error,
        "held_out": held_out if math.isfinite(held_out) else None,
        "seconds_to": seconds_to_error(result.history, THRESHOLDS),
        "fault": None,
    }


def failed_row(cell: "Cell", fault: str) -> Row:
    """The row of a cell that has no result.

    Args:
        fault: why.
    """
    nothing = dict.fromkeys(
        ("zero_shot_error", "target_error", "free_parameters", "total_parameters", "steps",
         "evaluations", "distance", "reference_seconds", "reference_error", "held_out")
    )  # fmt: skip
    return {
        **nothing,
        **_names(cell),
        "family": cell.source.name,
        "method": cell.method_name,
        "seed": cell.seed,
        "source": cell.source.coefficients,
        "target": cell.target.coefficients,
        "labels": cell.labelled["labels"],
        "noise": cell.labelled["noise"],
        "physics": cell.physics,
        "source_error": dict.fromkeys(MOMENTS),
        "seconds": dict.fromkeys(CLOCKS),
        "outcome": FAILED,
        "device": cell.training.runtime.device,
        "dtype": cell.training.runtime.dtype,
        "versions": versions(),
        **LATER,
        "seconds_to": {},
        "fault": fault,
    }


def distance(source: Reference | None, target: Reference | None) -> float | None:
    """‖u_T − u_S‖ / ‖u_T‖ on the target's grid, where the source's solution reaches.

    None where one of them has no reference.
    """
    if source is None or target is None:
        return None
    domain = source.dense.domain
    inside = [
        (x >= axis.lower) & (x <= axis.upper)
        for x, axis in zip(target.axes.values(), domain.axes, strict=True)
    ]
    axes = [x[own] for x, own in zip(target.axes.values(), inside, strict=True)]
    there = source(*np.moveaxis(mesh(axes), -1, 0))
    here = target.values[np.ix_(np.arange(len(target.values)), *map(np.flatnonzero, inside))]
    return float(norm(here - there) / norm(here))


def _names(cell: "Cell") -> dict[str, Any]:
    return {"cell": cell.key, "variant": cell.variant, "until": cell.target.until}
