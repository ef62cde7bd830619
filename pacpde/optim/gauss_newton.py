"""Gauss–Newton steps by orthogonal factors, for unknowns that residuals are nearly linear in."""

import math
from dataclasses import dataclass, replace

import torch

from pacpde.errors import InvalidValueError
from pacpde.optim.base import Progress, State, check_option, optimisers
from pacpde.optim.least_squares import LeastSquares

LINEAR = 0.01  # of a loss: what a factor foretold may be off by so much, if residuals are linear
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
        least_gain: share of the loss that a step has to take away, or else it is the last one; none
            is taken that would take away less to first order. Of residuals that are linear in the
            unknowns, the factor before a step tells that it leaves nothing for another one.
        enough: loss at which no further step is taken.

    Example:
        >>> GaussNewton(damping=1e-12).memory_gib
        2.0
    """

    damping: float = 1e-13
    increase: float = 10.0
    max_damping: float = 1e6
    memory_gib: float = 2.0
    least_gain: float = 0.0
    enough: float = 0.0

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
        problem = problem.with_linear_head()
        least = max(self.damping, torch.finfo(x.dtype).eps)
        damping = float(state["damping"]) if state else least
        loss, taken, evaluations = problem.loss(x), 0, 1
        stalled, gains = not math.isfinite(loss), True
        while taken < steps and gains and not stalled and loss > self.enough:
            factor = self.factor(problem, x)
            evaluations += 1
            gains = factor.least_loss <= (1 - self.least_gain) * loss
            stalled = gains
            while stalled and damping <= self.max_damping:
                trial = x + factor.step(damping)
                new = problem.loss(trial)
                evaluations += 1
                if new < loss:  # false for nan
                    gains = new <= (1 - self.least_gain) * loss
                    if self.least_gain:  # without one, steps go on to what rounding leaves
                        gains = gains and abs(new - factor.least_loss) > LINEAR * new
                    x, loss, stalled = trial, new, False
                    taken += 1
                    damping = max(least, damping / self.increase)
                else:
                    damping *= self.increase
        kept = torch.tensor(min(damping, self.max_damping), dtype=torch.float64, device="cpu")
        return Progress(
            x, loss, {"damping": kept}, taken, evaluations, stalled, "orthogonal factors"
        )

    def factor(self, problem: LeastSquares, x: torch.Tensor) -> "OrthogonalFactor":
        """R of the rows [J, −r] of residuals and anchor."""
        unknowns = len(x)
        factor = OrthogonalFactor.empty(x)
        waiting: list[torch.Tensor] = []
        rows = 0
        for term in problem.terms:
            r, jacobian = replace(problem, terms=[term], anchor=None).linearise(x)
            waiting.append(torch.cat([jacobian.dense(), -r[:, None]], 1))
            rows += len(r)
            if rows >= BLOCK * unknowns:
                factor, waiting, rows = factor.joined(waiting), [], 0
        if problem.anchor is not None:
            strength = (2 * torch.as_tensor(problem.anchor.strength).to(x)).sqrt().expand(unknowns)
            pull = strength * (problem.anchor.centre - x)
            waiting.append(torch.cat([strength.diag(), pull[:, None]], 1))
        return factor.joined(waiting) if waiting else factor


@dataclass(frozen=True)
class OrthogonalFactor:
    """R of the QR factors of the rows [J, −r]. Columns of J that are 0 are left out.

    Attributes:
        r: [≤ columns, columns].
        used: which columns of [J, −r] it has, bool [n_trainable + 1]; the last one always.
    """

    r: torch.Tensor
    used: torch.Tensor

    @classmethod
    def empty(cls, x: torch.Tensor) -> "OrthogonalFactor":
        """Of no rows, for unknowns x."""
        used = torch.zeros(len(x) + 1, dtype=torch.bool, device=x.device)
        used[-1] = True
        return cls(x.new_zeros(0, 1), used)

    def joined(self, blocks: list[torch.Tensor]) -> "OrthogonalFactor":
        """That of more rows, in blocks [rows, n_trainable + 1]."""
        used = self.used.clone()
        for block in blocks:
            used |= (block != 0).any(0)
        before = self.r.new_zeros(len(self.r), int(used.sum()))
        before[:, self.used[used]] = self.r
        rows = torch.cat([before, *(block[:, used] for block in blocks)])
        return OrthogonalFactor(torch.linalg.qr(rows, mode="r").R, used)

    @property
    def least_loss(self) -> float:
        """½ min ‖J δ + r‖²."""
        rows, columns = self.r.shape
        return float(self.r[-1, -1] ** 2 / 2) if rows == columns else 0.0

    def step(self, damping: float) -> torch.Tensor:
        """The δ with least ‖J δ + r‖² + damping² ‖D δ‖², D the lengths of J's columns."""
        matrix, right = self.r[:, :-1], self.r[:, -1:]
        lengths = matrix.norm(dim=0)
        unknowns = len(lengths)
        damped = damping * torch.eye(unknowns, dtype=right.dtype, device=right.device)
        below = torch.cat([damped, right.new_zeros(unknowns, 1)], 1)
        rows = torch.cat([torch.cat([matrix / lengths, right], 1), below])
        whole = torch.linalg.qr(rows, mode="r").R
        upper, projected = whole[:unknowns, :unknowns], whole[:unknowns, unknowns:]
        step = right.new_zeros(len(self.used) - 1)
        solved = torch.linalg.solve_triangular(upper, projected, upper=True)[:, 0]
        step[self.used[:-1]] = solved / lengths
        return step
