"""Newton's method with a dense Jacobian, damped by the natural monotonicity test."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import LinAlgWarning, lapack, lu_factor, lu_solve, qr, solve_triangular

STEPS = 60
LEAST_DAMPING = 2.0**-12
KEEPS = 0.1  # the Jacobian is kept as long as a step is so much smaller than the last one
ROUNDING = 1e-8  # of the size of the fields: a step that stays so small is rounding
EXACT = 1e-15
SINGULAR = 1e-15  # reciprocal condition number of equations that have no single solution


class NewtonError(Exception):
    """No solution was found from a start."""


class SingularError(NewtonError):
    """The equations leave something of the solution open."""


class System(Protocol):
    """equations(state) = 0."""

    def equations(self, state: np.ndarray) -> np.ndarray: ...

    def jacobian(self, state: np.ndarray) -> np.ndarray: ...


class Factors:
    """A matrix [m, n], m ≥ n, in factors: LU of a square one, else QR.

    Rows are divided by their largest entry first.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        height, width = matrix.shape
        if not np.isfinite(matrix).all():
            raise NewtonError("the slopes of the equations are not finite")
        if height < width:
            raise SingularError(f"{height} equations do not determine {width} unknowns")
        sizes = np.array([np.abs(row).max() for row in matrix])  # no second matrix in memory
        self.sizes = np.where(sizes > 0, sizes, 1.0)
        matrix /= self.sizes[:, None]
        self.square = height == width
        if self.square:
            size = max(float(np.abs(row).sum()) for row in matrix)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LinAlgWarning)  # a 0 on the diagonal: see below
                self.lu = lu_factor(matrix.T, overwrite_a=True, check_finite=False)
            self.condition = float(lapack.dgecon(self.lu[0], size)[0])
        else:
            self.q, self.r = qr(matrix, mode="economic", overwrite_a=True, check_finite=False)
            self.condition = float(lapack.dtrcon(self.r)[0])
        if not self.condition > SINGULAR:
            raise SingularError("the equations and conditions leave something of it open")

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution, or the least-squares one."""
        scaled = right / self.sizes
        if self.square:
            return np.asarray(lu_solve(self.lu, scaled, trans=1, check_finite=False))
        return np.asarray(solve_triangular(self.r, self.q.T @ scaled, check_finite=False))


@dataclass(frozen=True)
class Root:
    """A solution: its state, the factors of the last Jacobian, and the size of the last step."""

    state: np.ndarray
    factors: Factors
    step: float
    steps: int


def newton(system: System, start: np.ndarray, size_of: Callable[[np.ndarray], float]) -> Root:
    """The solution that damped Newton steps from `start` end in.

    A step is accepted where the next one, with the same Jacobian, is smaller (Deuflhard, Newton
    Methods for Nonlinear Problems, 2004, eq. (3.30)). The Jacobian is kept while steps shrink fast.
    The end is where steps no longer shrink, at the level of rounding.

    Args:
        size_of: size of a state, in the units of the fields.

    Raises:
        NewtonError: no step makes the next one smaller, or the steps do not come to an end.
    """
    with np.errstate(all="ignore"):
        return _newton(system, start, size_of)


def _newton(system: System, start: np.ndarray, size_of: Callable[[np.ndarray], float]) -> Root:
    state, value = start, system.equations(start)
    if not np.isfinite(value).all():
        raise NewtonError("the equations are not finite at the start")
    factors = Factors(system.jacobian(state))
    fresh, damping = True, 1.0
    step = factors.solve(-value)
    for count in range(1, STEPS + 1):
        length = size_of(step)
        if not np.isfinite(length):
            raise NewtonError("a step is not finite")
        while True:
            trial = state + damping * step
            value = system.equations(trial)
            after = factors.solve(-value) if np.isfinite(value).all() else None
            if after is not None:
                rest = size_of(after)
                if (
                    damping == 1
                    and max(length, rest) <= ROUNDING * size_of(trial)
                    and (
                        rest >= (KEEPS if fresh else 0.5) * length or rest <= EXACT * size_of(trial)
                    )
                ):
                    better = state if rest > length and not fresh else trial
                    return Root(better, factors, min(rest, length), count)
                if rest <= (1 - damping / 4) * length:
                    break
            if not fresh:
                break
            damping /= 2
            if damping < LEAST_DAMPING:
                raise NewtonError("no step along its direction makes the equations smaller")
        if after is None or (not fresh and rest > (1 - damping / 4) * length):
            # the kept Jacobian is too old here
            factors, fresh, damping = Factors(system.jacobian(state)), True, 1.0
            step = factors.solve(-system.equations(state))
            continue
        state = trial
        if damping == 1 and rest <= KEEPS * length:
            step, fresh = after, False
            continue
        damping = min(1.0, 2 * damping)
        factors, fresh = Factors(system.jacobian(state)), True
        step = factors.solve(-value)
    raise NewtonError(f"{STEPS} steps were not enough")
