"""What every solution in a reference gives: its fields anywhere in a box."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pacpde.errors import InvalidValueError
from pacpde.physics.domain import Domain
from pacpde.physics.numbers import along_axis, as_floats

CHUNK = 2000  # scattered points evaluated at once


class BoxSolution(ABC):
    """The fields of a problem in a whole box.

    Class attributes:
        form: names what a file stores of it.
    """

    form: ClassVar[str]

    @property
    @abstractmethod
    def domain(self) -> Domain:
        """The box."""

    @abstractmethod
    def on_grid(self, *axes: np.ndarray) -> np.ndarray:
        """The fields on a tensor grid, one 1-D array an axis: [fields, len(axis 0), ...]."""

    @abstractmethod
    def scattered(self, points: list[np.ndarray]) -> np.ndarray:
        """The fields at points inside, one array [points] an axis: [fields, points]."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """What a file stores of it, by name."""

    def at(self, *coordinates: np.ndarray) -> np.ndarray:
        """The fields at points that broadcast, shape [fields, ...].

        Raises:
            InvalidValueError: another number of coordinates than of axes, or a point outside.
        """
        points = np.broadcast_arrays(*(as_floats(c, "the coordinates") for c in coordinates))
        self._check_number(len(points))
        shape = points[0].shape
        flat = self._inside([np.ravel(c) for c in points])
        unique = [np.unique(c, return_inverse=True) for c in flat]
        if np.prod([float(len(values)) for values, _ in unique]) <= 4 * flat[0].size:
            grid = self.on_grid(*(values for values, _ in unique))
            at = tuple(inverse for _, inverse in unique)
            result = np.stack([field[at] for field in grid])
        else:
            parts = range(0, flat[0].size, CHUNK)
            result = np.concatenate(
                [self.scattered([c[start : start + CHUNK] for c in flat]) for start in parts], 1
            )
        return result.reshape(-1, *shape)

    def _check_number(self, count: int) -> None:
        if count != len(self.domain.axes):
            raise InvalidValueError(
                f"the reference was called with {count} coordinates, expected "
                f"{', '.join(self.domain.names)}."
            )

    def _inside(self, points: list[np.ndarray]) -> list[np.ndarray]:
        """The points, moved to the edge where rounding put them outside; refused farther away."""
        box = self.domain
        for values, axis in zip(points, box.axes, strict=True):
            outside = ~Domain((axis,)).contains(values[:, None])
            if outside.any():
                raise InvalidValueError(
                    f"{axis.name} = {values[outside][0]:g} lies outside the reference, which "
                    f"covers {axis.lower:g} to {axis.upper:g}: solve a longer span or leave such "
                    "points out."
                )
        return list(box.clipped(np.stack(points, -1)).T)


class TensorSolution(BoxSolution):
    """Values on a tensor grid, [fields, points...], and a linear interpolation along each axis.

    Attributes:
        values: on the grid.
    """

    values: np.ndarray

    @abstractmethod
    def interpolation(self, points: Sequence[np.ndarray]) -> list[np.ndarray]:
        """For each axis the matrix [len(x), size] from values on its grid to values at its `x`."""

    def arrays(self) -> dict[str, np.ndarray]:
        return {"values": self.values}

    def on_grid(self, *axes: np.ndarray) -> np.ndarray:
        result = self.values
        for position, matrix in enumerate(self.interpolation(axes), start=1):
            result = along_axis(matrix, result, position)
        return np.ascontiguousarray(result)

    def scattered(self, points: list[np.ndarray]) -> np.ndarray:
        first, *others = self.interpolation(points)
        result = np.moveaxis(along_axis(first, self.values, 1), 1, 0)
        for matrix in others:
            result = np.einsum("pn,pfn...->pf...", matrix, result)
        return np.ascontiguousarray(result.T)
