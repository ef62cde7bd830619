"""Spectral nodes of one space axis: differentiation matrices and interpolation.

Chebyshev–Gauss–Lobatto nodes between two ends, equidistant Fourier nodes where an axis is
periodic. An axis in which the problem is odd is solved on its upper half, with 0 at the middle:
the nodes then cluster at the middle, where odd problems form their fronts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.fft import dct, irfft, rfft

from pacpde.physics import Axis, Problem
from pacpde.physics.derivatives import Derivative
from pacpde.physics.elementary import Array
from pacpde.physics.numbers import along_axis

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
        if order not in self._known:
            length = self.axis.upper - self.lower
            matrices = _fourier_matrices if self.periodic else _chebyshev_matrices
            self._known[order] = matrices(self.size, length, order)
        return self._known[order]

    @cached_property
    def _known(self) -> dict[int, dict[int, np.ndarray]]:
        return {}

    def derivative(self, values: np.ndarray, order: int, position: int) -> np.ndarray:
        """Of values at the nodes along array axis `position`."""
        if not self.periodic:
            return along_axis(self.matrices(order)[order], values, position)
        modes = rfft(np.moveaxis(values, position, -1))
        modes = modes * self.factors(order)[: self.size // 2 + 1]
        return np.moveaxis(irfft(modes, self.size), -1, position)

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

    def within_cells(self, offsets: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """From values at the nodes, [..., size], to values in `cells`, [..., cells, offsets].

        Args:
            offsets: from 0 to 1 of each cell.
        """
        if self.periodic:
            waves = np.pi / self.axis.length * 2j * np.arange(self.size // 2 + 1)
            shifts = np.exp(np.multiply.outer(offsets * self.axis.length / self.size, waves))

            def shifted(values: np.ndarray) -> np.ndarray:
                modes = rfft(values)[..., None, :] * shifts
                return np.asarray(irfft(modes, self.size).swapaxes(-1, -2))

            return shifted
        cells = self.cells
        matrix = self.interpolation((cells[:-1, None] + np.diff(cells)[:, None] * offsets).ravel())
        return lambda values: (values @ matrix.T).reshape(*values.shape[:-1], -1, len(offsets))

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

    An axis that is odd and periodic has 0 at the middle and at its ends, and is no Fourier one; nor
    is one without derivatives, along which a kink where its ends meet would spread.
    """
    return tuple(
        SpaceAxis(
            axis,
            sizes[axis.name],
            periodic=axis.name in problem.boundary.periodic
            and axis.name not in problem.odd
            and any(axis.name in name for name in problem.derivatives_read),
            half=axis.name in problem.odd,
        )
        for axis in problem.domain.space
    )


def differentiated(
    values: np.ndarray, space: Sequence[SpaceAxis], name: str, position: int = 0
) -> np.ndarray:
    """The derivative "xx", "xy" ... of values whose array axes from `position` on are `space`."""
    for place, axis in enumerate(space, start=position):
        order = name.count(axis.axis.name)
        if order:
            values = axis.derivative(values, order, place)
    return values


class NodalDerivative(Derivative):
    """Differentiates numpy fields on the nodes of a tensor grid."""

    def __init__(
        self,
        fields: Sequence[np.ndarray],
        space: Sequence[SpaceAxis],
        coordinates: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        super().__init__(fields, tuple(axis.axis.name for axis in space), coordinates)
        self.space = space

    def take(self, field: int, axes: str) -> Array:
        return differentiated(self.fields[field], self.space, axes)


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
