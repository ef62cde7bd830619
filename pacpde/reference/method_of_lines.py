"""A problem on the nodes of a tensor grid: rates, and their Jacobian derived by themselves."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from pacpde.errors import InvalidValueError, SolverError, named_numbers
from pacpde.physics import Problem
from pacpde.physics.derivatives import Derivative, channel_names
from pacpde.physics.elementary import Array
from pacpde.reference.edge_rows import unknowns_of
from pacpde.reference.field_nodes import FieldNodes
from pacpde.reference.grid import NodalDerivative, SpaceAxis
from pacpde.reference.modes import Modes, semilinear
from pacpde.reference.slopes import Slopes, pointwise_slopes
from pacpde.reference.stiffness import explicit_evaluations, oscillates

EXPLICIT_EVALUATIONS = 1e5  # of the right-hand side in space, that are fewer than Radau's work


class MethodOfLines:
    """∂ᵏu/∂tᵏ = rhs on the nodes of `space`; without space, the ODE itself.

    The state y [n] holds the unknowns of every field, field by field, and with k = 2 then those of
    every ∂u/∂t. Conditions at the edges give the nodes from the unknowns (`FieldNodes`).
    """

    def __init__(self, problem: Problem, space: tuple[SpaceAxis, ...]) -> None:
        if problem.boundary.points:
            raise SolverError(
                f"{problem} has values at points, which no solver of evolutions takes."
            )
        for name in problem.derivatives_read:
            if name.count("t") >= problem.order:
                raise SolverError(
                    f"the rhs of {problem} reads the mixed derivative {name}, which no solver of "
                    "evolutions takes: write the equation as a Problem, whose `residual` may."
                )
        self.problem = problem
        self.space = space
        time = problem.domain.axes[0]
        self.span = (time.lower, time.upper)
        self.shape = tuple(axis.size for axis in space)
        self.names = list(channel_names(problem.derivatives_read))
        self._orders = {
            axis.axis.name: max(name.count(axis.axis.name) for name in self.names) for axis in space
        }
        self.fields = [FieldNodes(own) for own in unknowns_of(problem, space, self._orders)]
        self._known: dict[tuple[int, int, str, bool], np.ndarray] = {}
        self.size = sum(field.size for field in self.fields)
        grids = np.meshgrid(*(axis.nodes for axis in space), indexing="ij", sparse=True)
        self.coordinates = {axis.axis.name: x for axis, x in zip(space, grids, strict=True)}
        self.initial = [
            self._shaped(part, "initial") for part in problem.evolution.initial_parts(*grids)
        ]
        self.start = np.concatenate([self._taken(part) for part in self.initial])
        scales = [
            np.full(field.size, scale)
            for field, scale in zip(self.fields, problem.scales, strict=True)
        ]
        times = [problem.time_unit**-k for k in range(problem.order)]
        self.scale = np.concatenate([factor * scale for factor in times for scale in scales])

    def rates(self, t: float, y: np.ndarray) -> np.ndarray:
        """dy/dt [n]."""
        fields, d = self._state(t, y)
        rates = self._taken(self._shaped(self.problem.evolution.rates(fields, d), "rhs"))
        return np.concatenate([y[self.size :], rates]) if self.problem.order > 1 else rates

    def jacobian(self, t: float, y: np.ndarray) -> np.ndarray:
        """∂(dy/dt)/∂y [n, n] = Σ over channels c of diag(∂rhs/∂c) · (matrix of c).

        The pointwise ∂rhs/∂c come from autograd over the channels, taken as leaves.
        """
        slopes = self.slopes(t, y)
        result = np.zeros((len(y), len(y)))
        ends = np.cumsum([0, *(field.size for field in self.fields)])
        lower = len(y) - self.size  # first row of the rhs
        for name in self.names:
            columns = self.size if "t" in name else 0  # first column of the fields or their rates
            for row in range(len(self.fields)):
                for column in range(len(self.fields)):
                    pointwise = slopes[name][row][column]
                    if pointwise is None:
                        continue
                    block = result[
                        lower + ends[row] : lower + ends[row + 1],
                        columns + ends[column] : columns + ends[column + 1],
                    ]
                    self._add(block, pointwise, row, column, name.replace("t", ""))
        if lower:
            result[np.arange(lower), np.arange(lower) + lower] = 1.0
        return result

    def unpack(self, t: float, y: np.ndarray) -> np.ndarray:
        """The fields at all nodes, shape [fields, nodes...]."""
        return np.stack(self._at_nodes(t, y[: self.size]))

    def states(self, t: float, y: np.ndarray) -> np.ndarray:
        """The fields and, with order 2, their ∂/∂t at all nodes, [order, fields, nodes...]."""
        parts = y.reshape(self.problem.order, self.size)
        return np.stack([self._at_nodes(t, part, k > 0) for k, part in enumerate(parts)])

    def check(self) -> None:
        """Refuse a start, edge values, or rates at the start, that are not finite."""
        nodes = {axis.axis.name: axis.nodes for axis in self.space}
        time = {"t": np.array(self.span[0])}
        for part in self.initial:
            check_finite(self.problem, "initial", np.stack(part), nodes)
        with np.errstate(all="ignore"):
            fields = self.unpack(self.span[0], self.start)
            rates = self.rates(self.span[0], self.start)[-self.size :]
        check_finite(self.problem, "conditions", fields, nodes, time)
        for k, (field, rate) in enumerate(zip(self.fields, self._split(rates), strict=True)):
            places = [own.points for own in field.unknowns]
            check_finite(
                self.problem, "rhs", rate.reshape(1, *field.shape),
                dict(zip(nodes, places, strict=True)), time, self.problem.fields[k : k + 1],
            )  # fmt: skip

    def _at_nodes(self, t: float, y: np.ndarray, derivative: bool = False) -> list[np.ndarray]:
        return [
            field.at_nodes(t, part, derivative)
            for field, part in zip(self.fields, self._split(y), strict=True)
        ]

    def _split(self, y: np.ndarray) -> list[np.ndarray]:
        return np.split(y, np.cumsum([field.size for field in self.fields])[:-1])

    def _taken(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The unknowns of every field from values at the nodes."""
        return np.concatenate(
            [field.taken(part) for field, part in zip(self.fields, values, strict=True)]
        )

    @cached_property
    def modes(self) -> Modes | None:
        """Its Fourier modes, where a linear part in them is exact and takes what is stiff."""
        return Modes(self) if semilinear(self) else None

    @cached_property
    def explicit(self) -> bool:
        """Whether its fastest motions are oscillations, slow enough for an explicit method."""
        if not self.space:
            return False
        return oscillates(self) and self.explicit_evaluations < EXPLICIT_EVALUATIONS

    @cached_property
    def explicit_evaluations(self) -> float:
        """Of the rates, that DOP853 needs to be stable over the whole span, about."""
        return explicit_evaluations(self)

    @cached_property
    def cost(self) -> int:
        """Products of one evaluation of the rates, about; matrices on one axis are fast."""
        fast = 4 if len(self.space) == 1 else 1
        return len(self.start) * max(sum(self.shape) // fast, 1)

    @cached_property
    def _reads_rates(self) -> bool:
        return any("t" in name for name in self.names)

    @cached_property
    def _reads_edge_rates(self) -> bool:
        return any("t" in name and len(name) > 1 for name in self.names) or not all(
            field.at_some_nodes for field in self.fields
        )

    def _state(self, t: float, y: np.ndarray) -> tuple[list[np.ndarray], Derivative]:
        """The fields at the nodes, and their derivatives."""
        coordinates = {"t": np.asarray(t), **self.coordinates}
        fields = self._at_nodes(t, y[: self.size])
        d = NodalDerivative(fields, self.space, coordinates)
        if not self._reads_rates:
            return fields, d
        if self._reads_edge_rates:
            rates = self._at_nodes(t, y[self.size :], derivative=True)
        else:  # those of the edges have no effect on the unknowns
            rates = [np.zeros(self.shape) for _ in self.fields]
            for field, rate, part in zip(
                self.fields, rates, self._split(y[self.size :]), strict=True
            ):
                rate[field.inside] = part.reshape(field.shape)
        return fields, _WithRates(d, NodalDerivative(rates, self.space))

    def _add(self, block: np.ndarray, pointwise: np.ndarray, at: int, own: int, name: str) -> None:
        """Add P · diag(pointwise) · D · E, D a derivative in space, to a block of the Jacobian."""
        rows = self.fields[at]
        if not rows.at_some_nodes:
            matrix = self._matrix(own, own, name, all_nodes=True)
            product = pointwise.reshape(-1, 1) * matrix
            block += rows.taken(product.reshape(*self.shape, -1)).reshape(block.shape)
            return
        slope = rows.taken(pointwise)
        if not name and self._kinds[at] == self._kinds[own]:
            index = np.arange(rows.size)
            block[index, index] += slope
        else:
            block += slope[:, None] * self._matrix(self._kinds[at], self._kinds[own], name)

    @cached_property
    def _kinds(self) -> list[int]:
        """For every field the first one whose nodes depend on its unknowns in the same way."""
        return [
            next(k for k, first in enumerate(self.fields) if first.same_as(field))
            for field in self.fields
        ]

    def _matrix(self, at: int, own: int, name: str, all_nodes: bool = False) -> np.ndarray:
        """A derivative of one field at the unknowns of another, or at all nodes."""
        key = at, own, name, all_nodes
        if key not in self._known:
            rows = None if all_nodes else self.fields[at]
            matrices = {
                axis.axis.name: axis.matrices(self._orders[axis.axis.name]) for axis in self.space
            }
            self._known[key] = self.fields[own].matrix(rows, matrices, name)
        return self._known[key]

    def slopes(self, t: float, y: np.ndarray) -> Slopes:
        """∂(rate of field i)/∂(channel of field j) as slopes[channel][i][j], None where 0."""
        fields, d = self._state(t, y)
        channels = {
            name: [d.take(j, name) if name else fields[j] for j in range(len(fields))]
            for name in self.names
        }
        coordinates = {**self.coordinates, "t": np.asarray(t)}
        return pointwise_slopes(self.problem.evolution.rates, channels, d.axes, coordinates)

    def _shaped(self, parts: tuple[object, ...], where: str) -> list[np.ndarray]:
        """One array over the nodes from what `rhs` or `initial` gave for each field."""
        arrays = []
        for part, field in zip(parts, self.problem.fields, strict=True):
            try:
                arrays.append(np.broadcast_to(np.asarray(part, float), self.shape))
            except (TypeError, ValueError) as error:
                raise InvalidValueError(
                    f"{self.problem.name}.{where} gave {_words(part)} for the field {field!r}, "
                    f"expected a number or an array of the shape {self.shape} of the coordinates: "
                    "write it with plain arithmetic of the fields and coordinates."
                ) from error
        return arrays


class _WithRates(Derivative):
    """Derivatives of the fields, and of their ∂/∂t where "t" is named."""

    def __init__(self, fields: NodalDerivative, rates: NodalDerivative) -> None:
        super().__init__(fields.fields, ("t", *fields.axes), fields.coordinates)
        self.parts = fields, rates

    def take(self, field: int, axes: str) -> Array:
        return self.parts[axes.count("t")].take(field, axes.replace("t", ""))


def check_finite(
    problem: Problem,
    where: str,
    values: np.ndarray,
    grid: Mapping[str, np.ndarray],
    besides: Mapping[str, np.ndarray] | None = None,
    fields: Sequence[str] | None = None,
) -> None:
    """Refuse values [fields, grid...] of `initial` or `rhs` that are not finite, with the place."""
    if np.isfinite(values).all():
        return
    field, *node = np.argwhere(~np.isfinite(values))[0]
    place = {**(besides or {}), **{n: x[k] for (n, x), k in zip(grid.items(), node, strict=True)}}
    at = named_numbers(place, " = ")
    raise InvalidValueError(
        f"{problem}: {where} gives {values[(field, *node)]} for the field "
        f"{(fields or problem.fields)[field]!r}{f' at {at}' if at else ''}: it must be finite in "
        "the whole domain."
    )


def _words(part: object) -> str:
    shape = getattr(part, "shape", None)
    return f"a {type(part).__name__}" + ("" if shape is None else f" of the shape {tuple(shape)}")
