"""Levenberg–Marquardt in the smaller of residual and parameter space."""

from dataclasses import dataclass

import torch

from pacpde.objective.blocks import Anchor
from pacpde.objective.jacobian import Jacobian
from pacpde.optim.base import Progress, State, optimisers
from pacpde.optim.free import LeastSquares


@optimisers.registering("levenberg_marquardt")
@dataclass(frozen=True)
class LevenbergMarquardt:
    """(JᵀJ + μI) δ = −Jᵀr, with μ steered by the ratio of true to promised descent.

    Levenberg (1944), Marquardt (1963); the steering is that of Madsen, Nielsen & Tingleff (2004),
    "Methods for non-linear least squares problems", section 3.2, with fixed factors.

    Attributes:
        damping: μ at the start.
        shrink, grow: factors of μ after a good step and after a refused one.
        least, most: bounds of μ; a step refused at `most` ends the run as stalled.
    """

    damping: float = 1e-3
    shrink: float = 3.0
    grow: float = 4.0
    least: float = 1e-15
    most: float = 1e10

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        damping = float(state["damping"]) if state else self.damping
        loss = problem.loss(x)
        taken, evaluations, stalled = 0, 1, False
        while taken < steps and not stalled:
            r, jacobian = problem.linearise(x)
            evaluations += 1
            system = NormalSystem(r, jacobian, problem.anchor, x)
            stalled = True
            while damping <= self.most:
                step, promised = system.solve(damping)
                trial = x + step
                trial_loss = problem.loss(trial)
                evaluations += 1
                if trial_loss < loss:  # false for nan
                    ratio = (loss - trial_loss) / promised if promised > 0 else 1.0
                    x, loss, stalled = trial, trial_loss, False
                    if ratio > 0.5:
                        damping = max(damping / self.shrink, self.least)
                    elif ratio < 0.1:
                        damping *= 2
                    break
                if abs(promised) < 1e-15 * loss:
                    break
                damping *= self.grow
            taken += not stalled
        damping = min(damping, self.most)
        return Progress(
            x,
            loss,
            {"damping": torch.tensor(damping, dtype=torch.float64)},
            taken,
            evaluations,
            stalled,
        )


class NormalSystem:
    """Damped normal equations of one linearisation, factored anew for each damping.

    (JᵀJ + S + μI) δ = −g, with S = 2·strength of the anchor and g the slope of the loss. It is
    solved in parameter space; or, where there are fewer residuals and S is a multiple of the
    identity, in residual space: with s = S + μ and c = −pull/s,
    δ = c − Jᵀ(JJᵀ + sI)⁻¹(r + Jc).
    """

    def __init__(
        self, r: torch.Tensor, jacobian: Jacobian, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        self.r, self.jacobian = r, jacobian
        stiffness = x.new_zeros(len(x)) if anchor is None else 2 * anchor.strength
        pull = x.new_zeros(len(x)) if anchor is None else stiffness * (x - anchor.centre)
        self.gradient = jacobian.transposed_times(r) + pull
        uniform = anchor is None or bool((stiffness == stiffness[0]).all())
        self.small = len(r) < len(x) and uniform
        self.stiffness = stiffness[0] if self.small else stiffness
        self.matrix = jacobian.gram() if self.small else jacobian.normal()
        self.diagonal = self.matrix.diagonal().clone()
        self.pull = (pull, jacobian.times(pull)) if self.small and anchor is not None else None

    def solve(self, damping: float) -> tuple[torch.Tensor, float]:
        """The step [free], and the descent of ½‖r‖² that the linear model promises for it."""
        own = self.stiffness + damping
        self.matrix.diagonal().copy_(self.diagonal + own)
        if not self.small:
            step = -_solve(self.matrix, self.gradient)
        elif self.pull is None:
            step = -self.jacobian.transposed_times(_solve(self.matrix, self.r))
        else:
            pull, moved = self.pull
            inner = _solve(self.matrix, self.r - moved / own)
            step = -(pull / own + self.jacobian.transposed_times(inner))
        promised = (damping * (step @ step) - self.gradient @ step) / 2
        return step, float(promised)


def _solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cholesky; a matrix that is not positive to rounding gives nan, which no step survives."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if int(info):
        return torch.full_like(right, torch.nan)
    return torch.cholesky_solve(right[:, None], factor)[:, 0]
