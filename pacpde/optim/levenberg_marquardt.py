"""Levenberg–Marquardt with geodesic acceleration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pacpde.checks import check_nonnegative
from pacpde.optim.base import Progress, State, check_option, optimisers
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.linear_systems import NormalSystem, normal_system

REACH = 0.1  # share of a step at which the curvature along it is measured


@optimisers.registering("levenberg_marquardt")
@dataclass(frozen=True)
class LevenbergMarquardt:
    """(JᵀJ + μI) δ = −Jᵀr, with μ steered by the ratio of true to promised descent.

    Levenberg (1944), Marquardt (1963); the steering is that of Madsen, Nielsen & Tingleff (2004),
    "Methods for non-linear least squares problems", section 3.2, with fixed factors. Each step is
    bent along the geodesic by half of a with (JᵀJ + μI) a = −Jᵀr″(δ), the curvature r″ of the
    residuals along δ by one more evaluation (Transtrum & Sethna 2012, arXiv 1201.5885, eq. 15).
    Of a cross-entropy JᵀJ is the generalised Gauss–Newton matrix (Schraudolph 2002), and steps go
    straight: its rows are no residuals whose curvature means anything.

    Attributes:
        damping: μ at the start.
        near_damping: μ at the start where the weights were predicted from a near solution, if that
            is less. From 1e-3 the first ten steps there are short ones.
        decrease, increase: factors of μ after a good step and after a refused one.
        max_bend: a step bent by more than this share of its length goes straight; 0 never bends.
        memory_gib: GiB that a step may take: half for the Jacobian, half for its normal matrix.
        min_damping, max_damping: bounds of μ; a step refused at the upper one ends the run as
            stalled.
    """

    damping: float = 1e-3
    near_damping: float = 1e-7
    decrease: float = 3.0
    increase: float = 4.0
    max_bend: float = 2.0
    memory_gib: float = 2.0
    min_damping: float = 1e-15
    max_damping: float = 1e10

    def __post_init__(self) -> None:
        for name in ("damping", "near_damping", "memory_gib", "min_damping", "max_damping"):
            check_option(self, name)
        check_nonnegative("max_bend of LevenbergMarquardt", self.max_bend)
        for name in ("decrease", "increase"):
            check_option(self, name, 1)

    def near_state(self) -> State:
        """A state to begin with from weights that nearly solve the problem."""
        return _state(min(self.damping, self.near_damping))

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        return self.run_together([problem], [x], steps, [state])[0]

    def run_together(
        self,
        problems: Sequence[LeastSquares],
        starts: Sequence[torch.Tensor],
        steps: int,
        states: Sequence[State | None],
    ) -> list[Progress]:
        """Every problem from its start, all of one kind, each with its own damping and stop."""
        problem = LeastSquares.stack(problems).within(int(self.memory_gib * 2**29))
        x = torch.stack(list(starts))
        many = len(problems)
        loss = _numbers(problem.losses(x))
        damping = np.array([float(state["damping"]) if state else self.damping for state in states])
        taken, evaluations = np.zeros(many, int), np.ones(many, int)
        stalled, solver, iterations, residual = np.zeros(many, bool), "", 0, 0.0
        while len(trying := np.flatnonzero((taken < steps) & ~stalled)):
            at = torch.as_tensor(trying, device=x.device)
            now, here = problem.select(at), x[at]
            system = normal_system(*now.linearise(here), now.anchor, here)
            solver = system.name
            evaluations[trying] += 1
            stalled[trying] = True
            while len(trying):
                step, promised = system.solve(x.new_tensor(damping[trying]))
                if self.max_bend > 0 and problem.is_least_squares:
                    step = step + self._bent(now, here, system, step)
                    evaluations[trying] += 1
                trial = here + step
                evaluations[trying] += 1
                new, hoped = _numbers(torch.stack([now.losses(trial), promised]))
                old = loss[trying]
                better = new < old  # false for nan
                refused = ~better & ~(abs(hoped) < 1e-15 * old)
                ratio = np.divide(old - new, hoped, out=np.ones_like(new), where=hoped > 0)
                damping[trying] = self._steered(damping[trying], better, refused, ratio)
                x[at] = torch.where(torch.as_tensor(better, device=x.device)[:, None], trial, here)
                loss[trying] = np.where(better, new, old)
                stalled[trying] = ~better
                taken[trying] += better
                again = refused & (damping[trying] <= self.max_damping)
                if again.all():
                    continue
                trying = trying[again]
                left = torch.as_tensor(np.flatnonzero(again), device=x.device)
                if len(trying):
                    at, here = at[left], here[left]
                    now, system = now.select(left), system.select(left)
            iterations += system.iterations
            residual = max(residual, system.residual)
            del system  # before the next one takes as much memory
        damping = np.minimum(damping, self.max_damping)
        return [
            Progress(
                x[number],
                float(loss[number]),
                _state(damping[number]),
                int(taken[number]),
                int(evaluations[number]),
                bool(stalled[number]),
                solver,
                iterations,
                residual,
            )
            for number in range(many)
        ]

    def _steered(
        self, damping: np.ndarray, better: np.ndarray, refused: np.ndarray, ratio: np.ndarray
    ) -> np.ndarray:
        """The next damping of each, by the share of the promised descent that came true."""
        eased = np.where(better & (ratio > 0.5), damping / self.decrease, damping)
        eased = np.where(better & (ratio < 0.1), damping * 2, eased)
        return np.where(refused, damping * self.increase, np.maximum(eased, self.min_damping))

    def _bent(
        self, problem: LeastSquares, x: torch.Tensor, system: NormalSystem, step: torch.Tensor
    ) -> torch.Tensor:
        """Half the acceleration along a step, or nothing where it is too long to be trusted."""
        with torch.no_grad():
            ahead = problem.residuals(x + REACH * step)
        slope = (ahead - system.r) / REACH
        curvature = 2 / REACH * (slope - system.jacobian.times(step))
        bend = system.step_for(curvature) / 2
        longest = self.max_bend * step.norm(dim=-1, keepdim=True)
        trusted = bend.norm(dim=-1, keepdim=True) <= longest  # false for nan
        return torch.where(trusted, bend, 0)


def _state(damping: float) -> State:
    return {"damping": torch.tensor(damping, dtype=torch.float64, device="cpu")}


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.double().cpu().numpy()
