"""Functions of one axis by which an ansatz meets the conditions at its ends.

Conditions at an end, a u + b ∂u/∂n = value, are linear in u and ∂u/∂n there. With σ the share of
the axis and s the share from one end (s = σ at the lower one), an ansatz needs:

- for what is not zero, a function of s for each condition, on which that condition gives its value
  and every other one 0 (transfinite interpolation: Gordon & Hall 1973, doi:10.1002/nme.1620070405);
- for the network N, all smooth functions w on which every condition gives 0. Where u is held
  (b = 0) they are s N. Where u and ∂u/∂n are, they are s² N. Where one condition with b ≠ 0 holds,

      w = h N₀ + s (N − N₀),    h = b/ℓ + a s up to a factor,    ∂/∂n = −(1/ℓ) ∂/∂s,

  with N₀ the network at the end: a h + b ∂h/∂n = 0 there, and the rest is of second order in s. Any
  smooth w of that kind is reached, by N = N₀ + (w − h N₀)/s.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, prod

import torch

from pacpde.physics.boundary import EdgeCondition
from pacpde.physics.domain import Axis
from pacpde.physics.elementary import exp

MOST_IMAGES = 4  # of the network at a point: as many as two axes with one such end each need


@dataclass(frozen=True)
class End:
    """The conditions of one field at one end of an axis, at most two of them."""

    conditions: tuple[EdgeCondition, ...] = ()

    @property
    def zeros(self) -> int:
        """Order of the zero of every w at this end: 1 where u is held, 2 where ∂u/∂n is too."""
        return len(self.conditions) if len(self.conditions) > 1 or not self.is_mixed else 0

    @property
    def is_mixed(self) -> bool:
        """Whether there is one condition, and it has the normal derivative in it."""
        return len(self.conditions) == 1 and self.conditions[0].b != 0

    def duals(self, unit: float) -> list[tuple[float, float]]:
        """For each condition (u, ℓ ∂u/∂n) on which it gives 1 and the other one 0.

        Args:
            unit: ℓ, in which ∂/∂n is measured.
        """
        rows = [(one.a, one.b / unit) for one in self.conditions]
        if len(rows) == 1:
            ((a, b),) = rows
            return [(a / (a * a + b * b), b / (a * a + b * b))]
        if not rows:
            return []
        (a, b), (c, d) = rows
        determinant = a * d - b * c
        return [(d / determinant, -c / determinant), (-b / determinant, a / determinant)]


@dataclass(frozen=True)
class AxisFunctions:
    """The functions of one axis for the conditions of one field.

    Attributes:
        axis: the axis.
        lower, upper: the conditions at its ends.
        ramp: time ℓ in which a start is left: σ = 1 − exp(−(t − t₀)/ℓ); None for σ = the share.
    """

    axis: Axis
    lower: End
    upper: End
    ramp: float | None = None

    @property
    def mixed(self) -> tuple[bool, ...]:
        """The ends (False the lower one) at which w needs the network at the end."""
        return tuple(u for u, end in ((False, self.lower), (True, self.upper)) if end.is_mixed)

    def same_as(self, other: "AxisFunctions") -> bool:
        """Whether w is the same for the conditions of another field."""
        return all(
            mine.zeros == its.zeros and not mine.is_mixed and not its.is_mixed
            for mine, its in ((self.lower, other.lower), (self.upper, other.upper))
        )

    @property
    def unit(self) -> float:
        """ℓ = 1 / (dσ/dx) at the ends."""
        return self.axis.length if self.ramp is None else self.ramp

    def shares(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """σ and 1 − σ."""
        if self.ramp is None:
            share = (x - self.axis.lower) / (self.axis.upper - self.axis.lower)
        else:
            share = 1 - exp(-(x - self.axis.lower) / self.ramp)
        return share, 1 - share

    def end(self, upper: bool) -> End:
        """The conditions at an end."""
        return self.upper if upper else self.lower

    def blends(self, x: torch.Tensor, upper: bool) -> list[tuple[EdgeCondition, torch.Tensor]]:
        """Each condition at an end with its function."""
        share, rest = self.shares(x)
        s, r = (rest, share) if upper else (share, rest)
        both = bool(self.lower.conditions and self.upper.conditions)
        linear = all(end.zeros == 1 for end in (self.lower, self.upper))
        value, slope = _pair(s, r, both, linear)
        end = self.end(upper)
        return [
            (condition, u * value + u_n * slope if u_n else u * value)
            for condition, (u, u_n) in zip(end.conditions, end.duals(self.unit), strict=True)
        ]

    def vanishing(self, factor: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`factor` times what gives w its zeros, about 1 at its largest.

        Opposite an end with the network, its slope there is 0.
        """
        low, high = self.lower.zeros, self.upper.zeros
        if low == high == 1 and self.ramp is None:
            half = (self.axis.upper - self.axis.lower) / 2
            return factor * (x - self.axis.lower) * (self.axis.upper - x) / half**2
        share, rest = self.shares(x)
        for zeros, s, r, other in ((low, share, rest, self.upper), (high, rest, share, self.lower)):
            near = s * (1 + r) if other.is_mixed else s
            for _ in range(zeros):
                factor = factor * near
        return factor * 2.0 ** (low + high) if low and high else factor

    def shares_of_images(self, x: torch.Tensor) -> dict[bool | None, torch.Tensor]:
        """The factors of N at the point (None), at the lower end (False), at the upper (True)."""
        share, rest = self.shares(x)
        if not self.mixed:
            return {None: torch.ones_like(x)}
        both = len(self.mixed) == 2
        ends = {False: (self.lower, share, rest), True: (self.upper, rest, share)}
        own = 4 * share * rest if both else ends[self.mixed[0]][1]
        result: dict[bool | None, torch.Tensor] = {None: own}
        for upper in self.mixed:
            end, s, r = ends[upper]
            value, slope = _pair(s, r, both, linear=False)
            (condition,) = end.conditions
            a, b = condition.a, condition.b / self.unit
            held = (b * value - a * slope) / hypot(a, b)
            result[upper] = held - own * (r if both else 1.0)
        return result


def _pair(
    s: torch.Tensor, r: torch.Tensor, both: bool, linear: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Functions of s with the value 1, and with −d/ds = 1, at s = 0, where the other one has 0.

    Args:
        s, r: share from this end, and from the other one.
        both: whether value and slope are 0 at the other end too; with `linear` the value alone.
    """
    if not both:
        return torch.ones_like(s), -s
    if linear:
        return r, -s * r
    return r * r * (1 + 2 * s), -s * r * r


def axis_functions(
    axis: Axis, conditions: Sequence[EdgeCondition], time_unit: float
) -> AxisFunctions:
    """The functions of an axis for some conditions of one field at its ends.

    Args:
        time_unit: unit of the ramp that leaves a start; time with an end is an axis like others.
    """
    lower, upper = (
        End(tuple(one for one in conditions if one.upper == side)) for side in (False, True)
    )
    starts = axis.name == "t" and not upper.conditions
    return AxisFunctions(axis, lower, upper, time_unit if starts else None)


def within_images(conditions: Sequence[EdgeCondition]) -> tuple[EdgeCondition, ...]:
    """Those of the conditions that an ansatz meets with at most `MOST_IMAGES` images of N.

    Left out are conditions with normal derivatives, those of the last axes first.
    """
    left = list(conditions)
    while True:
        alone = [one for one in left if one.b and not any(_share_end(one, c) for c in left)]
        ends = dict.fromkeys((one.axis, one.upper) for one in alone)
        counts = Counter(axis for axis, _ in ends)
        if prod(1 + count for count in counts.values()) <= MOST_IMAGES:
            return tuple(left)
        last = list(counts)[-1]
        left = [one for one in left if one not in alone or one.axis != last]


def _share_end(one: EdgeCondition, other: EdgeCondition) -> bool:
    """Whether they are two conditions of one field at one end."""
    same = (one.axis, one.upper, one.field) == (other.axis, other.upper, other.field)
    return same and one is not other
