"""How well the equation and its conditions tell solutions apart, to first order.

A small residual r says that the error is at most ‖r‖ / σ, with the smallest singular value σ of the
linearised equation. Where a problem has many solutions σ is 0, and where a layer may stand anywhere
it is so by all that numbers tell: on grids it is then nothing but the error of the grid, which
falls with the distance of the nodes.

The error that belongs to σ need not be steep where the solution is: a wrong solution may lack a
layer that the right one has, as of ε u'' = x u' (Ackerberg & O'Malley 1970,
doi:10.1002/sapm1970493277), and on nodes of the solution σ seems to be large. So nodes are placed
for layers at the edges, and where the error that belonged to σ on fewer nodes was steep.
"""

from collections.abc import Iterator, Sequence
from math import inf, prod

import numpy as np
import scipy.sparse as sp

from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.box_error import LinearisedBox, least_determined, of_field
from pacpde.residuals.differences import kronecker
from pacpde.residuals.error_estimate import estimate_on
from pacpde.residuals.estimate_grid import BoxGrid, Profile, highest_order

COUNTS = {1: (81, 161, 321), 2: (25, 49, 97), 3: (9, 13)}  # nodes along each axis, of grids in turn
ALONG = {2: (81, 161, 321), 3: (41, 81)}  # the same of one axis
ACROSS = {2: 13, 3: 7}  # and of the others
ENOUGH = {1: 81, 2: 33, 3: 11}  # of each, at least, for an estimate
MOST = {1: 40_000, 2: 40_000, 3: 4_000}  # nodes times the square of the number of fields
SMALL, ROUNDING = 1e-3, 1e-10  # σ as a share of the equation's terms; of the package 3e-3 or more
CLEAR = 1e-2  # from where on one grid is enough
FALLS = 0.5  # where there are more nodes
CONSTANT = 1e-9  # of the rows: a constant is left open, as that of a pressure is on purpose

OPEN_NOTE = (
    "the equation and its conditions hardly tell this solution from others near it: there may be "
    "several, or a layer that may stand anywhere, and a small residual says nothing of the error"
)


def error_left_open(solver: Surrogate) -> float:
    """The error that a small residual may hide, where the equation says little of some error.

    Returns:
        Infinite where the linearised equation has a singular value that no grid tells from 0. Else,
        where one is small, the estimated error on nodes that suit it; 0 where none is, or where
        there are too many axes for this. Constants that may be added to a field, such as a pressure
        that nothing pins, do not count.
    """
    largest = 0.0
    for grids in _series(solver.problem):
        largest = max(largest, _left_open(solver, grids))
        if largest == inf:
            break
    return largest


def _series(problem: Problem) -> Iterator[Sequence[tuple[int, ...]]]:
    """Nodes along every axis, of grids one after the other: of all axes alike, and of each."""
    axes = len(problem.axes)
    if axes in COUNTS:
        yield [(count,) * axes for count in COUNTS[axes]]
    for k, axis in enumerate(problem.axes if axes in ALONG else ()):
        if highest_order(problem, axis.name) > 1:  # else there are no layers at its ends
            others = (ACROSS[axes],) * (axes - 1)
            yield [(*others[:k], count, *others[k:]) for count in ALONG[axes]]


def _left_open(solver: Surrogate, grids: Sequence[tuple[int, ...]]) -> float:
    """The same by some grids, each finer than the one before."""
    before, falls, estimates = CLEAR / FALLS, False, [0.0]
    weak: Sequence[Profile] = []
    for counts in grids:
        if prod(counts) * len(solver.problem.fields) ** 2 > MOST[len(counts)]:
            break
        grid = BoxGrid.on_box(solver, counts, weak)
        matrix, weights = _in_squares(solver, grid)
        if not np.isfinite(matrix.data).all():
            return 0.0
        found, vector, least = least_determined(matrix)
        if found <= max(ROUNDING, least):
            return inf
        falls, before = found < FALLS * before, found
        if found < SMALL:
            enough = tuple(max(count, ENOUGH[len(counts)]) for count in counts)
            fine = grid if enough == counts else BoxGrid.on_box(solver, enough, weak)
            estimates.append(estimate_on(solver, fine))
        if found >= SMALL and not falls:
            break
        weak = grid.profiles(vector / weights)
    return inf if falls and before < SMALL else max(estimates[-2:])


def _in_squares(solver: Surrogate, grid: BoxGrid) -> tuple[sp.csr_array, np.ndarray]:
    """The linearised equation, whose squares, and those of errors, count by their share of the box.

    Two kinds of rows are added: a value of each field that nothing pins, and, as central
    differences of first order do not see one, the sawtooth of each field along each axis of which
    the equation has nothing but its first derivative.

    Returns:
        Matrix [rows, fields · nodes] for errors times their weights, and these [fields · nodes].
    """
    problem = solver.problem
    linear = LinearisedBox.of(solver, grid)
    matrix, read = linear.matrix, linear.read
    size, fields = len(grid.nodes), len(problem.fields)
    (constants, pins), largest = _constants(problem, grid), abs(matrix).max()
    parts = [matrix]
    for k in range(fields):
        own = [name for name, is_read in zip(problem.channels, read[:, k], strict=True) if is_read]
        said = abs(matrix[:, k * size : (k + 1) * size] @ constants.T).max()
        if "" not in own and said <= CONSTANT * largest:  # a little is not on purpose
            parts.append(of_field(pins, k, fields))
        for axis, name in enumerate(grid.names):
            if max((one.count(name) for one in own), default=0) == 1:
                parts.append(of_field(_sawtooth(grid, axis), k, fields))
    whole = sp.vstack(parts, format="csr")
    weights = np.sqrt(grid.weights[0] / grid.weights.mean())
    rows = np.ones(whole.shape[0])
    rows[: problem.n_rows * size] = np.tile(weights, problem.n_rows)
    columns = np.tile(weights, fields)
    return sp.csr_array(sp.diags_array(rows) @ whole @ sp.diags_array(1 / columns)), columns


def _sawtooth(grid: BoxGrid, axis: int) -> sp.csr_array:
    """At each inner node, the part of a function that changes its sign from node to node."""
    count = grid.shape[axis]
    own = sum(share * np.eye(count - 2, count, k) for k, share in enumerate((-0.25, 0.5, -0.25)))
    parts = [np.eye(one) for one in grid.shape]
    parts[axis] = np.asarray(own)
    return kronecker([sp.csr_array(part) for part in parts])


def _constants(problem: Problem, grid: BoxGrid) -> tuple[sp.csr_array, sp.csr_array]:
    """Functions that are constant, for each time if there is one, and rows that read them.

    Returns:
        The functions, of unit length, and rows that are 1 for them and read one node, which leaves
        a factor sparse; [times, nodes] each.
    """
    times = 1 if problem.domain.time is None else len(grid.axes[0])
    places = len(grid.nodes) // times
    node = np.zeros((1, places))
    node[0, places // 2] = places**0.5
    each = np.eye(times)
    functions = np.kron(each, np.full((1, places), places**-0.5))
    return sp.csr_array(functions), sp.csr_array(np.kron(each, node))
