"""A problem as DeepXDE's data."""

from collections.abc import Callable, Sequence
from typing import Any

import deepxde as dde
import numpy as np

from pacpde.checks import check_count
from pacpde.datasets import reference_for
from pacpde.errors import InvalidValueError, SolverError
from pacpde.interop.deepxde.conditions import (
    ConditionLoss,
    PointFunction,
    condition_losses,
    input_names,
)
from pacpde.physics.derivatives import Derivative
from pacpde.physics.domain import Axis
from pacpde.physics.problem import Problem, check_problem

NEAR = 0.01  # share of an axis at whose distance from an end a point must not be taken for the end


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
        places = [self.axes.index(name) for name in axes]
        if isinstance(self.u, tuple):
            return self._take_forward(field, places)
        first, *others = places
        if not others:
            return dde.grad.jacobian(self.u, self.x, i=field, j=first)
        second, *higher = others
        derivative = dde.grad.hessian(self.u, self.x, component=field, i=first, j=second)
        for axis in higher:
            derivative = dde.grad.jacobian(derivative, self.x, i=0, j=axis)
        return derivative

    def _take_forward(self, field: int, places: list[int]) -> Any:
        """The same in forward mode, whose derivatives are pairs of all fields, until the last."""
        derivative = self.u
        for axis in places[:-1]:
            derivative = dde.grad.jacobian(derivative, self.x, i=None, j=axis)
        values, _ = dde.grad.jacobian(derivative, self.x, i=field, j=places[-1])
        return values


def pde(problem: Problem) -> Callable[[Any, Any], list[Any]]:
    """The rows of the residual, [points, 1] each, as DeepXDE's `pde(x, u)`."""
    check_problem(problem, "problem")
    axes = input_names(problem)

    def residuals(x: Any, u: Any) -> list[Any]:
        d = DeepXDEDerivative(x, u, axes)
        return list(problem.rows(d.fields, d))

    return residuals


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
    """A problem as `dde.data.TimePDE`, or as `dde.data.PDE` where it has no space or no time.

    Args:
        problem: a `Problem` or an `Evolution`, with any conditions.
        num_domain, num_boundary, num_initial: points; those of DeepXDE's Burgers, Lorenz and
            Poisson examples by default. Only a problem with space and time has points at the start
            beside those on its boundary.
        conditions: start and edges as losses. Leave them out where the network's output transform
            meets them.
        reference: the certified reference as DeepXDE's `solution`, for metrics; it is solved for
            and stored at its first use.
        settings: of DeepXDE's class, such as `train_distribution` or `num_test`.

    Returns:
        The data. `loss_names` gives a name to each of their losses, in this order:

        - the rows of the residual, in the equation's own units, not divided by scales;
        - the conditions axis by axis (t first) and field by field: u − g, then ∂u/∂n − g of
          Neumann and (a u + b ∂u/∂n − g)/b of Robin, with the normal n outwards. Both ends of an
          axis of space are one loss. An order 2 starts by u and ∂u/∂n = −∂u/∂t;
        - on a periodic axis the differences of u, ∂u/∂x, ... between both ends, up to the order of
          the equation less one, at least to ∂u/∂x;
        - values at points.

    Raises:
        InvalidValueError: a number of points or a setting is wrong; there is no point where a
            condition holds; DeepXDE cannot find the ends of an axis, or take the derivatives of
            the conditions in its forward mode.
        SolverError: there is no certified reference.

    Example:
        >>> made = data(Heat(alpha=0.4), num_domain=500, reference=False)
        >>> model = dde.Model(made, dde.nn.FNN([2, 20, 20, 1], "tanh", "Glorot normal"))
    """
    check_problem(problem, "problem")
    domain = problem.domain
    initial = domain.time is not None and bool(domain.space)
    counts = {"num_domain": 2540, "num_boundary": 80, "num_initial": 160}
    if not initial:
        counts = {"num_domain": 2540, "num_boundary": 240}
    if len(domain.axes) == 1:
        counts = {"num_domain": 400, "num_boundary": 2}
    if not initial and num_initial is not None:
        lacks = "time" if domain.time is None else "space, so that its start is one point"
        raise InvalidValueError(
            f"{problem.name} has no {lacks}: ask for num_boundary, whose points are at both ends "
            f"of {' and '.join(domain.names)}."
        )
    chosen = {"num_domain": num_domain, "num_boundary": num_boundary, "num_initial": num_initial}
    for name, count in chosen.items():
        if count is not None:
            check_count(name, count, 0)
            counts[name] = int(count)
    geometry = _geometry(problem)
    losses = list(condition_losses(problem, geometry)) if conditions else []
    _check_conditions(problem, losses)
    if reference and "solution" not in settings:
        settings["solution"] = _metrics(problem)
    kind = dde.data.TimePDE if initial else dde.data.PDE
    own = [loss.condition for loss in losses]
    try:
        made = kind(geometry, pde(problem), own, **counts, **settings)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"DeepXDE's {kind.__name__} refuses the settings: {error}"
        ) from error
    for loss, count in zip(losses, made.num_bcs, strict=True):
        if not count:
            raise InvalidValueError(
                f"{problem.name}: there is no point for the condition of {loss.name}, expected one "
                f"or more: raise {' or '.join(name for name in counts if name != 'num_domain')}, "
                "or give conditions=False."
            )
    return made


def loss_names(problem: Problem, conditions: bool = True) -> list[str]:
    """A name for each loss of `data`, in their order.

    Args:
        problem: the problem.
        conditions: as given to `data`.

    Example:
        >>> loss_names(Heat())
        ['row 1', 'u at t-', 'u at x']
    """
    check_problem(problem, "problem")
    rows = [f"row {number + 1}" for number in range(problem.n_rows)]
    losses = condition_losses(problem, _geometry(problem)) if conditions else ()
    return rows + [loss.name for loss in losses]


def _check_conditions(problem: Problem, losses: Sequence[ConditionLoss]) -> None:
    """Refuse what DeepXDE cannot say of these conditions."""
    forward = dde.config.autodiff == "forward"
    for loss in losses:
        if loss.reads_derivatives and forward:
            raise InvalidValueError(
                f"{problem.name}: DeepXDE's forward mode takes no derivatives in conditions, and "
                f"there is one of {loss.name}: call "
                'deepxde.config.set_default_autodiff("reverse"), or give conditions=False.'
            )
    for axis in problem.domain.axes if losses else ():
        inside = np.array([axis.lower, axis.upper]) + NEAR * axis.length * np.array([1, -1])
        near = dde.utils.isclose(inside.astype(dde.config.real(np)), [axis.lower, axis.upper])
        if near.any():
            raise InvalidValueError(
                f"{problem.name}: DeepXDE takes points near an end for points at it, and cannot "
                f"tell {axis.name} = {inside[near.argmax()]:.10g} from an end of the axis, which "
                f"runs from {axis.lower:g} to {axis.upper:g}: measure it in another unit or from "
                'another origin, or call deepxde.config.set_default_float("float64").'
            )


def _metrics(problem: Problem) -> PointFunction:
    try:
        return solution(problem)
    except (InvalidValueError, SolverError) as error:
        raise SolverError(
            f"{error} Or give reference=False: the data are the same, without metrics."
        ) from error


def solution(problem: Problem) -> PointFunction:
    """The best certified reference at DeepXDE's points, [points, axes] → [points, fields]."""
    check_problem(problem, "problem")
    reference = reference_for(problem)
    axes = problem.domain.axes

    def values(x: np.ndarray) -> np.ndarray:
        columns = dict(zip(input_names(problem), x.T.astype(float), strict=True))
        inside = [np.clip(columns[axis.name], axis.lower, axis.upper) for axis in axes]
        return np.asarray(reference(*inside)).reshape(len(problem.fields), -1).T.astype(x.dtype)

    return values


def _geometry(problem: Problem) -> Any:
    """DeepXDE's geometry: a box, a time span, or both."""
    time, space = problem.domain.time, problem.domain.space
    if time is None:
        return _box(space)
    span = dde.geometry.TimeDomain(time.lower, time.upper)
    return dde.geometry.GeometryXTime(_box(space), span) if space else span


def _box(space: tuple[Axis, ...]) -> Any:
    lower, upper = [axis.lower for axis in space], [axis.upper for axis in space]
    if len(space) == 1:
        return dde.geometry.Interval(lower[0], upper[0])
    if len(space) == 2:
        return dde.geometry.Rectangle(lower, upper)
    return dde.geometry.Hypercube(lower, upper)
