"""Jumps of derivatives, which a residual at points does not see.

Where u_x jumps, u_xx is infinite at one place, where no point lies: everywhere else the equation
may be met, and the solution be wrong. Networks with kinks do so, as those of ReLU neurons, which
are linear between their kinks. A solution of an equation of order m has derivatives of order m − 1
that are continuous.

Between two points a continuous derivative changes by the integral of the next one. In half of the
distance the error of the trapezoidal rule is an eighth, and a jump is as large as before: where the
two differ most, the distance is halved until one or the other is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.derivatives import channel_names
from pacpde.physics.problem import Problem
from pacpde.runtime import generator

LINES = 3  # along each axis, at random places of the others
PARTS, INTERVALS = 32, 32  # of a line; of a part, of which the one is halved where most is missing
SEARCHED = 16  # of these, that are left at least after halvings that leave the half of them
HALVINGS = 36  # at most; a derivative like √|x| is told from a jump
SMALL = 1e-6  # of a jump, as a share of the size of its derivative
ROUNDING = 1e4  # units of roundoff of a derivative, as such a share
UNSEEN = "no point of a fit sees that"
SMOOTH = "take a network without kinks, as of tanh or sin in place of ReLU"


@dataclass(frozen=True)
class Jump:
    """The largest jump that was found.

    Attributes:
        name: of what jumps, as "u" or "u_x".
        next: of the derivative that the equation has of it, as "u_xx".
        size: of the jump, as a share of the largest size of what jumps.
        place: coordinate → where it is.
    """

    name: str
    next: str
    size: float
    place: dict[str, float]

    def __str__(self) -> str:
        where = ", ".join(f"{axis} = {at:.3g}" for axis, at in self.place.items())
        return (
            f"{self.name} jumps by {self.size:.1g} of its size at {where}, where the equation has "
            f"{self.next}: {UNSEEN}, so that a small residual says nothing of the error: {SMOOTH}; "
            "where it is one, its weights have grown so large that it has steps"
        )


@dataclass(frozen=True)
class _Sought:
    """A derivative of a field, and the next one along an axis.

    Attributes:
        field, axis: their numbers.
        lower, upper: places of the two derivatives among those of a jet.
    """

    field: int
    axis: int
    lower: int
    upper: int


def jump(solver: Surrogate) -> Jump | None:
    """The largest jump of a derivative of which the equation has the next one; None without one.

    Args:
        solver: of a problem, with weights that are finite.

    Example:
        >>> print(jump(fit(Heat(), steps=1)))  # its neurons are smooth
        None
    """
    problem, rng = solver.problem, generator(0, "jumps")
    found: list[Jump] = []
    for number, axis in enumerate(problem.domain.axes):
        count = PARTS * INTERVALS + 3  # two of the intervals are neighbours alone
        lines = np.tile(problem.domain.random(LINES, rng), (count, 1, 1))
        # without the ends, where an ansatz may be singular, and the middle, where kinks are likely
        share = (np.arange(count) + 0.4) / count
        lines[..., number] = (axis.lower + axis.length * share)[:, None]
        jets = _jet(solver, lines.reshape(-1, lines.shape[-1]))
        if not np.isfinite(jets).all():
            return None
        jets = jets.reshape(len(jets), *lines.shape[:2], -1)
        for one in _sought(problem, number):
            largest = _largest(solver, one, lines, jets)
            found += [] if largest is None else [largest]
    return max(found, key=lambda one: one.size, default=None)


def _sought(problem: Problem, number: int) -> Iterator[_Sought]:
    """What has to be continuous along an axis."""
    axis, names = problem.domain.names[number], problem.channels
    for field, read in enumerate(problem.recorded.by_field.values()):
        for name in channel_names(read):
            if axis in name:
                lower = name.replace(axis, "", 1)
                yield _Sought(field, number, names.index(lower), names.index(name))


def _largest(solver: Surrogate, one: _Sought, lines: np.ndarray, jets: np.ndarray) -> Jump | None:
    """The largest jump of a derivative along lines.

    Args:
        lines: points [points, lines, axes].
        jets: all derivatives at them, [derivatives, points, lines, fields].
    """
    problem = solver.problem
    size = _size(problem, one, jets)
    least = max(SMALL, ROUNDING * torch.finfo(solver.weights.dtype).eps) * size
    at, values = lines[..., one.axis], jets[[one.lower, one.upper], ..., one.field]
    missing = _missing(values[0, 1:-1], at[1:-1], _mean_of_four(values[1]))
    missing = missing.reshape(PARTS, INTERVALS, LINES)
    part, line = np.indices((PARTS, LINES)).reshape(2, -1)
    place = 1 + part * INTERVALS + missing.argmax(1).ravel()
    points = lines[place, line]
    ends = np.stack([place, place + 1])
    at, values = at[ends, line], values[:, ends, line]
    missing = _missing(values[0], at, _mean_of_two(values[1]))[0]
    for _ in range(HALVINGS):
        left = np.argsort(-missing)[: max(len(missing) // 2, SEARCHED)]
        left = left[missing[left] > least]
        if not len(left):
            return None
        points, at, values = points[left], at[:, left], values[:, :, left]
        points[:, one.axis] = at.mean(0)
        middle = _jet(solver, points)[[one.lower, one.upper], :, one.field]
        at = np.stack([at[0], points[:, one.axis], at[1]])
        values = np.stack([values[:, 0], middle, values[:, 1]], 1)
        halves = _missing(values[0], at, _mean_of_two(values[1]))
        half, missing, number = halves.argmax(0), halves.max(0), np.arange(len(points))
        ends = np.stack([half, half + 1])
        at, values = at[ends, number], values[:, ends, number]
    sizes = np.abs(values[0, 1] - values[0, 0])
    worst = int(sizes.argmax())
    if sizes[worst] <= least:
        return None
    field, names = problem.fields[one.field], problem.channels
    where = dict(zip(problem.domain.names, points[worst].tolist(), strict=True))
    lower, upper = (f"{field}_{names[k]}".rstrip("_") for k in (one.lower, one.upper))
    return Jump(lower, upper, float(sizes[worst] / size), where)


def _missing(lower: np.ndarray, at: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What a derivative changes by between neighbours beyond the integral of the next one.

    Args:
        lower: the derivative, [points, ...].
        at: coordinates, [points, ...].
        mean: of the next one between neighbours, [points - 1, ...].
    """
    return np.asarray(np.abs(np.diff(lower, axis=0) - np.diff(at, axis=0) * mean))


def _mean_of_two(upper: np.ndarray) -> np.ndarray:
    """The means between neighbours, by the trapezoidal rule, [points - 1, ...]."""
    return np.asarray((upper[1:] + upper[:-1]) / 2)


def _mean_of_four(upper: np.ndarray) -> np.ndarray:
    """The same by cubics through four equidistant points, which sees kinks beside steep fronts.

    The first and the last interval have no neighbours, and are left out, [points - 3, ...].
    """
    inner = 13 * (upper[1:-2] + upper[2:-1]) - (upper[:-3] + upper[3:])
    return np.asarray(inner / 24)


def _size(problem: Problem, one: _Sought, jets: np.ndarray) -> float:
    """The size of a derivative along lines; no less than that of the field over its axes."""
    lengths = [problem.domain.axis(axis).length for axis in problem.channels[one.lower]]
    field = max(np.abs(jets[0, ..., one.field]).max(), problem.scales[one.field])
    return float(max(np.abs(jets[one.lower, ..., one.field]).max(), field / np.prod(lengths)))


def _jet(solver: Surrogate, points: np.ndarray) -> np.ndarray:
    """Derivatives of the fields at points [points, axes]: [derivatives, points, fields]."""
    with torch.no_grad():
        found = solver.jet(solver.runtime.tensor(points), solver.problem.channels)
    return found.double().cpu().numpy()
