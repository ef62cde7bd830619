"""The path of solutions from source to target, found in the free weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from pacpde.networks.assessment import ERROR_LIMIT, RESIDUAL_LIMIT, Assessment
from pacpde.optim.stepwise import Steps, Work, steps_of, stepwise
from pacpde.physics.problem import Problem
from pacpde.residuals.task import Task
from pacpde.runtime import generator
from pacpde.training.continuation import Prediction
from pacpde.training.tangent import tangent
from pacpde.training.trainer import FitResult, Phase, Trainer

SHARES = (0.35, 0.7, 1.0)  # of the points, that a corrector is given


@dataclass
class SolutionPath:
    """Predictions by the tangent, corrections by short fits to the equation alone.

    Attributes:
        target_residual: held-out residual at which a correction ends.
        level: which of `SHARES` of the points corrections are given; it only rises.
    """

    trainer: Trainer
    target: Task
    target_residual: float
    level: int = 0

    def tangent(self, fit: FitResult | None, problem: Problem) -> Callable[[Problem], Prediction]:
        trainer = self.trainer
        predict = tangent(
            trainer.surrogate.network,
            fit.weights if fit else trainer.surrogate.weights,
            trainer.mask,
            trainer.task_transform(self.target.equation_at(problem)),
            self._phase.sampling,
            generator(trainer.seed, "tangent"),
            int(trainer.config.step_memory_gib * 2**29),
        )
        return lambda ahead: predict(ahead, trainer.task_transform(self.target.equation_at(ahead)))

    @stepwise
    def correct(self, weights: torch.Tensor, problem: Problem, number: int) -> Steps[FitResult]:
        stage = f"{self.trainer.stage}.walk.{number}"
        fit = steps_of(self.trainer.fit)
        return fit(self.target.equation_at(problem), [self._phase], stage, weights, estimate=False)

    @stepwise
    def is_near(self, fit: FitResult, problem: Problem) -> Steps[bool]:
        """By the estimated error: the residual of large terms is large."""
        network = self.trainer.surrogate.network
        task = self.trainer.task_transform(self.target.equation_at(problem))
        assessment = fit.assessment
        if assessment is None or assessment.residual > RESIDUAL_LIMIT:
            return False
        assess = partial(task.assess, network, fit.weights, self._phase.sampling)
        estimated: Assessment = (yield Work(assess)).value
        return estimated.meets(2 * ERROR_LIMIT)

    def add_points(self) -> bool:
        self.level += 1
        return self.level < len(SHARES)

    @property
    def _phase(self) -> Phase:
        share = SHARES[min(self.level, len(SHARES) - 1)]
        return self.trainer.config.phases.corrector(self.target, share, self.target_residual)
