"""An evolution in Fourier modes: its linear part, mode by mode, and all else.

dû/dt = L û + N(t, û), L one small matrix a mode: the terms of rhs with constant coefficients, found
from its slopes. N is what is left, whatever L is.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfftn, rfftn

from pacpde.physics.evaluation import rates_at
from pacpde.reference.slopes import Slopes
from pacpde.reference.stiffness import symbol
from pacpde.runtime import generator

if TYPE_CHECKING:
    from pacpde.reference.method_of_lines import MethodOfLines

CONSTANT = 1e-12  # relative change of a slope that is none
INDEPENDENT = 1e-6  # the smallest singular value of eigenvectors, over the largest


def semilinear(system: "MethodOfLines") -> bool:
    """Whether all axes are Fourier ones, and the highest derivatives have constant coefficients."""
    if not system.space or not all(axis.periodic for axis in system.space):
        return False
    constant, slopes = constant_slopes(system), _slopes(system)[0]
    orders = {name: len(name.replace("t", "")) for name, rows in slopes.items() if _any(rows)}
    highest = max(orders.values(), default=0)
    return highest > 0 and all(
        (one is None) == (other is None)
        for name, order in orders.items()
        if order == highest
        for row, others in zip(constant[name], slopes[name], strict=True)
        for one, other in zip(row, others, strict=True)
    )


def constant_slopes(system: "MethodOfLines") -> Slopes:
    """The slopes that are the same everywhere, at any time, of any fields, [1]; None for others."""
    here, there = _slopes(system)

    def constant(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
        if one is None or other is None:
            return None
        values = np.concatenate([one.ravel(), other.ravel()])
        spread = values.max() - values.min()
        return values[:1] if spread <= CONSTANT * np.abs(values).max() else None

    return {
        name: [
            [constant(one, other) for one, other in zip(row, others, strict=True)]
            for row, others in zip(here[name], there[name], strict=True)
        ]
        for name in here
    }


def _slopes(system: "MethodOfLines") -> tuple[Slopes, Slopes]:
    """The slopes at the start, and at the end of the span of other fields."""
    begin, end = system.span
    other = generator(0, "other fields").standard_normal(len(system.start)) * system.scale
    with np.errstate(all="ignore"):
        return system.slopes(begin, system.start), system.slopes(end, system.start + other)


def _any(rows: list[list[np.ndarray | None]]) -> bool:
    return any(slope is not None for row in rows for slope in row)


class Modes:
    """The modes of all fields and, with order 2, of their ∂/∂t; each in eigenvectors of L.

    Attributes:
        eigenvalues: of L, [n, modes...].
    """

    def __init__(self, system: "MethodOfLines") -> None:
        self.system = system
        self._axes = tuple(range(-len(system.space), 0))
        self._half = system.shape[-1] // 2 + 1
        self._twice = np.full(self._half, 2.0)  # a mode stands for its conjugate, too
        self._twice[0] = 1.0
        self._factors = {name: self._factor(name) for name in system.names}
        shape = self._factors[""].shape
        flat = {name: factor.ravel() for name, factor in self._factors.items()}
        linear = symbol(constant_slopes(system), flat, system.problem.order)[:, 0]
        eigenvalues, vectors = np.linalg.eig(linear)
        eigenvalues[~_independent(vectors)] = 0.0  # N takes all of such a mode
        vectors[~_independent(vectors)] = np.eye(linear.shape[-1])
        self.eigenvalues = np.moveaxis(eigenvalues, -1, 0).reshape(-1, *shape)
        if not self.eigenvalues.imag.any():
            self.eigenvalues = self.eigenvalues.real
        self._vectors, self._inverse = (
            np.moveaxis(one, 0, -1).reshape(*one.shape[1:], *shape)
            for one in (vectors, np.linalg.inv(vectors))
        )

    def of(self, y: np.ndarray) -> np.ndarray:
        """The modes [T, n, modes...] of states y [T, len(y)]."""
        nodes = y.reshape(len(y), -1, *self.system.shape)
        return self._product(self._inverse, rfftn(nodes, axes=self._axes, norm="forward"))

    def states(self, modes: np.ndarray) -> np.ndarray:
        """The states [T, len(y)] of modes."""
        return self._nodes(self._product(self._vectors, modes)).reshape(len(modes), -1)

    def rest(self, t: np.ndarray, modes: np.ndarray) -> np.ndarray:
        """N at times t [T], in modes."""
        problem = self.system.problem
        fields = self._product(self._vectors, modes)
        parts = np.split(fields, problem.order, axis=1)
        derivatives = [factor * parts[name.count("t")] for name, factor in self._factors.items()]
        values = np.moveaxis(self._nodes(np.stack(derivatives)), 2, 1)
        channels = dict(zip(self._factors, map(list, values), strict=True))
        times = np.asarray(t).reshape(-1, *[1] * len(self._axes))
        rates = rates_at(problem.evolution, channels, {"t": times, **self.system.coordinates})
        change = rfftn(np.stack(rates, 1), axes=self._axes, norm="forward")
        if problem.order == 2:
            change = np.concatenate([parts[1], change], 1)
        return self._product(self._inverse, change) - self.eigenvalues * modes

    def sizes(self, modes: np.ndarray) -> np.ndarray:
        """Root mean square of each part over the nodes, [n], of modes [n, modes...]."""
        if len(self._vectors) > 1:
            modes = np.einsum("ij...,j...->i...", np.abs(self._vectors), np.abs(modes))
        squares = np.abs(modes) ** 2 * self._twice
        return np.sqrt(squares.sum(self._axes))

    def _nodes(self, modes: np.ndarray) -> np.ndarray:
        return irfftn(modes, s=self.system.shape, axes=self._axes, norm="forward")

    def _product(self, matrices: np.ndarray, modes: np.ndarray) -> np.ndarray:
        if len(matrices) == 1:
            return modes
        return np.einsum("ij...,tj...->ti...", matrices, modes)

    def _factor(self, name: str) -> np.ndarray:
        """What a derivative multiplies the modes by, [modes...]."""
        result = np.ones(())
        for axis in self.system.space:
            result = np.multiply.outer(result, axis.factors(name.count(axis.axis.name)))
        return result[..., : self._half]


def _independent(vectors: np.ndarray) -> np.ndarray:
    """Which matrices of eigenvectors [modes, n, n] have independent ones, whatever their units."""
    sizes = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.shape[-1] == 1:
        return np.ones(len(vectors), bool)
    singular = np.linalg.svd(vectors / np.where(sizes > 0, sizes, 1.0), compute_uv=False)
    small = sizes.min((1, 2)) < CONSTANT * sizes.max((1, 2))
    return ~small & (singular[:, -1] > INDEPENDENT * singular[:, 0])
