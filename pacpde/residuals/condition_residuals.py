"""How far a solution is from its conditions, as shares of the sizes of its fields."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.surrogate import Surrogate

POINTS = 512  # at each end of an axis
DENSE = 2**15  # the same of values that are functions, which may be narrow


@dataclass(frozen=True)
class ConditionResiduals:
    """The residuals of start, edges, seams and point values of a solution.

    A residual is relative to the sizes of its terms: that of a value to the size of the field; that
    of a derivative to the size of the derivative, or of the field over the unit of the axis,
    whichever is larger.

    Attributes:
        solver: the solution.
        points: where conditions are evaluated, once moved to an end of an axis, [points, axes].
        sizes: root mean square of each field, [fields].
        closely: whether values that are functions are looked at closely, where no ansatz of ours
            meets them for every network.
    """

    solver: Surrogate
    points: torch.Tensor
    sizes: torch.Tensor
    closely: bool = False

    def worst(self) -> float:
        """The largest relative residual of any condition; inf where one is no finite number."""
        shares = [
            *self._edges(),
            *self._seams(),
            *self._point_values(),
        ]
        if not shares:
            return 0.0
        worst = float(torch.stack(shares).max())  # nan where one is nan
        return worst if math.isfinite(worst) else math.inf

    def _edges(self) -> Iterator[torch.Tensor]:
        edges, ansatz = self.solver.problem.edge_conditions, self.solver.field_ansatz
        met = ansatz.exactly.edges if type(ansatz) is PhysicsAnsatz else ()
        for axis, upper in dict.fromkeys((one.axis, one.upper) for one in edges):
            own = self.solver.problem.boundary.at(axis, upper)
            dense = self.closely and any(one.constant is None and one not in met for one in own)
            places = self._at(axis, upper, dense)
            jet = self.solver.jet(places, ("", axis))
            outwards = jet[1] if upper else -jet[1]
            sizes, slopes = self._sizes_of("", jet[0]), self._sizes_of(axis, jet[1])
            for one in edges:
                if (one.axis, one.upper) != (axis, upper):
                    continue
                k = one.field
                missed = one.a * jet[0][:, k] + one.b * outwards[:, k]
                missed = missed - one.value_at(self._by_name(places))
                size = abs(one.a) * sizes[k] + abs(one.b) * slopes[k]
                yield from self._shares(missed[:, None], size[None])

    def _seams(self) -> Iterator[torch.Tensor]:
        """Of values, and of derivatives below the highest that the equation takes in the axis."""
        problem = self.solver.problem
        for axis in problem.boundary.periodic:
            orders = [channel.count(axis) for channel in problem.channels]
            names = tuple(axis * order for order in range(max(1, *orders)))
            lower, upper = (self.solver.jet(self._at(axis, end), names) for end in (False, True))
            for name, first, last in zip(names, lower, upper, strict=True):
                yield from self._shares(last - first, self._sizes_of(name, first))

    def _point_values(self) -> Iterator[torch.Tensor]:
        for one in self.solver.problem.boundary.points:
            value = self.solver.at(self.points.new_tensor([one.point]))[:, one.field]
            yield from self._shares(value[:, None] - one.value, self.sizes[one.field][None])

    def _sizes_of(self, channel: str, values: torch.Tensor) -> torch.Tensor:
        """The size of a derivative of each field, whose values [points, fields] are given."""
        if not channel:
            return self.sizes
        unit = self.solver.problem.unit(channel[0]) ** len(channel)
        return torch.maximum(self.sizes / unit, (values**2).mean(0).sqrt())

    @staticmethod
    def _shares(missed: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """Root mean squares of residuals [points, fields] over the sizes, [fields]."""
        residuals = (missed**2).mean(0).sqrt()
        return torch.where(residuals == 0, 0.0, residuals / sizes)

    def _at(self, axis: str, upper: bool, dense: bool = False) -> torch.Tensor:
        """Points at one end of an axis; dense ones lie evenly where the others lie."""
        domain = self.solver.problem.domain
        places = self.points[:POINTS].clone()
        if dense:
            unit = np.random.default_rng(0).random((DENSE, len(domain.axes)))
            lower, upper_corner = self.points.min(0).values, self.points.max(0).values
            places = lower + torch.from_numpy(unit).to(places) * (upper_corner - lower)
        end = domain.axis(axis).upper if upper else domain.axis(axis).lower
        places[:, domain.names.index(axis)] = end
        return places

    def _by_name(self, places: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return dict(zip(self.solver.problem.domain.names, places.unbind(-1), strict=True))
