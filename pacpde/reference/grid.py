"""Spectral nodes of one space axis: differentiation matrices and interpolation.

Chebyshev–Gauss–Lobatto nodes between two ends, equidistant Fourier nodes where an axis is
periodic. An axis in which the problem is odd is solved on its upper half, with 0 at the middle:
the nodes then cluster at the middle, where odd problems form their fronts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.fft import dct, rfft

from pacpde.physics import Axis, Problem

HIGHEST = 4  # modes whose share tells what is unresolved


@dataclass(frozen=True)
class SpaceAxis:
    """`size` spectral nodes on `axis`; `half` keeps its upper half only.

    `periodic`: Fourier nodes, the last of which lies before the upper end.
    """

    axis: Axis
    size: int
    periodic: bool = False
    half: bool = False

    @property
    def lower(self) -> float:
        return 0.0 if self.half else self.axis.lower

    @property
    def kind(self) -> str:
        if self.periodic:
            return "Fourier"
        return "half-axis Chebyshev" if self.half else "Chebyshev"

    @cached_property
    def nodes(self) -> np.ndarray:
        """Coordinates, shape [size]."""
        if self.periodic:
            return self.lower + self.axis.length * np.arange(self.size) / self.size
        angles = np.pi * np.arange(self.size) / (self.size - 1)
        nodes = self.lower + (self.axis.upper - self.lower) * np.sin(angles / 2) ** 2
        nodes[-1] = self.axis.upper
        return nodes

    @property
    def cells(self) -> np.ndarray:
        """The nodes, and the upper end of a periodic axis, whose last node lies before it."""
        return np.append(self.nodes, self.axis.upper) if self.periodic else self.nodes

    def matrices(self, order: int) -> dict[int, np.ndarray]:
        """Differentiation matrices [size, size] of orders 1 to `order`."""
        if self.periodic:
            return _fourier_matrices(self.size, self.axis.length, order)
        return _chebyshev_matrices(self.size, self.axis.upper - self.lower, order)

    def factors(self, order: int) -> np.ndarray:
        """(ik)^order of every mode of a periodic axis, [size]: what a derivative is there."""
        return _fourier_factors(self.size, self.axis.length, order)

    def interpolation(self, x: np.ndarray) -> np.ndarray:
        """Matrix [len(x), size] from values at the nodes to values at `x`."""
        if self.periodic:
            return _fourier_interpolation(self.nodes, self.axis.length, x)
        if not self.half:
            return _barycentric(self.nodes, x)
        signs: np.ndarray = np.where(x < 0, -1.0, 1.0)[:, None]
        return np.asarray(signs * _barycentric(self.nodes, np.abs(x)))

    def tail(self, values: np.ndarray, position: int) -> float:
        """Share of the highest modes along array axis `position`: what is unresolved."""
        if self.periodic:
            modes = np.abs(rfft(values, axis=position))
        else:
            modes = np.abs(dct(values, type=1, axis=position))
        highest = np.take(modes, np.arange(-HIGHEST, 0), axis=position, mode="wrap")  # if fewer
        return float(np.linalg.norm(highest) / max(float(np.linalg.norm(modes)), 1e-300))


def space_axes(problem: Problem, sizes: Mapping[str, int]) -> tuple[SpaceAxis, ...]:
    """The spectral nodes of every space axis of a problem, with `sizes[name]` nodes each.

    An axis that is odd and periodic has 0 at the middle and at its ends, and is no Fourier one.
    """
    return tuple(
        SpaceAxis(
            axis,
            sizes[axis.name],
            periodic=axis.name in problem.boundary.periodic and axis.name not in problem.odd,
            half=axis.name in problem.odd,
        )
        for axis in problem.domain.space
    )


def _chebyshev_matrices(size: int, length: float, order: int) -> dict[int, np.ndarray]:
    """Weideman & Reddy, ACM TOMS 26 (2000), eq. (8)–(9): recursion, and diagonals by row sums."""
    k = np.arange(size)
    angles = np.pi * k / (size - 1)
    sums, differences = angles[:, None] + angles, angles[:, None] - angles
    distances = 2 * np.sin(sums / 2) * np.sin(differences / 2)  # x_i − x_j without cancellation
    np.fill_diagonal(distances, 1.0)
    weights = (-1.0) ** k
    weights[[0, -1]] *= 2
    ratios = np.outer(weights, 1 / weights)
    matrix = np.eye(size)
    matrices = {}
    for m in range(1, order + 1):
        matrix = m * (ratios * np.diag(matrix)[:, None] - matrix) / distances
        np.fill_diagonal(matrix, 0.0)
        np.fill_diagonal(matrix, -matrix.sum(1))
        matrices[m] = matrix * (2 / length) ** m
    return matrices


def _fourier_matrices(size: int, length: float, order: int) -> dict[int, np.ndarray]:
    modes = np.fft.fft(np.eye(size), axis=0)
    matrices = {}
    for m in range(1, order + 1):
        factors = _fourier_factors(size, length, m)[:, None]
        matrices[m] = np.ascontiguousarray(np.fft.ifft(factors * modes, axis=0).real)
    return matrices


def _fourier_factors(size: int, length: float, order: int) -> np.ndarray:
    factors = (2j * np.pi / length * np.fft.fftfreq(size, 1 / size)) ** order
    if order % 2 and size % 2 == 0:
        factors[size // 2] = 0.0  # an odd derivative of the highest cosine is 0 at the nodes
    return factors


def _barycentric(nodes: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Berrut & Trefethen, SIAM Review 46 (2004), eq. (4.2) with the weights (5.4)."""
    weights = (-1.0) ** np.arange(len(nodes))
    weights[[0, -1]] /= 2
    return _normalised(x[:, None] - nodes, weights)


def _fourier_interpolation(nodes: np.ndarray, length: float, x: np.ndarray) -> np.ndarray:
    """Trigonometric interpolation; Berrut & Trefethen (2004), eq. (7.4), for an even count."""
    angles = np.pi / length * (x[:, None] - nodes)
    angles -= np.pi * np.round(angles / np.pi)
    return _normalised(np.tan(angles), (-1.0) ** np.arange(len(nodes)))


def _normalised(distances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    hits = distances == 0
    terms = weights / np.where(hits, 1.0, distances)
    terms = np.where(hits.any(1, keepdims=True), hits, terms)
    return np.asarray(terms / terms.sum(1, keepdims=True))
