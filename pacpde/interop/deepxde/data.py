"""A problem as DeepXDE's data."""

from collections.abc import Callable, Iterable
from typing import Any

import deepxde as dde
import numpy as np
import torch

from pacpde.checks import check_count
from pacpde.datasets import reference_for
from pacpde.errors import InvalidValueError, SolverError
from pacpde.methods.checks import check_problem
from pacpde.physics.derivatives import Derivative
from pacpde.physics.domain import Axis
from pacpde.physics.problem import Problem
from pacpde.reference.certificate import LOOSEST

PointFunction = Callable[[np.ndarray], np.ndarray]  # [points, axes] → [points, 1]


class DeepXDEDerivative(Derivative):
    """Derivatives of a DeepXDE network's outputs by `dde.grad`.

    Args:
        x: inputs [points, axes], space first and time last.
        u: outputs [points, fields]; in forward mode, DeepXDE's pair of outputs and function.
        axes: names of the inputs, in their order.
    """

    def __init__(self, x: Any, u: Any, axes: tuple[str, ...]) -> None:
        outputs = u[0] if isinstance(u, tuple) else u
        columns = {name: x[:, k : k + 1] for k, name in enumerate(axes)}
        fields = [outputs[:, k : k + 1] for k in range(outputs.shape[1])]
        super().__init__(fields, axes, columns)
        self.x, self.u = x, u

    def take(self, field: int, axes: str) -> Any:
        first, *others = (self.axes.index(name) for name in axes)
        if not others:
            return dde.grad.jacobian(self.u, self.x, i=field, j=first)
        second, *higher = others
        derivative = dde.grad.hessian(self.u, self.x, component=field, i=first, j=second)
        for axis in higher:
            derivative = dde.grad.jacobian(derivative, self.x, i=0, j=axis)
        return derivative


def pde(problem: Problem) -> Callable[[Any, Any], list[Any]]:
    """The rows of the residual, [points, 1] each, as DeepXDE's `pde(x, u)`."""
    check_problem(problem, "problem")
    axes = input_names(problem)

    def residuals(x: Any, u: Any) -> list[Any]:
        d = DeepXDEDerivative(x, u, axes)
        return list(problem.rows(d.fields, d))

    return residuals


def input_names(problem: Problem) -> tuple[str, ...]:
    """The axes as DeepXDE's inputs: space first, time last."""
    return (*(axis.name for axis in problem.domain.space), "t")


def data(
    problem: Problem,
    num_domain: int | None = None,
    num_boundary: int | None = None,
    num_initial: int | None = None,
    *,
    conditions: bool = True,
    reference: bool = True,
    **settings: Any,
) -> Any:
    """A problem as `dde.data.TimePDE`, or `dde.data.PDE` where it has no space.

    Args:
        num_domain, num_boundary, num_initial: points; those of DeepXDE's Burgers and Lorenz
            examples by default. An ODE has no points at the start beside those on its boundary.
        conditions: start and edges as losses. Leave them out where the network's output transform
            meets them.
        reference: the certified reference as DeepXDE's `solution`, for metrics; it is solved for
            and stored at its first use.
        settings: of DeepXDE's class, such as `train_distribution` or `num_test`.

    Losses come in the order: the equation of every field; the start of every field; the edges, axis
    by axis and field by field, a periodic one by values and then by slopes. Residuals are in the
    equation's own units, not divided by the problem's scales.
    """
    check_problem(problem, "problem")
    problem.check_classical("DeepXDE's data")
    space = problem.domain.space
    if not space and num_initial is not None:
        raise InvalidValueError(
            f"{problem.name} has no space, so that its start is one point: ask for num_boundary, "
            "whose points are both ends of the time span."
        )
    time = problem.domain.axis("t")
    span = dde.geometry.TimeDomain(time.lower, time.upper)
    geometry = dde.geometry.GeometryXTime(_box(space), span) if space else span
    if reference and "solution" not in settings:
        settings["solution"] = _metrics(problem)
    icbcs = [*_initial(problem, geometry), *_edges(problem, geometry)] if conditions else []
    counts = {"num_domain": 2540, "num_boundary": 80, "num_initial": 160}
    if not space:
        counts = {"num_domain": 400, "num_boundary": 2}
    chosen = {"num_domain": num_domain, "num_boundary": num_boundary, "num_initial": num_initial}
    for name, count in chosen.items():
        if count is not None:
            check_count(name, count, 0)
            counts[name] = int(count)
    kind = dde.data.TimePDE if space else dde.data.PDE
    try:
        return kind(geometry, pde(problem), icbcs, **counts, **settings)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"DeepXDE's {kind.__name__} refuses the settings: {error}"
        ) from error


def _metrics(problem: Problem) -> PointFunction:
    try:
        return solution(problem)
    except SolverError as error:
        raise SolverError(
            f"{error} Or give reference=False: the data are the same, without metrics."
        ) from error


def solution(problem: Problem) -> PointFunction:
    """The best certified reference at DeepXDE's points, [points, axes] → [points, fields]."""
    check_problem(problem, "problem")
    reference = reference_for(problem, loosest=LOOSEST)
    axes = problem.domain.axes

    def values(x: np.ndarray) -> np.ndarray:
        columns = dict(zip(input_names(problem), x.T.astype(float), strict=True))
        inside = [np.clip(columns[axis.name], axis.lower, axis.upper) for axis in axes]
        return np.asarray(reference(*inside)).reshape(len(problem.fields), -1).T.astype(x.dtype)

    return values


def _box(space: tuple[Axis, ...]) -> Any:
    lower, upper = [axis.lower for axis in space], [axis.upper for axis in space]
    if len(space) == 1:
        return dde.geometry.Interval(lower[0], upper[0])
    if len(space) == 2:
        return dde.geometry.Rectangle(lower, upper)
    return dde.geometry.Hypercube(lower, upper)


def _initial(problem: Problem, geometry: Any) -> list[Any]:
    def of(field: int) -> PointFunction:
        def values(x: np.ndarray) -> np.ndarray:
            space = x.T.astype(float)[: len(problem.domain.space)]
            return _column(problem.evolution.initial_fields(*space)[field], x)

        return values

    return [
        _without_cache(dde.icbc.IC(geometry, of(k), lambda _, on: on, component=k), of(k))
        for k in range(len(problem.fields))
    ]


def _edges(problem: Problem, geometry: Any) -> list[Any]:
    conditions = []
    for number, axis in enumerate(problem.domain.space):
        there = _on(axis, number)
        for field in range(len(problem.fields)):
            ends = problem.boundary.constant_edges(axis.name, field)
            if ends is not None:
                values = _wall(axis, number, *ends)
                wall = dde.icbc.DirichletBC(geometry, values, there, component=field)
                conditions.append(_without_cache(wall, values))
            else:
                conditions += [
                    dde.icbc.PeriodicBC(geometry, number, there, slope, component=field)
                    for slope in (0, 1)
                ]
    return conditions


def _on(axis: Axis, number: int) -> Callable[[np.ndarray, bool], bool]:
    """Whether a point lies on the edges of this axis."""

    def there(x: np.ndarray, on: bool) -> bool:
        return bool(on and dde.utils.isclose(x[number], [axis.lower, axis.upper]).any())

    return there


def _wall(axis: Axis, number: int, lower: float, upper: float) -> PointFunction:
    middle = (axis.lower + axis.upper) / 2
    return lambda x: _column(np.where(x[:, number] < middle, lower, upper), x)


def _without_cache(condition: Any, values: PointFunction) -> Any:
    """The condition, which stores its values for the latest points alone.

    DeepXDE 1.15 stores them by the address of an array, which after a resampling may be another's.
    """
    latest: list[Any] = []

    def values_at(X: np.ndarray, begin: int, end: int, _: Any) -> torch.Tensor:
        if not latest or latest[0] is not X or latest[1] != (begin, end):
            latest[:] = X, (begin, end), torch.as_tensor(values(X[begin:end]))
        tensor: torch.Tensor = latest[2]
        return tensor

    condition.func = values_at
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


def _column(values: Any, x: np.ndarray) -> np.ndarray:
    """Numbers as [points, 1] in the precision of the points."""
    return np.broadcast_to(np.asarray(values, float), len(x)).astype(x.dtype)[:, None]
