"""Assess a solution without a reference: relative residual and estimated error."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pacpde.networks.assessment import UNESTIMATED_LIMIT, Assessment
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.narrow import RIGHT_HAND_SIDE, NarrowFeature
from pacpde.physics.problem import Problem
from pacpde.residuals.condition_residuals import ConditionResiduals
from pacpde.residuals.error_estimate import error_estimate, solved_in_steps
from pacpde.residuals.jumps import jump
from pacpde.residuals.linearised import CHUNK, linearise_rows
from pacpde.residuals.open_solutions import error_left_open

EXTRA_POINTS = 15  # extra points a held-out point, if the equation reads the coordinates
BOX_POINTS = 2048  # points around each narrow feature
NOTE_RATIO = 2  # a note is added where narrow features increase the residual by this factor
RIGHT = 1e-2  # tolerance by which one is added in any case; the default of fits
SCALE_RATIO = 30  # a note is added where a field's size differs from its scale by this factor


def assess(
    solver: Surrogate, points: torch.Tensor, estimate: bool = True, fit_points: int = 0
) -> Assessment:
    """Assess a solution by its equation alone, without a reference.

    Args:
        solver: a surrogate of a problem.
        points: held-out points, [points, axes].
        estimate: whether the error is estimated too, and narrow features are searched. Both cost
            about as much as a few steps of a fit.
        fit_points: number of points of the fit, for a note on narrow features.

    Returns:
        The root mean square residual of the worst equation, relative to that of the equation's
        terms, or of the worst condition, relative to the size of the field, whichever is larger;
        the estimated error (`error_estimate`) or None; notes for the user.
    """
    problem = solver.problem
    if problem.coordinates_read:  # its sources may be narrow
        more = problem.domain.random(len(points) * EXTRA_POINTS, np.random.default_rng(0))
        points = torch.cat([points, torch.from_numpy(more).to(points)])
    sums = [_Sums.at(solver, chunk) for chunk in points.split(CHUNK)]
    sizes, residuals, fields = _Sums.sizes([(1.0, sums)])
    residual = _worst_share(residuals, sizes)
    notes = list(_scale_notes(problem, fields))
    # the search for narrow features takes longer than a short fit of a continuation
    features = problem.narrow_features if estimate else ()
    narrow = [one for one in features if one.what == RIGHT_HAND_SIDE]
    boxes, unseen = [], False
    for one in narrow:
        around, share = one.box(problem, BOX_POINTS)
        tensor = torch.from_numpy(around).to(points)
        boxes.append((share, [_Sums.at(solver, tensor)]))
    if boxes:
        sizes, residuals, _ = _Sums.sizes([(1.0, sums), *boxes])
        missed, residual = residual, max(residual, _worst_share(residuals, sizes))
        unseen = residual > NOTE_RATIO * missed
    residual = max(residual, ConditionResiduals(solver, points, fields, estimate).worst())
    kink = jump(solver) if estimate else None
    if kink is not None:
        error: float | None = math.inf
        notes.append(str(kink))
    else:
        error = error_estimate(solver, residual) if estimate else None
        if error is not None and not solved_in_steps(problem):
            left_open, told = error_left_open(solver)
            error = max(error, left_open)
            notes += told
    if unseen or not Assessment(residual, error).meets(RIGHT):
        notes += [_too_narrow(one, fit_points) for one in narrow]
    unestimated = estimate and error is None
    if unestimated:
        notes.append(
            "the error cannot be estimated for this kind of equation: only the residual is known, "
            f"and a fit converges where it is at most {UNESTIMATED_LIMIT:g}"
        )
    return Assessment(residual, error, tuple(notes), unestimated)


def _too_narrow(feature: NarrowFeature, fit_points: int) -> str:
    """A note on a feature that a fit has not resolved."""
    if not fit_points:
        return f"{feature}: the points of a fit hardly see it"
    return (
        f"{feature}: of {fit_points:,} random points about {feature.share * fit_points:.1g} lie in "
        "it, too few to fit what it does"
    )


@dataclass(frozen=True)
class _Sums:
    """Sums of squares over some points.

    Attributes:
        points: number of points.
        residuals: of each row, [rows].
        terms: of the terms of each row, [terms, rows]. The terms are ∂row/∂c · c for each
            derivative c of each field, and the rest of the row (sources).
        values: of the fields, [fields].
    """

    points: int
    residuals: torch.Tensor
    terms: torch.Tensor
    values: torch.Tensor

    @classmethod
    def at(cls, solver: Surrogate, points: torch.Tensor) -> "_Sums":
        jet, slopes, rows = linearise_rows(solver, points)
        linear = slopes * jet.unsqueeze(2)  # [channels, points, rows, fields]
        terms = linear.permute(0, 3, 1, 2).flatten(0, 1)  # [terms, points, rows]
        every = torch.cat([terms, (rows - linear.sum((0, 3)))[None]])
        return cls(len(points), (rows**2).sum(0), (every**2).sum(1), (jet[0] ** 2).sum(0))

    @classmethod
    def sizes(
        cls, parts: Sequence[tuple[float, Sequence["_Sums"]]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Root mean squares: of the terms (their sum) and residuals, [rows], and of the fields.

        Args:
            parts: (share of the domain that the points represent, their sums in chunks).
        """

        def size(of: Callable[["_Sums"], torch.Tensor]) -> torch.Tensor:
            total = torch.zeros_like(of(parts[0][1][0]))
            for share, chunks in parts:
                count = sum(chunk.points for chunk in chunks)
                total += share * torch.stack([of(chunk) for chunk in chunks]).sum(0) / count
            return total.sqrt()

        return (
            size(lambda one: one.terms).sum(0),
            size(lambda one: one.residuals),
            size(lambda one: one.values),
        )


def _worst_share(residuals: torch.Tensor, sizes: torch.Tensor) -> float:
    """The largest ratio of an equation's residual to the size of its terms."""
    worst = float(torch.where(residuals == 0, 0.0, residuals / sizes).max())
    return worst if math.isfinite(worst) else math.inf


def _scale_notes(problem: Problem, sizes: torch.Tensor) -> list[str]:
    """A sentence for each field whose size is far from the scale that the family declares."""
    notes = []
    for name, scale, size in zip(problem.fields, problem.scales, sizes.tolist(), strict=True):
        if size > SCALE_RATIO * scale or 0 < size < scale / SCALE_RATIO:
            notes.append(
                f"the field {name} has the size {size:.1e} here and is measured in {scale:g}: if "
                "that is its size, and not that of a fit that failed, declare it in `scales` of "
                f"the family {problem.name}"
            )
    return notes
