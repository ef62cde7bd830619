"""Random lines through the domain, cut into cells, and what deviates from a polynomial there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pacpde.errors import named_numbers
from pacpde.reference.dense import lagrange

DEGREE = 12  # of the polynomial in a cell: it meets the grid's highest mode to 1e-11 of its size
UNIT = np.sin(np.pi * np.arange(DEGREE + 1) / (2 * DEGREE)) ** 2


@dataclass(frozen=True)
class MissedFeature:
    """The worst that the probes found.

    Attributes:
        error: estimated relative error of the solution, the largest over the fields.
        what: "right-hand side" or "start".
        axis: along which it is narrow; `share` of a cell is its width.
        place: coordinates of the largest deviation.
    """

    error: float = 0.0
    what: str = ""
    axis: str = ""
    share: float = 1.0
    place: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        at = named_numbers(self.place, " = ")
        between = "steps in time" if self.axis == "t" else f"nodes in {self.axis}"
        return (
            f"near {at} the {self.what} has a kink, a jump or a feature narrower than the distance "
            f"of the {between}"
        )


@dataclass(frozen=True)
class Lines:
    """Random lines along one axis, cut into the same cells.

    Attributes:
        edges: of the cells, [cells + 1].
        offsets: of the probes in a cell, [lines, probes], from 0 to 1.
        signs: −1 for lines on the lower half of an axis that is solved on its upper half, [lines].
        place: the other coordinates, each [lines].
    """

    axis: str
    edges: np.ndarray
    offsets: np.ndarray
    signs: np.ndarray
    place: Mapping[str, np.ndarray]

    def along(self, offsets: np.ndarray) -> np.ndarray:
        """The coordinate at the offsets [lines, k] in every cell, [lines, cells, k]."""
        inside = self.edges[:-1, None] + np.diff(self.edges)[:, None] * offsets[:, None, :]
        return self.signs[:, None, None] * inside

    def coordinates(self, offsets: np.ndarray) -> dict[str, np.ndarray]:
        """Every coordinate there, each [lines, cells, k]."""
        along = self.along(offsets)
        others = {
            name: np.broadcast_to(values[:, None, None], along.shape)
            for name, values in self.place.items()
        }
        return {self.axis: along, **others}

    @property
    def weights(self) -> np.ndarray:
        """Weights of interpolation from a cell's nodes to its probes, [lines, nodes, probes]."""
        count, probes = self.offsets.shape
        nodes = np.broadcast_to(UNIT, (count * probes, len(UNIT)))
        weights = lagrange(nodes, self.offsets.ravel()).reshape(count, probes, len(UNIT))
        return weights.swapaxes(1, 2)

    @property
    def nodes(self) -> np.ndarray:
        """The nodes of a cell, for each line, [lines, nodes]."""
        return np.broadcast_to(UNIT, (len(self.offsets), len(UNIT)))


class Tally:
    """Mean deviations of the fields over all lines, and the place of the largest."""

    def __init__(self, what: str, fields: int, power: int) -> None:
        self.what, self.power = what, power
        self.sums, self.lines = np.zeros(fields), 0
        self.peaks = [MissedFeature() for _ in range(fields)]
        self.highest = np.zeros(fields)

    def add(self, lines: Lines, deviations: Sequence[np.ndarray]) -> None:
        """Add the deviations of a chunk of lines, [lines, cells, probes] of each field."""
        widths = np.diff(lines.edges) / (lines.edges[-1] - lines.edges[0])
        self.lines += len(lines.offsets)
        for k, deviation in enumerate(deviations):
            size = np.abs(deviation)
            bad = ~np.isfinite(size)
            size[bad] = np.inf if bad.mean() > 0.01 else 0.0
            self.sums[k] += ((size**self.power).mean(2) @ widths).sum()
            highest = float(size.max())
            if highest > self.highest[k]:
                self.highest[k] = highest
                at = np.unravel_index(int(size.argmax()), size.shape)
                wide = float((size[at[0], at[1]] > highest / 2).mean())
                place = {n: float(x[at]) for n, x in lines.coordinates(lines.offsets).items()}
                self.peaks[k] = MissedFeature(0.0, self.what, lines.axis, wide, place)

    def worst(self, scale: np.ndarray) -> MissedFeature:
        """The largest mean deviation of a field, after multiplication by `scale`, [fields]."""
        errors = (self.sums / max(1, self.lines)) ** (1 / self.power) * scale
        k = int(np.argmax(errors))
        peak = self.peaks[k]
        return MissedFeature(float(errors[k]), peak.what, peak.axis, peak.share, peak.place)
