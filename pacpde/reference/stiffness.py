"""Whether an explicit method suits a semi-discrete problem: its fastest motions oscillate.

Frozen at some nodes, rhs is linear in the fields and their derivatives, and a wave exp(iξx) of the
shortest length that the grid has grows like exp(λt), λ the eigenvalues of its symbol. Waves,
advection, Schrödinger and KdV have imaginary ones; what diffuses has negative ones.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pacpde.physics.numbers import norm
from pacpde.reference.slopes import Slopes
from pacpde.runtime import generator

if TYPE_CHECKING:
    from pacpde.reference.method_of_lines import MethodOfLines

NODES = 64  # at most, at which the symbol is taken
DIRECTIONS = 8  # of waves, where there are several axes
REACH = 6.0  # of a step of DOP853, over the largest eigenvalue: where it is stable
STAGES = 12  # evaluations of a step
GROWTHS = 40  # of a vector by the Jacobian, which tell its largest eigenvalue
DIFFERENCE = 1e-6  # of the fields' scales
DECAY = 1e-3  # of the largest frequency: a decay below it is none
SLOW = 10.0  # decay over the span, that is none either


def oscillates(system: "MethodOfLines") -> bool:
    """Whether the fastest waves of a problem in space oscillate much faster than they decay."""
    with np.errstate(all="ignore"):
        symbol = _symbol(system)
    if not np.isfinite(symbol).all():
        return False
    eigenvalues = np.linalg.eigvals(symbol)
    frequency = np.abs(eigenvalues.imag).max()
    slow = SLOW / (system.span[1] - system.span[0])
    decay = np.abs(eigenvalues.real).max()
    return bool(frequency > 0 and decay <= max(DECAY * frequency, slow))


def explicit_evaluations(system: "MethodOfLines") -> float:
    """Of the right-hand side that DOP853 needs to be stable over the whole span, about.

    By the growth of a vector under the Jacobian, applied as a difference of rates.
    """
    t, y = system.span[0], system.start
    rates = system.rates(t, y)
    vector = generator(0, "growth").standard_normal(len(y)) * system.scale
    growths = []
    with np.errstate(all="ignore"):
        for _ in range(GROWTHS):
            step = DIFFERENCE * vector / np.abs(vector / system.scale).max()
            product = (system.rates(t, y + step) - rates) / norm(step)
            growths.append(norm(product))
            vector = product
        largest = np.exp(np.mean(np.log(growths[GROWTHS // 2 :])))
    return float(largest * (system.span[1] - system.span[0]) * STAGES / REACH)


def _symbol(system: "MethodOfLines") -> np.ndarray:
    """∂(dy/dt)/∂y at some nodes for waves in some directions, [waves, nodes, n, n]."""
    slopes = system.slopes(system.span[0], system.start)
    nodes = int(np.prod(system.shape))
    rng = generator(0, "symbol")
    chosen = rng.choice(nodes, min(NODES, nodes), replace=False)
    waves = _shortest_waves(system, rng)
    names = [axis.axis.name for axis in system.space]
    factors = {
        name: np.prod([(1j * waves[:, k]) ** name.count(x) for k, x in enumerate(names)], axis=0)
        for name in slopes
    }
    at = {
        name: [[None if one is None else one.ravel()[chosen] for one in row] for row in rows]
        for name, rows in slopes.items()
    }
    return symbol(at, factors, system.problem.order)


def symbol(slopes: Slopes, factors: Mapping[str, np.ndarray], order: int) -> np.ndarray:
    """∂(dy/dt)/∂y for waves, [waves, points, n, n]; y are the fields and, with order 2, their ∂/∂t.

    Args:
        slopes: at points.
        factors: derivative → what it multiplies each wave by, [waves].
        order: of the equation.
    """
    waves = len(next(iter(factors.values())))
    given = [s for rows in slopes.values() for row in rows for s in row if s is not None]
    count, points = len(slopes[""]), len(given[0]) if given else 1
    result = np.zeros((waves, points, order * count, order * count), complex)
    if order == 2:
        result[:, :, range(count), range(count, 2 * count)] = 1.0
    for name, rows in slopes.items():
        for row, columns in enumerate(rows):
            for column, slope in enumerate(columns):
                if slope is not None:
                    at = (order - 1) * count + row, name.count("t") * count + column
                    result[:, :, *at] += factors[name][:, None] * slope
    return result


def _shortest_waves(system: "MethodOfLines", rng: np.random.Generator) -> np.ndarray:
    """Wave numbers of the shortest waves of the grid, [directions, axes]."""
    shortest = np.array([np.pi / np.diff(axis.nodes).min() for axis in system.space])
    if len(shortest) == 1:
        return shortest[None]
    directions = rng.normal(size=(DIRECTIONS, len(shortest)))
    return np.asarray(shortest * directions / np.linalg.norm(directions, axis=1, keepdims=True))
