"""Features of a right-hand side or a start that are so narrow that points and grids miss them.

A source of width w in d coordinates holds a share w^d of the domain: ten thousand points see none
of it, and neither do two grids that agree with each other. Its foot is wider than itself, by four
or five times where it is high, and a search that starts at many random points climbs from there:

1. at every point, how far the value is from a line through two neighbours, in each coordinate;
2. the points where this is largest move to where it is larger still, by steps of all sizes;
3. at the top, the width along each coordinate, at half the height.

It finds what some ten points of the first step see the foot of, as a rule a width of 1e-4 in two
coordinates, 2e-3 in three. There is no guarantee: a function can hide whatever it likes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pacpde.physics.derivatives import ChannelDerivative

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

START, RIGHT_HAND_SIDE = "start", "right-hand side"
COUNT = 2**19  # points of the first step, for a right-hand side
START_COUNT = 2**18  # for a start, which every problem has
CHUNK = 2**16  # points at once
NEIGHBOUR = {1: 2.0**-11, 2: 2.0**-7, 3: 2.0**-5}  # share of an axis, by number of coordinates
FARTHEST = 2.0**-4  # the same of more coordinates
CLIMBERS = 32
ROUNDS = 60
TRIES = 12  # of a climber in a round
NARROW = 5e-4  # share of the domain: sixty thousand points see thirty of it
STEEP = 0.3  # of the distance of neighbours: half a width up to which a feature is narrow
REACH = 3.0  # of half a width, that a box around a feature has

Function = Callable[[np.ndarray], np.ndarray]  # unit cube [n, coordinates] → values [n, outputs]


@dataclass(frozen=True)
class Narrow:
    """A narrow feature.

    Attributes:
        what: "right-hand side" or "start".
        field: number of the field whose equation or start it is in.
        height: above what is beside it.
        place: coordinate → where it is highest.
        widths: coordinate → half its width at half its height; coordinates along which it is long
            are left out.
        share: of the domain, that it takes.
    """

    what: str
    field: int
    height: float
    place: Mapping[str, float]
    widths: Mapping[str, float]
    share: float

    def __str__(self) -> str:
        at = ", ".join(f"{name} = {value:.6g}" for name, value in self.place.items())
        wide = ", ".join(f"{2 * width:.1g} in {name}" for name, width in self.widths.items())
        return f"near {at} the {self.what} has a feature of the width {wide}"

    def same_as(self, other: "Narrow") -> bool:
        """Whether the other one is of the same field, at the same place."""
        return self.field == other.field and all(
            abs(self.place[name] - other.place[name]) < width for name, width in self.widths.items()
        )

    def box(self, problem: "Problem", count: int) -> tuple[np.ndarray, float]:
        """Random points around it [count, axes], and the share of the domain that they stand for.

        For a start they lie at the first time, and the share is of space.
        """
        lower, upper = [], []
        for axis in problem.axes:
            low, high = axis.lower, axis.upper
            if self.what == START and axis.name == "t":
                high = low
            elif axis.name in self.widths:
                reach = REACH * self.widths[axis.name]
                low = max(low, self.place[axis.name] - reach)
                high = min(high, self.place[axis.name] + reach)
            lower.append(low)
            upper.append(high)
        unit = np.random.default_rng(0).random((count, len(lower)))
        points = np.array(lower) + unit * (np.array(upper) - np.array(lower))
        share = 1.0
        for axis, low, high in zip(problem.axes, lower, upper, strict=True):
            if high > low:
                share *= (high - low) / axis.length
        return points, share


@lru_cache(maxsize=256)  # seeds and methods share their problems
def narrow_features(problem: "Problem", count: int = COUNT) -> tuple[Narrow, ...]:
    """Those of the start and, where it reads the coordinates, of the right-hand side."""
    found = []
    for search in _searches(problem):
        found += search.everywhere(START_COUNT if search.what == START else count)
    return tuple(found)


def narrow_near(problem: "Problem", what: str, place: Mapping[str, float]) -> tuple[Narrow, ...]:
    """Those to which a search leads that starts from one place."""
    found = []
    for search in _searches(problem):
        if search.what == what and set(search.names) <= set(place):
            found += search.near(place)
    return tuple(found)


def _searches(problem: "Problem") -> "Iterator[_Search]":
    space = tuple(axis.name for axis in problem.domain.space)
    if space:
        yield _Search(problem, START, space, _start(problem))
    read = tuple(name for name in problem.domain.names if name in problem.coordinates_read)
    if read:
        yield _Search(problem, RIGHT_HAND_SIDE, read, _rates(problem, read))


def _start(problem: "Problem") -> Function:
    space = problem.domain.space

    def values(unit: np.ndarray) -> np.ndarray:
        at = [axis.lower + axis.length * x for axis, x in zip(space, unit.T, strict=True)]
        parts = problem.initial_fields(*at)
        return np.stack([np.broadcast_to(np.asarray(part, float), len(unit)) for part in parts], -1)

    return values


def _rates(problem: "Problem", read: Sequence[str]) -> Function:
    """The right-hand sides for fields and derivatives of 0, and of their typical sizes."""
    axes = {axis.name: axis for axis in problem.axes}

    def size(channel: str, scale: float) -> float:
        return scale / float(np.prod([axes[name].length for name in channel]))

    states = [
        {name: [amount * size(name, s) for s in problem.scales] for name in problem.channels}
        for amount in (0.0, 1.0)
    ]

    def values(unit: np.ndarray) -> np.ndarray:
        columns = dict(zip(read, unit.T, strict=True))
        middle = np.full(len(unit), 0.5)
        at = {
            name: axis.lower + axis.length * columns.get(name, middle)
            for name, axis in axes.items()
        }
        found = []
        for state in states:
            channels = {name: [np.full(len(unit), v) for v in own] for name, own in state.items()}
            d = ChannelDerivative(channels, problem.domain.names, at)
            found += [
                np.broadcast_to(np.asarray(rate, float), len(unit))
                for rate in problem.rates(d.fields, d)
            ]
        return np.stack(found, -1)

    return values


@dataclass(frozen=True)
class _Search:
    """Looks for the narrow features of a function of some coordinates, in the unit cube."""

    problem: "Problem"
    what: str
    names: tuple[str, ...]
    function: Function

    def everywhere(self, count: int) -> list[Narrow]:
        """From so many random points, the worst of every output."""
        rng = np.random.default_rng(0)
        places: list[np.ndarray] = []  # of the climbers of each output
        heights: list[np.ndarray] = []
        for first in range(0, count, CHUNK):
            unit = rng.random((min(CHUNK, count - first), len(self.names)))
            found = self.heights(unit)
            if first == 0:
                places = [unit[:0]] * found.shape[1]
                heights = [found[:0, 0]] * found.shape[1]
            for k, column in enumerate(found.T):
                order = np.argsort(column)[-CLIMBERS:]
                own = np.concatenate([places[k], unit[order]])
                high = np.concatenate([heights[k], column[order]])
                order = np.argsort(high)[-CLIMBERS:]
                places[k], heights[k] = own[order], high[order]
        return self._tops(places, heights, rng)

    def near(self, place: Mapping[str, float]) -> list[Narrow]:
        """From one place."""
        axes = {axis.name: axis for axis in self.problem.axes}
        unit = [[(place[name] - axes[name].lower) / axes[name].length for name in self.names]]
        here = np.array(unit)
        found = self.heights(here)
        outputs = found.shape[1]
        return self._tops([here] * outputs, list(found.T), np.random.default_rng(0))

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Of the function, 0 where they are not finite, [n, outputs]."""
        with np.errstate(all="ignore"):
            values = self.function(unit)
        return np.where(np.isfinite(values), values, 0.0)

    def heights(self, unit: np.ndarray) -> np.ndarray:
        """How far they are from a line through two neighbours, the largest of any coordinate."""
        here = self.values(unit)
        found = np.zeros_like(here)
        for k in range(len(self.names)):
            found = np.maximum(found, np.abs(here - self._line(unit, k, self.beside)))
        return found

    @property
    def beside(self) -> float:
        """How far neighbours are, as a share of an axis."""
        return NEIGHBOUR.get(len(self.names), FARTHEST)

    def _line(self, unit: np.ndarray, k: int, beside: float | np.ndarray) -> np.ndarray:
        """Values of a line through two neighbours along a coordinate, [n, outputs]."""
        ahead, behind = unit.copy(), unit.copy()
        middle = np.clip(unit[:, k], beside, 1 - beside)  # both neighbours are inside
        ahead[:, k], behind[:, k] = middle + beside, middle - beside
        share = ((unit[:, k] - behind[:, k]) / (2 * beside))[:, None]
        return np.asarray(share * self.values(ahead) + (1 - share) * self.values(behind))

    def _tops(
        self, places: list[np.ndarray], heights: list[np.ndarray], rng: np.random.Generator
    ) -> list[Narrow]:
        """What the climbers of each output find, each feature once."""
        found: list[Narrow] = []
        for output, (own, high) in enumerate(zip(places, heights, strict=True)):
            if not high.any():
                continue
            one = self._measured(*self._climbed(own, high, output, rng), output)
            if one is None:
                continue
            same = next((other for other in found if other.same_as(one)), one)
            found = [other for other in found if other is not same]
            found.append(max(same, one, key=lambda each: each.height))
        return found

    def _climbed(
        self, places: np.ndarray, heights: np.ndarray, output: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """The highest place that the climbers get to, and its height."""
        places, heights = places.copy(), heights.copy()
        rows = np.arange(len(places))
        for _ in range(ROUNDS):
            shape = (len(places), TRIES, len(self.names))
            steps = 2.0 ** rng.uniform(-36, -4, shape) * rng.choice([-1.0, 0.0, 1.0], shape)
            tried = np.clip(places[:, None] + steps, 0, 1)
            found = self.heights(tried.reshape(-1, shape[2]))[:, output].reshape(shape[:2])
            chosen = found.argmax(1)
            higher = found[rows, chosen] > heights
            places[higher] = tried[rows, chosen][higher]
            heights[higher] = found[rows, chosen][higher]
        top = int(heights.argmax())
        return places[top], float(heights[top])

    def _measured(self, place: np.ndarray, height: float, output: int) -> Narrow | None:
        """The feature with its widths; None where it is not narrow."""
        axes = {axis.name: axis for axis in self.problem.axes}
        sizes = 2.0 ** np.arange(-44.0, np.log2(self.beside))
        here = self.values(place[None])[0, output]
        widths, share = {}, 1.0
        for k, name in enumerate(self.names):
            line = self._line(np.repeat(place[None], len(sizes), 0), k, sizes)[:, output]
            fallen = np.abs(here - line) > height / 2
            half = float(sizes[fallen.argmax()]) if fallen.any() else 1.0
            if half <= STEEP * self.beside:  # what is smooth has half of it at 0.7 times this
                widths[name] = half * axes[name].length
                share *= 2 * half
        if not widths or share > NARROW:
            return None
        at = {
            name: axes[name].lower + axes[name].length * x
            for name, x in zip(self.names, place.tolist(), strict=True)
        }
        return Narrow(self.what, output % len(self.problem.fields), height, at, widths, share)
