"""Levenberg–Marquardt with geodesic acceleration."""

from dataclasses import dataclass

import torch

from pacpde.optim.base import Progress, State, optimisers
from pacpde.optim.free import LeastSquares
from pacpde.optim.normal import NormalSystem, normal_system

REACH = 0.1  # share of a step at which the curvature along it is measured


@optimisers.registering("levenberg_marquardt")
@dataclass(frozen=True)
class LevenbergMarquardt:
    """(JᵀJ + μI) δ = −Jᵀr, with μ steered by the ratio of true to promised descent.

    Levenberg (1944), Marquardt (1963); the steering is that of Madsen, Nielsen & Tingleff (2004),
    "Methods for non-linear least squares problems", section 3.2, with fixed factors. Each step is
    bent along the geodesic by half of a with (JᵀJ + μI) a = −Jᵀr″(δ), the curvature r″ of the
    residuals along δ by one more evaluation (Transtrum & Sethna 2012, arXiv 1201.5885, eq. 15).

    Attributes:
        damping: μ at the start.
        shrink, grow: factors of μ after a good step and after a refused one.
        bend: a step bent by more than this share of its length goes straight; 0 never bends.
        memory: GiB that the Jacobian, and the normal matrix with its factor, may take each.
        least, most: bounds of μ; a step refused at `most` ends the run as stalled.
    """

    damping: float = 1e-3
    shrink: float = 3.0
    grow: float = 4.0
    bend: float = 2.0
    memory: float = 1.0
    least: float = 1e-15
    most: float = 1e10

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        problem = problem.within(int(self.memory * 2**30))
        damping = float(state["damping"]) if state else self.damping
        loss = problem.loss(x)
        taken, evaluations, stalled, solver = 0, 1, False, ""
        while taken < steps and not stalled:
            system = normal_system(*problem.linearise(x), problem.anchor, x)
            solver = system.name
            evaluations += 1
            stalled = True
            while damping <= self.most:
                step, promised = system.solve(damping)
                if self.bend > 0:
                    step = step + self._bent(problem, x, system, step)
                    evaluations += 1
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
        kept = {"damping": torch.tensor(damping, dtype=torch.float64)}
        return Progress(x, loss, kept, taken, evaluations, stalled, solver)

    def _bent(
        self, problem: LeastSquares, x: torch.Tensor, system: NormalSystem, step: torch.Tensor
    ) -> torch.Tensor:
        """Half the acceleration along a step, or nothing where it is too long to be trusted."""
        with torch.no_grad():
            ahead = problem.residuals(x + REACH * step)
        slope = (ahead - system.r) / REACH
        curvature = 2 / REACH * (slope - system.jacobian.times(step))
        bend = system.step_for(curvature) / 2
        trusted = bend.norm() <= self.bend * step.norm()  # false for nan
        return torch.where(trusted, bend, torch.zeros_like(bend))
