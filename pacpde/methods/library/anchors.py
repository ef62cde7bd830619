"""Solved coefficients inside a library's range: where targets start, and what their residual means.

To first order the error of a head is proportional to its residual. The factor is measured where the
error is estimated by the linearised equation (`pacpde.residuals.error_estimate`), at the anchors,
and taken from those around a target: the largest of them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

NEIGHBOURS = 32  # anchors that an interpolated head is made of
AROUND = 2  # anchors a side, in each coefficient, whose factors count
DIGITS = 9  # of units, in which equal coefficients agree
SAFETY = 1.5  # of estimates: factors between anchors may be larger


@dataclass(frozen=True)
class Anchors:
    """Anchors of one backbone.

    Attributes:
        units: their coefficients, see `CoefficientRange.unit`, [anchors, coefficients].
        heads: [anchors, fields, functions].
        factors: estimated error over residual, [anchors]; nan where it was not measured.
    """

    units: np.ndarray
    heads: torch.Tensor
    factors: np.ndarray

    def distinct(self) -> "Anchors":
        """The last one of those with equal coefficients."""
        last = {tuple(np.round(unit, DIGITS)): k for k, unit in enumerate(self.units)}
        chosen = sorted(last.values())
        return Anchors(self.units[chosen], self.heads[chosen], self.factors[chosen])

    def start(self, units: np.ndarray) -> torch.Tensor:
        """Interpolated heads [targets, fields, functions] at coefficients [targets, coefficients].

        By radial basis functions |d|³ with a linear polynomial; in one coefficient that is the
        natural cubic spline. The nearest head where there are too few.
        """
        if self._spline is None:
            distances = np.abs(units[:, None] - self.units).sum(-1)
            return self.heads[torch.from_numpy(distances.argmin(1))]
        flat = torch.from_numpy(self._spline(units)).to(self.heads)
        return flat.unflatten(-1, self.heads.shape[1:])

    @cached_property
    def _spline(self):  # type: ignore[no-untyped-def]
        from scipy.interpolate import RBFInterpolator  # it takes long to import

        count, axes = self.units.shape
        if count < axes + 2:
            return None
        flat = self.heads.flatten(1).double().cpu().numpy()
        return RBFInterpolator(self.units, flat, kernel="cubic", neighbors=min(count, NEIGHBOURS))

    def factor(self, units: np.ndarray) -> np.ndarray:
        """Error over residual at coefficients [targets, coefficients], to be above it mostly.

        The largest of those of the nearest anchors; nan where none was measured.
        """
        known = np.isfinite(self.factors) | np.isposinf(self.factors)
        if not known.any():
            return np.full(len(units), np.nan)
        distances = np.abs(units[:, None] - self.units[known]).max(-1)
        count = min(int(known.sum()), (2 * AROUND) ** self.units.shape[1])
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        return SAFETY * self.factors[known][nearest].max(1)
