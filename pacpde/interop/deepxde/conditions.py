"""The conditions of a problem as those of DeepXDE.

- A condition is met at the points that DeepXDE draws there. Values are computed in float64.
- Normals are ±1 in one axis. DeepXDE's own have no component in time, and average at corners.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import deepxde as dde
import numpy as np
import torch

from pacpde.physics.boundary import EdgeCondition
from pacpde.physics.domain import Axis
from pacpde.physics.problem import Problem

PointFunction = Callable[[np.ndarray], np.ndarray]  # [points, axes] → [points, 1]


def input_names(problem: Problem) -> tuple[str, ...]:
    """The axes as DeepXDE's inputs: space first, time last."""
    domain = problem.domain
    return (*(axis.name for axis in domain.space), *("t" for _ in range(domain.time is not None)))


@dataclass(frozen=True)
class ConditionLoss:
    """One loss of a condition.

    Attributes:
        name: of what is compared, as in "u at x-" or "u_n at x".
        condition: DeepXDE's.
        reads_derivatives: whether it takes derivatives of the network.
    """

    name: str
    condition: Any
    reads_derivatives: bool


def condition_losses(problem: Problem, geometry: Any) -> Iterator[ConditionLoss]:
    """Axis by axis and field by field, t first; then points.

    Of a field on an axis: values, then normal derivatives. Both ends of an axis of space are one
    loss, both ends of the time span are two.
    """
    for axis in problem.domain.axes:
        for field in range(len(problem.fields)):
            if axis.name in problem.boundary.periodic:
                yield from _periodic(problem, geometry, axis, field)
                continue
            own = [
                one
                for one in problem.edge_conditions
                if (one.axis, one.field) == (axis.name, field)
            ]
            for ends in [(False,), (True,)] if axis.name == "t" else [(False, True)]:
                at_ends = [one for one in own if one.upper in ends]
                for some in (
                    [one for one in at_ends if not one.b],
                    [one for one in at_ends if one.b],
                ):
                    if some:
                        yield AxisCondition(problem, axis, tuple(some)).loss(geometry)
    for one in problem.boundary.points:
        place = dict(zip(problem.domain.names, one.point, strict=True))
        point = [[place[name] for name in input_names(problem)]]
        condition = dde.icbc.PointSetBC(point, [[one.value]], component=one.field)
        where = ", ".join(f"{name} = {value:g}" for name, value in place.items())
        yield ConditionLoss(f"{problem.fields[one.field]} at {where}", condition, False)


@dataclass(frozen=True)
class AxisCondition:
    """u = g, or ∂u/∂n = g − r u, of one field at one end or both ends of an axis.

    Attributes:
        problem: whose it is.
        axis: the axis.
        ends: one condition an end, all of values or all of normal derivatives.
    """

    problem: Problem
    axis: Axis
    ends: tuple[EdgeCondition, ...]

    @property
    def field(self) -> int:
        """Index of the field."""
        return self.ends[0].field

    @cached_property
    def column(self) -> int:
        """Index of the axis among DeepXDE's inputs."""
        return input_names(self.problem).index(self.axis.name)

    def loss(self, geometry: Any) -> ConditionLoss:
        """The condition as DeepXDE's, with its name."""
        derivatives = bool(self.ends[0].b)
        where = self.ends[0].where if len(self.ends) == 1 else self.axis.name
        what = self.problem.fields[self.field] + ("_n" if derivatives else "")
        made = self._with_derivatives(geometry) if derivatives else self._values(geometry)
        if where == "t+" and self.problem.domain.space:
            made.collocation_points = lambda x: _at_both_ends_of_time(geometry, self.axis, x)[1]
        return ConditionLoss(f"{what} at {where}", made, derivatives)

    def is_there(self, x: np.ndarray, on: bool) -> bool:
        """Whether a point [axes] lies at one of the ends; `on` tells of the boundary of space."""
        near = dde.utils.isclose(x[self.column], [self._coordinate(one) for one in self.ends])
        return bool((on or self.axis.name == "t") and near.any())

    def target(self, x: np.ndarray) -> np.ndarray:
        """g at points [points, axes], [points, 1]."""
        coordinates = dict(zip(input_names(self.problem), x.T.astype(float), strict=True))

        def at(one: EdgeCondition) -> Any:
            place = np.full(len(x), self._coordinate(one))
            return one.value_at(coordinates | {self.axis.name: place}) / (one.b or 1.0)

        return self._by_end(x, at)

    def normal(self, x: np.ndarray) -> np.ndarray:
        """The normal that points outwards, [points, axes]."""
        normal = np.zeros_like(x)
        normal[:, self.column] = self._by_end(x, lambda one: 1.0 if one.upper else -1.0)[:, 0]
        return normal

    def ratio(self, x: np.ndarray) -> np.ndarray:
        """r = a/b, [points, 1]."""
        return self._by_end(x, lambda one: one.a / one.b)

    def _values(self, geometry: Any) -> Any:
        starts = self.ends[0].where == "t-"
        kind = dde.icbc.IC if starts else dde.icbc.DirichletBC
        return _without_cache(
            kind(geometry, self.target, self.is_there, component=self.field), self.target
        )

    def _with_derivatives(self, geometry: Any) -> Any:
        if any(one.a for one in self.ends):
            made = dde.icbc.RobinBC(geometry, self._slope, self.is_there, component=self.field)
        else:
            made = _without_cache(
                dde.icbc.NeumannBC(geometry, self.target, self.is_there, component=self.field),
                self.target,
            )
        made.boundary_normal = latest_values(self.normal)
        return made

    def _slope(self, x: np.ndarray, u: torch.Tensor) -> torch.Tensor:
        """g − r u, [points, 1], at points and outputs [points, fields]."""
        target, ratio = (torch.as_tensor(own(x)) for own in (self.target, self.ratio))
        return target - ratio * u[:, self.field : self.field + 1]

    def _coordinate(self, one: EdgeCondition) -> float:
        return self.axis.upper if one.upper else self.axis.lower

    def _by_end(self, x: np.ndarray, value: Callable[[EdgeCondition], Any]) -> np.ndarray:
        """What a function gives for the end at which each point lies, [points, 1]."""
        result, *others = (value(one) for one in self.ends)
        middle = (self.axis.lower + self.axis.upper) / 2
        for other in others:
            at_first = (x[:, self.column] > middle) == self.ends[0].upper
            result = np.where(at_first, result, other)
        return as_column(result, x)


class PeriodicDerivativeBC(dde.icbc.PeriodicBC):
    """∂ᵏu/∂xᵏ is the same at both ends of an axis, k ≥ 2; DeepXDE's own takes k ≤ 1.

    Args:
        order: k.
    """

    def __init__(
        self, geometry: Any, column: int, is_there: Callable[..., bool], order: int, field: int
    ) -> None:
        super().__init__(geometry, column, is_there, 1, component=field)
        self.derivative_order = order

    def error(
        self, X: Any, inputs: Any, outputs: Any, beg: int, end: int, aux_var: Any = None
    ) -> Any:
        """The differences of the derivatives, [pairs, 1]; the arguments are DeepXDE's."""
        derivative = dde.grad.jacobian(outputs, inputs, i=self.component, j=self.component_x)
        for _ in range(self.derivative_order - 1):
            derivative = dde.grad.jacobian(derivative, inputs, i=0, j=self.component_x)
        middle = beg + (end - beg) // 2
        return derivative[beg:middle] - derivative[middle:end]


def _periodic(problem: Problem, geometry: Any, axis: Axis, field: int) -> Iterator[ConditionLoss]:
    """Values, slopes, and as many higher derivatives as the equation needs."""
    column = input_names(problem).index(axis.name)

    def is_there(x: np.ndarray, on: bool) -> bool:
        return bool(on and dde.utils.isclose(x[column], [axis.lower, axis.upper]).any())

    highest = max(name.count(axis.name) for name in problem.channels)
    for order in range(max(highest, 2)):
        if order < 2:
            made = dde.icbc.PeriodicBC(geometry, column, is_there, order, component=field)
        else:
            made = PeriodicDerivativeBC(geometry, column, is_there, order, field)
        if axis.name == "t" and problem.domain.space:
            made.collocation_points = lambda x: np.vstack(_at_both_ends_of_time(geometry, axis, x))
        suffix = f"_{axis.name * order}" if order else ""
        name = f"{problem.fields[field]}{suffix} at both ends of {axis.name}"
        yield ConditionLoss(name, made, order > 0)


def _at_both_ends_of_time(
    geometry: Any, time: Axis, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The points at the start, and the same moved to the end, where DeepXDE draws none."""
    start = x[geometry.on_initial(x)]
    end = start.copy()
    end[:, -1] = time.upper
    return start, end


def latest_values(values: PointFunction) -> Callable[..., torch.Tensor]:
    """The function of DeepXDE's (X, begin, end, _), which stores the values at the latest points.

    DeepXDE 1.15 stores them by the address of an array, which after a resampling may be another's.
    """
    latest: list[Any] = []

    def values_at(X: np.ndarray, begin: int, end: int, _: Any) -> torch.Tensor:
        if not latest or latest[0] is not X or latest[1] != (begin, end):
            latest[:] = X, (begin, end), torch.as_tensor(values(X[begin:end]))
        tensor: torch.Tensor = latest[2]
        return tensor

    return values_at


def _without_cache(condition: Any, values: PointFunction) -> Any:
    condition.func = latest_values(values)
    return condition


def clear_cached_values(conditions: Iterable[Any]) -> None:
    """Drop the values that DeepXDE's own conditions store by the address of an array of points."""
    for condition in conditions:
        for name in ("func", "boundary_normal"):
            function: Any = getattr(condition, name, None)
            inner = getattr(getattr(function, "__code__", None), "co_freevars", ())
            if "cache" in inner:
                cache = function.__closure__[inner.index("cache")].cell_contents
                if isinstance(cache, dict):
                    cache.clear()


def as_column(values: Any, x: np.ndarray) -> np.ndarray:
    """Numbers as [points, 1] in the precision of the points."""
    return np.broadcast_to(np.asarray(values, float), len(x)).astype(x.dtype)[:, None]
