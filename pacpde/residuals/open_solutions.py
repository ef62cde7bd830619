"""Whether the equation and its conditions tell solutions apart, to first order.

A small residual r says that the error is at most ‖r‖ / σ, with the smallest singular value σ of the
linearised equation. Where a problem has many solutions σ is 0, and where a layer may stand anywhere
it is so by all that numbers tell: on grids it is then nothing but the error of the grid, which
falls with the distance of the nodes.
"""

import numpy as np

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.box_error import linearised_on_box
from pacpde.residuals.estimate_grid import BOX_NODES, HIGH, BoxGrid

UNKNOWNS = 700  # of a dense matrix, whose singular values are found in a second
SMALL, ROUNDING = 1e-3, 1e-10  # σ as a share of the equation's terms; of the package 0.03 or more
FALLS = 0.5  # where nodes are twice as many
CONSTANT = 1e-9  # of the rows: a constant is left open, as that of a pressure is on purpose

OPEN_NOTE = (
    "the equation and its conditions hardly tell this solution from others near it: there may be "
    "several, or a layer that may stand anywhere, and a small residual says nothing of the error"
)


def leaves_open(solver: Surrogate) -> bool:
    """Whether the linearised equation has a smallest singular value that no grid tells from 0.

    Constants that may be added to a field, such as a pressure that nothing pins, are left out.
    False where there are too many fields and axes for two grids.
    """
    problem = solver.problem
    axes = len(problem.axes)
    usual = BOX_NODES[axes][1] if axes in BOX_NODES else 0
    most = min(int((UNKNOWNS / len(problem.fields)) ** (1 / axes)), usual)
    count, half = (n - 1 + n % 2 for n in (most, (most + 1) // 2))  # odd, see `BOX_NODES`
    if half < HIGH:
        return False
    fine = _smallest_singular_value(solver, BoxGrid.on_box(solver, count))
    if fine >= SMALL or fine < ROUNDING:
        return fine < ROUNDING
    coarse = _smallest_singular_value(solver, BoxGrid.on_box(solver, half))
    return fine < FALLS * coarse


def _smallest_singular_value(solver: Surrogate, grid: BoxGrid) -> float:
    """Infinite where the equation is not finite."""
    matrix = linearised_on_box(solver, grid)[0].toarray()
    if not np.isfinite(matrix).all():
        return np.inf
    blocks = np.split(matrix, len(solver.problem.fields), axis=1)
    means = _means(solver.problem, grid)
    for k, block in enumerate(blocks):
        if np.abs(block @ means.T).max() <= CONSTANT * np.abs(matrix).max():
            held = np.zeros((len(means), matrix.shape[1]))
            np.split(held, len(blocks), axis=1)[k][:] = means
            matrix = np.vstack([matrix, held])
    return float(np.linalg.svd(matrix, compute_uv=False)[-1])


def _means(problem: Problem, grid: BoxGrid) -> np.ndarray:
    """Rows for the mean of a field, of unit length; one for each time, if there is one."""
    times = 1 if problem.domain.time is None else len(grid.axes[0])
    places = len(grid.nodes) // times
    return np.kron(np.eye(times), np.full((1, places), places**-0.5))
