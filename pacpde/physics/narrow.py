"""Features of an equation or a start that are so narrow that points and grids miss them.

A source of width w in d coordinates holds a share w^d of the domain: ten thousand points see none
of it, and neither do two grids that agree with each other. Its foot is wider than itself, by four
or five times where it is high, and a search that starts at many random points climbs from there:

1. at every point, how far the value is from a line through two neighbours, in each coordinate;
2. the points where this is largest move to where it is larger still, by steps of all sizes;
3. at the top, the width along each coordinate, at half the height.

It finds what some ten points of the first step see the foot of, as a rule a width of 1e-4 in two
coordinates, 2e-3 in three. There is no guarantee: a function can hide whatever it likes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pacpde.errors import named_numbers
from pacpde.physics.evaluation import equation_at, initial_at

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

START, RIGHT_HAND_SIDE = "start", "right-hand side"
CHUNK = 2**16  # points at once
CLIMBERS = 32
ROUNDS = 60
TRIES = 12  # of a climber in a round
STEEP = 0.3  # of the distance of neighbours: half a width up to which a feature is narrow
ROUNDING = 1e-11  # of the values around: a height up to which they are the same number
REACH = 3.0  # of half a width, that a box around a feature has

Function = Callable[[np.ndarray], np.ndarray]  # unit cube [n, coordinates] → values [n, outputs]


@dataclass(frozen=True)
class NarrowFeature:
    """A narrow feature.

    Attributes:
        what: "right-hand side" or "start".
        field: number of the field whose start it is in, or of the row of the equation.
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
        at = named_numbers(self.place, " = ")
        wide = ", ".join(f"{2 * width:.1g} in {name}" for name, width in self.widths.items())
        return f"near {at} the {self.what} has a feature of the width {wide}"

    def same_as(self, other: "NarrowFeature") -> bool:
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


@dataclass(frozen=True)
class _Limits:
    """What a search for narrow features looks for.

    Attributes:
        count: points of the first step.
        neighbour: by number of coordinates, the distance of neighbours as a share of an axis.
        share: of the domain, that a narrow feature takes at most.
    """

    count: int
    neighbour: Mapping[int, float]
    share: float


# Every problem has a start, so that its search is shorter. A right-hand side acts at all times:
# sixty thousand points see thirty of what takes 5e-4 of the domain.
LIMITS = {
    START: _Limits(2**18, {1: 2.0**-9, 2: 2.0**-7, 3: 2.0**-5}, 1e-3),
    RIGHT_HAND_SIDE: _Limits(2**19, {1: 2.0**-11, 2: 2.0**-7, 3: 2.0**-5}, 5e-4),
}
FARTHEST = 2.0**-4  # distance of neighbours where there are more coordinates


@lru_cache(maxsize=512)  # seeds and methods share their problems
def narrow_features(problem: "Problem", what: str) -> tuple[NarrowFeature, ...]:
    """The narrow features of the initial fields, or of an equation that reads the coordinates.

    Args:
        what: `START` or `RIGHT_HAND_SIDE`.
    """
    search = _search(problem, what)
    return tuple(search.everywhere()) if search.names else ()


def narrow_features_near(
    problem: "Problem", what: str, place: Mapping[str, float]
) -> list[NarrowFeature]:
    """The narrow features that a search from one place finds."""
    search = _search(problem, what)
    return search.near(place) if search.names and set(search.names) <= set(place) else []


def _search(problem: "Problem", what: str) -> "_Search":
    if what == START:
        names = tuple(axis.name for axis in problem.domain.space)
        return _Search(problem, what, names, _initial(problem))
    names = tuple(name for name in problem.domain.names if name in problem.coordinates_read)
    return _Search(problem, what, names, _equation(problem, names))


def _initial(problem: "Problem") -> Function:
    space = problem.domain.space

    def values(unit: np.ndarray) -> np.ndarray:
        at = [axis.lower + axis.length * x for axis, x in zip(space, unit.T, strict=True)]
        return np.stack(initial_at(problem.evolution, at, (len(unit),)), -1)

    return values


def _equation(problem: "Problem", names: tuple[str, ...]) -> Function:
    """The equation for fields and derivatives of 0, and of their typical sizes."""
    axes = {axis.name: axis for axis in problem.axes}
    sizes = {
        channel: [
            scale / float(np.prod([axes[name].length for name in channel]))
            for scale in problem.scales
        ]
        for channel in problem.channels
    }

    def values(unit: np.ndarray) -> np.ndarray:
        columns = dict(zip(names, unit.T, strict=True))
        middle = np.full(len(unit), 0.5)
        at = {
            name: axis.lower + axis.length * columns.get(name, middle)
            for name, axis in axes.items()
        }
        values_of_rows: list[np.ndarray] = []
        for amount in (0.0, 1.0):
            channels = {
                channel: [np.full(len(unit), amount * size) for size in own]
                for channel, own in sizes.items()
            }
            values_of_rows += equation_at(problem, channels, at).values()
        return np.stack(values_of_rows, -1)

    return values


@dataclass(frozen=True)
class _Search:
    """Looks for the narrow features of a function of some coordinates, in the unit cube."""

    problem: "Problem"
    what: str
    names: tuple[str, ...]
    function: Function

    @property
    def limits(self) -> _Limits:
        return LIMITS[self.what]

    @property
    def neighbour(self) -> float:
        """How far neighbours are, as a share of an axis."""
        return self.limits.neighbour.get(len(self.names), FARTHEST)

    def everywhere(self) -> list[NarrowFeature]:
        """From many random points, the worst of every output."""
        rng = np.random.default_rng(0)
        places: list[np.ndarray] = []  # of the climbers of each output
        heights: list[np.ndarray] = []
        for first in range(0, self.limits.count, CHUNK):
            unit = rng.random((CHUNK, len(self.names)))
            rows = self.heights(unit).T
            if first == 0:
                places, heights = [unit[:0]] * len(rows), [rows[0, :0]] * len(rows)
            for k, row in enumerate(rows):
                highest = _highest(row)
                place = np.concatenate([places[k], unit[highest]])
                height = np.concatenate([heights[k], row[highest]])
                highest = _highest(height)
                places[k], heights[k] = place[highest], height[highest]
        return self._tops(places, heights, rng)

    def near(self, place: Mapping[str, float]) -> list[NarrowFeature]:
        """From one place."""
        axes = {axis.name: axis for axis in self.problem.axes}
        unit = [[(place[name] - axes[name].lower) / axes[name].length for name in self.names]]
        rows = self.heights(np.array(unit)).T
        return self._tops([np.array(unit)] * len(rows), list(rows), np.random.default_rng(0))

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Of the function, 0 where they are not finite, [n, outputs]."""
        values = self.function(unit)
        return np.where(np.isfinite(values), values, 0.0)

    def heights(self, unit: np.ndarray) -> np.ndarray:
        """How far they are from a line through two neighbours, the largest of any coordinate."""
        here = self.values(unit)
        lines = [self._line(unit, k, self.neighbour) for k in range(len(self.names))]
        return np.asarray(np.max([np.abs(here - line) for line in lines], axis=0))

    def _line(self, unit: np.ndarray, k: int, distance: float | np.ndarray) -> np.ndarray:
        """Values of a line through two neighbours along a coordinate, [n, outputs]."""
        ahead, behind = unit.copy(), unit.copy()
        middle = np.clip(unit[:, k], distance, 1 - distance)  # both neighbours are inside
        ahead[:, k], behind[:, k] = middle + distance, middle - distance
        share = ((unit[:, k] - behind[:, k]) / (2 * distance))[:, None]
        return np.asarray(share * self.values(ahead) + (1 - share) * self.values(behind))

    def _tops(
        self, places: list[np.ndarray], heights: list[np.ndarray], rng: np.random.Generator
    ) -> list[NarrowFeature]:
        """The features that the climbers of each output end at, each feature once."""
        features: list[NarrowFeature] = []
        for output, (place, height) in enumerate(zip(places, heights, strict=True)):
            if not height.any():
                continue
            feature = self._measured(*self._top(place, height, output, rng), output)
            if feature is None:
                continue
            same = next((other for other in features if other.same_as(feature)), feature)
            features = [other for other in features if other is not same]
            features.append(max(same, feature, key=lambda each: each.height))
        return features

    def _top(
        self, places: np.ndarray, heights: np.ndarray, output: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """The highest place that the climbers get to, and its height."""
        places, heights = places.copy(), heights.copy()
        rows = np.arange(len(places))
        for _ in range(ROUNDS):
            shape = (len(places), TRIES, len(self.names))
            steps = 2.0 ** rng.uniform(-36, -4, shape) * rng.choice([-1.0, 0.0, 1.0], shape)
            tried = np.clip(places[:, None] + steps, 0, 1)
            reached = self.heights(tried.reshape(-1, shape[2]))[:, output].reshape(shape[:2])
            best = reached.argmax(1)
            higher = reached[rows, best] > heights
            places[higher] = tried[rows, best][higher]
            heights[higher] = reached[rows, best][higher]
        top = int(heights.argmax())
        return places[top], float(heights[top])

    def _measured(self, place: np.ndarray, height: float, output: int) -> NarrowFeature | None:
        """The feature with its widths; None where it is not narrow."""
        axes = {axis.name: axis for axis in self.problem.axes}
        sizes = 2.0 ** np.arange(-44.0, np.log2(self.neighbour))
        here = self.values(place[None])[0, output]
        around = np.abs(self._line(place[None], 0, self.neighbour))[0, output]
        if height <= ROUNDING * max(abs(here), around):
            return None
        widths, share = {}, 1.0
        for k, name in enumerate(self.names):
            line = self._line(np.repeat(place[None], len(sizes), 0), k, sizes)[:, output]
            fallen = np.abs(here - line) > height / 2
            half = float(sizes[fallen.argmax()]) if fallen.any() else 1.0
            if half <= STEEP * self.neighbour:  # what is smooth has half of it at 0.7 times this
                widths[name] = half * axes[name].length
                share *= 2 * half
        if not widths or share > self.limits.share:
            return None
        at = {
            name: axes[name].lower + axes[name].length * x
            for name, x in zip(self.names, place.tolist(), strict=True)
        }
        of_start = self.what == START
        outputs = self.problem.fields if of_start else self.problem.equation_names
        return NarrowFeature(self.what, output % len(outputs), height, at, widths, share)


def _highest(values: np.ndarray) -> np.ndarray:
    """Where the largest values are, as many as there are climbers, in rising order."""
    if len(values) > CLIMBERS:
        chosen = np.argpartition(values, -CLIMBERS)[-CLIMBERS:]
        return chosen[np.argsort(values[chosen])]
    return np.argsort(values)
