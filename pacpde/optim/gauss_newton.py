"""Gauss–Newton steps by orthogonal factors, for unknowns that residuals are nearly linear in."""

from dataclasses import dataclass, replace

import torch

from pacpde.optim.base import Progress, State, check_option, optimisers
from pacpde.optim.least_squares import LeastSquares

BLOCK = 2  # rows that are factorised together, in numbers of unknowns


@optimisers.registering("gauss_newton")
@dataclass(frozen=True)
class GaussNewton:
    """min ‖J δ + r‖ by QR, and the step δ halved until the loss falls.

    Normal equations square the condition of J: what they resolve ends where singular values fall
    below 1e-8 of the largest, and orthogonal factors go on to 1e-15 (Golub & Van Loan 2013, Matrix
    Computations, section 5.3). J is never held: R comes from blocks of rows, one after the other
    (Demmel et al. 2012, doi:10.1137/080731992). Its columns are scaled to length 1, and δ damped by
    `damping`. Suited to the head of a network of random neurons; far from a solution, or with many
    layers trainable, `LevenbergMarquardt` is the one to take.

    Attributes:
        damping: of a step in scaled columns, as a share of their length.
        shortest: share of a step that is still tried.
        memory_gib: GiB that a step may take.

    Example:
        >>> GaussNewton(damping=1e-12)
        GaussNewton(damping=1e-12, shortest=0.001, memory_gib=2.0)
    """

    damping: float = 1e-13
    shortest: float = 1e-3
    memory_gib: float = 2.0

    def __post_init__(self) -> None:
        for name in ("damping", "shortest", "memory_gib"):
            check_option(self, name)

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        problem = problem.within(int(self.memory_gib * 2**29))
        loss, taken, evaluations, stalled = problem.loss(x), 0, 1, False
        while taken < steps and not stalled and loss > 0:
            step = self.step(problem, x)
            evaluations += 1
            length, stalled = 1.0, True
            while stalled and length >= self.shortest:
                trial = x + length * step
                new = problem.loss(trial)
                evaluations += 1
                if new < loss:  # false for nan
                    x, loss, stalled = trial, new, False
                    taken += 1
                length /= 2
        return Progress(x, loss, {}, taken, evaluations, stalled, "orthogonal factors")

    def step(self, problem: LeastSquares, x: torch.Tensor) -> torch.Tensor:
        """The δ [n_trainable] with least ‖J δ + r‖² + damping² ‖D δ‖² + anchor, D the lengths of
        J's columns.
        """
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
            strength = (2 * problem.anchor.strength).sqrt().expand(unknowns)
            pull = strength * (problem.anchor.centre - x)
            waiting.append(torch.cat([strength.diag(), pull[:, None]], 1))
        factor = _joined(factor, waiting)
        matrix, right = factor[:, :-1], factor[:, -1]
        lengths = matrix.norm(dim=0)
        lengths = torch.where(lengths > 0, lengths, 1)
        damped = torch.cat([matrix / lengths, self.damping * torch.eye(unknowns).to(x)])
        below = torch.cat([right, right.new_zeros(unknowns)])
        whole = _joined(torch.cat([damped, below[:, None]], 1), [])
        upper, projected = whole[:unknowns, :unknowns], whole[:unknowns, unknowns:]
        return torch.linalg.solve_triangular(upper, projected, upper=True)[:, 0] / lengths


def _joined(factor: torch.Tensor, blocks: list[torch.Tensor]) -> torch.Tensor:
    """R of the QR factors of some rows, [at most columns, columns]."""
    return torch.linalg.qr(torch.cat([factor, *blocks]), mode="r").R
