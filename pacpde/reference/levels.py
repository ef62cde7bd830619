"""One solution of a refinement, what is read off it, and pairs of them."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from pacpde.physics import Problem
from pacpde.physics.evaluation import initial_at
from pacpde.reference.dense import to_points
from pacpde.reference.grid import space_axes
from pacpde.reference.method_of_lines import MethodOfLines, check_finite
from pacpde.reference.ode import Effort, Integrated, IntegrationError, integrate

FINEST_RTOL = 1e-13  # of the order of 100 units of roundoff, what the integrators stand
SLOW = 0.85  # of the exponent with which modes decay, that is not exponential
SLIGHT = 0.5  # of what the exponent is to gain, where a grid is little finer
BELOW = 20.0  # the difference of levels over the tolerance, where finer grids do not end
MOST_LEFT = 0.9  # share of an error that a finer grid is taken to leave
SEEN = 0.01  # of a difference: highest modes above this have a part in it
LARGEST = 1e100  # value of a solution, whose square is still a number
FIRST_SIZE = {0: 0, 1: 24, 2: 14}  # nodes an axis, by number of space axes
FIRST_RING = 64  # of a single Fourier axis, on which waves of too few nodes grow
OUTPUT = {0: (1001,), 1: (101, 513), 2: (33, 65, 65)}  # points an axis


@dataclass(frozen=True)
class Level:
    """One solution of the refinement.

    Attributes:
        sizes: space axis → number of nodes.
        rtol: of the integrator.
        values: on the output grid, [fields, times, points...].
        tails: space axis → share of the highest modes, which are not resolved.
        start_error: by how much the start is missed between the nodes, relative.
    """

    sizes: dict[str, int]
    rtol: float
    integrated: Integrated
    values: np.ndarray
    tails: dict[str, float]
    start_error: float

    @classmethod
    def of(
        cls,
        problem: Problem,
        sizes: dict[str, int],
        rtol: float,
        effort: Effort | None = None,
        steps: np.ndarray | None = None,
    ) -> "Level":
        """Solve on a grid; see `integrate` for `effort` and `steps`."""
        space = space_axes(problem, sizes)
        integrated = integrate(MethodOfLines(problem, space), rtol, effort, steps)
        t, *points = output_axes(problem).values()
        nodal = integrated(t)
        if not np.abs(nodal).max() < LARGEST:
            raise IntegrationError("the solution grows beyond all numbers")
        tails = {axis.axis.name: axis.tail(nodal, k) for k, axis in enumerate(space, start=2)}
        values = to_points(space, nodal, points)
        start_error = _start_error(problem, points, values)
        return cls(sizes, rtol, integrated, values, tails, start_error)

    @property
    def field_sizes(self) -> np.ndarray:
        """Root mean square of each field, [fields]."""
        return np.asarray(np.sqrt(np.mean(self.values**2, tuple(range(1, self.values.ndim)))))

    def refined(
        self, target: float, before: "Level | None" = None, difference: float = np.inf
    ) -> tuple[dict[str, int], float]:
        """The next grid and tolerance, on the way to an error of `target`.

        The highest modes decay exponentially with the size of an axis, so that their share now
        tells the size that will do. Until that is in sight the tolerance stays: coarse grids stay
        cheap. Where they decay by a power of it, because of a kink, no size will do; the tolerance
        then stays below the difference, too.

        Args:
            before: the level before.
            difference: from it.
        """
        goal = np.log(target / 3)
        if self.tails and max(self.tails.values()) < self.integrated.noise:
            sizes = {name: 2 * ceil(1.15 * size / 2) for name, size in self.sizes.items()}
            return sizes, max(min(self.rtol / 10, target), FINEST_RTOL)
        growth = {
            name: float(np.clip(goal / np.log(min(tail, 0.5)), 1.15, 2.0))
            for name, tail in self.tails.items()
        }
        slow = [name for name in growth if before and self._is_slow(name, before, difference)]
        growth |= dict.fromkeys(slow, 2.0)
        sizes = {name: 2 * ceil(size * growth[name] / 2) for name, size in self.sizes.items()}
        if slow:
            return sizes, max(min(self.rtol, difference / BELOW), FINEST_RTOL)
        if any(factor == 2.0 for factor in growth.values()):
            return sizes, self.rtol
        return sizes, max(min(self.rtol / 10, target), FINEST_RTOL)

    def share_left(self, coarse: "Level", difference: float) -> float:
        """The share of the coarse level's error in space that is left here, by the highest modes.

        Grids that are twice as fine are left out: of these the differences themselves tell. So are
        axes whose highest modes are too small to have a part in the difference.
        """
        least = max(self.integrated.noise, difference * SEEN)
        return max(
            (
                tail / max(coarse.tails[name], tail)
                for name, tail in self.tails.items()
                if tail > least and self.sizes[name] < 2 * coarse.sizes[name]
            ),
            default=0.0,
        )

    def _is_slow(self, axis: str, before: "Level", difference: float) -> bool:
        """Whether the highest modes of an axis have decayed more slowly than exponentially."""
        growth = self.sizes[axis] / before.sizes[axis]
        least = SLOW * growth
        if self.tails[axis] > SEEN * difference:
            least = max(least, 1 + SLIGHT * (growth - 1))
        return self.tails[axis] > before.tails[axis] ** least


@dataclass(frozen=True)
class Pair:
    """Two levels, their difference, and the error certified for the finer one.

    Attributes:
        probed: whether the error has what neither level has seen.
    """

    coarse: Level
    fine: Level
    difference: float
    error: float
    probed: bool = False

    @classmethod
    def of(cls, coarse: Level, fine: Level, difference: float) -> "Pair":
        """The difference is the error of the coarser level less that of the finer one.

        Where the share q of an error is left by a grid that is little finer, the finer level has
        the error q / (1 − q) of the difference.
        """
        left = min(fine.share_left(coarse, difference), MOST_LEFT)
        return cls(
            coarse, fine, difference, max(difference * left / (1 - left), difference, fine.rtol)
        )

    @property
    def differs_in_time(self) -> bool:
        return self.fine.rtol < self.coarse.rtol / 2


def output_axes(problem: Problem) -> dict[str, np.ndarray]:
    """The equidistant output grid: 101 × 513 in one dimension, 1001 times for an ODE."""
    axes = problem.domain.axes
    counts = OUTPUT.get(len(axes) - 1, (17, *[33] * (len(axes) - 1)))
    return {axis.name: axis.grid(count) for axis, count in zip(axes, counts, strict=True)}


def first_sizes(problem: Problem) -> dict[str, int]:
    """Nodes of each space axis of the first level."""
    axes = problem.domain.space
    sizes = {axis.name: FIRST_SIZE.get(len(axes), 8) for axis in axes}
    rings = [one.axis.name for one in space_axes(problem, sizes) if one.periodic]
    return dict.fromkeys(rings, FIRST_RING) if len(axes) == len(rings) == 1 else sizes


def _start_error(problem: Problem, points: list[np.ndarray], values: np.ndarray) -> float:
    """How far the start is missed between the nodes, relative to the mean size of each field.

    A start narrower than the coarse grids' spacing would look resolved to all of them.
    """
    grids = np.meshgrid(*points, indexing="ij", sparse=True)
    missed = 0.0
    shape = tuple(len(x) for x in points)
    exact = initial_at(problem.evolution, grids, shape)
    space = {axis.name: x for axis, x in zip(problem.domain.space, points, strict=True)}
    check_finite(problem, "initial", np.stack(exact), space)
    for start, field in zip(exact, values, strict=True):
        size = float(np.sqrt(np.mean(field**2)))
        error = float(np.sqrt(np.mean((field[0] - start) ** 2)))
        missed = max(missed, error / size if size > 0 else error)
    return missed


def size_text(sizes: dict[str, int]) -> str:
    return "×".join(str(size) for size in sizes.values()) or "none"
