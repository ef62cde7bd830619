"""The base of every equation: a frozen dataclass whose fields are the coefficients."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from pacpde.errors import InvalidValueError, named_numbers, short, unknown
from pacpde.physics.calls import line_of
from pacpde.physics.conditions import Condition
from pacpde.physics.contradictions import Contradiction, contradictions
from pacpde.physics.declaration import (
    MOST_TIME_WINDOWS,
    check_class,
    check_coefficients,
    check_complete,
    check_family,
    check_physics,
)
from pacpde.physics.derivatives import Derivative, RecordedDerivative, channel_names
from pacpde.physics.domain import Axis, Domain
from pacpde.physics.elementary import Array
from pacpde.physics.narrow import RIGHT_HAND_SIDE, START, NarrowFeature, narrow_features
from pacpde.physics.numbers import as_number, as_plain
from pacpde.physics.symmetry import check_symmetry
from pacpde.registry import Registry
from pacpde.renamed import renamed_attribute

families: Registry[type["Problem"]] = Registry("family", "pacpde.problems", check_family)


@dataclass(frozen=True)
class Coefficient:
    """Bounds, default and meaning of one coefficient; `lower` and `upper` are allowed values."""

    default: float
    lower: float
    upper: float
    meaning: str


def coefficient(default: float, *, lower: float, upper: float, meaning: str) -> Any:
    """A dataclass field that is a coefficient, checked whenever a problem is made."""
    least, usual, most = (as_plain(value) for value in (lower, default, upper))
    if least is None or usual is None or most is None or not least <= usual <= most:
        raise InvalidValueError(
            f"a coefficient ({meaning}) has the default {short(default)} and goes from "
            f"{short(lower)} to {short(upper)}, expected finite numbers, the default between the "
            "others."
        )
    return dataclasses.field(
        default=usual, metadata={"coefficient": Coefficient(usual, least, most, meaning)}
    )


@dataclass(frozen=True)
class Problem(ABC):
    """∂u/∂t = rhs(u, d) on a box, from `initial` at the lower end of `t`, with `edges` in space.

    A family is a subclass: decorate it with `@dataclass(frozen=True)`, name it, declare what is
    below, and write `rhs` and `initial`. Naming it registers it.

    Class attributes:
        name: the family's name on the command line.
        axes: `t` first, then space (none for an ODE).
        fields: names of the unknowns.
        scales: typical size of each field, 1 by default; residuals and outputs are measured in it.
        time_scale: typical time in which the fields change; the time span by default.
        edges: one condition for every space axis.
        odd: space axes in each of which every field is odd, u(−x) = −u(x); they must be symmetric.
            Start, edges and equation are tried when a problem is made.
        time_windows: number of windows [start, tᵢ] in which a fit grows its time span, at most
            1000; 1 fits the whole span at once.
        recipe: settings of a fit that suit the family, see `pacpde.methods.TrainingConfig`.
        until: end of the time span, if it is not the family's own.
    """

    name: ClassVar[str]
    axes: ClassVar[tuple[Axis, ...]]
    fields: ClassVar[tuple[str, ...]] = ("u",)
    scales: ClassVar[tuple[float, ...]] = (1.0,)
    time_scale: ClassVar[float | None] = None
    edges: ClassVar[Mapping[str, Condition]] = {}
    odd: ClassVar[tuple[str, ...]] = ()
    time_windows: ClassVar[int] = 1
    recipe: ClassVar[Mapping[str, Any]] = {}

    until: float | None = dataclasses.field(default=None, kw_only=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            check_class(cls)
            families.register(cls.name, cls)

    def __post_init__(self) -> None:
        if not hasattr(self, "name"):
            kind = type(self).__name__
            raise InvalidValueError(
                f'the family {kind} has no name: write one in its class, as in name = "mine".'
            )
        for name, about in self.declared().items():
            value = as_number(getattr(self, name))
            if value is None or not about.lower <= value <= about.upper:
                raise InvalidValueError(
                    f"{self.name}: {name} is {short(getattr(self, name))}, expected a number from "
                    f"{about.lower:g} to {about.upper:g} ({about.meaning})."
                )
            object.__setattr__(self, name, value)
        if self.until is not None:
            start = self.axes[0].lower
            end = as_number(self.until)
            if end is None or end <= start:
                raise InvalidValueError(
                    f"{self.name}: until is {short(self.until)}, expected a finite time above "
                    f"{start:g}."
                )
            object.__setattr__(self, "until", end)
            windows = self.time_windows * self.span_ratio
            if self.time_windows > 1 and windows > MOST_TIME_WINDOWS:
                raise InvalidValueError(
                    f"{self.name}: until is {end:g}, which a fit would take in {windows:.0f} "
                    f"pieces, expected at most {MOST_TIME_WINDOWS}: give a shorter time span."
                )
        check_physics(self)
        check_symmetry(self)

    @abstractmethod
    def rhs(self, u: Any, d: Derivative) -> Any:
        """The right-hand side of ∂u/∂t = ...; plain arithmetic and `d(u, "xx")`.

        `u` is the field, or the tuple of fields where there are several; so is what it returns.
        `d.coordinates["x"]` and `d.coordinates["t"]` are the coordinates, as arrays that broadcast
        against a field.
        """

    @abstractmethod
    def initial(self, *space: Array) -> Any:
        """The field (or tuple of fields) at the start, of the space coordinates."""

    def exact(self, *coordinates: np.ndarray) -> np.ndarray | None:
        """The exact solution at t, x, ... (broadcast), shape [fields, ...]; None if unknown."""
        return None

    @classmethod
    def declared(cls) -> dict[str, Coefficient]:
        """The coefficients of the family, in order."""
        check_coefficients(cls)
        return {
            field.name: field.metadata["coefficient"]
            for field in dataclasses.fields(cls)
            if "coefficient" in field.metadata
        }

    @classmethod
    def from_coefficients(
        cls, values: Mapping[str, float], until: float | None = None
    ) -> "Problem":
        """The problem with these coefficients; those not named take their defaults."""
        for name in values:
            if name not in cls.declared():
                raise unknown(f"coefficient of {cls.name}", name, cls.declared())
        check_complete(cls)
        return cls(**values, until=until)

    @property
    def coefficients(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.declared()}

    def with_coefficients(self, **values: float) -> Self:
        """The same problem with some coefficients changed."""
        for name in values:
            if name not in self.declared():
                raise unknown(f"coefficient of {self.name}", name, self.declared())
        return dataclasses.replace(self, **values)

    @property
    def domain(self) -> Domain:
        """The box, with the time span in force."""
        domain = Domain(self.axes)
        return domain if self.until is None else domain.restricted("t", upper=self.until)

    @property
    def span_ratio(self) -> float:
        """Length of this problem's time span over that of the family's default span."""
        return self.domain.axis("t").length / Domain(self.axes).axis("t").length

    @property
    def time_unit(self) -> float:
        """The unit of time in a fit: `time_scale`, else the length of this problem's time span."""
        return self.domain.axis("t").length if self.time_scale is None else self.time_scale

    @cached_property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Places where initial and boundary values contradict, or initial values are not smooth."""
        return contradictions(self)

    @cached_property
    def narrow_features(self) -> tuple[NarrowFeature, ...]:
        """Features of `initial` and of `rhs` that are too narrow for the points of a fit."""
        return (*narrow_features(self, START), *narrow_features(self, RIGHT_HAND_SIDE))

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Every derivative the residual ∂u/∂t − rhs needs, with "" for the field itself."""
        return channel_names(self.derivatives_read | {"t"})

    @property
    def derivatives_read(self) -> frozenset[str]:
        """The derivatives that `rhs` reads, as in {"x", "xx"}."""
        return frozenset(self._recorded.derivatives)

    @property
    def coordinates_read(self) -> frozenset[str]:
        """The coordinates that `rhs` depends on by itself, as sources and uneven media do."""
        return self._recorded.read

    @cached_property
    def _recorded(self) -> RecordedDerivative:
        """What `rhs` asks for when it is tried."""
        d = RecordedDerivative(len(self.fields), [axis.name for axis in self.axes])
        self.rates(d.fields, d)
        return d

    def rates(self, fields: Sequence[Array], d: Derivative) -> tuple[Array, ...]:
        """`rhs` as a tuple of one array a field, however many fields there are."""
        result = self.rhs(fields[0] if len(self.fields) == 1 else tuple(fields), d)
        return self._as_tuple(result, "rhs")

    def initial_fields(self, *space: Array) -> tuple[Array, ...]:
        """`initial` as a tuple of one array a field, however many fields there are."""
        return self._as_tuple(self.initial(*space), "initial")

    horizons = renamed_attribute("horizons", "time_windows")
    stretch = renamed_attribute("stretch", "span_ratio")
    start = renamed_attribute("start", "initial_fields")

    def _as_tuple(self, result: Any, where: str) -> tuple[Array, ...]:
        parts = tuple(result) if isinstance(result, tuple | list) else (result,)
        if len(parts) != len(self.fields):
            raise InvalidValueError(
                f"{self.name}.{where} returned {len(parts)} values for the fields "
                f"{', '.join(self.fields)}{line_of(self, where)}: return a tuple with one value a "
                "field."
            )
        for part, field in zip(parts, self.fields, strict=True):
            if part is None:
                raise InvalidValueError(
                    f"{self.name}.{where} gave None for the field {field!r}"
                    f"{line_of(self, where)}, expected its values: does it lack a `return`?"
                )
        return parts

    def __str__(self) -> str:
        return f"{self.name}({named_numbers(self.coefficients)})"
