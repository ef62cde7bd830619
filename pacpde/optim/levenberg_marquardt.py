"""Levenberg–Marquardt in the smaller of residual and parameter space."""

from dataclasses import dataclass

import torch

from pacpde.objective.blocks import Anchor
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

    With S = μI + 2·strength and c = −2·strength·(x − centre)/S, the step is c + δ where
    (JᵀJ + S) δ = −Jᵀ(r + Jc); δ is found in parameter space, or as −S⁻¹Jᵀ(I + JS⁻¹Jᵀ)⁻¹(r + Jc)
    in residual space where that is smaller.
    """

    def __init__(
        self, r: torch.Tensor, jacobian: torch.Tensor, anchor: Anchor | None, x: torch.Tensor
    ) -> None:
        self.r, self.jacobian = r, jacobian
        self.small = len(r) < len(x)
        self.pull = x.new_zeros(len(x))
        self.stiffness = x.new_zeros(len(x))
        if anchor is not None:
            self.stiffness = 2 * anchor.strength
            self.pull = self.stiffness * (x - anchor.centre)
        if not self.small:
            self.normal = jacobian.T @ jacobian
        elif anchor is None:
            self.gram = jacobian @ jacobian.T

    def solve(self, damping: float) -> tuple[torch.Tensor, float]:
        """The step [free], and the descent of ½‖r‖² that the linear model promises for it."""
        diagonal = self.stiffness + damping
        centre = -self.pull / diagonal
        target = self.r + self.jacobian @ centre
        if not self.small:
            matrix = self.normal.clone()
            matrix.diagonal().add_(diagonal)
            delta = -_solve(matrix, self.jacobian.T @ target)
        else:
            if hasattr(self, "gram"):
                matrix = self.gram / damping
            else:
                matrix = (self.jacobian / diagonal) @ self.jacobian.T
            matrix.diagonal().add_(1.0)
            delta = -(self.jacobian.T @ _solve(matrix, target)) / diagonal
        step = centre + delta
        gradient = self.jacobian.T @ self.r + self.pull
        moved = self.jacobian @ step
        promised = -float(gradient @ step + (moved @ moved + (self.stiffness * step) @ step) / 2)
        return step, promised


def _solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cholesky; a matrix that is not positive to rounding gives nan, which no step survives."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if int(info):
        return torch.full_like(right, torch.nan)
    return torch.cholesky_solve(right[:, None], factor)[:, 0]
