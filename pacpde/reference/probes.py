"""Search between the nodes of a grid, and within each time step, for features that both miss.

Two grids that both miss a narrow source agree with each other. Therefore the right-hand side and
the start are evaluated at many random points before a solution is certified. Between two
neighbouring nodes, and within one step, a resolved function is a polynomial to rounding; what is
left over is a feature that was missed. The points depend on nothing but the problem and its grid.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from pacpde.physics import Problem
from pacpde.physics.evaluation import initial_at, rates_at
from pacpde.physics.narrow import RIGHT_HAND_SIDE, START, NarrowFeature, narrow_features_near
from pacpde.reference.grid import SpaceAxis, differentiated
from pacpde.reference.method_of_lines import MethodOfLines
from pacpde.reference.ode import Integrated
from pacpde.reference.probe_edges import missed_at_edges
from pacpde.reference.probe_lines import UNIT, Lines, MissedFeature, Tally
from pacpde.runtime import generator

POINTS = (2**18, 2**20, 2**21)  # of the lines along one axis, by number of space axes
LINES = (1, 128, 1024)
PLAIN = 16  # an equation that does not read the coordinates gets so much less of both
IN_TIME, ORBIT = 4, 2**20  # lines in time at places of an axis in space, and points of all of them
MOST_CELLS = 300  # of these lines
ABRUPT, NOISY = 0.1, 1e-6  # of the rates in a cell, and of the largest ones: see `_abrupt`
PER_WIDTH = 3  # nodes or steps within a feature's width at half its height that resolve it
CHUNK = 2**18  # points at once
SAFETY = 3.0  # a narrow source spreads in space, and its effect then exceeds its mean
NOISE = 8 * np.finfo(float).eps  # of the channels, to see how much of a deviation is rounding

Channels = dict[str, list[np.ndarray]]  # derivative → one array [lines, cells, k] a field
OnNodes = Callable[[np.ndarray, Lines], Channels]  # (numbers of the lines, lines) → at UNIT


def missed_feature(
    problem: Problem, integrated: Integrated, size: np.ndarray, enough: float
) -> MissedFeature:
    """The worst of what the probes find in the start and in the right-hand side.

    Args:
        size: mean square size of each field.
        enough: an error below it is not looked at more closely.
    """
    probes = Probes(problem, integrated, np.where(size > 0, size, 1.0), enough)
    results = [probes.in_start(axis) for axis in probes.space]
    results += [probes.in_space(axis) for axis in probes.space]
    if len(probes.space) < 2:
        results.append(probes.along_orbit())
    if probes.space and "t" in probes.read:
        results.append(probes.in_time())
    results += missed_at_edges(probes)
    results += [probes.around(one) for one in problem.narrow_features]
    worst = max(results, key=lambda one: one.error)
    if worst.error > enough and worst.what in (
        START,
        RIGHT_HAND_SIDE,
    ):  # its foot was seen, perhaps: how high is it?
        higher = narrow_features_near(problem, worst.what, worst.place)
        results += [probes.around(one) for one in higher]
    return max(results, key=lambda one: one.error)


class Probes:
    """The probes of one solution."""

    def __init__(
        self, problem: Problem, integrated: Integrated, size: np.ndarray, enough: float
    ) -> None:
        self.problem, self.integrated = problem, integrated
        self.size, self.enough = size, enough
        self.system = cast(MethodOfLines, integrated.system)
        self.space = self.system.space
        self.span = self.system.span[1] - self.system.span[0]
        self.rng = generator(0, "probes")
        dimensions = min(len(self.space), len(POINTS) - 1)
        self.points, self.lines = POINTS[dimensions], LINES[dimensions]
        if not self.read:
            self.points, self.lines = self.points // PLAIN, max(1, self.lines // PLAIN)

    @property
    def read(self) -> frozenset[str]:
        """The coordinates that the right-hand side reads."""
        return self.problem.coordinates_read

    def around(self, feature: NarrowFeature) -> MissedFeature:
        """A narrow feature, where nodes or steps are too far apart to resolve it."""
        shares = {}
        for name, width in feature.widths.items():
            axis = next((one for one in self.space if one.axis.name == name), None)
            cells = self.integrated.steps if axis is None else axis.cells
            place = feature.place[name]
            place = abs(place) if axis is not None and axis.half else place
            cell = int(np.clip(np.searchsorted(cells, place) - 1, 0, len(cells) - 2))
            shares[name] = 2 * width / float(cells[cell + 1] - cells[cell])
        worst = min(shares, key=lambda name: shares[name])
        if shares[worst] >= PER_WIDTH:
            return MissedFeature()
        size = self.size[feature.field]
        if feature.what == START:
            error = feature.height * feature.share**0.5 / size
        else:
            span = self.span**self.problem.order
            error = SAFETY * span * feature.height * feature.share / size
        return MissedFeature(
            float(error), feature.what, worst, min(1.0, shares[worst]), feature.place
        )

    def in_start(self, axis: SpaceAxis) -> MissedFeature:
        """The start between the nodes of one space axis, in the mean square."""
        dimensions = min(len(self.space), len(POINTS) - 1)
        count, points = (LINES[2], POINTS[2]) if dimensions > 1 else (2, POINTS[0])
        place = self.places(count, axis)
        parts = self.problem.order
        tally = Tally("start", parts * len(self.problem.fields), 2)
        for _, lines in self.chunks(axis, axis.cells, count, points, place):
            on_nodes = self._start(lines, lines.nodes)
            on_probes = self._start(lines, lines.offsets)
            tally.add(
                lines, [p - n @ lines.weights for n, p in zip(on_nodes, on_probes, strict=True)]
            )
        # a wrong ∂u/∂t at the start moves u by its product with the span at most
        return tally.worst(np.concatenate([self.span**part / self.size for part in range(parts)]))

    def in_space(self, axis: SpaceAxis) -> MissedFeature:
        """The right-hand side along the solution, between the nodes of one space axis."""
        cells = axis.cells
        inside = axis.within_cells(UNIT)
        place = {"t": self.times(self.lines), **self.places(self.lines, axis)}

        def channels(_: np.ndarray, lines: Lines) -> Channels:
            nodal = self.integrated.states(lines.place["t"])
            result = {}
            for name in self.system.names:
                values = self._on_lines(self._derivative(nodal, name), name, axis, lines)
                result[name] = list(inside(values).swapaxes(0, 1))
            return result

        return self._rates(axis, cells, self.lines, place, channels)

    def in_time(self) -> MissedFeature:
        """The right-hand side within the steps, at random places, with its fields held."""
        steps = self.integrated.steps
        count = int(np.clip(self.points // (4 * len(steps)), 4, self.lines))
        nodal = self.integrated.states(self.times(count))
        node = [self.rng.integers(0, axis.size, count) for axis in self.space]
        where: tuple[Any, ...] = (np.arange(count), slice(None), *node)
        fields = {name: self._derivative(nodal, name)[where] for name in self.system.names}

        def channels(chosen: np.ndarray, lines: Lines) -> Channels:
            shape = (len(chosen), len(steps) - 1, len(UNIT))
            return {
                name: [np.broadcast_to(v[:, None, None], shape) for v in values[chosen].T]
                for name, values in fields.items()
            }

        return self._rates(None, steps, count, self.places(count), channels)

    def along_orbit(self) -> MissedFeature:
        """The right-hand side along the solution, within the steps.

        With an axis in space, at some of its nodes, and what the fields make abrupt alone.
        """
        steps = self.integrated.steps
        if self.space:  # short steps of explicit methods are joined: what is abrupt is no less so
            steps = np.append(steps[: -1 : -(-len(steps) // MOST_CELLS)], steps[-1])
        count = IN_TIME if self.space else 1
        nodes = [self.rng.integers(1, axis.size - 1, count) for axis in self.space]
        place = {a.axis.name: a.nodes[k] for a, k in zip(self.space, nodes, strict=True)}
        times = steps[:-1, None] + np.diff(steps)[:, None] * UNIT
        states = self.integrated.states(times.ravel())
        fields = {  # [fields, lines, steps, nodes of a step]
            name: np.stack([values[(..., *at)] for at in zip(*nodes, strict=True)] or [values], 1)
            .reshape(*times.shape, count, -1)
            .transpose(3, 2, 0, 1)
            for name in self.system.names
            for values in [self._derivative(states, name)]
        }

        def channels(chosen: np.ndarray, lines: Lines) -> Channels:
            return {name: [own[chosen] for own in values] for name, values in fields.items()}

        if not self.space:
            return self._rates(None, steps, count, place, channels, ORBIT)
        return self._abrupt(list(self.chunks(None, steps, count, ORBIT, place)), channels)

    def _rates(
        self,
        axis: SpaceAxis | None,
        cells: np.ndarray,
        count: int,
        place: Mapping[str, np.ndarray],
        channels: OnNodes,
        points: int | None = None,
    ) -> MissedFeature:
        """What the right-hand side has between the nodes of its cells, in the mean."""
        scale = SAFETY * self.span**self.problem.order / self.size
        chunks = list(self.chunks(axis, cells, count, points or self.points, place))
        worst = MissedFeature()
        for without_rounding in (False, True):
            tally = Tally("right-hand side", len(self.problem.fields), 1)
            for chosen, lines in chunks:
                tally.add(lines, self._deviations(lines, channels(chosen, lines), without_rounding))
            worst = tally.worst(scale)
            if worst.error <= self.enough:
                return worst
        return max(worst, self._abrupt(chunks, channels), key=lambda one: one.error)

    def _abrupt(self, chunks: list[tuple[np.ndarray, Lines]], channels: OnNodes) -> MissedFeature:
        """Infinite where the fields alone change the rates by their own size between the nodes.

        A solution that has missed this may go another way: nothing bounds its error, while that
        by a source or a medium that is narrow is about its mean.
        """
        scale = SAFETY * self.span**self.problem.order / self.size
        tally = Tally("right-hand side", len(self.problem.fields), 1)
        for chosen, lines in chunks:
            on_nodes = channels(chosen, lines)
            middle = lines.coordinates(np.full((len(chosen), 1), 0.5))
            exact = rates_at(self.problem.evolution, _between(on_nodes, lines), middle)
            smooth = rates_at(self.problem.evolution, on_nodes, middle)
            deviations = []
            for own, rates in zip(exact, smooth, strict=True):
                missed = np.abs(own - rates @ lines.weights)
                size = np.abs(rates).max(2, keepdims=True)
                least = ABRUPT * size + NOISY * size.max()
                deviations.append(np.where(missed > least, missed, 0.0))
            tally.add(lines, deviations)
        worst = tally.worst(scale)
        return replace(worst, error=np.inf) if worst.error > self.enough else MissedFeature()

    def _deviations(
        self, lines: Lines, on_nodes: Channels, without_rounding: bool
    ) -> list[np.ndarray]:
        """Of the right-hand side at the probes; what may be rounding is left out on demand."""
        on_probes = _between(on_nodes, lines)
        at = lines.coordinates(lines.offsets)
        exact = rates_at(self.problem.evolution, on_probes, at)
        smooth = rates_at(self.problem.evolution, on_nodes, lines.coordinates(lines.nodes))
        deviations = [e - s @ lines.weights for e, s in zip(exact, smooth, strict=True)]
        if not without_rounding:
            return deviations
        again = rates_at(
            self.problem.evolution,
            {name: [self._perturbed(v) for v in fields] for name, fields in on_probes.items()},
            {name: x * (1 + self._rounding(x.shape)) for name, x in at.items()},
        )
        noise = [
            np.abs(a - e).max((1, 2), keepdims=True) for a, e in zip(again, exact, strict=True)
        ]
        return [np.maximum(np.abs(f) - n, 0) for f, n in zip(deviations, noise, strict=True)]

    def _perturbed(self, values: np.ndarray) -> np.ndarray:
        return values + self._rounding(values.shape) * np.abs(values).max((1, 2), keepdims=True)

    def _rounding(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.choice([-NOISE, NOISE], shape)

    def _start(self, lines: Lines, offsets: np.ndarray) -> list[np.ndarray]:
        at = lines.coordinates(offsets)
        space = [at[axis.axis.name] for axis in self.space]
        return initial_at(self.problem.evolution, space, at[lines.axis].shape, self.problem.order)

    def _derivative(self, nodal: np.ndarray, name: str) -> np.ndarray:
        """A derivative at the nodes, [lines, fields, nodes...].

        Args:
            nodal: the fields and their ∂/∂t, [lines, order, fields, nodes...].
        """
        return differentiated(nodal[:, name.count("t")], self.space, name, 2)

    def _on_lines(self, nodal: np.ndarray, name: str, axis: SpaceAxis, lines: Lines) -> np.ndarray:
        """Values [lines, fields, nodes...] at the lines' places in the other axes.

        On the lower half of an odd axis a derivative of even order changes its sign.
        """
        position = 2
        for other in self.space:
            signs = lines.signs
            if other is axis:
                position += 1
            else:
                x = lines.place[other.axis.name]
                rows = other.interpolation(np.abs(x) if other.half else x)
                moved = np.moveaxis(nodal, position, -1)
                rows = rows.reshape(len(rows), *[1] * (moved.ndim - 2), rows.shape[1])
                nodal = (moved * rows).sum(-1)
                signs = np.where(x < 0, -1.0, 1.0)
            if other.half and name.count(other.axis.name) % 2 == 0:
                nodal = nodal * signs.reshape(-1, *[1] * (nodal.ndim - 1))
        return nodal

    def times(self, count: int) -> np.ndarray:
        """One random time in each of `count` equal parts of the span."""
        lower, upper = self.system.span
        return lower + (upper - lower) * (np.arange(count) + self.rng.random(count)) / count

    def places(self, count: int, besides: SpaceAxis | None = None) -> dict[str, np.ndarray]:
        """Random coordinates in space of lines along an axis."""
        return {
            axis.axis.name: axis.axis.lower + axis.axis.length * self.rng.random(count)
            for axis in self.space
            if axis is not besides
        }

    def chunks(
        self,
        axis: SpaceAxis | None,
        cells: np.ndarray,
        count: int,
        points: int,
        place: Mapping[str, np.ndarray],
    ) -> Iterator[tuple[np.ndarray, Lines]]:
        """Lines along an axis, along time without one, so many as fit into memory at a time."""
        name = "t" if axis is None else axis.axis.name
        probes = max(4, points // (count * (len(cells) - 1)))
        step = max(1, CHUNK // (max(probes, len(UNIT)) * (len(cells) - 1)))
        for first in range(0, count, step):
            chosen = np.arange(first, min(first + step, count))
            offsets = (np.arange(probes) + self.rng.random((len(chosen), probes))) / probes
            mirrored = axis is not None and axis.half
            signs = self.rng.choice([-1.0, 1.0], len(chosen)) if mirrored else np.ones(len(chosen))
            yield (
                chosen,
                Lines(name, cells, offsets, signs, {n: x[chosen] for n, x in place.items()}),
            )


def _between(on_nodes: Channels, lines: Lines) -> Channels:
    """Channels at the probes of lines, from those at the nodes of their cells."""
    return {name: [own @ lines.weights for own in fields] for name, fields in on_nodes.items()}
