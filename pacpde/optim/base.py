"""The interface of optimisers, their registry, and their names with options."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, cast

import torch

from pacpde.checks import check_number
from pacpde.errors import InvalidValueError, short, unknown
from pacpde.expressions import named_options
from pacpde.optim.least_squares import LeastSquares
from pacpde.registry import Registry

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Progress:
    """The state of an optimiser after some steps.

    Attributes:
        x: trainable weights [n_trainable].
        loss: ½‖r‖² plus anchor at x.
        state: all the optimiser needs to go on exactly where it stopped.
        steps, evaluations: accepted steps, and residual evaluations of any kind.
        stalled: it found no way down; more steps from here on the same problem are useless.
        solver: how its linear systems were solved, where it chose.
        iterations: of conjugate gradients, where they solved them.
        solver_residual: the largest ‖b − Mx‖ / ‖b‖ that they ended with.
    """

    x: torch.Tensor
    loss: float
    state: State
    steps: int
    evaluations: int
    stalled: bool = False
    solver: str = ""
    iterations: int = 0
    solver_residual: float = 0.0

    @property
    def solver_entry(self) -> dict[str, Any]:
        """How its systems were solved, for the history of a fit."""
        entry: dict[str, Any] = {"solver": self.solver} if self.solver else {}
        if self.iterations:
            entry |= {"iterations": self.iterations, "solver_residual": self.solver_residual}
        return entry


class Optimiser(Protocol):
    """Lowers a least-squares problem; holds options, never state."""

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        """At most `steps` steps from x [n_trainable], going on from `state` where there is one.

        The result is the best point seen: its loss is never above the loss at x.
        """
        ...


def near_state(optimiser: Optimiser) -> State:
    """The state to begin with from weights that nearly solve the problem.

    An optimiser may give one by a method `near_state()`; without it there is none.
    """
    return cast(State, getattr(optimiser, "near_state", dict)())


optimisers: Registry[type[Optimiser]] = Registry("optimiser", "pacpde.optim")


def check_option(optimiser: object, name: str, above: float = 0.0, below: float = math.inf) -> None:
    """Refuse an option that is no number between two others: a run would fail late, or never end.

    Raises:
        InvalidValueError: it is none.
    """
    check_number(
        f"{name} of {type(optimiser).__name__}",
        getattr(optimiser, name),
        math.nextafter(above, math.inf),
        math.nextafter(below, above),
        expected=f"a number above {above:g}"
        + (f" and below {below:g}" if below < math.inf else ""),
    )


def make_optimiser(name: str, **options: Any) -> Optimiser:
    """The optimiser of a name with those of the options that it has."""
    optimiser: Any = optimisers.get(name)
    known = [option.name for option in _fields(optimiser)]
    return cast(Optimiser, optimiser(**{k: v for k, v in options.items() if k in known}))


def optimiser_from(wanted: Any) -> str | Optimiser:
    """A known name as it is, an object as it is; what names options too becomes an object.

    Args:
        wanted: an optimiser, "adam", "adam:lr=1e-3,eps=1e-8", or {"name": "adam", "lr": 1e-3}.

    Raises:
        UnknownNameError: there is no such optimiser, or it has no such option.
        InvalidValueError: it is none of these.

    Example:
        >>> optimiser_from("adam:lr=1e-2").lr
        0.01
    """
    if isinstance(wanted, str):
        if ":" in wanted:
            return optimiser_from(named_options("the optimiser", wanted, "adam:lr=1e-3"))
        optimisers.get(wanted)
        return wanted
    if isinstance(wanted, Mapping):
        options = dict(wanted)
        name = options.pop("name", None)
        optimiser: Any = optimisers.get(str(name))
        known = {option.name: option.type for option in _fields(optimiser)}
        for key, value in options.items():
            if key not in known:
                raise unknown(f"option of the optimiser {name}", key, known)
            if known[key] is int and isinstance(value, float) and value.is_integer():
                options[key] = int(value)
        return cast(Optimiser, optimiser(**options))
    if not callable(getattr(wanted, "run", None)) or isinstance(wanted, type):
        raise InvalidValueError(
            f"the optimiser is {short(wanted)}, expected an object such as "
            'pacpde.optim.LevenbergMarquardt(), or a name such as "levenberg_marquardt".'
        )
    return cast(Optimiser, wanted)


def describe_optimiser(optimiser: str | Optimiser) -> str | dict[str, Any]:
    """The entry of an optimiser in records: its name, with the options that are not the default."""
    if isinstance(optimiser, str):
        return optimiser
    kind: Any = type(optimiser)
    names = [name for name in optimisers.names() if optimisers.get(name) is kind]
    name = names[0] if names else f"{kind.__module__}.{kind.__qualname__}"
    values = {option.name: getattr(optimiser, option.name) for option in _fields(kind)}
    changed = {
        option.name: values[option.name]
        for option in _fields(kind)
        if values[option.name] != option.default
    }
    return {"name": name, **changed} if changed else name


def _fields(optimiser: Any) -> tuple[Any, ...]:
    return fields(optimiser) if hasattr(optimiser, "__dataclass_fields__") else ()
