"""Gauss–Newton steps by orthogonal factors, for unknowns that residuals are nearly linear in."""

import math
from dataclasses import dataclass, replace

import torch

from pacpde.errors import InvalidValueError
from pacpde.optim.base import Progress, State, check_option, optimisers
from pacpde.optim.least_squares import LeastSquares

BLOCK = 2  # rows that are factorised together, in numbers of unknowns


@optimisers.registering("gauss_newton")
@dataclass(frozen=True)
class GaussNewton:
    """Steps δ that minimise ‖J δ + r‖ by QR, damped only as far as the loss asks for.

    Normal equations square the condition of J: what they resolve ends where singular values fall
    below 1e-8 of the largest, and orthogonal factors go on to 1e-15 (Golub & Van Loan 2013, Matrix
    Computations, section 5.3). J is never held: R comes from blocks of rows, one after the other
    (Demmel et al. 2012, doi:10.1137/080731992). Its columns are scaled to length 1. A step that
    does not lower the loss is damped more (Moré 1978, doi:10.1007/BFb0067700), from the same R.
    Suited to the head of a network of random neurons; with all weights of a network,
    `LevenbergMarquardt` has cheaper steps.

    Attributes:
        damping: least damping of a step, as a share of the length of columns.
        increase: factor of the damping after a refused step, and its inverse after a good one.
        max_damping: a step refused at it ends the run as stalled.
        memory_gib: GiB that a step may take.
        least_gain: share of the loss that a step has to take away, or else it is the last one.

    Example:
        >>> GaussNewton(damping=1e-12).memory_gib
        2.0
    """

    damping: float = 1e-13
    increase: float = 10.0
    max_damping: float = 1e6
    memory_gib: float = 2.0
    least_gain: float = 0.0

    def __post_init__(self) -> None:
        for name in ("damping", "max_damping", "memory_gib"):
            check_option(self, name)
        check_option(self, "increase", 1)
        if not 0 <= self.least_gain < 1:
            raise InvalidValueError(
                f"least_gain is {self.least_gain}, expected a share from 0 to below 1."
            )

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        problem = problem.within(int(self.memory_gib * 2**29))
        least = max(self.damping, torch.finfo(x.dtype).eps)
        damping = float(state["damping"]) if state else least
        loss, taken, evaluations = problem.loss(x), 0, 1
        stalled, gains = not math.isfinite(loss), True
        while taken < steps and gains and not stalled and loss > 0:
            factor = self.factor(problem, x)
            evaluations += 1
            stalled = True
            while stalled and damping <= self.max_damping:
                trial = x + _step(factor, damping)
                new = problem.loss(trial)
                evaluations += 1
                if new < loss:  # false for nan
                    gains = new <= (1 - self.least_gain) * loss
                    x, loss, stalled = trial, new, False
                    taken += 1
                    damping = max(least, damping / self.increase)
                else:
                    damping *= self.increase
        kept = torch.tensor(min(damping, self.max_damping), dtype=torch.float64, device="cpu")
        return Progress(
            x, loss, {"damping": kept}, taken, evaluations, stalled, "orthogonal factors"
        )

    def factor(self, problem: LeastSquares, x: torch.Tensor) -> torch.Tensor:
        """R of the rows [J, −r] of residuals and anchor, [≤ columns, n_trainable + 1]."""
        unknowns = len(x)
        factor = x.new_zeros(0, unknowns + 1)
        waiting: list[torch.Tensor] = []
        rows = 0
        for term in problem.terms:
            r, jacobian = replace(problem, terms=[term], anchor=None).linearise(x)
            waiting.append(torch.cat([jacobian.dense(), -r[:, None]], 1))
            rows += len(r)
            if rows >= BLOCK * unknowns:
                factor, waiting, rows = _joined(factor, waiting), [], 0
        if problem.anchor is not None:
            strength = (2 * torch.as_tensor(problem.anchor.strength).to(x)).sqrt().expand(unknowns)
            pull = strength * (problem.anchor.centre - x)
            waiting.append(torch.cat([strength.diag(), pull[:, None]], 1))
        return _joined(factor, waiting)


def _step(factor: torch.Tensor, damping: float) -> torch.Tensor:
    """The δ with least ‖J δ + r‖² + damping² ‖D δ‖², D the lengths of J's columns."""
    matrix, right = factor[:, :-1], factor[:, -1:]
    lengths = matrix.norm(dim=0)
    lengths = torch.where(lengths > 0, lengths, 1)
    unknowns = len(lengths)
    damped = damping * torch.eye(unknowns, dtype=factor.dtype, device=factor.device)
    below = torch.cat([damped, right.new_zeros(unknowns, 1)], 1)
    whole = _joined(torch.cat([matrix / lengths, right], 1), [below])
    upper, projected = whole[:unknowns, :unknowns], whole[:unknowns, unknowns:]
    return torch.linalg.solve_triangular(upper, projected, upper=True)[:, 0] / lengths


def _joined(factor: torch.Tensor, blocks: list[torch.Tensor]) -> torch.Tensor:
    """R of the QR factors of some rows, [at most columns, columns]."""
    return torch.linalg.qr(torch.cat([factor, *blocks]), mode="r").R
