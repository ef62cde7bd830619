"""Evaluate the functions of a problem at points, as numpy arrays."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pacpde.errors import InvalidValueError
from pacpde.physics.calls import line_of
from pacpde.physics.derivatives import ChannelDerivative

if TYPE_CHECKING:
    from pacpde.physics.evolution import Evolution
    from pacpde.physics.problem import Problem

POINTS = 1024  # at which the size of a residual is measured

Channels = Mapping[str, Sequence[np.ndarray]]  # derivative → one array a field; "" the fields


def rates_at(
    problem: "Evolution", channels: Channels, coordinates: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """`rhs` for some fields and derivatives, one array a field, each of the shape of the fields.

    Values that are not finite are given as they are, without a warning.
    """
    d = ChannelDerivative(channels, problem.domain.names, coordinates)
    with np.errstate(all="ignore"):
        rates = problem.rates(d.fields, d)
    return _arrays(rates, np.shape(channels[""][0]))


def rows_at(
    problem: "Problem", channels: Channels, coordinates: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """The rows of the residual, each of the shape of the fields; see `rates_at`."""
    d = ChannelDerivative(channels, problem.domain.names, coordinates)
    with np.errstate(all="ignore"):
        rows = problem.rows(d.fields, d)
    return _arrays(rows, np.shape(channels[""][0]))


def initial_at(
    problem: "Evolution", space: Sequence[np.ndarray], shape: tuple[int, ...], order: int = 1
) -> list[np.ndarray]:
    """`initial` at space coordinates that broadcast to `shape`, one array a field.

    Args:
        order: 2 for the fields and then their rates of change, of an equation of order 2.
    """
    with np.errstate(all="ignore"):
        parts = problem.initial_parts(*space)[:order]
    return _arrays([field for part in parts for field in part], shape)


def equation_at(
    problem: "Problem", channels: Channels, coordinates: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What a family's own function of the equation gives, `rhs` or `residual`, each with a name."""
    d = ChannelDerivative(channels, problem.domain.names, coordinates)
    with np.errstate(all="ignore"):
        values = problem.equation_values(d.fields, d)
    arrays = _arrays(values, np.shape(channels[""][0]))
    return dict(zip(problem.equation_names, arrays, strict=True))


def start_at(problem: "Problem", coordinates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `initial` gives at points by coordinate [points], each with a name; {} without one."""
    with np.errstate(all="ignore"):
        values = problem.start_values(coordinates)
    shape = np.shape(next(iter(coordinates.values())))
    return dict(zip(problem.start_names, _arrays(values, shape), strict=True))


def exact_at(problem: "Problem", coordinates: Sequence[np.ndarray]) -> np.ndarray | None:
    """`exact` at coordinates that broadcast, in the order of the axes, [fields, ...]; or None.

    Values that are not finite are given as they are, without a warning.

    Raises:
        InvalidValueError: it gives an array of another shape.
    """
    with np.errstate(all="ignore"):
        values = problem.exact(*coordinates)
    if values is None:
        return None
    shape = (len(problem.fields), *np.broadcast_shapes(*map(np.shape, coordinates)))
    try:
        return np.broadcast_to(np.asarray(values, float), shape)
    except ValueError as error:
        raise InvalidValueError(
            f"{problem.name}.exact{line_of(problem, 'exact')} gave an array of the shape "
            f"{np.shape(values)}, expected {shape}: one array a field, stacked."
        ) from error


def random_jet(
    problem: "Problem", sizes: Sequence[float], points: int, rng: np.random.Generator
) -> dict[str, list[np.ndarray]]:
    """Random fields of these sizes, with derivatives over the lengths of the axes, [points]."""
    lengths = {axis.name: axis.length for axis in problem.domain.axes}
    return {
        name: [
            size / np.prod([lengths[axis] for axis in name]) * rng.normal(size=points)
            for size in sizes
        ]
        for name in problem.channels
    }


def row_sizes(problem: "Problem") -> tuple[float, ...]:
    """Root mean square of each row for random fields of their typical sizes; 1 where it is 0."""
    rng = np.random.default_rng(0)
    points = problem.domain.random(POINTS, rng).T
    jet = random_jet(problem, problem.scales, POINTS, rng)
    rows = rows_at(problem, jet, dict(zip(problem.domain.names, points, strict=True)))
    with np.errstate(all="ignore"):
        sizes = [float(np.sqrt(np.mean(row**2))) for row in rows]
    return tuple(size if 0 < size < np.inf else 1.0 for size in sizes)


def _arrays(values: Sequence[object], shape: tuple[int, ...]) -> list[np.ndarray]:
    return [np.broadcast_to(np.asarray(value, float), shape) for value in values]
