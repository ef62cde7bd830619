"""Integration in time of a semi-discrete problem, with every failure named."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.integrate import DOP853, OdeSolver, Radau, solve_ivp

from pacpde.errors import PacpdeError
from pacpde.reference.exponential import SETTLED, step_exponentially
from pacpde.reference.grid import SpaceAxis
from pacpde.reference.modes import Modes
from pacpde.reference.windows import Stepped, step_through

EVALUATIONS = 200_000  # right-hand sides of one integration
DENSE = 2000  # unknowns of the largest Jacobian: it takes 32 MB
FINEST = 1e-13  # tolerance of DOP853, above rounding
STABLE = 1e-3  # of the tolerance, where steps are as short as stability asks whatever it is
NOISE = 100.0  # of the tolerance of explicit steps: the share of the highest modes they leave
EXPLICIT_EVALUATIONS = 20_000  # right-hand sides after which DOP853 is given up as stiff

SWEEPS = 20_000  # of exponential collocation, after which it is given up
CALL = 50_000  # products that take as long as an explicit stage of a small system
PRODUCTS = 800  # of a sweep and an unknown: transforms and rates at ten times

SHORTER = 0.75  # what ten times less error takes at order eight anyway

Rates = Callable[[Any, np.ndarray], np.ndarray]  # (a time or several, the state there)


class SemiDiscrete(Protocol):
    """dy/dt = rates(t, y), y [n]: an ODE, or a PDE on the nodes of `space`.

    Attributes:
        modes: its Fourier modes, where exponential collocation suits a PDE.
        explicit_evaluations: that an explicit method needs to be stable.
        explicit: whether an explicit method suits a PDE, whose fastest motions oscillate.
        cost: of one evaluation of the rates, in products of numbers.
    """

    space: tuple[SpaceAxis, ...]
    span: tuple[float, float]
    start: np.ndarray
    scale: np.ndarray

    @property
    def modes(self) -> Modes | None: ...

    @property
    def explicit(self) -> bool: ...

    @property
    def explicit_evaluations(self) -> float: ...

    @property
    def cost(self) -> int: ...

    def rates(self, t: float, y: np.ndarray) -> np.ndarray: ...

    def jacobian(self, t: float, y: np.ndarray) -> np.ndarray: ...

    def unpack(self, t: float, y: np.ndarray) -> np.ndarray: ...

    def states(self, t: float, y: np.ndarray) -> np.ndarray: ...

    def check(self) -> None: ...


class IntegrationError(Exception):
    """An integration ended early; a finer grid may still succeed."""


class StiffError(IntegrationError):
    """A grid is too large for implicit steps and too stiff for explicit ones; finer ones more."""


class EffortError(IntegrationError):
    """The effort is spent; a finer grid would need more."""


@dataclass
class Effort:
    """The cost that several integrations together may still have.

    Counted in products of numbers: for every evaluation of the right-hand side those of the rates
    (with explicit steps at least what the call itself takes), and with Radau the square of the
    number of unknowns, which dense matrices cost. It depends on no clock, so that a search ends at
    the same place on every machine.
    """

    left: float

    def spend(self, products: int) -> None:
        self.left -= products
        if self.left < 0:
            raise EffortError


@dataclass(frozen=True)
class Integrated:
    """The result of one integration: method, the solver's dense output, and steps.

    Attributes:
        noise: share of the highest modes that may be errors of steps, which nothing damps.
    """

    method: str
    solution: Callable[[np.ndarray], np.ndarray]
    system: SemiDiscrete
    steps: np.ndarray
    noise: float = 0.0

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

    On Fourier nodes, with constant coefficients of the highest derivatives: exponential
    collocation. What diffuses elsewhere: Radau IIA (Hairer & Wanner 1996, order 5, L-stable) with
    the analytic Jacobian. What oscillates, and no space: DOP853 (Hairer, Nørsett & Wanner 1993,
    order 8), or Radau where that is stiff.

    Steps are at most half the span times rtol^(1/8): the error estimate of Radau is blind in very
    stiff components, where two tolerances would otherwise give the same large steps. An estimate
    may be blind elsewhere too: where `coarse` are the steps of another solution, every step is
    shorter than its step there, so that the two do not share what such a step has done.
    """
    system.check()
    if system.modes is not None:
        try:
            return _run_exponential(system, system.modes, rtol, effort, coarse)
        except _TooLongError:
            pass
    if system.space:
        if len(system.start) > DENSE or system.explicit:
            return _run_explicit(system, rtol, effort, coarse)
        return _run(system, Radau, rtol, EVALUATIONS, effort, coarse)
    try:
        return _run(system, DOP853, rtol, EXPLICIT_EVALUATIONS, effort, coarse)
    except _TooLongError:
        return _run(system, Radau, rtol, EVALUATIONS, effort, coarse)


class _TooLongError(IntegrationError):
    pass


def _run_explicit(
    system: SemiDiscrete, rtol: float, effort: Effort | None, coarse: np.ndarray | None
) -> Integrated:
    """DOP853 in space: no matrix, and dense output in bounded memory."""
    needed = system.explicit_evaluations
    if not needed < EVALUATIONS:
        raise StiffError(
            f"{len(system.start)} unknowns that explicit steps would take {needed:.0e} evaluations "
            f"for, and implicit ones a matrix of {len(system.start) ** 2 / 2**27:.2g} GiB"
        )
    if not system.explicit:
        rtol = max(rtol * STABLE, FINEST)
    method: Any = DOP853 if coarse is None else _shorter(DOP853, coarse)
    rates = _counted(system.rates, EVALUATIONS, effort, max(system.cost, CALL))
    begin, end = system.span
    with np.errstate(all="ignore"):
        solver = method(
            rates, begin, system.start, end,
            rtol=rtol, atol=rtol * system.scale, max_step=_longest_of_all(system, rtol),
        )  # fmt: skip
        stepped = step_through(solver, rtol * float(np.sqrt(np.mean(system.scale**2))))
    return _integrated("scipy solve_ivp DOP853", stepped, system, NOISE * rtol)


def _run_exponential(
    system: SemiDiscrete,
    modes: Modes,
    rtol: float,
    effort: Effort | None,
    coarse: np.ndarray | None,
) -> Integrated:
    rest = _counted(modes.rest, SWEEPS, effort, PRODUCTS * len(system.start))
    longest = _longest_step(coarse) if coarse is not None else lambda t: np.inf
    most = _longest_of_all(system, rtol)
    with np.errstate(all="ignore"):
        stepped = step_exponentially(modes, rest, rtol, lambda t: min(most, longest(t)))
    return _integrated("exponential collocation", stepped, system, SETTLED * rtol)


def _integrated(name: str, stepped: Stepped, system: SemiDiscrete, noise: float) -> Integrated:
    if stepped.failed:
        raise _ended_early(name, stepped.steps[-1], stepped.last)
    return Integrated(name, stepped.solution, system, stepped.steps, noise)


def _ended_early(name: str, t: float, y: np.ndarray) -> IntegrationError:
    return IntegrationError(
        f"{name} stopped at t = {t:.6g}, where the solution reached {np.abs(y).max():.3g}; if it "
        "grows without bound, end before it does (until)"
    )


def _run(
    system: SemiDiscrete,
    method: type[Radau] | type[DOP853],
    rtol: float,
    limit: int,
    effort: Effort | None = None,
    coarse: np.ndarray | None = None,
) -> Integrated:
    name = f"scipy solve_ivp {method.__name__}"
    options: dict[str, Any] = {} if method is DOP853 else {"jac": _finite(system.jacobian)}
    options["max_step"] = _longest_of_all(system, rtol)
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
        raise _ended_early(name, result.t[-1], result.y[:, -1])
    return Integrated(name, result.sol, system, result.t)


def _shorter(method: type[Radau] | type[DOP853], coarse: np.ndarray) -> type[OdeSolver]:
    """The method with steps that are shorter than those of another solution at the same time."""
    longest_step = _longest_step(coarse)

    class Shorter(method):  # type: ignore[misc, valid-type]
        max_step: float
        longest = 0.0

        def _step_impl(self) -> Any:
            self.longest = self.longest or self.max_step
            self.max_step = min(self.longest, longest_step(self.t))
            return super()._step_impl()

    return Shorter


def _longest_of_all(system: SemiDiscrete, rtol: float) -> float:
    begin, end = system.span
    return float((end - begin) * rtol**0.125 / 2)


def _longest_step(coarse: np.ndarray) -> Callable[[float], float]:
    """At a time, a length that is shorter than the step of another solution there."""
    lengths = SHORTER * np.diff(coarse)

    def at(t: float) -> float:
        here = np.clip(np.searchsorted(coarse, t, "right") - 1, 0, len(lengths) - 1)
        return float(lengths[here])

    return at


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
            raise _TooLongError(f"{limit} evaluations were used up at t = {np.max(t):.6g}")
        if effort is not None:
            effort.spend(products)
        return rates(t, y)

    return counting
