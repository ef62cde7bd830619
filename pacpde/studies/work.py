"""What a worker does: train a source, or carry out a cell. Nothing here knows where it runs."""

import math
from typing import Any

import numpy as np

from pacpde.datasets import transfer_references
from pacpde.methods import TrainingConfig, fit, transfer
from pacpde.methods.grading import seconds_to_error
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.domain import mesh
from pacpde.physics.numbers import norm
from pacpde.reference import Reference
from pacpde.runtime import versions
from pacpde.studies.grid import Cell
from pacpde.studies.records import CLOCKS, LATER, MOMENTS, check
from pacpde.studies.results_store import Row
from pacpde.studies.single import Training

THRESHOLDS = (1e-2, 1e-3, 1e-4)
FAILED = "failed"  # the outcome of a cell that has no result


@stepwise
def train(training: Training) -> Steps[Surrogate]:
    """The source surrogate."""
    return steps_of(fit)(
        training.problem,
        seed=training.seed,
        runtime=training.runtime,
        settings=training.settings,
    )


@stepwise
def carry_out(cell: Cell, source: Surrogate) -> Steps[tuple[Row, Surrogate]]:
    """The row of a cell, and the surrogate of its target."""
    references = transfer_references(
        cell.source, cell.target, cell.reference, cell.reference_tolerance
    )
    result = yield from steps_of(transfer)(
        source,
        cell.target,
        method=cell.method,
        options=cell.options,
        seed=cell.seed,
        labels=cell.labels,
        noise=cell.noise,
        physics=cell.physics,
        runtime=cell.training.runtime,
        settings=TrainingConfig.after(source, cell.target, **cell.training.settings),
        reference=references,
    )
    reference = references.target
    held_out = result.surrogate.held_out
    row = {
        **check(result.record()),
        **_named(cell),
        "distance": distance(references.source, reference),
        "reference_seconds": None if reference is None else reference.seconds,
        "reference_error": None if reference is None else reference.certified_error,
        "held_out": held_out if math.isfinite(held_out) else None,
        "seconds_to": seconds_to_error(result.history, THRESHOLDS),
        "fault": None,
    }
    return row, result.surrogate


def failed(cell: Cell, why: str) -> Row:
    """The row of a cell that has no result."""
    nothing = dict.fromkeys(
        ("zero_shot_error", "target_error", "free_parameters", "total_parameters", "steps",
         "evaluations", "distance", "reference_seconds", "reference_error", "held_out")
    )  # fmt: skip
    return {
        **nothing,
        **_named(cell),
        "family": cell.source.name,
        "method": cell.method,
        "seed": cell.seed,
        "source": cell.source.coefficients,
        "target": cell.target.coefficients,
        "labels": cell.labels,
        "noise": cell.noise,
        "physics": cell.physics,
        "source_error": dict.fromkeys(MOMENTS),
        "seconds": dict.fromkeys(CLOCKS),
        "outcome": FAILED,
        "device": cell.training.runtime.device,
        "dtype": cell.training.runtime.dtype,
        "versions": versions(),
        **LATER,
        "seconds_to": {},
        "fault": why,
    }


def distance(source: Reference | None, target: Reference | None) -> float | None:
    """‖u_T − u_S‖ / ‖u_T‖ on the target's grid, where the source's solution reaches.

    None where one of them has no reference.
    """
    if source is None or target is None:
        return None
    axes = list(target.axes.values())
    inside = axes[0] <= source.problem.domain.axis("t").upper
    points = mesh([axes[0][inside], *axes[1:]])
    there = source(*np.moveaxis(points, -1, 0))
    here = target.values[:, inside]
    return float(norm(here - there) / norm(here))


def _named(cell: Cell) -> dict[str, Any]:
    return {"cell": cell.key, "variant": cell.variant, "until": cell.target.until}
