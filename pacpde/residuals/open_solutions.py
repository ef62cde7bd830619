"""How well the equation and its conditions tell solutions apart, to first order.

A small residual r says that the error is at most ‖r‖ / σ, with the smallest singular value σ of the
linearised equation. Where a problem has many solutions σ is 0, and where a layer may stand anywhere
it is so by all that numbers tell: on grids it is then nothing but the error of the grid, which
falls with the distance of the nodes.

The error that belongs to σ need not be steep where the solution is: a wrong solution may lack a
layer that the right one has, as of ε u'' = x u' (Ackerberg & O'Malley 1970,
doi:10.1002/sapm1970493277), and on nodes of the solution σ seems to be large. So nodes are placed
for layers at the edges, and where the error that belonged to σ on fewer nodes was steep. Neither
need it be as smooth: near a resonance it is a wave, and there are nodes for the shortest one that
the equation lets pass (`short_waves`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod

import numpy as np
import scipy.sparse as sp

from pacpde.errors import named_numbers
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.box_error import LinearisedBox, least_determined, of_field
from pacpde.residuals.differences import kronecker
from pacpde.residuals.error_estimate import estimate_on
from pacpde.residuals.estimate_grid import BoxGrid, Profile, may_have_layers
from pacpde.residuals.short_waves import LinearWaves

# Nodes along each axis, of grids in turn; more where short waves pass.
COUNTS = {1: (161, 321, 641), 2: (25, 37, 55, 97), 3: (9, 11)}
A_HALF_WAVE = {1: 4, 2: 4, 3: 3}  # nodes for the shortest one, on the first grid
ALONG = {2: (81, 161, 321), 3: (41, 81)}  # the same of one axis
ACROSS = {2: 13, 3: 7}  # and of the others
ENOUGH = {1: 161, 2: 33, 3: 9}  # of each, at least, for an estimate
MOST = {1: 40_000, 2: 12_400, 3: 6_000}  # nodes times the square of the number of fields
MOST_OF_ONE = {1: 40_000, 2: 40_000, 3: 6_000}  # nodes where there is one field
MOST_ALONG = {2: 40_000, 3: 4_000}  # the same, of more nodes along one axis
SMALL, ROUNDING = 1e-3, 1e-10  # σ as a share of the equation's terms; of the package 3e-3 or more
CLEAR = 1e-2  # from where on one grid may be enough
SHORT = 5.0  # half-waves along an axis, that a fit may lack
AGREE, ALIKE = 2.0, 1.25  # times, that σ of a grid and of the one before may differ; a small one
SAWTOOTH = tuple(share / 64 for share in (-1, 6, -15, 20, -15, 6, -1))  # 1 for +1, −1, +1, …

OPEN_NOTE = (
    "the equation and its conditions hardly tell this solution from others near it: there may be "
    "several, or a resonance, or a layer that may stand anywhere, and a small residual says "
    "nothing of the error"
)
UNSEEN_NOTE = (
    "short waves ({} half-waves) pass through the equation, too many fields and axes for the grid "
    "of the error estimate: near a resonance a small residual says nothing of the error"
)


def error_left_open(solver: Surrogate) -> tuple[float, list[str]]:
    """The error that a small residual may hide, where the equation says little of some error.

    Returns:
        The error, and notes for the user. It is infinite where the linearised equation has a
        singular value that no grid tells from 0. Else, where one is small, it is the estimated
        error on nodes that suit it; 0 where none is, or where there are too many axes for this.
        Constants that may be added to a field, such as a pressure that nothing pins, do not count.
    """
    linear = LinearWaves.of(solver)
    waves = {axis.name: linear.half_waves(axis.name) for axis in solver.problem.axes}
    all_axes, *one_axis = _series(solver.problem, waves, linear.of_any_length())
    largest = 0.0
    for series in (all_axes, *one_axis):
        largest = max(largest, _left_open(solver, series))
        if largest == inf:
            return inf, [OPEN_NOTE]
    passing = {f"along {name}": count for name, count in waves.items() if count >= SHORT}
    if passing and not all_axes.grids:
        return largest, [UNSEEN_NOTE.format(named_numbers(passing, ": ", 2))]
    return largest, []


@dataclass(frozen=True)
class _Series:
    """Grids, each finer than the one before.

    Attributes:
        grids: nodes along each axis.
        one_is_enough: whether σ is known where it is `CLEAR` on the first grid; else two have to
            agree.
        all_count: whether grids that agree are followed by finer ones, as where short waves pass.
    """

    grids: Sequence[tuple[int, ...]]
    one_is_enough: bool
    all_count: bool = False


def _series(problem: Problem, waves: Mapping[str, float], of_any_length: bool) -> Iterator[_Series]:
    """Of more nodes along all axes, and along each one for layers at its ends.

    Args:
        waves: axis → half-waves of the shortest wave that the equation lets pass.
        of_any_length: whether waves pass that are as short as one likes.
    """
    axes, blocks = len(problem.axes), len(problem.fields) ** 2

    def up_to(grids: list[tuple[int, ...]], most: int) -> list[tuple[int, ...]]:
        return [counts for counts in grids if prod(counts) * blocks <= most]

    if axes not in COUNTS:
        yield _Series((), one_is_enough=False)
        return
    first = COUNTS[axes][0]
    factors = [max(1.0, A_HALF_WAVE[axes] * count / first) for count in waves.values()]
    grids = [tuple(2 * int(count * own / 2) + 1 for own in factors) for count in COUNTS[axes]]
    one_field = blocks == 1  # of several, fine grids take minutes
    yield _Series(
        up_to(grids, (MOST_OF_ONE if one_field else MOST)[axes]),
        one_is_enough=axes > 2,
        all_count=one_field and of_any_length,
    )
    for k, axis in enumerate(problem.axes if axes in ALONG else ()):
        if may_have_layers(problem, axis.name):
            others = (ACROSS[axes],) * (axes - 1)
            grids = [(*others[:k], count, *others[k:]) for count in ALONG[axes]]
            yield _Series(up_to(grids, MOST_ALONG[axes]), one_is_enough=True)


def _left_open(solver: Surrogate, series: _Series) -> float:
    """The same by some grids."""
    before, settled, estimates = inf, False, [0.0]
    weak: Sequence[Profile] = []
    for counts in series.grids:
        grid = BoxGrid.on_box(solver, counts, weak)
        matrix, weights = _in_squares(solver, grid)
        if not np.isfinite(matrix.data).all():
            return 0.0
        found, vector, least = least_determined(matrix)
        if found <= max(ROUNDING, least):
            return inf
        if before == inf:
            settled, small = series.one_is_enough and found >= CLEAR, SMALL
        else:
            times = AGREE if found >= SMALL else ALIKE
            settled = before / times < found < times * before
            small = SMALL if settled else CLEAR
        if found < small:
            enough = tuple(max(count, ENOUGH[len(counts)]) for count in counts)
            fine = grid if enough == counts else BoxGrid.on_box(solver, enough, weak)
            estimates.append(estimate_on(solver, fine))
        if settled and not series.all_count:
            break
        before, weak = found, grid.profiles(vector / weights)
    hidden = not settled and before < SMALL and len(series.grids) > 1
    return inf if hidden else max(estimates[-2:])


def _in_squares(solver: Surrogate, grid: BoxGrid) -> tuple[sp.csr_array, np.ndarray]:
    """The linearised equation, whose squares, and those of errors, count by their share of the box.

    Two kinds of rows are added: a value of each field of which no edge gives one, and, as central
    differences of first order do not see one, the sawtooth of each field along each axis of which
    the equation has nothing but its first derivative.

    Returns:
        Matrix [rows, fields · nodes] for errors times their weights, and these [fields · nodes].
    """
    problem = solver.problem
    linear = LinearisedBox.of(solver, grid)
    matrix, read = linear.matrix, linear.read
    size, fields = len(grid.nodes), len(problem.fields)
    parts = [matrix]
    for k in range(fields):
        own = [name for name, is_read in zip(problem.channels, read[:, k], strict=True) if is_read]
        # a point gives a mean, and in the mean square hardly; a value that is little counts
        if "" not in own and not problem.edges_give_value(k):
            parts.append(of_field(_pins(problem, grid), k, fields))
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
    """At each inner node, the part of a function that changes its sign from node to node.

    Of smooth functions, and of layers that have a few nodes, these differences leave little.
    """
    count = grid.shape[axis]
    shares = enumerate(SAWTOOTH)
    own = sum(share * np.eye(count - len(SAWTOOTH) + 1, count, k) for k, share in shares)
    parts = [np.eye(one) for one in grid.shape]
    parts[axis] = np.asarray(own)
    return kronecker([sp.csr_array(part) for part in parts])


def _pins(problem: Problem, grid: BoxGrid) -> sp.csr_array:
    """Rows that are 1 for a constant of unit length, for each time if there is one.

    They read one node, which leaves a factor sparse; [times, nodes].
    """
    times = 1 if problem.domain.time is None else len(grid.axes[0])
    places = len(grid.nodes) // times
    node = np.zeros((1, places))
    node[0, places // 2] = places**0.5
    return sp.csr_array(np.kron(np.eye(times), node))
