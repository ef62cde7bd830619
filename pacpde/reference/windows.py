"""Explicit integration whose dense output is kept as pieces of degree ten, in bounded memory.

Steps of an explicit method are as short as stability asks, and each has its own polynomials. They
are joined to longer pieces whenever so many steps are done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import DOP853, OdeSolution

from pacpde.reference.dense import DenseSolution, in_pieces

BYTES = 2**26  # of the polynomials of steps that are not joined yet
SHARE = 0.1  # of the tolerance, by which pieces miss the polynomials


@dataclass(frozen=True)
class Stepped:
    """What an explicit integration gave.

    Attributes:
        solution: t [k] → y [n, k].
        steps: times of the steps.
        failed: whether it ended early.
        last: y at the last step.
    """

    solution: Callable[[np.ndarray], np.ndarray]
    steps: np.ndarray
    failed: bool
    last: np.ndarray


def step_through(solver: DOP853, tolerance: float) -> Stepped:
    """All steps of a solver.

    Args:
        tolerance: absolute error of the solver, root mean square over y.
    """
    steps: list[float] = [float(solver.t)]
    window: list[Any] = []  # a polynomial for each step since the last piece
    times, values = [np.array([solver.t])], [solver.y.copy()[None, None]]
    per_step = 8 * 10 * len(solver.y)

    def join() -> None:
        ends: np.ndarray = np.array(steps[-len(window) - 1 :])
        own = OdeSolution(ends, window)
        found, nodal = in_pieces(
            lambda t: own(t).T[:, None], (ends[0], ends[-1]), np.array([SHARE * tolerance])
        )
        times.append(found[1:])
        values.append(nodal[1:])
        window.clear()

    end = float(solver.t_bound)
    while steps[-1] < end:
        if solver.step() is not None or not np.isfinite(solver.y).all():
            return Stepped(lambda t: t, np.array(steps), True, solver.y)
        steps.append(float(solver.t))
        window.append(solver.dense_output())
        if len(window) * per_step > BYTES or steps[-1] >= end:
            join()
    dense = DenseSolution(np.concatenate(times), (), np.concatenate(values))
    return Stepped(lambda t: dense.in_time(t)[:, 0].T, np.array(steps), False, solver.y)
