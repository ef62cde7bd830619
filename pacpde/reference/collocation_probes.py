"""The equations of a collocation between its nodes: what no level of a refinement has seen."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from pacpde.physics.boundary import EdgeCondition
from pacpde.physics.evaluation import rows_at
from pacpde.physics.narrow import NarrowFeature
from pacpde.physics.numbers import along_axis, norm
from pacpde.reference.collocation import Collocation
from pacpde.reference.nodal import NodalAxis
from pacpde.reference.solution import ZERO

NODES = 6  # of a Gauss–Legendre quadrature
QUADRATURE = np.polynomial.legendre.leggauss(NODES)
PARTS = {1: 8, 2: 2}  # of a cell, an axis, each with its quadrature; by number of axes
LEAST = 20_000  # places on one axis without another one
ABRUPT = 0.1  # of an equation's size: what is no polynomial over a cell
SEEN = 3.0  # of the distance of places: the width of what they see


def equations_between(system: Collocation, state: np.ndarray) -> np.ndarray:
    """The mean of every equation over the cell around its own point, [equations].

    Where the solution is resolved these are 0 up to its error, as they are at the points
    themselves; a narrow source or coefficient between two points shows in its integral. As the
    equations at the points are, they are to be put into the Jacobian, which gives the error.
    """
    counts = [len(rows) for rows in system.rows]
    parts, places = _all_places(system)
    grid = np.meshgrid(*places, indexing="ij")
    coordinates = dict(zip(system.problem.domain.names, grid, strict=True))
    rows = rows_at(system.problem, _channels(system, state, places), coordinates)
    means = [
        _means(row / scale, counts, [parts] * len(counts))
        for row, scale in zip(rows, system.row_scales, strict=True)
    ]
    for feature in system.problem.narrow_features:
        means[feature.field] += _narrow(system, feature, parts)
    means += [_condition(system, state, edge, parts) for edge in system.problem.boundary.edges]
    return np.concatenate([*means, np.zeros(len(system.problem.boundary.points))])


def changes_abruptly(system: Collocation, state: np.ndarray) -> bool:
    """Whether the fields alone make an equation anything but smooth over a cell, by its own size.

    A solution that has missed such a narrow range of the fields may go another way.
    """
    parts, places = _all_places(system)
    smooth = np.linalg.qr(np.polynomial.legendre.legvander(_offsets(parts) * 2 - 1, NODES))[0]
    held = [np.repeat(rows, parts * NODES) for rows in system.rows]
    at = dict(zip(system.problem.domain.names, np.meshgrid(*held, indexing="ij"), strict=True))
    rows = rows_at(system.problem, _channels(system, state, places), at)
    for row, scale in zip(rows, system.row_scales, strict=True):
        for axis, count in enumerate(len(own) for own in system.rows):
            lines = np.moveaxis(row, axis, -1).reshape(-1, count, parts * NODES)
            if np.abs(lines - lines @ smooth @ smooth.T).max() > ABRUPT * scale:
                return True
    return False


def _all_places(system: Collocation) -> tuple[int, list[np.ndarray]]:
    """The number of parts of a cell, and the places in all of them, an array an axis."""
    counts = [len(rows) for rows in system.rows]
    parts = PARTS.get(len(counts), 1)
    if len(counts) == 1:
        parts = max(parts, -(-LEAST // (NODES * counts[0])))
    pairs = zip(system.axes, system.cells, strict=True)
    return parts, [_places(axis, own, parts) for axis, own in pairs]


def out_of_sight(feature: NarrowFeature, axes: Sequence[NodalAxis]) -> bool:
    """Whether it is narrower than a cell of these axes."""
    widths = [_widths(feature, axis, axis.inner(axis.size)[1])[1] for axis in axes]
    return min(widths) < 1


def _narrow(system: Collocation, feature: NarrowFeature, parts: int) -> np.ndarray:
    """The mean over each cell, flat, of a feature that may lie between the quadrature's nodes."""
    found = [
        _widths(feature, axis, own) for axis, own in zip(system.axes, system.cells, strict=True)
    ]
    if min(width for _, width in found) * parts * NODES >= SEEN:
        return np.zeros(())
    inside = [own * min(1.0, width) for own, width in found]
    height = feature.height / system.row_scales[feature.field]
    return np.asarray(height * reduce(np.multiply.outer, inside)).ravel()


def _widths(feature: NarrowFeature, axis: NodalAxis, cells: np.ndarray) -> tuple[np.ndarray, float]:
    """In which cells of an axis it lies (0 or 1 each), and its width as a share of one."""
    inside, name = np.ones(len(cells) - 1), axis.axis.name
    if name not in feature.widths:
        return inside, np.inf
    cell = int(np.clip(np.searchsorted(cells, feature.place[name]) - 1, 0, len(inside) - 1))
    inside[np.arange(len(inside)) != cell] = 0.0
    return inside, 2 * feature.widths[name] / float(cells[cell + 1] - cells[cell])


def missed_share(
    system: Collocation, state: np.ndarray, correction: np.ndarray, axes: list[np.ndarray]
) -> float:
    """The size of a correction over that of the state, of the worst field, on a grid."""
    shares = []
    pairs = zip(system.split(correction), system.split(state), system.grids, strict=True)
    for field, (own, values, grid) in enumerate(pairs):
        for axis, x, position in zip(grid, axes, range(len(axes)), strict=True):
            matrix = axis.interpolation(x)
            own, values = along_axis(matrix, own, position), along_axis(matrix, values, position)
        size = norm(values)
        unit = system.problem.scales[field] * np.size(values) ** 0.5
        shares.append(float(norm(own) / (size if size > ZERO * unit else unit)))
    return max(shares)


def _offsets(parts: int) -> np.ndarray:
    """The nodes of a quadrature on `parts` parts of the unit interval."""
    return np.asarray((np.arange(parts)[:, None] + (QUADRATURE[0] + 1) / 2).ravel() / parts)


def _places(axis: NodalAxis, cells: np.ndarray, parts: int) -> np.ndarray:
    """The nodes of a quadrature on `parts` parts of every cell, [cells * parts * NODES]."""
    x = (cells[:-1, None] + np.diff(cells)[:, None] * _offsets(parts)).ravel()
    if axis.periodic:
        x = np.where(x < axis.axis.lower, x + axis.axis.length, x)
    return np.clip(x, axis.axis.lower, axis.axis.upper)


def _channels(
    system: Collocation, state: np.ndarray, places: list[np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """Every derivative of every field on a tensor grid of places.

    They are interpolated from the points of the rows: what the equations are there to rounding
    is then no more than rounding between them, too, where nothing is missed.
    """
    shape = [len(rows) for rows in system.rows]
    matrices = [
        axis.from_inner(count, x) for axis, count, x in zip(system.axes, shape, places, strict=True)
    ]

    def moved(values: np.ndarray) -> np.ndarray:
        values = values.reshape(shape)
        for position, matrix in enumerate(matrices):
            values = along_axis(matrix, values, position)
        return values

    channels = system.channels(state)
    return {name: [moved(values) for values in fields] for name, fields in channels.items()}


def _condition(
    system: Collocation,
    state: np.ndarray,
    edge: EdgeCondition,
    parts: int,
) -> np.ndarray:
    """The mean of a condition over the cell around each place where it holds."""
    own = system.problem.domain.names.index(edge.axis)
    grid = system.grids[edge.field]
    ends = system.edge_places(edge)
    counts = [len(x) for x in ends]
    shares = [0 if k == own else parts for k in range(len(grid))]
    places = []
    for k, axis in enumerate(grid):
        cells = axis.cells if k > own else system.cells[k]
        places.append(ends[k] if k == own else _places(axis, cells, parts))
    values = along_axis(system.edge_row(edge)[None], system.split(state)[edge.field], own)
    for k, axis in enumerate(grid):
        if k != own:
            values = along_axis(axis.interpolation(places[k]), values, k)
    at = dict(zip(system.problem.domain.names, np.meshgrid(*places, indexing="ij"), strict=True))
    missed = (values - edge.value_at(at)) / system.edge_scale(edge)
    return _means(missed, counts, shares)


def _means(values: np.ndarray, counts: list[int], parts: list[int]) -> np.ndarray:
    """The mean of values in each cell, flat; an axis with 0 parts has one value in each."""
    for position, (count, own) in enumerate(zip(counts, parts, strict=True)):
        if own:
            shape = (*values.shape[:position], count, own * NODES, *values.shape[position + 1 :])
            weights = np.tile(QUADRATURE[1] / 2, own) / own
            values = np.moveaxis(values.reshape(shape), position + 1, -1) @ weights
    return np.asarray(values).ravel()
