"""Where Newton's method starts."""

from collections.abc import Iterator

import numpy as np

from pacpde.physics.boundary import EdgeCondition
from pacpde.reference.collocation import Collocation
from pacpde.reference.nodal import NodalAxis, NodalSolution
from pacpde.runtime import generator

MODES = 3  # of random fields, an axis
RANDOM = 2


def starts(system: Collocation) -> Iterator[np.ndarray]:
    """The boundary values blended into the box; 0; fields of size 1; smooth random fields."""
    count = len(system.grids)
    scales = system.problem.scales
    yield system.joined([_blended(system, field) for field in range(count)])
    yield system.joined([np.zeros(shape) for shape in system.shapes])
    yield system.joined(
        [np.full(shape, scale) for shape, scale in zip(system.shapes, scales, strict=True)]
    )
    rng = generator(0, "starts of Newton's method")
    for _ in range(RANDOM):
        yield system.joined(
            [scale * _random(grid, rng) for grid, scale in zip(system.grids, scales, strict=True)]
        )


def on_nodes(system: Collocation, solution: NodalSolution) -> np.ndarray:
    """The state of another solution's values at the nodes of a system."""
    return system.joined(
        [
            solution.on_grid(*(axis.nodes for axis in grid))[field]
            for field, grid in enumerate(system.grids)
        ]
    )


def _blended(system: Collocation, field: int) -> np.ndarray:
    """Linear between the values at both ends of an axis, constant from one; the mean over axes."""
    grid = system.grids[field]
    names = system.problem.domain.names
    found = []
    for position, name in enumerate(names):
        faces = {}
        for edge in system.problem.boundary.edges:
            if edge.axis == name and edge.field == field and edge.a and not edge.b:
                faces[edge.upper] = _value(system, edge)
        if faces:
            ends = [faces[upper] for upper in sorted(faces)]
            shape = [-1 if k == position else 1 for k in range(len(grid))]
            share = _share(grid[position]).reshape(shape)
            found.append((1 - share) * ends[0] + share * ends[-1])
    return np.mean(found, 0) if found else np.zeros(system.shapes[field])


def _value(system: Collocation, edge: EdgeCondition) -> np.ndarray:
    """The value of a field at one end of an axis, at the nodes of the other axes."""
    names = system.problem.domain.names
    grid = system.grids[edge.field]
    places = [axis.nodes for axis in grid]
    places[names.index(edge.axis)] = system.edge_end(edge)
    at = np.meshgrid(*places, indexing="ij")
    value = edge.value_at(dict(zip(names, at, strict=True)))
    return np.broadcast_to(np.asarray(value, float) / edge.a, at[0].shape)


def _share(axis: NodalAxis) -> np.ndarray:
    """0 at the lower end of an axis, 1 at the upper one."""
    return np.asarray((axis.nodes - axis.axis.lower) / axis.axis.length)


def _random(grid: tuple[NodalAxis, ...], rng: np.random.Generator) -> np.ndarray:
    """A few random cosines along each axis."""
    result = rng.standard_normal((MODES,) * len(grid))
    for axis in grid:
        factor = 2 if axis.periodic else 1
        waves = np.cos(factor * np.pi * _share(axis)[:, None] * np.arange(MODES))
        result = np.tensordot(result, waves, axes=(0, 1))
    return np.asarray(result) / MODES
