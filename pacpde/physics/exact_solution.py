"""Whether the `exact` of a family solves its equation and meets its conditions.

`exact` is written for numpy arrays, so that its derivatives are those of polynomials through its
values: around each point, on Chebyshev nodes, at several widths. A smooth function has a width at
which they are right to some nine digits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import chebyshev

from pacpde.errors import named_numbers
from pacpde.physics.calls import line_of
from pacpde.physics.evaluation import exact_at, rows_at
from pacpde.physics.findings import Finding, Verdict, sentence_case
from pacpde.physics.problem import Problem

POINTS = 64
NODES = 11
WIDTHS = (0.5, 0.15, 0.05, 0.015, 0.005, 1.5e-3, 5e-4)  # of half a stencil, shares of an axis
LIMIT = 1e-3  # of a relative residual: differences of a front of 1e-3 of the axis leave less

Jet = dict[str, list[np.ndarray]]


def exact_solution(problem: Problem) -> Iterator[Finding]:
    """The residuals of `exact` in the equation and in the conditions; nothing without one."""
    tried = _Exact(problem)
    if not tried.known:
        return
    place = f"exact{line_of(problem, 'exact')}"
    number, share, at = tried.worst_row()
    row = f"row {number + 1}" if problem.n_rows > 1 else "the equation"
    yield _finding(f"{place} leaves a residual of {share:.1e} in {row}, worst near {at}", share)
    missed = list(tried.conditions())
    for what, share in missed:
        if not share <= LIMIT:
            sentence = f"{place} misses the condition of {what} by {share:.1e} of its size"
            yield _finding(sentence, share)
    worst = max((share for _, share in missed), default=0.0)
    if worst <= LIMIT:
        yield _finding(f"{place} meets the conditions to {worst:.1e} of their size", worst)


def missed_conditions(problem: Problem) -> Iterator[tuple[str, float]]:
    """Where start and conditions hold, and by which share of its size `exact` misses each."""
    return _Exact(problem).conditions()


def _finding(sentence: str, share: float) -> Finding:
    wrong = not share <= LIMIT
    remedy = ": correct it, or the equation" if wrong else ""
    verdict = Verdict.WRONG if wrong else Verdict.FOUND
    return Finding("exact", f"{sentence_case(sentence)}{remedy}.", verdict)


@dataclass(frozen=True)
class _Exact:
    """The exact solution of a problem at random points."""

    problem: Problem

    @cached_property
    def points(self) -> np.ndarray:
        """Of the open box, [points, axes]."""
        unit = np.random.default_rng(0).uniform(0.02, 0.98, (POINTS, len(self.problem.axes)))
        return self.problem.domain.from_unit(unit)

    @property
    def known(self) -> bool:
        return exact_at(self.problem, list(self.points.T)) is not None

    @cached_property
    def sizes(self) -> np.ndarray:
        """Root mean square of each field, [fields]; its scale where it is 0."""
        sizes = np.sqrt(np.mean(self.values(self.points) ** 2, axis=1))
        return np.where(sizes > 0, sizes, self.problem.scales)

    def values(self, points: np.ndarray) -> np.ndarray:
        """The fields [fields, ...] at points [..., axes]."""
        values = exact_at(self.problem, list(np.moveaxis(points, -1, 0)))
        assert values is not None
        return values

    def jet(self, points: np.ndarray, names: Sequence[str], width: float) -> Jet:
        """Derivatives at points [points, axes], one array a field."""
        axes = self.problem.domain.axes
        moved = [axis for axis in axes if any(axis.name in name for name in names)]
        nodes, weights = {}, {}
        for axis in moved:
            x, half = points[:, axes.index(axis)], width * axis.length
            centre = np.clip(x, axis.lower + half, axis.upper - half)
            nodes[axis.name] = centre[:, None] + half * chebyshev.chebpts2(NODES)
            orders = range(1 + max(name.count(axis.name) for name in names))
            weights[axis.name] = [_weights((x - centre) / half, k) / half**k for k in orders]
        shape = (len(points), *(NODES for _ in moved))
        stencil = np.empty((*shape, len(axes)))
        for number, axis in enumerate(axes):
            own = nodes.get(axis.name, points[:, number, None])
            sides = [NODES if other == axis else 1 for other in moved]
            stencil[..., number] = own.reshape(len(points), *sides)
        values = self.values(stencil)
        result: Jet = {}
        for name in names:
            array = values
            for axis in moved:
                array = np.einsum(
                    "fpn...,pn->fp...", array, weights[axis.name][name.count(axis.name)]
                )
            result[name] = list(array)
        return result

    def worst_row(self) -> tuple[int, float, str]:
        """Number of the worst row, its relative residual, and the place, in words.

        A residual is relative to what a row changes by where one derivative is left out.
        """
        at = dict(zip(self.problem.domain.names, self.points.T, strict=True))
        shares = np.min([self._shares(width, at) for width in WIDTHS], axis=0)
        row, point = np.unravel_index(int(shares.argmax()), shares.shape)
        place = dict(zip(self.problem.domain.names, self.points[point], strict=True))
        return int(row), float(shares[row, point]), named_numbers(place, " = ", 3)

    def _shares(self, width: float, at: Mapping[str, np.ndarray]) -> np.ndarray:
        """Relative residuals from derivatives at one width, [rows, points]; inf for no number."""
        jet = self.jet(self.points, self.problem.channels, width)
        rows = np.stack(rows_at(self.problem, jet, at))
        sizes = [
            np.abs(rows - np.stack(rows_at(self.problem, _without(jet, name, field), at)))
            for name in jet
            for field in range(len(self.problem.fields))
        ]
        unit = np.sqrt(np.nanmean(np.max(sizes, axis=0) ** 2, axis=1))[:, None]
        shares = np.abs(rows) / np.where(unit > 0, unit, 1.0)
        return np.where(np.isfinite(shares), shares, np.inf)

    def conditions(self) -> Iterator[tuple[str, float]]:
        """Where each condition holds, and by which share of its size it is missed."""
        names = self.problem.domain.names
        for edge in self.problem.edge_conditions:
            axis = self.problem.domain.axis(edge.axis)
            points = self.points.copy()
            points[:, names.index(axis.name)] = axis.upper if edge.upper else axis.lower
            at = dict(zip(names, points.T, strict=True))
            wanted = np.asarray(edge.value_at(at), float)
            missed = []
            for width in WIDTHS if edge.b else WIDTHS[:1]:
                channels = ("", axis.name) if edge.b else ("",)
                jet = self.jet(points, channels, width)
                slope = (jet[axis.name] if edge.b else jet[""])[edge.field]
                outwards = slope if edge.upper else -slope
                missed.append(np.abs(edge.a * jet[""][edge.field] + edge.b * outwards - wanted))
            size = self.sizes[edge.field] * edge.size(axis.length)
            where = "the start" if edge.axis == "t" and self.problem.order else edge.where
            share = np.max(np.min(missed, axis=0)) / size
            yield f"{self.problem.fields[edge.field]} at {where}", float(share)
        for name in self.problem.boundary.periodic:
            axis, ends = self.problem.domain.axis(name), []
            for end in (axis.lower, axis.upper):
                points = self.points.copy()
                points[:, names.index(name)] = end
                ends.append(self.values(points))
            for field, gap in zip(self.problem.fields, np.abs(ends[1] - ends[0]), strict=True):
                size = self.sizes[self.problem.fields.index(field)]
                yield f"{field} at the seam of {name}", float(gap.max() / size)
        for point in self.problem.boundary.points:
            value = self.values(np.array([point.point]))[point.field, 0]
            field = self.problem.fields[point.field]
            yield f"{field} at a point", float(abs(value - point.value) / self.sizes[point.field])


def _without(jet: Jet, name: str, field: int) -> Jet:
    """The jet with one derivative of one field at 0."""
    own = [0 * values if number == field else values for number, values in enumerate(jet[name])]
    return {**jet, name: own}


def _weights(x: np.ndarray, order: int) -> np.ndarray:
    """Weights of values at Chebyshev nodes for a derivative at x in [−1, 1], [len(x), NODES]."""
    inverse = np.linalg.inv(chebyshev.chebvander(chebyshev.chebpts2(NODES), NODES - 1))
    basis = np.eye(NODES)
    rows = [chebyshev.chebval(x, chebyshev.chebder(b, order)) for b in basis]
    return np.stack(np.broadcast_arrays(*rows), -1) @ inverse
