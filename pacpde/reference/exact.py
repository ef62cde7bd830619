"""The exact solution that a family gives, as a reference, checked against its own equation."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pacpde.errors import InvalidValueError, SolverError
from pacpde.physics import Axis, Problem
from pacpde.physics.domain import Domain
from pacpde.physics.evaluation import exact_at, rows_at
from pacpde.physics.exact_solution import missed_conditions
from pacpde.physics.numbers import along_axis
from pacpde.reference.box import BoxSolution
from pacpde.reference.certificate import default_tolerance
from pacpde.reference.nodal import NodalAxis
from pacpde.reference.solution import Reference, field_errors
from pacpde.reference.steady_levels import steady_output
from pacpde.runtime import generator

PLACES = 24  # at which the equation is tried
NODES = 12  # an axis, of a patch around a place
WIDTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)  # of a patch, as shares of an axis
NUDGE = 1e-4  # of derivatives, to see the size of the terms of a row
ROUNDING = 4 * np.finfo(float).eps  # of coordinates
SAFETY = 4.0
DISAGREEMENT = 1e-4  # from an equation: no rounding, but another solution


@dataclass(frozen=True)
class ExactSolution(BoxSolution):
    """The fields that `exact` of a family gives."""

    problem: Problem

    form = "exact"

    @property
    def domain(self) -> Domain:
        return self.problem.domain

    def on_grid(self, *axes: np.ndarray) -> np.ndarray:
        return _exact(self.problem, list(np.meshgrid(*axes, indexing="ij")))

    def scattered(self, points: list[np.ndarray]) -> np.ndarray:
        return _exact(self.problem, points)

    def arrays(self) -> dict[str, np.ndarray]:
        return {}


def gives_exact(problem: Problem) -> bool:
    """Whether a family gives an exact solution for its coefficients."""
    place = [np.array([(axis.lower + axis.upper) / 2]) for axis in problem.domain.axes]
    with np.errstate(all="ignore"):
        return problem.exact(*place) is not None


def exact_reference(problem: Problem, target: float | None = None) -> Reference:
    """The exact solution of a family as a reference.

    Its `certified_error` is the largest of three: by how much it changes where the coordinates
    change by rounding; how far it misses the equation at half of 24 random places, as a share of
    its terms; and how far it misses start and conditions, as a share of their sizes (see
    `missed_conditions`). Its derivatives are those of Chebyshev interpolants in small boxes, whose
    own rounding is counted, too.

    Args:
        target: what is asked for; `tolerances["limit"]` says why it is not met. 1e-10 by default,
            1e-9 with two space axes or more.

    Raises:
        SolverError: the family gives none, it is not finite, or it does not solve the equation.
    """
    began, target = time.perf_counter(), default_tolerance(problem) if target is None else target
    axes = steady_output(problem)
    solution = ExactSolution(problem)
    values = solution.on_grid(*axes.values())
    if not np.isfinite(values).all():
        raise SolverError(f"{problem}: `exact` is not finite in the whole domain.")
    worst, missed = max(_misses(problem), key=lambda miss: miss[1])
    if missed > DISAGREEMENT:
        raise SolverError(
            f"{problem}: `exact` does not solve the problem: it misses {worst} by "
            f"{missed:.1e} of the size of the terms."
        )
    error = max(_rounding(problem, axes, values), missed)
    why = f"its exact solution is seen to meet {worst} to {missed:.1e}"
    limit = {"limit": why} if error > target else {}
    return Reference(
        problem=problem,
        axes=axes,
        fields=dict(zip(problem.fields, values, strict=True)),
        certified_error=error,
        solver="the exact solution that the family gives",
        tolerances={"target": target, "agreement": missed, **limit},
        seconds=time.perf_counter() - began,
        dense=solution,
    )


def _exact(problem: Problem, coordinates: list[np.ndarray]) -> np.ndarray:
    """`exact` at coordinates of one shape, [fields, ...]."""
    try:
        values = exact_at(problem, coordinates)
    except InvalidValueError as error:
        raise SolverError(str(error)) from error
    if values is None:
        raise SolverError(f"{problem} gives no exact solution.")
    return values


def _rounding(problem: Problem, axes: dict[str, np.ndarray], values: np.ndarray) -> float:
    """By how much the fields change where the coordinates change by rounding."""
    rng = generator(0, "rounding of an exact solution")
    moved = [
        np.clip(x * (1 + ROUNDING * rng.choice([-1, 1], x.shape)), x[0], x[-1])
        for x in axes.values()
    ]
    again = ExactSolution(problem).on_grid(*moved)
    return max(SAFETY * max(field_errors(again, values, problem.scales)), ROUNDING)


def _misses(problem: Problem) -> Iterator[tuple[str, float]]:
    """What is to hold, and by what share of its size `exact` misses it.

    The equation at half of the places, the conditions at most.
    """
    places = problem.domain.random(PLACES, generator(0, "places of an exact solution"))
    tried = [[_rows(problem, patch) for patch in _patches(problem, place)] for place in places]
    rows = np.array([_best(shares) for shares in tried])
    for number, shares in enumerate(rows.T):
        several = f" in row {number + 1}" if rows.shape[1] > 1 else ""
        yield f"the equation{several}", float(np.median(shares))
    for where, share in missed_conditions(problem):
        yield f"the condition of {where}", share if np.isfinite(share) else np.inf


def _best(shares: list[np.ndarray]) -> np.ndarray:
    """The smallest share of any width: wide patches do not resolve, narrow ones round."""
    return np.nanmin(np.where(np.isfinite(shares), shares, np.inf), axis=0)


@dataclass(frozen=True, eq=False)
class _Patch:
    """`exact` on a small box: its nodal axes, the coordinates and the fields at the nodes."""

    axes: tuple[NodalAxis, ...]
    coordinates: dict[str, np.ndarray]
    fields: np.ndarray

    def derivative(self, name: str) -> np.ndarray:
        """A derivative of all fields, [fields, nodes...]."""
        values = self.fields
        for position, axis in enumerate(self.axes, start=1):
            order = name.count(axis.axis.name)
            if order:
                values = along_axis(axis.matrices(order)[order], values, position)
        return values


def _patches(problem: Problem, place: np.ndarray) -> Iterator[_Patch]:
    """Small boxes of some widths around a place, moved into the domain."""
    for width in WIDTHS:
        axes = []
        for axis, x in zip(problem.domain.axes, place, strict=True):
            half = width * axis.length / 2
            centre = np.clip(x, axis.lower + half, axis.upper - half)
            part = Axis(axis.name, float(centre - half), float(centre + half))
            axes.append(NodalAxis(part, NODES, periodic=False))
        grid = list(np.meshgrid(*(axis.nodes for axis in axes), indexing="ij"))
        at = dict(zip(problem.domain.names, grid, strict=True))
        yield _Patch(tuple(axes), at, _exact(problem, grid))


def _rows(problem: Problem, patch: _Patch) -> np.ndarray:
    """Root mean square of each row over that of its terms, [rows]."""
    rng = generator(0, "terms of an exact solution")
    channels = {name: patch.derivative(name) for name in {"", *problem.channels}}
    rows = rows_at(problem, {n: list(v) for n, v in channels.items()}, patch.coordinates)
    nudged = {n: v * (1 + NUDGE * rng.standard_normal(v.shape)) for n, v in channels.items()}
    again = rows_at(problem, {n: list(v) for n, v in nudged.items()}, patch.coordinates)
    shares = []
    for row, other, scale in zip(rows, again, problem.row_scales, strict=True):
        terms = float(np.sqrt(np.mean((other - row) ** 2))) / NUDGE
        shares.append(float(np.sqrt(np.mean(row**2))) / max(terms, 1e-3 * scale))
    return np.array(shares)
