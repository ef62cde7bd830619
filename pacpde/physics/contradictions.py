"""Where the start and the edges of a problem contradict each other, or edges each other.

An ansatz that meets both exactly has to bend one of them, or keeps a kink that the equation would
smooth out at once, and no residual inside the domain sees it: pointwise, x² + 2νt solves the heat
equation on a periodic axis. Such a problem has a solution nevertheless, which a fit finds where
start and edges are residuals beside the others.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pacpde.errors import InvalidValueError, named_numbers
from pacpde.physics.boundary import ConditionKey, EdgeCondition
from pacpde.physics.corners import Meeting, condition_sizes, meetings
from pacpde.physics.derivatives import taylor_channels
from pacpde.physics.domain import Axis
from pacpde.physics.narrow import START, narrow_features

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

LINES = 8  # along an axis, at which a start in several dimensions is looked at
SAMPLES = 2048  # intervals of a line
FINE = 2**16  # random points at which the size of a start is measured
SUSPECTS = 8  # intervals of a line that are looked at more closely
BESIDE = (2.0**-40, -(2.0**-40), 2.0**-24, -(2.0**-24))  # shares of an axis; rounding spoils some
HALVINGS = 34  # of such an interval, to a share of 2⁻⁴⁵ of the axis: rounding ends it there
# Share of the solution's size below which an ansatz may bend a start: it causes an error of about
# that share, far below 1e-2.
NEGLIGIBLE = 1e-4
SLOPES = 1e-3  # the same of slopes along an axis; rounding in a start leaves 1e-8 at most

Corner = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Contradiction:
    """A place where initial and boundary values contradict, or where initial values are not smooth.

    Attributes:
        field: whose.
        where: in words, with the coordinate.
        jump: by how much, in the field's own unit, or that an axis where `slope` is true.
        slope: whether the slope jumps rather than the value.
        narrow: whether it is no jump, but a feature too narrow for any fit to see.
        parts: the conditions that an ansatz does not meet exactly for that reason.
        corners: where it is: ends of axes, each with whether it is the upper one.
    """

    field: str
    where: str
    jump: float
    slope: bool = False
    narrow: bool = False
    parts: tuple[ConditionKey, ...] = dataclasses.field(default=(), compare=False, repr=False)
    corners: tuple[Corner, ...] = dataclasses.field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        if self.narrow:
            within = f"within 1/{SAMPLES} of an axis"
            return f"{self.field} changes by {self.jump:.2g} {within} {self.where}"
        what = f"the slope of {self.field}" if self.slope else self.field
        return f"{what} jumps by {self.jump:.2g} {self.where}"


def contradictions(problem: "Problem") -> tuple[Contradiction, ...]:
    """The contradictions on lines through the domain, the largest of each kind and field."""
    found = meetings(problem)
    if not problem.order or not problem.domain.space:
        sizes = condition_sizes(problem)
        return tuple(_disagreements(problem, found, np.where(sizes > 0, sizes, problem.scales)))
    result: list[Contradiction] = []
    broken: set[str] = set()  # fields whose start jumps or has a kink
    starts = StartOnLines(problem)
    for axis in problem.domain.space:
        for field, name in enumerate(problem.fields):
            inside = starts.inside(axis, field, name)
            broken |= {one.field for one in inside}
            result += inside
            if axis.name in problem.boundary.periodic:
                result += starts.seam(axis, field, name)
    result += starts.narrow(set(problem.fields) - broken)
    inside = [
        dataclasses.replace(one, parts=_start_of(problem, one.field), corners=((("t", False),),))
        for one in result
    ]
    return (*inside, *_disagreements(problem, found, starts.size))


@dataclass
class StartOnLines:
    """The start of a problem along lines in one axis, at random places in the others."""

    problem: "Problem"

    def __post_init__(self) -> None:
        space = self.problem.domain.space
        rng = np.random.default_rng(0)
        self.places = rng.uniform(0.01, 0.99, (LINES if len(space) > 1 else 1, len(space)))
        shares = np.concatenate([[0.0, 1.0], rng.random(FINE // len(self.places))])
        values = [self.line(axis, axis.lower + axis.length * shares)[0] for axis in space]
        walls = condition_sizes(self.problem)
        size = np.maximum(np.abs(np.concatenate(values, 1)).max((0, 1)), walls)
        self.size = np.where(np.isfinite(size) & (size > 0), size, self.problem.scales)

    def line(self, axis: Axis, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values and slopes along an axis at x [n] or [lines, n]: both [lines, n, fields].

        Where a slope is not finite, as that of √(x²) at 0, it is the one beside that place.
        """
        values, slopes = self._line(axis, x)
        if np.isfinite(slopes).all():
            return values, slopes
        places = np.broadcast_to(x, slopes.shape[:2])
        for share in BESIDE:
            beside = np.clip(places + share * axis.length, axis.lower, axis.upper)
            slopes = np.where(np.isfinite(slopes), slopes, self._line(axis, beside)[1])
        return values, slopes

    def _line(self, axis: Axis, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        names = [other.name for other in self.problem.domain.space]
        x = np.broadcast_to(x, (len(self.places), np.shape(x)[-1]))
        columns = {
            other.name: torch.from_numpy(
                x.reshape(-1).copy()
                if other.name == axis.name
                else np.repeat(other.lower + place * other.length, x.shape[1])
            )
            for other, place in zip(self.problem.domain.space, self.places.T, strict=True)
        }

        def start(**at: torch.Tensor) -> torch.Tensor:
            one = torch.ones_like(at[axis.name])
            return torch.stack(
                [
                    part * one
                    for part in self.problem.evolution.initial_fields(*(at[name] for name in names))
                ],
                -1,
            )

        jet = taylor_channels(start, columns, ("", axis.name)).numpy()
        return jet[0].reshape(*x.shape, -1), jet[1].reshape(*x.shape, -1)

    def inside(self, axis: Axis, field: int, name: str) -> list[Contradiction]:
        """Jumps and kinks of the start itself."""
        x = axis.grid(SAMPLES + 1)
        values, slopes = (part[..., field] for part in self.line(axis, x))
        if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
            return []  # told when points are drawn
        jumps = []
        for number, (samples, unit, slope) in enumerate(
            ((values, self.size[field], False), (slopes, self.size[field] / axis.length, True))
        ):
            least = (SLOPES if slope else NEGLIGIBLE) * unit
            jump, place = self._jump(axis, field, number, x, samples, least)
            if jump > least:
                where = f"inside the start, at {axis.name} = {place:.6g}"
                jumps.append(Contradiction(name, where, jump, slope))
        if not jumps:
            self._check_derivative(axis, values, slopes, name)
        return jumps[:1]  # a start that jumps has slopes that do

    def narrow(self, fields: set[str]) -> list[Contradiction]:
        """Features too narrow for the points of a fit that hold a share of the start's size."""
        result = []
        for feature in narrow_features(self.problem, START) if fields else ():
            field = self.problem.fields[feature.field]
            content = feature.height * feature.share**0.5  # in the mean square
            if field in fields and content > SLOPES * self.size[feature.field]:
                where = f"inside the start, at {named_numbers(feature.place, ' = ')}"
                result.append(Contradiction(field, where, feature.height, narrow=True))
        return result

    def _jump(
        self, axis: Axis, field: int, number: int, x: np.ndarray, samples: np.ndarray, least: float
    ) -> tuple[float, float]:
        """The largest change between neighbours that does not vanish with their distance.

        Args:
            number: 0 where `samples` [lines, n] are values at `x`, 1 where they are slopes.
            least: a change below this is none.
        """
        changes = np.abs(np.diff(samples, axis=1))
        chosen = np.argsort(changes, axis=1)[:, -SUSPECTS:]
        low, high = x[chosen], x[chosen + 1]
        at_low, at_high = (np.take_along_axis(samples, chosen + end, 1) for end in (0, 1))
        for _ in range(HALVINGS):
            if np.abs(at_high - at_low).max() <= least:
                break
            middle = (low + high) / 2
            at_middle = self.line(axis, middle)[number][..., field]
            left = np.abs(at_middle - at_low) >= np.abs(at_high - at_middle)
            low, at_low = np.where(left, low, middle), np.where(left, at_low, at_middle)
            high, at_high = np.where(left, middle, high), np.where(left, at_middle, at_high)
        left_over = np.abs(at_high - at_low)
        worst = np.unravel_index(left_over.argmax(), left_over.shape)
        return float(left_over[worst]), float(low[worst])

    def _check_derivative(
        self, axis: Axis, values: np.ndarray, slopes: np.ndarray, name: str
    ) -> None:
        """Refuse a start that autograd cannot differentiate, as one computed by numpy."""
        if np.ptp(values, axis=1).max() > NEGLIGIBLE * self.size.max() and not slopes.any():
            raise InvalidValueError(
                f"{self.problem.name}.initial: {name} changes along {axis.name} and its derivative "
                "is 0 everywhere: write it with plain arithmetic and the functions of "
                "pacpde.physics.elementary, so that torch can differentiate it."
            )

    def seam(self, axis: Axis, field: int, name: str) -> list[Contradiction]:
        """What does not agree at both ends of a periodic axis."""
        values, slopes = self.line(axis, np.array([axis.lower, axis.upper]))
        jump = float(np.abs(values[:, 1, field] - values[:, 0, field]).max())
        bend = float(np.abs(slopes[:, 1, field] - slopes[:, 0, field]).max())
        where = f"where the periodic axis {axis.name} closes, at the start"
        if jump > NEGLIGIBLE * self.size[field]:
            return [Contradiction(name, where, jump)]
        if bend > SLOPES * self.size[field] / axis.length:
            return [Contradiction(name, where, bend, slope=True)]
        return []


def _disagreements(
    problem: "Problem", found: Sequence[Meeting], sizes: np.ndarray
) -> Iterator[Contradiction]:
    """Where conditions contradict each other: each of the start, and the worst of the edges.

    Args:
        sizes: of the fields, [fields].
    """
    edges: dict[int, list[Meeting]] = {}
    for one in found:
        limit = SLOPES if one.slope else NEGLIGIBLE
        if not one.share > limit * sizes[one.first.field]:
            continue
        if one.first.axis == "t":
            yield _contradiction(problem, [one])
        else:
            edges.setdefault(one.first.field, []).append(one)
    for several in edges.values():
        yield _contradiction(problem, several)


def _contradiction(problem: "Problem", several: Sequence[Meeting]) -> Contradiction:
    """The worst of some disagreements; of a start and an edge, the start is left to residuals."""
    one = max(several, key=lambda own: own.share)
    first, second = _place(problem, one.first), _place(problem, one.second)
    if one.first.axis == "t":
        held = one.second.constant
        value = "" if held is None or one.second.b else f", held at {held:g}"
        rate = "its rate at " if one.first.b else ""
        where = f"from {rate}the start to the edge {second}{value}"
        parts = [one.first.key]
    else:
        where = f"where the edge {first} meets the edge {second}"
        parts = [key for own in several for key in (own.first.key, own.second.key)]
    return Contradiction(
        problem.fields[one.first.field],
        where,
        one.jump,
        one.slope,
        parts=tuple(dict.fromkeys(parts)),
        corners=tuple(own.corner for own in several),
    )


def _start_of(problem: "Problem", field: str) -> tuple[ConditionKey, ...]:
    number = problem.fields.index(field)
    return tuple(one.key for one in problem.start_conditions if one.field == number)


def _place(problem: "Problem", one: EdgeCondition) -> str:
    axis = problem.domain.axis(one.axis)
    return f"{one.axis} = {axis.upper if one.upper else axis.lower:g}"
