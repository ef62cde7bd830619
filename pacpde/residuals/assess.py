"""The residual of a solution as a share of the equation's terms, and the error it leads to."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pacpde.networks.assessment import Assessment
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.narrow import RIGHT_HAND_SIDE
from pacpde.physics.problem import Problem
from pacpde.residuals.error_estimate import error_estimate, linearised

EXTRA_POINTS = 15  # times as many more where the equation reads the coordinates
BOX_POINTS = 2048  # around a narrow feature
NOTE_RATIO = 2  # of the residual with a narrow feature to that without, above which it is noted
CHUNK = 8192  # points at once
SCALE_RATIO = 30  # of a field's size to its declared scale, or of that to it, that is noted


def assess(solver: Surrogate, points: torch.Tensor, estimate: bool = True) -> Assessment:
    """How far a solution can be trusted, from its equation alone.

    Args:
        points: held out, [points, axes].
        estimate: whether its error is estimated; that costs about as much as some steps of a fit.
    """
    problem = solver.problem
    if problem.coordinates_read:
        points = torch.cat([points, _random_points(problem, len(points) * EXTRA_POINTS).to(points)])
    sums = [_Sums.at(solver, chunk) for chunk in points.split(CHUNK)]
    sizes, residuals, fields = _Sums.sizes([(1.0, sums)])
    residual = _worst_share(residuals, sizes)
    notes = list(_scale_notes(problem, fields))
    # points of a continuation go without: the search for narrow features takes longer than they do
    features = problem.narrow_features if estimate else ()
    narrow = [one for one in features if one.what == RIGHT_HAND_SIDE]
    boxes = []
    for one in narrow:
        around, share = one.box(problem, BOX_POINTS)
        tensor = torch.from_numpy(around).to(points)
        boxes.append((share, [_Sums.at(solver, tensor)]))
    if boxes:
        sizes, residuals, _ = _Sums.sizes([(1.0, sums), *boxes])
        missed, residual = residual, max(residual, _worst_share(residuals, sizes))
        if residual > NOTE_RATIO * missed:
            notes += [f"{one}: the points of a fit hardly see it" for one in narrow]
    error = error_estimate(solver) if estimate else None
    if estimate and error is None:
        notes.append(
            "the error cannot be estimated for this kind of equation: only the residual is known"
        )
    return Assessment(residual, error, tuple(notes))


@dataclass(frozen=True)
class _Sums:
    """Sums of squares over some points.

    Attributes:
        points: how many.
        residuals: u_t − rhs, [fields].
        terms: the terms of every equation, [terms, fields]: u_t, every ∂rhs/∂c · c for a derivative
            c of a field, and what these leave of the right-hand side (sources).
        values: the fields, [fields].
    """

    points: int
    residuals: torch.Tensor
    terms: torch.Tensor
    values: torch.Tensor

    @classmethod
    def at(cls, solver: Surrogate, points: torch.Tensor) -> "_Sums":
        jet, slopes, rates = linearised(solver, points)
        changes = jet[solver.problem.channels.index("t")]
        linear = slopes * jet.unsqueeze(2)  # [channels, points, equations, fields]
        rest = rates - linear.sum((0, 3))
        terms = linear.permute(0, 3, 1, 2).flatten(0, 1)  # [terms, points, equations]
        every = torch.cat([terms, torch.stack([changes, rest])])
        return cls(
            len(points),
            ((changes - rates) ** 2).sum(0),
            (every**2).sum(1),
            (jet[0] ** 2).sum(0),
        )

    @classmethod
    def sizes(
        cls, parts: Sequence[tuple[float, Sequence["_Sums"]]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Root mean squares of terms (added up), residuals and fields, each [fields].

        Args:
            parts: (share of the domain that they stand for, points in chunks).
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
    """Residual over the size of the equation's terms, of the worst equation."""
    worst = float(torch.where(residuals == 0, 0.0, residuals / sizes).max())
    return worst if math.isfinite(worst) else math.inf


def _random_points(problem: Problem, count: int) -> torch.Tensor:
    """Random points for an equation that reads the coordinates: its sources may be narrow."""
    unit = np.random.default_rng(0).uniform(size=(count, len(problem.axes)))
    return torch.from_numpy(problem.domain.from_unit(unit))


def _scale_notes(problem: Problem, sizes: torch.Tensor) -> list[str]:
    """Fields whose size is far from what their family declares, each in a sentence."""
    notes = []
    for name, scale, size in zip(problem.fields, problem.scales, sizes.tolist(), strict=True):
        if size > SCALE_RATIO * scale or 0 < size < scale / SCALE_RATIO:
            notes.append(
                f"{name} has the size {size:.1e} here and is measured in {scale:g}: if that is its "
                "size, and not that of a fit that failed, declare it in `scales` of the family "
                f"{problem.name}"
            )
    return notes
