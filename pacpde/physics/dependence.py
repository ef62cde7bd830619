"""What the functions of a problem depend on: fields, coefficients and numbers that torch follows.

They are tried at random points for random fields. What is noticed here is silent elsewhere: a
coefficient that nothing reads, a field without equation, a pressure that is known but for a
constant, a part of the equation that torch cannot differentiate.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from pacpde.errors import MissingConditionWarning, PacpdeError
from pacpde.physics.calls import line_of
from pacpde.physics.derivatives import ChannelDerivative
from pacpde.physics.evaluation import random_jet, rows_at, start_at
from pacpde.physics.findings import Finding, Verdict, sentence_case
from pacpde.physics.problem import Problem
from pacpde.runtime import gradients

POINTS = 1024
STEP = 1e-5  # of a central difference: its error is about STEP², its rounding 1e-16/STEP
ROUNDING = 1e-14  # of a row's values: what they are known to, some terms cancelling
ALIKE = 1e-4  # relative difference of derivatives by torch and by differences: far above both
ONE_SIDE = 1.0  # is added to a field to see whether its value is read

FAULTS = (PacpdeError, ArithmeticError, ValueError)  # of a family at a bound of a coefficient

Jet = dict[str, list[np.ndarray]]


def dependence(problem: Problem) -> Iterator[Finding]:
    """What is wrong or doubtful in the equation, fields and coefficients of a problem."""
    tried = _Tried(problem)
    yield from tried.rows_without_fields()
    yield from tried.unread_fields()
    yield from tried.undetermined_constants()
    yield from tried.missing_conditions()
    yield from tried.cut_from_torch()
    yield from tried.not_finite()
    yield from tried.coefficients()


def read_coefficients(problem: Problem) -> list[str]:
    """The coefficients that change the equation, the start or the conditions."""
    tried = _Tried(problem)
    return [name for name in problem.declared() if tried.is_read(name)]


def warn_of_missing_conditions(
    problem: Problem, stacklevel: int, *, measured: bool = False
) -> None:
    """Say where a problem may have many solutions, before time goes into one of them.

    Args:
        measured: whether measurements are fitted too, which may tell the constant of a field.

    Warns:
        MissingConditionWarning: with the field and the ends.
    """
    tried = _Tried(problem)
    findings = list(tried.missing_conditions())
    if not measured:
        findings += tried.undetermined_constants()
    if findings:
        text = " ".join(finding.sentence for finding in findings)
        warnings.warn(f"{problem}: {text}", MissingConditionWarning, stacklevel=stacklevel + 1)


@dataclass(frozen=True)
class _Tried:
    """A problem, tried at random points for random fields."""

    problem: Problem

    @cached_property
    def at(self) -> dict[str, np.ndarray]:
        points = self.problem.domain.random(POINTS, np.random.default_rng(0))
        return dict(zip(self.problem.domain.names, points.T, strict=True))

    @cached_property
    def jet(self) -> Jet:
        """Positive fields, so that roots and logarithms are numbers."""
        rng = np.random.default_rng(1)
        jet = random_jet(self.problem, self.problem.scales, POINTS, rng)
        return {**jet, "": [np.abs(values) for values in jet[""]]}

    @cached_property
    def rows(self) -> list[np.ndarray]:
        return rows_at(self.problem, self.jet, self.at)

    @cached_property
    def own_values(self) -> dict[str, np.ndarray]:
        """What each function of the problem gives."""
        return self._values_of(self.problem)

    @property
    def place(self) -> str:
        """The family's own function of the equation, with its line."""
        name = self.problem.equation_name
        return f"the {name}{line_of(self.problem, name)}"

    def rows_without_fields(self) -> Iterator[Finding]:
        other = {name: [2 * values + 1 for values in own] for name, own in self.jet.items()}
        for number, (row, changed) in enumerate(
            zip(self.rows, rows_at(self.problem, other, self.at), strict=True), start=1
        ):
            if np.array_equal(row, changed, equal_nan=True):
                yield Finding(
                    "equation",
                    f"Row {number} of {self.place} does not depend on any field, so that no "
                    "solution can make it 0: leave it out, or write its equation.",
                    Verdict.WRONG,
                )

    def unread_fields(self) -> Iterator[Finding]:
        names = self.problem.fields
        if self.problem.n_rows < len(names):
            yield Finding(
                "equation",
                f"{sentence_case(self.place)} gives {self.problem.n_rows} rows for the "
                f"{len(names)} fields {', '.join(names)}: give at least one a field.",
                Verdict.WRONG,
            )
        for number, field in enumerate(names):
            if not self._changes(number, list(self.jet)):
                yield Finding(
                    "equation",
                    f"No row of {self.place} reads the field {field}, so that nothing determines "
                    "it: leave it out of `fields`, or write its equation.",
                    Verdict.WRONG,
                )

    def undetermined_constants(self) -> Iterator[Finding]:
        """Fields of which only derivatives are read, and whose value no condition gives."""
        for number, field in enumerate(self.problem.fields):
            points = self.problem.boundary.points
            valued = self.problem.edges_give_value(number) or any(
                point.field == number for point in points
            )
            if valued or self._changes(number, [""]) or not self._changes(number, list(self.jet)):
                continue
            point = ", ".join(f'"{axis.name}": {axis.lower:g}' for axis in self.problem.domain.axes)
            yield Finding(
                "conditions",
                f"Only derivatives of {field} are read, and no condition gives its value: {field} "
                f"and {field} + 1 are both solutions. Pin it by "
                f'PointValue({{{point}}}, 0.0, field="{field}").',
                Verdict.WRONG,
            )

    def missing_conditions(self) -> Iterator[Finding]:
        """Where an equation that is no `Evolution` has fewer conditions than derivatives ask for.

        A field may have none where another has them for it, as a clamped beam has its deflection
        and its slope for the moment. Evolutions are checked when the first problem is made.
        """
        problem = self.problem
        if problem.order:
            return
        for number, field in enumerate(problem.fields):
            for axis in problem.domain.axes:
                highest = problem.recorded.orders(axis.name)[number]
                if axis.name in problem.boundary.periodic or not highest:
                    continue
                ends = {
                    f"{axis.name}{'+' if upper else '-'}": len(
                        problem.boundary.at(axis.name, upper, number)
                    )
                    for upper in (False, True)
                }
                bare = [end for end, count in ends.items() if not count]
                if len(bare) == 2 and self._has_enough(axis.name):
                    bare = []
                known = "no condition"
                if axis.name == "t":
                    bare = ["t-"] if ends["t-"] < highest and not ends["t+"] else []
                    known = f"only {ends['t-']} of {highest} conditions" if ends["t-"] else known
                if bare and (highest > 1 or axis.name == "t"):
                    yield Finding(
                        "conditions",
                        f"{field} has derivatives of order {highest} in {axis.name} and {known} at "
                        f"{' and '.join(bare)}: it may have many solutions.",
                        Verdict.DOUBTFUL,
                    )
        if problem.domain.time and not any("t" in name for name in problem.derivatives_read):
            yield Finding(
                "equation",
                f"{sentence_case(self.place)} reads no derivative in t, so that each time is "
                'solved by itself: add d(u, "t"), or leave out the axis t.',
                Verdict.DOUBTFUL,
            )

    def _has_enough(self, axis: str) -> bool:
        """Whether all fields have together what those of second order and above ask for."""
        asked = sum(order for order in self.problem.recorded.orders(axis) if order > 1)
        return sum(edge.axis == axis for edge in self.problem.edge_conditions) >= asked

    @gradients()
    def cut_from_torch(self) -> Iterator[Finding]:
        """Rows whose derivative by torch is not that of their values."""
        names, direction = list(self.jet), np.random.default_rng(2)
        moves = {
            name: [values.std() * direction.normal(size=POINTS) for values in self.jet[name]]
            for name in names
        }
        ahead, behind = (
            rows_at(
                self.problem,
                {
                    name: [
                        value + sign * STEP * move
                        for value, move in zip(self.jet[name], moves[name], strict=True)
                    ]
                    for name in names
                },
                self.at,
            )
            for sign in (1, -1)
        )
        leaves = {
            name: [torch.from_numpy(value.copy()).requires_grad_(True) for value in self.jet[name]]
            for name in names
        }
        at = {
            name: torch.from_numpy(value.copy()).requires_grad_(True)
            for name, value in self.at.items()
        }
        for edge in self.problem.boundary.edges:
            edge.value_at(at)  # what takes no tensors fails, and is said with its line
        d = ChannelDerivative(leaves, self.problem.domain.names, at)
        for number, row in enumerate(self.problem.rows(d.fields, d)):
            wanted = (ahead[number] - behind[number]) / (2 * STEP)
            got = _along(row, leaves, moves)
            gap, slope, size = (
                float(np.nanmedian(np.abs(values)))
                for values in (got - wanted, wanted, ahead[number])
            )
            if gap > ALIKE * slope + ROUNDING / STEP * size:
                yield Finding(
                    "equation",
                    f"Torch cannot differentiate all of row {number + 1} of {self.place}: write it "
                    "with plain arithmetic and the functions of pacpde.physics.elementary, without "
                    "float(), .item(), .detach() or numpy.",
                    Verdict.WRONG,
                )

    def not_finite(self) -> Iterator[Finding]:
        """A start and conditions that are nan or inf at the problem's own coefficients.

        Rows are not looked at: fields are random, and a root may be right for those that are meant.
        """
        for what, values in self.own_values.items():
            share = 1 - float(np.isfinite(values).mean())
            if share and not what.startswith("row"):
                yield Finding(
                    "equation",
                    f"{sentence_case(what)} is not finite at {share:.0%} of random points: look "
                    "for the root or the logarithm of a negative number, and for what is divided "
                    "by 0.",
                    Verdict.WRONG,
                )

    def coefficients(self) -> Iterator[Finding]:
        for name, about in self.problem.declared().items():
            if not self.is_read(name):
                yield Finding(
                    "coefficients",
                    f"Nothing reads the coefficient {name} ({about.meaning}): equation, start and "
                    f"conditions are the same at {about.lower:g} and {about.upper:g}, so that a "
                    f"transfer in {name} changes nothing. Write self.{name} where it belongs.",
                    Verdict.WRONG,
                )
                continue
            for value in (about.lower, about.upper):
                yield from self._at_bound(name, value)

    def _at_bound(self, name: str, value: float) -> Iterator[Finding]:
        where = f"At {name} = {value:g}, within its bounds,"
        try:
            parts = self._values(name, value)
        except FAULTS as error:
            what = "" if isinstance(error, PacpdeError) else f"{type(error).__name__}: "
            said = f"{where} there is no problem: {what}{str(error).rstrip('.')}."
            yield Finding("coefficients", said, Verdict.WRONG)
            return
        own = self.own_values
        for what, values in parts.items():
            if not np.isfinite(own[what]).all():
                continue  # whatever the coefficient is
            if not np.isfinite(values).all():
                yield Finding(
                    "coefficients",
                    f"{where} {what} is not finite: change the bounds, or what divides by {name}.",
                    Verdict.WRONG,
                )

    def is_read(self, name: str) -> bool:
        """Whether a coefficient changes anything between its bounds."""
        about = self.problem.declared()[name]
        try:
            lower, upper = (self._values(name, value) for value in (about.lower, about.upper))
        except FAULTS:
            return True
        return any(
            not np.array_equal(values, upper[what], equal_nan=True)
            for what, values in lower.items()
        )

    def _values(self, name: str, value: float) -> dict[str, np.ndarray]:
        """What each function of the problem gives with another coefficient."""
        return self._values_of(self.problem.with_coefficients(**{name: value}))

    def _values_of(self, problem: Problem) -> dict[str, np.ndarray]:
        """What each function of a problem gives."""
        rows = rows_at(problem, self.jet, self.at)
        parts = {f"row {number}": row for number, row in enumerate(rows, start=1)}
        parts |= start_at(problem, self.at)
        for number, edge in enumerate(problem.boundary.edges):
            with np.errstate(all="ignore"):
                given = np.asarray(edge.value_at(self.at), float)
            parts[f"condition {number + 1} at {edge.where}"] = np.append(given, (edge.a, edge.b))
        for number, point in enumerate(problem.boundary.points):
            parts[f"point value {number + 1}"] = np.array([*point.point, point.value])
        return parts

    def _changes(self, field: int, channels: Sequence[str]) -> bool:
        """Whether a row changes with some derivatives of a field; "" is its value."""
        jet = {
            name: [
                values + ONE_SIDE if name in channels and number == field else values
                for number, values in enumerate(own)
            ]
            for name, own in self.jet.items()
        }
        return any(
            not np.array_equal(row, changed, equal_nan=True)
            for row, changed in zip(self.rows, rows_at(self.problem, jet, self.at), strict=True)
        )


def _along(
    row: torch.Tensor, leaves: dict[str, list[torch.Tensor]], moves: dict[str, list[np.ndarray]]
) -> np.ndarray:
    """The derivative of a row along `moves` by torch, [points]."""
    if not isinstance(row, torch.Tensor) or not row.requires_grad:
        return np.zeros(POINTS)
    flat = [leaf for name in leaves for leaf in leaves[name]]
    slopes = torch.autograd.grad(row.sum(), flat, allow_unused=True, retain_graph=True)
    steps = [move for name in leaves for move in moves[name]]
    terms = [
        slope.numpy() * step for slope, step in zip(slopes, steps, strict=True) if slope is not None
    ]
    return np.asarray(sum(terms, np.zeros(POINTS)))
