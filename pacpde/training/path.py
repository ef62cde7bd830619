"""The path of solutions from source to target, found in the free weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from pacpde.networks.assessment import ERROR_LIMIT, RESIDUAL_LIMIT
from pacpde.networks.outcome import Outcome
from pacpde.optim.stepwise import Steps, steps_of, stepwise
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
    def correct(
        self, weights: torch.Tensor, problem: Problem, number: int, seconds: float = 0.0
    ) -> Steps[FitResult]:
        return steps_of(self.trainer.fit)(
            self.target.equation_at(problem),
            [self._phase],
            f"{self.trainer.stage}.walk.{number}",
            weights,
            assess_below=-math.inf,  # its held-out residual suffices, or else `is_near` assesses it
            seconds=seconds,
        )

    def is_near(self, fit: FitResult, problem: Problem) -> bool:
        """By the estimated error: the residual of large terms is large."""
        if fit.outcome in (Outcome.DIVERGED, Outcome.DEVICE_LOST):
            return False
        network = self.trainer.surrogate.network
        task = self.trainer.task_transform(self.target.equation_at(problem))
        assess = partial(task.assess, network, fit.weights, self._phase.sampling)
        if assess(estimate=False).residual > RESIDUAL_LIMIT:  # no estimate is worth its time
            return False
        return assess().meets(2 * ERROR_LIMIT)

    def add_points(self) -> bool:
        self.level += 1
        return self.level < len(SHARES)

    @property
    def _phase(self) -> Phase:
        share = SHARES[min(self.level, len(SHARES) - 1)]
        return self.trainer.config.phases.corrector(self.target, share, self.target_residual)
