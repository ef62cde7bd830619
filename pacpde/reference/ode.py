"""`scipy.integrate.solve_ivp` over a semi-discrete problem, with every failure named."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.integrate import DOP853, OdeSolver, Radau, solve_ivp

from pacpde.errors import PacpdeError
from pacpde.reference.grid import SpaceAxis

EVALUATIONS = 200_000  # right-hand sides of one integration
EXPLICIT_EVALUATIONS = 20_000  # right-hand sides after which DOP853 is given up as stiff

SHORTER = 0.75  # what ten times less error takes at order eight anyway

Rates = Callable[[float, np.ndarray], np.ndarray]


class SemiDiscrete(Protocol):
    """dy/dt = rates(t, y), y [n]: an ODE, or a PDE on the nodes of `space`.

    Attributes:
        explicit: whether an explicit method suits a PDE, whose fastest motions oscillate.
        cost: of one evaluation of the rates, in products of numbers.
    """

    space: tuple[SpaceAxis, ...]
    span: tuple[float, float]
    start: np.ndarray
    scale: np.ndarray

    @property
    def explicit(self) -> bool: ...

    @property
    def cost(self) -> int: ...

    def rates(self, t: float, y: np.ndarray) -> np.ndarray: ...

    def jacobian(self, t: float, y: np.ndarray) -> np.ndarray: ...

    def unpack(self, t: float, y: np.ndarray) -> np.ndarray: ...

    def states(self, t: float, y: np.ndarray) -> np.ndarray: ...

    def check(self) -> None: ...


class IntegrationError(Exception):
    """An integration ended early; a finer grid may still succeed."""


class EffortError(IntegrationError):
    """The effort is spent; a finer grid would need more."""


@dataclass
class Effort:
    """The cost that several integrations together may still have.

    Counted in products of numbers: for every evaluation of the right-hand side those of the rates,
    and with Radau the square of the number of unknowns, which dense matrices cost. It depends on no
    clock, so that a search ends at the same place on every machine.
    """

    left: float

    def spend(self, products: int) -> None:
        self.left -= products
        if self.left < 0:
            raise EffortError


@dataclass(frozen=True)
class Integrated:
    """The result of one integration: method, the solver's dense output, and steps."""

    method: str
    solution: Callable[[np.ndarray], np.ndarray]
    system: SemiDiscrete
    steps: np.ndarray

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """The fields at the nodes of space, shape [len(t), fields, nodes...]."""
        return self._each(self.system.unpack, t)

    def states(self, t: np.ndarray) -> np.ndarray:
        """The fields and, with order 2, their ∂/∂t, [len(t), order, fields, nodes...]."""
        return self._each(self.system.states, t)

    def _each(self, unpack: Rates, t: np.ndarray) -> np.ndarray:
        states = self.solution(t).T
        return np.stack([unpack(float(time), y) for time, y in zip(t, states, strict=True)])


def integrate(
    system: SemiDiscrete,
    rtol: float,
    effort: Effort | None = None,
    coarse: np.ndarray | None = None,
) -> Integrated:
    """Integrate over the whole span; absolute tolerance `rtol` times the fields' scales.

    What diffuses: Radau IIA (Hairer & Wanner 1996, order 5, L-stable) with the analytic Jacobian.
    What oscillates, and no space: DOP853 (Hairer, Nørsett & Wanner 1993, order 8), or Radau where
    that is stiff.

    Steps are at most half the span times rtol^(1/8): the error estimate of Radau is blind in very
    stiff components, where two tolerances would otherwise give the same large steps. An estimate
    may be blind elsewhere too: where `coarse` are the steps of another solution, every step is
    shorter than its step there, so that the two do not share what such a step has done.
    """
    system.check()
    if system.space and not system.explicit:
        return _run(system, Radau, rtol, EVALUATIONS, effort, coarse)
    limit = EVALUATIONS if system.space else EXPLICIT_EVALUATIONS
    try:
        return _run(system, DOP853, rtol, limit, effort, coarse)
    except _TooLongError:
        return _run(system, Radau, rtol, EVALUATIONS, effort, coarse)


class _TooLongError(IntegrationError):
    pass


def _run(
    system: SemiDiscrete,
    method: type[Radau] | type[DOP853],
    rtol: float,
    limit: int,
    effort: Effort | None = None,
    coarse: np.ndarray | None = None,
) -> Integrated:
    name = method.__name__
    options: dict[str, Any] = {} if method is DOP853 else {"jac": _finite(system.jacobian)}
    options["max_step"] = (system.span[1] - system.span[0]) * rtol**0.125 / 2
    products = len(system.start) ** 2 if method is Radau else system.cost
    try:
        with np.errstate(all="ignore"):
            result = solve_ivp(
                _counted(system.rates, limit, effort, products), system.span, system.start,
                method=method if coarse is None else _shorter(method, coarse),
                rtol=rtol, atol=rtol * system.scale, dense_output=True, **options,
            )  # fmt: skip
    except PacpdeError:
        raise
    except ValueError as error:  # of scipy's linear algebra
        raise IntegrationError(f"the equation gives what is not finite ({error})") from error
    if not result.success or result.sol is None or not np.isfinite(result.y).all():
        raise IntegrationError(
            f"{name} stopped at t = {result.t[-1]:.6g}, where the solution reached "
            f"{np.abs(result.y[:, -1]).max():.3g}; if it grows without bound, end before it does "
            "(until)"
        )
    return Integrated(name, result.sol, system, result.t)


def _shorter(method: type[Radau] | type[DOP853], coarse: np.ndarray) -> type[OdeSolver]:
    """The method with steps that are shorter than those of another solution at the same time."""
    lengths = SHORTER * np.diff(coarse)

    class Shorter(method):  # type: ignore[misc, valid-type]
        max_step: float
        longest = 0.0

        def _step_impl(self) -> Any:
            self.longest = self.longest or self.max_step
            here = int(np.clip(np.searchsorted(coarse, self.t, "right") - 1, 0, len(lengths) - 1))
            self.max_step = min(self.longest, float(lengths[here]))
            return super()._step_impl()

    return Shorter


def _finite(jacobian: Rates) -> Rates:
    def checked(t: float, y: np.ndarray) -> np.ndarray:
        matrix = jacobian(t, y)
        if not np.isfinite(matrix).all():
            raise IntegrationError(f"the Jacobian is not finite at t = {t:.6g}")
        return matrix

    return checked


def _counted(rates: Rates, limit: int, effort: Effort | None, products: int) -> Rates:
    used = 0

    def counting(t: float, y: np.ndarray) -> np.ndarray:
        nonlocal used
        used += 1
        if used > limit:
            raise _TooLongError(f"{limit} evaluations were used up at t = {t:.6g}")
        if effort is not None:
            effort.spend(products)
        return rates(t, y)

    return counting
