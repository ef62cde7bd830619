"""The base of every equation: a frozen dataclass whose fields are the coefficients."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pacpde.errors import InvalidValueError, named_numbers, short, unknown
from pacpde.physics.attributes import is_base
from pacpde.physics.boundary import Boundary, EdgeCondition
from pacpde.physics.calls import line_of
from pacpde.physics.coefficients import Coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.contradictions import Contradiction, contradictions
from pacpde.physics.declaration import (
    MOST_TIME_WINDOWS,
    check_class,
    check_coefficients,
    check_complete,
    check_conditions,
    check_decorated,
    check_family,
    check_physics,
)
from pacpde.physics.derivatives import Derivative, RecordedDerivative, channel_names
from pacpde.physics.domain import Axis, Domain
from pacpde.physics.elementary import Array
from pacpde.physics.evaluation import row_sizes
from pacpde.physics.narrow import RIGHT_HAND_SIDE, NarrowFeature, narrow_features
from pacpde.physics.numbers import as_number
from pacpde.physics.seams import SeamKink, seam_kinks
from pacpde.physics.symmetry import check_symmetry
from pacpde.registry import Registry
from pacpde.renamed import renamed_attribute, warn_renamed

if TYPE_CHECKING:
    from pacpde.physics.evolution import Evolution

families: Registry[type["Problem"]] = Registry("family", "pacpde.problems", check_family)


@dataclass(frozen=True)
class Problem(ABC):
    """residual(u, d) = 0 on a box, with conditions at its ends.

    A family is a subclass: decorate it with `@dataclass(frozen=True)`, name it, declare what is
    below, and write `residual` and `conditions`. Naming it registers it. An equation for ∂u/∂t or
    ∂²u/∂t² is an `Evolution`.

    Class attributes:
        name: the family's name on the command line.
        axes: `t` first where there is a time, then space.
        fields: names of the unknowns.
        scales: typical size of each field, 1 by default; residuals and outputs are measured in it.
        time_scale: typical time in which the fields change; the time span by default.
        odd: space axes in each of which every field is odd, u(−x) = −u(x); they must be symmetric.
            Start, conditions and equation are tried when a problem is made.
        time_windows: number of windows [start, tᵢ] in which a fit grows its time span, at most
            1000; 1 fits the whole span at once.
        recipe: settings of a fit that suit the family, see `pacpde.methods.TrainingConfig`.
        until: end of the time span, if it is not the family's own.

    Example:
        >>> @dataclass(frozen=True)
        ... class Membrane(Problem):
        ...     name = "membrane"
        ...     axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        ...     load: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="load")
        ...
        ...     def residual(self, u, d):
        ...         return d(u, "xx") + d(u, "yy") + self.load
        ...
        ...     def conditions(self):
        ...         return [Dirichlet("boundary", 0.0)]
    """

    name: ClassVar[str]
    axes: ClassVar[tuple[Axis, ...]]
    fields: ClassVar[tuple[str, ...]] = ("u",)
    scales: ClassVar[tuple[float, ...]] = (1.0,)
    time_scale: ClassVar[float | None] = None
    odd: ClassVar[tuple[str, ...]] = ()
    time_windows: ClassVar[int] = 1
    order: ClassVar[int] = 0  # of the time derivative that an `Evolution` gives
    needs_time: ClassVar[bool] = False  # whether there must be an axis t
    rows_may_be_even: ClassVar[bool] = True  # in an axis in which all fields are odd
    recipe: ClassVar[Mapping[str, Any]] = {}

    until: float | None = dataclasses.field(default=None, kw_only=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not is_base(cls):
            _make_evolution(cls)
        if "name" in cls.__dict__:
            check_class(cls)
            families.register(cls.name, cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        check_decorated(cls)  # before Python says that it does not know the coefficients
        return super().__new__(cls)

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
            time = Domain(self.axes).time
            if time is None:
                raise InvalidValueError(
                    f"{self.name} has no time, so that until = {short(self.until)} has no effect."
                )
            start, end = time.lower, as_number(self.until)
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
    def residual(self, u: Any, d: Derivative) -> Any:
        """What is zero where the equation holds: one row, or a tuple of rows.

        There may be more or fewer rows than fields: a constraint such as u_x + v_y = 0 is a row.

        Args:
            u: the field, or the tuple of fields where there are several.
            d: gives derivatives, as `d(u, "xx")`; up to fourth order, also mixed ones.
                `d.coordinates["x"]` is a coordinate, as an array that broadcasts against a field.
        """

    def conditions(self) -> Sequence[Condition]:
        """The conditions at the ends of the axes; they may depend on the coefficients."""
        return []

    def exact(self, *coordinates: np.ndarray) -> np.ndarray | None:
        """The exact solution at the coordinates (broadcast), [fields, ...]; None if unknown."""
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
        """Length of this problem's time span over the family's own; 1 without a time."""
        if self.until is None:
            return 1.0
        return self.domain.axis("t").length / Domain(self.axes).axis("t").length

    @property
    def span_text(self) -> str:
        """The end of the time span, as in " up to t = 1"; "" without a time."""
        time = self.domain.time
        return "" if time is None else f" up to t = {time.upper:g}"

    @property
    def time_unit(self) -> float:
        """The unit of time in a fit: `time_scale`, else the time span; 1 without a time."""
        time = self.domain.time
        if self.time_scale is not None:
            return self.time_scale
        return 1.0 if time is None else time.length

    @property
    def edge_axes(self) -> tuple[str, ...]:
        """Names of the axes at whose ends `conditions` hold."""
        return self.domain.names

    @cached_property
    def boundary(self) -> Boundary:
        """The conditions, taken apart."""
        return Boundary.of(self)

    @property
    def start_conditions(self) -> tuple[EdgeCondition, ...]:
        """What `initial` gives, as conditions at "t-"; none where there is no `initial`."""
        return ()

    @property
    def edge_conditions(self) -> tuple[EdgeCondition, ...]:
        """The start, and the conditions at ends of axes."""
        return (*self.start_conditions, *self.boundary.edges)

    def edges_give_value(self, field: int) -> bool:
        """Whether a condition at an edge gives values of a field, not of its derivatives alone."""
        return any(edge.a != 0 and edge.field == field for edge in self.edge_conditions)

    def unit(self, axis: str) -> float:
        """The unit in which a coordinate is measured: the unit of time, or the axis' length."""
        return self.time_unit if axis == "t" else self.domain.axis(axis).length

    @cached_property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Places where initial and boundary values contradict, or initial values are not smooth."""
        return contradictions(self)

    @cached_property
    def seam_kinks(self) -> tuple[SeamKink, ...]:
        """Kinks of the start where a periodic axis closes, whose local form is known."""
        return seam_kinks(self)

    @cached_property
    def narrow_features(self) -> tuple[NarrowFeature, ...]:
        """Features of the problem's functions that are too narrow for the points of a fit."""
        return narrow_features(self, RIGHT_HAND_SIDE)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Every derivative that the residual needs, with "" for the field itself."""
        return channel_names(self.derivatives_read)

    @property
    def derivatives_read(self) -> frozenset[str]:
        """The derivatives that the equation reads, as in {"x", "xx"}."""
        return frozenset(self.recorded.derivatives)

    @property
    def coordinates_read(self) -> frozenset[str]:
        """The coordinates that the equation depends on by itself, as sources and media do."""
        return self.recorded.coordinates_read

    @cached_property
    def recorded(self) -> RecordedDerivative:
        """What the equation asks for when it is tried."""
        d = RecordedDerivative(self.fields, [axis.name for axis in self.axes])
        d.n_rows = len(self.rows(d.fields, d))
        return d

    @property
    def n_rows(self) -> int:
        """Number of rows of the residual."""
        return self.recorded.n_rows

    def rows(self, fields: Sequence[Array], d: Derivative) -> tuple[Array, ...]:
        """`residual` as a tuple of rows, however many fields there are."""
        result = self.residual(self.as_argument(fields), d)
        rows = tuple(result) if isinstance(result, tuple | list) else (result,)
        self._check_given("residual", rows, [f"row {k + 1}" for k in range(len(rows))])
        return rows

    @cached_property
    def row_scales(self) -> tuple[Any, ...]:
        """Size of each row for fields and derivatives of their typical sizes, [rows].

        In a stack of problems each is a column, [stack, 1].
        """
        return row_sizes(self)

    @property
    def equation_name(self) -> str:
        """Name of the family's own function that holds the equation."""
        return "residual"

    @property
    def equation_names(self) -> tuple[str, ...]:
        """A name for each of `equation_values`."""
        return tuple(f"residual in row {number + 1}" for number in range(self.n_rows))

    def equation_values(self, fields: Sequence[Array], d: Derivative) -> tuple[Array, ...]:
        """What the family's own function of the equation gives, as a tuple."""
        return self.rows(fields, d)

    @property
    def start_names(self) -> tuple[str, ...]:
        """A name for each of `start_values`."""
        return ()

    def start_values(self, coordinates: Mapping[str, Array]) -> tuple[Array, ...]:
        """What `initial` gives at coordinates by name; nothing where there is none."""
        return ()

    @property
    def signatures(self) -> tuple[tuple[str, tuple[str, ...], str], ...]:
        """Functions of the family: name, arguments with which it is called, a remark on them."""
        first = "where t comes first" if self.domain.time else ""
        return (
            (self.equation_name, ("u", "d"), self.tuple_remark),
            ("conditions", (), ""),
            ("exact", self.domain.names, first),
        )

    @property
    def tuple_remark(self) -> str:
        """A remark on the argument u where there are several fields."""
        several = f"where u is the tuple of the fields {', '.join(self.fields)}"
        return several if len(self.fields) > 1 else ""

    @property
    def evolution(self) -> "Evolution":
        """This problem as an evolution.

        Raises:
            InvalidValueError: it gives a residual, and no right-hand side of ∂u/∂t.
        """
        raise InvalidValueError(
            f"{self.name} gives a residual, and no right-hand side of ∂u/∂t = rhs."
        )

    def check_equation(self) -> None:
        """Refuse an equation whose derivatives and conditions do not suit each other."""
        check_conditions(self)

    def in_units(self, rows: Sequence[Array]) -> list[Array]:
        """Rows of the residual as shares of their typical size."""
        return [row / scale for row, scale in zip(rows, self.row_scales, strict=True)]

    def as_argument(self, fields: Sequence[Array]) -> Any:
        """The field itself, or the tuple of fields where there are several."""
        return fields[0] if len(self.fields) == 1 else tuple(fields)

    horizons = renamed_attribute("horizons", "time_windows")
    stretch = renamed_attribute("stretch", "span_ratio")

    def _check_given(self, where: str, parts: Sequence[Any], names: Sequence[str]) -> None:
        """Refuse None in what a function of the family returned."""
        for part, name in zip(parts, names, strict=True):
            if part is None:
                raise InvalidValueError(
                    f"{self.name}.{where} gave None for {name}{line_of(self, where)}, expected its "
                    "values: does it lack a `return`?"
                )

    def __str__(self) -> str:
        until = {} if self.until is None else {"until": self.until}
        return f"{self.name}({named_numbers({**self.coefficients, **until})})"


def check_problem(problem: Problem, what: str) -> None:
    """Refuse a name or a class in a problem's place."""
    if not isinstance(problem, Problem):
        raise InvalidValueError(
            f"the {what} is {problem!r}, expected a problem: make one with its coefficients, as in "
            "Heat(alpha=0.4) with Heat from pacpde.problems."
        )


def _make_evolution(cls: type) -> None:
    """Let a family that extends `Problem` and gives `rhs`, as older versions ask, be an evolution.

    Its `edges` become its conditions.
    """
    from pacpde.physics.evolution import Evolution, conditions_from_edges

    if hasattr(cls, "rhs") and Evolution not in cls.__mro__:  # `issubclass` would remember False
        warn_renamed(f"{cls.__name__}(Problem) with rhs", f"{cls.__name__}(Evolution)", 4)
        cls.__bases__ = tuple(Evolution if base is Problem else base for base in cls.__bases__)
    conditions_from_edges(cls)
