"""Spectral nodes of any axis of a box, and a solution given by its values at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import diric

from pacpde.physics import Axis, Problem
from pacpde.physics.domain import Domain
from pacpde.reference.box import TensorSolution
from pacpde.reference.grid import SpaceAxis


@dataclass(frozen=True)
class NodalAxis:
    """`size` nodes: Chebyshev–Gauss–Lobatto ones, or Fourier ones of a periodic axis.

    The number of Fourier nodes is odd, so that no mode but the constant has the derivative 0.
    """

    axis: Axis
    size: int
    periodic: bool

    def __post_init__(self) -> None:
        if self.periodic and self.size % 2 == 0:
            object.__setattr__(self, "size", self.size + 1)

    @property
    def kind(self) -> str:
        return "Fourier" if self.periodic else "Chebyshev"

    @cached_property
    def _basis(self) -> SpaceAxis:
        return SpaceAxis(self.axis, self.size, self.periodic)

    @property
    def nodes(self) -> np.ndarray:
        """Coordinates, ascending, [size]."""
        return self._basis.nodes

    @property
    def cells(self) -> np.ndarray:
        """`size` + 1 ends of cells, one around each node; at the ends of the axis half of one."""
        if self.periodic:
            step = self.axis.length / self.size
            return self.axis.lower + step * (np.arange(self.size + 1) - 0.5)
        angles = np.pi * (np.arange(self.size + 1) - 0.5).clip(0, self.size - 1) / (self.size - 1)
        return self._at_angles(angles)

    def inner(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Places for `count` rows [count], and the ends of the cells around them [count + 1].

        They are the nodes of a periodic axis, Chebyshev–Gauss points of another one.
        """
        if self.periodic:
            return self.nodes, self.cells
        angles = np.pi * np.arange(count + 1) / count
        return self._at_angles((angles[1:] + angles[:-1]) / 2), self._at_angles(angles)

    def _at_angles(self, angles: np.ndarray) -> np.ndarray:
        return self.axis.lower + self.axis.length * np.sin(angles / 2) ** 2

    def matrices(self, order: int) -> dict[int, np.ndarray]:
        """Differentiation matrices [size, size] of orders 0 to `order`."""
        return {0: np.eye(self.size), **(self._basis.matrices(order) if order else {})}

    def interpolation(self, x: np.ndarray) -> np.ndarray:
        """Matrix [len(x), size] from values at the nodes to values at `x`."""
        if not self.periodic:
            return self._basis.interpolation(x)
        angles = 2 * np.pi / self.axis.length * (np.asarray(x)[:, None] - self.nodes)
        return np.asarray(diric(angles, self.size))

    def from_inner(self, count: int, x: np.ndarray) -> np.ndarray:
        """Matrix [len(x), count] from values at the places of `inner` to values at `x`.

        Barycentric with the weights of Berrut & Trefethen, SIAM Review 46 (2004), eq. (5.3).
        """
        if self.periodic:
            return self.interpolation(x)
        places, _ = self.inner(count)
        angles = np.pi * (np.arange(count) + 0.5) / count
        distances = x[:, None] - places
        hits = distances == 0
        terms = (-1.0) ** np.arange(count) * np.sin(angles) / np.where(hits, 1.0, distances)
        terms = np.where(hits.any(1, keepdims=True), hits, terms)
        return np.asarray(terms / terms.sum(1, keepdims=True))

    def tail(self, values: np.ndarray, position: int) -> float:
        """Share of the highest modes along array axis `position`: what is unresolved."""
        return self._basis.tail(values, position)


def nodal_axes(problem: Problem, sizes: Mapping[str, int]) -> tuple[NodalAxis, ...]:
    """The axes of a problem, time included, with `sizes[name]` nodes each."""
    periodic = problem.boundary.periodic
    return tuple(
        NodalAxis(axis, sizes[axis.name], axis.name in periodic) for axis in problem.domain.axes
    )


@dataclass(frozen=True, eq=False)
class NodalSolution(TensorSolution):
    """Values at the nodes of `axes`, [fields, nodes...]; the interpolant of them anywhere."""

    axes: tuple[NodalAxis, ...]
    values: np.ndarray

    form = "nodes"

    @property
    def domain(self) -> Domain:
        return Domain(tuple(one.axis for one in self.axes))

    def interpolation(self, points: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [axis.interpolation(x) for axis, x in zip(self.axes, points, strict=True)]
