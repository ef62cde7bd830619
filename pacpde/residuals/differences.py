"""Finite differences on nodes at any distances."""

from collections.abc import Sequence
from math import factorial

import numpy as np
import scipy.sparse as sp


def derivative_matrices(
    x: np.ndarray, period: float | None, highest: int, points: int
) -> list[sp.csr_array]:
    """Matrices of the value and of the derivatives up to the order `highest`, each [n, n].

    Args:
        x: sorted nodes, [n]; a periodic axis goes without its upper end.
        period: length of a periodic axis; None for any other.
        points: number of points of each difference; those beside an end are one-sided.
    """
    size = len(x)
    first = np.arange(size) - points // 2
    if period is None:
        first = np.clip(first, 0, size - points)
    columns = first[:, None] + np.arange(points)
    window = x[columns % size] + (columns // size) * (period or 0.0)
    weights = difference_weights(window - x[:, None], highest)
    rows = np.repeat(np.arange(size), points)
    places = rows, (columns % size).ravel()
    return [sp.csr_array(sp.eye_array(size))] + [
        sp.coo_array((own.ravel(), places), shape=(size, size)).tocsr() for own in weights[1:]
    ]


def difference_weights(offsets: np.ndarray, highest: int) -> np.ndarray:
    """Weights of values at these offsets for each derivative at 0, [highest + 1, n, points].

    Exact for polynomials of lower degree than there are points.

    Args:
        offsets: [n, points].
    """
    unit = np.abs(offsets).max(1, keepdims=True)
    powers = (offsets / unit)[:, None, :] ** np.arange(offsets.shape[1])[:, None]
    right = np.zeros((offsets.shape[1], highest + 1))
    for order in range(highest + 1):
        right[order, order] = factorial(order)
    weights = np.linalg.solve(powers, np.broadcast_to(right, (len(offsets), *right.shape)))
    return np.moveaxis(weights, 2, 0) / unit ** np.arange(highest + 1)[:, None, None]


def kronecker(matrices: Sequence[sp.csr_array]) -> sp.csr_array:
    """The Kronecker product of one matrix an axis."""
    result = matrices[0]
    for matrix in matrices[1:]:
        result = sp.kron(result, matrix).tocsr()
    return result
