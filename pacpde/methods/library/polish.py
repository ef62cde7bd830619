"""A solution on all functions of a library and the hidden neurons of a network of its own."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pacpde.methods.library.targets import HELD_OUT, TargetEquations
from pacpde.networks.assessment import Assessment
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.error_estimate import error_estimate

if TYPE_CHECKING:
    from pacpde.methods.library.library import Library


def joined(library: "Library", moved: Surrogate, tolerance: float) -> Surrogate:
    """The head on a library's functions and a network's own hidden neurons, for one target.

    Args:
        moved: a solver of the target with a network of its own, as by a warm start from the
            nearest source; it retains no other.
        tolerance: of fits, see `TrainingConfig`.
    """
    problem = moved.problem
    backbone = library.backbone.extended(moved)
    both = [library.nearest(problem), moved]
    equations = TargetEquations.sampled(backbone, both, 0)
    held_out = TargetEquations.sampled(backbone, both, 1, HELD_OUT)
    start = torch.stack([backbone.head_of(moved)])
    heads = equations.solve([problem], start).heads
    found = backbone.solver(problem, heads[0])
    about = Assessment(float(held_out.shares([problem], heads)[0]), error_estimate(found))
    solved = about.meets(tolerance) and not about.drifted
    return replace(
        moved, network=found.network, weights=found.weights, held_out=about.residual,
        assessment=about, outcome=Outcome.CONVERGED if solved else moved.outcome,
    )  # fmt: skip


def best_of(solvers: Sequence[Surrogate]) -> Surrogate:
    """That of the least estimated error; of the least residual where one has no estimate.

    Residuals are those of the assessments, each a share of the equation's terms: `held_out` of a
    fit is in other units. One without an assessment, as of a fit that diverged, comes last.
    """
    known = [one.assessment for one in solvers if one.assessment is not None]
    estimated = all(about.error_estimate is not None for about in known)

    def measure(one: Surrogate) -> float:
        about = one.assessment
        if about is None:
            return math.inf
        error = about.error_estimate if estimated else about.residual
        return math.inf if error is None or math.isnan(error) else error

    return min(solvers, key=measure)
