"""Solved coefficients inside a library's range: where targets start, and what their residual means.

To first order the error of a head is proportional to its residual. The factor is measured where the
error is estimated by the linearised equation (`pacpde.residuals.error_estimate`), at the anchors,
and taken from those around a target: the largest of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch

NEIGHBOURS = 32  # anchors that an interpolated head is made of
AROUND = 2  # anchors on both sides, in each coefficient, that one is compared with
TRUSTED = 1e-2  # residual, above which a head may be of another solution
OUTLIER = 10.0  # times the median of those around it, above which a residual is tried again
BETTER = 0.9  # of a residual, that counts as less
DIGITS = 9  # of units, in which equal coefficients agree
SAFETY = 1.5  # of estimates: factors between anchors may be larger


@dataclass(frozen=True)
class Anchors:
    """Anchors of one backbone.

    Attributes:
        units: their coefficients, see `CoefficientRange.unit`, [anchors, coefficients].
        heads: [anchors, fields, functions].
        shares: their residuals, as shares of the equation's terms, [anchors].
        factors: estimated error over residual, [anchors]; nan where it was not measured.
    """

    units: np.ndarray
    heads: torch.Tensor
    shares: np.ndarray
    factors: np.ndarray

    def __getstate__(self) -> dict[str, Any]:
        """Without what was made of them, such as an interpolant, which no process can be sent."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def unmeasured(cls, units: np.ndarray, heads: torch.Tensor, shares: np.ndarray) -> "Anchors":
        return cls(units, heads, shares, np.full(len(units), np.nan))

    def chosen(self, which: np.ndarray) -> "Anchors":
        """Some of them, by numbers or a mask."""
        rows = torch.as_tensor(which, device=self.heads.device)
        return Anchors(self.units[which], self.heads[rows], self.shares[which], self.factors[which])

    def joined(self, other: "Anchors") -> "Anchors":
        """These and others; of those with equal coefficients these."""
        own = {tuple(np.round(unit, DIGITS)) for unit in self.units}
        new = [tuple(np.round(unit, DIGITS)) not in own for unit in other.units]
        more = other.chosen(np.array(new, bool))
        return Anchors(
            np.concatenate([self.units, more.units]),
            torch.cat([self.heads, more.heads]),
            np.concatenate([self.shares, more.shares]),
            np.concatenate([self.factors, more.factors]),
        )

    def improved(self, which: np.ndarray, *tries: "Anchors") -> bool:
        """Take better heads for some of them where a try has any; whether one did.

        Args:
            which: their numbers; a try may be of the first ones alone.
        """
        before = self.shares.copy()
        for tried in tries:
            better = np.flatnonzero(tried.shares < self.shares[which[: len(tried.shares)]])
            self.heads[which[better]] = tried.heads[better]
            self.shares[which[better]] = tried.shares[better]
        return bool((self.shares < BETTER * before).any())

    @property
    def poor(self) -> np.ndarray:
        """Numbers of those whose residual is large, int."""
        return np.flatnonzero(self.shares > TRUSTED)

    @property
    def doubtful(self) -> np.ndarray:
        """Numbers of those whose residual is large, or larger than those around it, int."""
        bad = self.shares > TRUSTED
        count = (2 * AROUND) ** self.units.shape[1]
        if len(self.units) > count:
            distances = np.abs(self.units[:, None] - self.units).max(-1)
            near = np.argpartition(distances, count, axis=1)[:, : count + 1]
            bad |= self.shares > OUTLIER * np.median(self.shares[near], axis=1)
        return np.flatnonzero(bad)

    @cached_property
    def trusted(self) -> "Anchors":
        """Those with small residuals; all where there is none. Targets start from them."""
        good = self.shares <= TRUSTED
        return self.chosen(good) if good.any() and not good.all() else self

    def start(self, units: np.ndarray) -> torch.Tensor:
        """Interpolated heads [targets, fields, functions] at coefficients [targets, coefficients].

        By a cubic spline in one coefficient, in several by radial basis functions |d|³ with a
        linear polynomial. The nearest head where there are too few.
        """
        if self._interpolant is None:
            return self.heads[self.nearest(units)]
        flat = torch.from_numpy(self._interpolant(units)).to(self.heads)
        return flat.unflatten(-1, self.heads.shape[1:])

    def nearest(self, units: np.ndarray) -> torch.Tensor:
        """The numbers of the nearest anchors, int [targets]."""
        distances = np.abs(units[:, None] - self.units).sum(-1)
        return torch.from_numpy(distances.argmin(1))

    @cached_property
    def _interpolant(self) -> Callable[[np.ndarray], np.ndarray] | None:
        from scipy.interpolate import CubicSpline, RBFInterpolator  # they take long to import

        count, axes = self.units.shape
        if count < axes + 2:
            return None
        flat = self.heads.flatten(1).double().cpu().numpy()
        if axes > 1:
            neighbours = min(count, NEIGHBOURS)
            return RBFInterpolator(self.units, flat, kernel="cubic", neighbors=neighbours)
        order = self.units[:, 0].argsort()
        spline = CubicSpline(self.units[order, 0], flat[order])
        return lambda units: spline(units[:, 0])

    def share_around(self, units: np.ndarray) -> np.ndarray:
        """The larger residual of the two nearest anchors, [targets]."""
        distances = np.abs(units[:, None] - self.units).max(-1)
        nearest = np.argpartition(distances, min(1, len(self.units) - 1), axis=1)[:, :2]
        return self.shares[nearest].max(1)

    @property
    def between(self) -> np.ndarray:
        """The middles between neighbours, of one coefficient, [anchors − 1, 1]."""
        units = np.sort(self.units, axis=0)
        return (units[1:] + units[:-1]) / 2

    @cached_property
    def measured(self) -> "Anchors":
        """Those whose factors are known; all where none is."""
        known = ~np.isnan(self.factors)
        return self.chosen(known) if known.any() else self

    def factor(self, units: np.ndarray) -> np.ndarray:
        """Error over residual at coefficients [targets, coefficients], to be above it mostly.

        The largest of those of the nearest anchors; nan where none was measured.
        """
        known = self.measured
        distances = np.abs(units[:, None] - known.units).max(-1)
        count = min(len(known.units), (2 * AROUND) ** self.units.shape[1])
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        return SAFETY * known.factors[nearest].max(1)
