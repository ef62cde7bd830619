"""Axes, and the boxes and points made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pacpde.checks import as_float
from pacpde.errors import InvalidValueError, named_numbers, short
from pacpde.physics.numbers import as_number

# Share of an axis by which a point may miss its end: so much is lost where coordinates are rounded
# to float32 or printed with seven digits.
ROUNDING = 1e-6
# Lengths, times and sizes of fields: the sixth power of each, as in a sixth derivative, is a float.
SMALLEST, LARGEST = 1e-50, 1e50


@dataclass(frozen=True)
class Axis:
    """One coordinate and its closed interval."""

    name: str
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidValueError(f'an axis has the name {self.name!r}, expected one like "x".')
        for side in ("lower", "upper"):
            end = getattr(self, side)
            if isinstance(end, bool) or (
                not isinstance(end, int | float) and as_number(end) is None
            ):
                raise InvalidValueError(
                    f"axis {self.name!r} ends at {short(end)}, expected a number."
                )
            object.__setattr__(self, side, end if isinstance(end, int | float) else as_number(end))
        ends = [as_float(end) for end in (self.lower, self.upper)]
        if not (np.isfinite(ends).all() and ends[0] < ends[1]):
            raise InvalidValueError(
                f"axis {self.name!r} runs from {short(self.lower)} to {short(self.upper)}: "
                "its ends must be finite and the lower one below the upper one."
            )
        if max(-self.lower, self.upper) > LARGEST or self.length < SMALLEST:
            raise InvalidValueError(
                f"axis {self.name!r} runs from {self.lower:g} to {self.upper:g}, expected ends of "
                f"at most {LARGEST:g} and a length of {SMALLEST:g} or more: measure it in another "
                "unit."
            )

    @property
    def length(self) -> float:
        return self.upper - self.lower

    def grid(self, size: int) -> np.ndarray:
        """`size` equidistant points with both ends, shape [size]."""
        return np.linspace(self.lower, self.upper, size)


@dataclass(frozen=True)
class Domain:
    """A box: the product of its axes, `t` first where there is a time."""

    axes: tuple[Axis, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def space(self) -> tuple[Axis, ...]:
        """The axes without time."""
        return tuple(axis for axis in self.axes if axis.name != "t")

    @property
    def time(self) -> Axis | None:
        """The axis of time; None for a steady problem."""
        return next((axis for axis in self.axes if axis.name == "t"), None)

    def axis(self, name: str) -> Axis:
        return self.axes[self.names.index(name)]

    def restricted(
        self, name: str, lower: float | None = None, upper: float | None = None
    ) -> "Domain":
        """The same box with one axis cut to [lower, upper]; an end left out stays."""

        def cut(axis: Axis) -> Axis:
            return replace(
                axis,
                lower=axis.lower if lower is None else lower,
                upper=axis.upper if upper is None else upper,
            )

        return Domain(tuple(cut(axis) if axis.name == name else axis for axis in self.axes))

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """`size` scrambled Sobol points (Owen 1998) in the box, shape [size, axes]."""
        from scipy.stats import qmc  # it takes most of a second to import

        engine = qmc.Sobol(len(self.axes), scramble=True, rng=rng)
        unit = engine.random_base2(max(int(size) - 1, 1).bit_length())[:size]
        return self.from_unit(unit)

    def random(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """`size` independent uniform points in the box, shape [size, axes]."""
        return self.from_unit(rng.random((size, len(self.axes))))

    def from_unit(self, unit: np.ndarray) -> np.ndarray:
        """Points of the unit cube, [..., axes], moved into the box."""
        lower, upper = self._ends
        return lower + unit * (upper - lower)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which of the points [..., axes] lie in the closed box, up to rounding, bool [...]."""
        lower, upper = self._ends
        slack = ROUNDING * (upper - lower)
        return np.asarray(((points >= lower - slack) & (points <= upper + slack)).all(-1))

    def clipped(self, points: np.ndarray) -> np.ndarray:
        """The points [..., axes]; those that only rounding put outside are moved to the edge."""
        inside = self.contains(points)[..., None]
        return np.where(inside, np.clip(points, *self._ends), points)

    def outside(
        self, points: np.ndarray, where: Callable[[int], str] = lambda k: f"point {k + 1}"
    ) -> str | None:
        """A phrase on the points [points, axes] outside the domain; None if there are none.

        Args:
            where: index of a point → its place, for the phrase.
        """
        missed = ~(self.contains(points) | np.isnan(points).any(-1))
        if not missed.any():
            return None
        first = int(np.flatnonzero(missed)[0])
        ends = ", ".join(f"{a.name} from {a.lower:g} to {a.upper:g}" for a in self.axes)
        at = named_numbers(dict(zip(self.names, points[first], strict=True)))
        lie = "points lie" if missed.sum() > 1 else "point lies"
        return (
            f"{missed.sum()} {lie} outside the domain ({ends}), the first at {at} ({where(first)})"
        )

    @property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of the axes, [axes] each."""
        ends = np.array([(axis.lower, axis.upper) for axis in self.axes])
        return ends[:, 0], ends[:, 1]


def mesh(axes: Sequence[np.ndarray]) -> np.ndarray:
    """All points of a tensor grid, shape [len(axis 0), ..., axes]."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)
