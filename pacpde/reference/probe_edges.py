"""Search within steps and between nodes for what is narrow in the values of edge conditions."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pacpde.physics.boundary import EdgeCondition
from pacpde.reference.grid import SpaceAxis
from pacpde.reference.probe_lines import MissedFeature, Tally

if TYPE_CHECKING:
    from pacpde.reference.probes import Probes

POINTS = 2**19  # of the lines along one axis
LINES = 64  # where there are other axes


def missed_at_edges(probes: "Probes") -> Iterator[MissedFeature]:
    """What every condition's value has between the steps, and between the nodes of other axes.

    A value that is wrong by g at some times moves the solution by g at most, at those times.
    """
    for edge in probes.problem.boundary.edges:
        if edge.constant is None:
            yield _along(probes, edge, None)
            for axis in probes.space:
                if axis.axis.name != edge.axis:
                    yield _along(probes, edge, axis)


def _along(probes: "Probes", edge: EdgeCondition, axis: SpaceAxis | None) -> MissedFeature:
    """Its deviations along a space axis, or in time, in the mean square."""
    own = next(one.axis for one in probes.space if one.axis.name == edge.axis)
    count = 1 if len(probes.space) == 1 else LINES
    place = probes.places(count, axis)
    place[edge.axis] = np.full(count, own.upper if edge.upper else own.lower)
    if axis is not None:
        place["t"] = probes.times(count)
    tally = Tally(f"value at {edge.where}", 1, 2)
    cells = probes.integrated.steps if axis is None else axis.cells
    for _, lines in probes.chunks(axis, cells, count, POINTS, place):
        smooth, exact = (
            np.broadcast_to(
                np.asarray(edge.value_at(lines.coordinates(offsets)), float),
                lines.along(offsets).shape,
            )
            for offsets in (lines.nodes, lines.offsets)
        )
        tally.add(lines, [exact - smooth @ lines.weights])
    unit = max(abs(edge.a), abs(edge.b) / own.length)
    return tally.worst(1 / (probes.size[edge.field : edge.field + 1] * unit))
