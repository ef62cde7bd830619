"""A solution at the solver's own nodes, and its value anywhere between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pacpde.physics.domain import Axis, Domain
from pacpde.physics.numbers import along_axis
from pacpde.reference.box import BoxSolution
from pacpde.reference.grid import SpaceAxis

DEGREE = 10  # of the polynomial in time on each piece
UNIT = np.sin(np.pi * np.arange(DEGREE + 1) / (2 * DEGREE)) ** 2  # its nodes
PIECES = 20_000  # at most; a solver's dense output is polynomial, so far fewer are needed


@dataclass(frozen=True)
class DenseSolution(BoxSolution):
    """Values at `times` and at the nodes of `space`, shape [len(times), fields, nodes...].

    In time: pieces of degree ten, piece k between the nodes 10 k and 10 (k + 1), fitted to the
    solver's dense output. In space: spectral interpolation.
    """

    times: np.ndarray
    space: tuple[SpaceAxis, ...]
    values: np.ndarray

    form = "pieces"

    def on_grid(self, *axes: np.ndarray) -> np.ndarray:
        t, *space = axes
        return to_points(self.space, self.in_time(t), space)

    @property
    def domain(self) -> Domain:
        time = Axis("t", self.times[0], self.times[-1])
        return Domain((time, *(space.axis for space in self.space)))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"times": self.times, "values": self.values}

    def scattered(self, points: list[np.ndarray]) -> np.ndarray:
        result = self.in_time(points[0])
        for axis, x in zip(self.space, points[1:], strict=True):
            result = np.einsum("pn,pfn...->pf...", axis.interpolation(x), result)
        return result.T

    def in_time(self, t: np.ndarray) -> np.ndarray:
        """Values at the nodes of space, shape [len(t), fields, nodes...]."""
        piece = np.searchsorted(self.times[::DEGREE], t, side="right") - 1
        starts = DEGREE * np.clip(piece, 0, len(self.times) // DEGREE - 1)
        weights = lagrange(self.times[starts[:, None] + np.arange(DEGREE + 1)], t)
        result = np.zeros((len(t), *self.values.shape[1:]))
        for k in range(DEGREE + 1):
            result += weights[:, k].reshape(-1, *[1] * (result.ndim - 1)) * self.values[starts + k]
        return result


def to_points(
    space: tuple[SpaceAxis, ...], values: np.ndarray, points: Sequence[np.ndarray]
) -> np.ndarray:
    """Values at the nodes, [T, fields, nodes...], moved to `points`: [fields, T, points...]."""
    for position, (axis, x) in enumerate(zip(space, points, strict=True), start=2):
        values = along_axis(axis.interpolation(x), values, position)
    return np.ascontiguousarray(np.moveaxis(values, 1, 0))


def in_pieces(
    function: Callable[[np.ndarray], np.ndarray],
    span: tuple[float, float],
    error: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of a function [T] → [T, ...] as pieces of degree ten, by bisection.

    A piece is halved until it meets the function between its nodes to the absolute `error`
    [fields], in the mean square over the nodes of space at each time.
    """
    between = (UNIT[1:] + UNIT[:-1]) / 2
    weights = lagrange(np.broadcast_to(UNIT, (DEGREE, DEGREE + 1)), between)
    times, values = [np.array([span[0]])], [function(np.array([span[0]]))]
    waiting = [span]
    while waiting:
        lower, upper = waiting.pop()
        nodes = lower + (upper - lower) * UNIT
        nodes[-1] = upper
        nodal = function(nodes)
        guess = np.tensordot(weights, nodal, axes=1)
        exact = function(lower + (upper - lower) * between)
        missed = np.sqrt(np.mean((guess - exact) ** 2, axis=tuple(range(2, exact.ndim))))
        fine = bool((missed <= error).all())
        if fine or len(times) + len(waiting) > PIECES:
            times.append(nodes[1:])
            values.append(nodal[1:])
        else:
            middle = (lower + upper) / 2
            waiting += [(middle, upper), (lower, middle)]
    return np.concatenate(times), np.concatenate(values)


def lagrange(nodes: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Weights [Q, n] that interpolate at the times t [Q] from the nodes [Q, n]."""
    count = nodes.shape[1]
    above = np.repeat((t[:, None] - nodes)[:, None, :], count, axis=1)
    below = nodes[:, :, None] - nodes[:, None, :]
    own = np.arange(count)
    above[:, own, own] = below[:, own, own] = 1.0
    return np.asarray(np.prod(above / below, axis=2))
