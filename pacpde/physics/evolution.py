"""Evolution equations: ∂u/∂t or ∂²u/∂t² is given by the fields at the same time."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from pacpde.errors import InvalidValueError
from pacpde.physics.boundary import EdgeCondition
from pacpde.physics.calls import line_of
from pacpde.physics.conditions import Condition, ConstantEdges, Periodic, conditions_of_edges
from pacpde.physics.declaration import check_edges, check_rates
from pacpde.physics.derivatives import Derivative, RecordedDerivative, channel_names
from pacpde.physics.elementary import Array
from pacpde.physics.narrow import RIGHT_HAND_SIDE, START, NarrowFeature, narrow_features
from pacpde.physics.problem import Problem
from pacpde.renamed import renamed_attribute, warn_renamed


@dataclass(frozen=True)
class Evolution(Problem):
    """∂ᵏu/∂tᵏ = rhs(u, d), k = 1 or 2, on a box, from `initial` at the lower end of `t`.

    A family is a subclass: decorate it with `@dataclass(frozen=True)`, name it, declare what
    `Problem` lists, `t` first among the axes, and write `rhs`, `initial` and, where there is space,
    `conditions`.

    Class attributes:
        order: k, 1 by default.

    Example:
        >>> @dataclass(frozen=True)
        ... class String(Evolution):
        ...     name = "string"
        ...     axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
        ...     order = 2
        ...     c: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="speed c")
        ...
        ...     def rhs(self, u, d):
        ...         return self.c**2 * d(u, "xx")
        ...
        ...     def initial(self, x):
        ...         return sin(pi * x), 0.0
        ...
        ...     def conditions(self):
        ...         return [Dirichlet("x", 0.0)]
    """

    order: ClassVar[int] = 1
    needs_time: ClassVar[bool] = True
    rows_may_be_even: ClassVar[bool] = False

    @abstractmethod
    def rhs(self, u: Any, d: Derivative) -> Any:
        """The right-hand side of ∂ᵏu/∂tᵏ = ...; plain arithmetic and `d(u, "xx")`.

        Args:
            u: the field, or the tuple of fields where there are several; so is what it returns.
            d: gives derivatives in space, as `d(u, "xx")`, and with order 2 also `d(u, "t")`.
                `d.coordinates["x"]` and `d.coordinates["t"]` are the coordinates, as arrays that
                broadcast against a field.
        """

    @abstractmethod
    def initial(self, *space: Array) -> Any:
        """The field (or tuple of fields) at the start, of the space coordinates.

        With order 2 the pair (u, ∂u/∂t); with several fields each of them is a tuple.
        """

    def residual(self, u: Any, d: Derivative) -> tuple[Array, ...]:
        """∂ᵏu/∂tᵏ − rhs, one row a field."""
        fields = tuple(u) if len(self.fields) > 1 else (u,)
        rates = self.rates(fields, d)
        time = "t" * self.order
        return tuple(d(field, time) - rate for field, rate in zip(fields, rates, strict=True))

    @property
    def evolution(self) -> "Evolution":
        return self

    @property
    def edge_axes(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.domain.space)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Every derivative the residual needs, with "" for the field itself."""
        return channel_names(self.derivatives_read | {"t" * self.order})

    @cached_property
    def recorded(self) -> RecordedDerivative:
        """What `rhs` asks for when it is tried."""
        d = RecordedDerivative(self.fields, [axis.name for axis in self.axes])
        self.rates(d.fields, d)
        d.n_rows = len(self.fields)
        return d

    @cached_property
    def narrow_features(self) -> tuple[NarrowFeature, ...]:
        """Features of `initial` and of `rhs` that are too narrow for the points of a fit."""
        return (*narrow_features(self, START), *narrow_features(self, RIGHT_HAND_SIDE))

    @cached_property
    def row_scales(self) -> tuple[Any, ...]:
        """Scale of each field over the unit of time, to the order of the equation."""
        unit = self.time_unit**self.order
        return tuple(scale / unit for scale in self.scales)

    def in_units(self, rows: Sequence[Array]) -> list[Array]:
        """Rows in the fields' scales and the unit of time."""
        unit = self.time_unit**self.order
        return [row * unit / scale for row, scale in zip(rows, self.scales, strict=True)]

    @property
    def equation_name(self) -> str:
        return "rhs"

    @property
    def equation_names(self) -> tuple[str, ...]:
        return tuple(f"rhs of {field}" for field in self.fields)

    def equation_values(self, fields: Sequence[Array], d: Derivative) -> tuple[Array, ...]:
        return self.rates(fields, d)

    @property
    def start_names(self) -> tuple[str, ...]:
        kinds = ("initial", "initial rate of")[: self.order]
        return tuple(f"{kind} {field}" for kind in kinds for field in self.fields)

    def start_values(self, coordinates: Mapping[str, Array]) -> tuple[Array, ...]:
        parts = self.initial_parts(*(coordinates[axis.name] for axis in self.domain.space))
        return tuple(field for part in parts for field in part)

    @property
    def start_conditions(self) -> tuple[EdgeCondition, ...]:
        space = [axis.name for axis in self.domain.space]

        def condition(order: int, field: int) -> EdgeCondition:
            def value(**at: Array) -> Array:
                part = self.initial_parts(*(at[name] for name in space))[order][field]
                return -part if order else part  # the normal points out of the time span

            return EdgeCondition("t", False, field, 1.0 - order, 1.0 * order, value)

        return tuple(condition(k, i) for k in range(self.order) for i in range(len(self.fields)))

    @property
    def signatures(self) -> tuple[tuple[str, tuple[str, ...], str], ...]:
        space = tuple(axis.name for axis in self.domain.space)
        remark = "where t is left out" if space else "as an ODE starts at numbers"
        own, *others = super().signatures
        return (own, ("initial", space, remark), *others)

    def check_equation(self) -> None:
        check_rates(self)

    def rates(self, fields: Sequence[Array], d: Derivative) -> tuple[Array, ...]:
        """`rhs` as a tuple of one array a field, however many fields there are."""
        return self._as_tuple(self.rhs(self.as_argument(fields), d), "rhs")

    def initial_fields(self, *space: Array) -> tuple[Array, ...]:
        """The fields at the start, one array each, however many there are."""
        return self.initial_parts(*space)[0]

    def initial_rates(self, *space: Array) -> tuple[Array, ...]:
        """∂u/∂t at the start of an equation of order 2, one array a field."""
        return self.initial_parts(*space)[1]

    start = renamed_attribute("start", "initial_fields")

    def initial_parts(self, *space: Array) -> tuple[tuple[Array, ...], ...]:
        """`initial` as one tuple of fields for each order of ∂/∂t below the equation's own."""
        result = self.initial(*space)
        if self.order == 1:
            return (self._as_tuple(result, "initial"),)
        if not isinstance(result, tuple | list) or len(result) != self.order:
            raise InvalidValueError(
                f"{self.name}.initial{line_of(self, 'initial')} must return the pair (u, ∂u/∂t), "
                "since the equation has order 2: write `return ..., 0.0` for a start at rest."
            )
        return tuple(self._as_tuple(part, "initial") for part in result)

    def _as_tuple(self, result: Any, where: str) -> tuple[Array, ...]:
        parts = tuple(result) if isinstance(result, tuple | list) else (result,)
        if len(parts) != len(self.fields):
            raise InvalidValueError(
                f"{self.name}.{where} returned {len(parts)} values for the fields "
                f"{', '.join(self.fields)}{line_of(self, where)}: return a tuple with one value a "
                "field."
            )
        self._check_given(where, parts, [f"the field {field!r}" for field in self.fields])
        return parts


def conditions_from_edges(cls: type) -> None:
    """Give a class that declares `edges`, as older versions ask, the conditions of them."""
    if "edges" not in vars(cls):
        return
    edges: Mapping[str, ConstantEdges | Periodic] = vars(cls)["edges"]
    warn_renamed(f"{cls.__name__}.edges", "def conditions(self): return [...]", 5)
    check_edges(cls, edges)
    delattr(cls, "edges")

    def conditions(self: Problem) -> Sequence[Condition]:
        return conditions_of_edges(edges)

    setattr(cls, "conditions", conditions)  # noqa: B010
