"""A fit by a schedule and an optimiser of one's own, that ends when its time is up."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from times import Curve, error_on_grid

from pacpde import Callback, Surrogate, TrainingConfig
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import generator
from pacpde.training import FitState, Phase, Trainer


class TimedFit(Callback):
    """A network that is fitted for some seconds, graded after every refresh outside the clock.

    Args:
        goal: error at which a fit ends.
        settings: of the network.

    Attributes:
        phases: of a fit from random weights by `pacpde.fit`.
        curve: (seconds, error) so far.
    """

    def __init__(self, problem: Any, seed: int, goal: float = 0.0, **settings: Any) -> None:
        self.config = config = TrainingConfig.of(problem, **settings)
        self.task, self.seed, self.goal = PhysicsTask(problem, seed=seed), seed, goal
        ansatz = self.task.ansatz(SamplingSpec())
        network = config.build_network(ansatz)
        start = network.init_weights(generator(seed, "weights"), config.frequency)
        self.surrogate = Surrogate(network, ansatz, torch.as_tensor(start))
        self.phases = config.phases.cold_start(self.task)
        self.grade, self.curve = error_on_grid(problem), Curve()
        self.before = self.limit = 0.0

    @property
    def used(self) -> float:
        """Seconds so far."""
        return self.curve[-1][0] if self.curve else 0.0

    def run(self, phases: Sequence[Phase], optimiser: Any, seconds: float, stage: str) -> None:
        """Go on from the best weights so far, for at most so many seconds."""
        self.before, self.limit = self.used, self.used + seconds
        config = replace(self.config, optimiser=optimiser)
        trainer = Trainer(self.surrogate, config, self.seed, [self], stage=stage)
        trainer.fit(self.task, phases, assess_below=-math.inf)

    def on_refresh(self, fit: FitState) -> None:
        solver = fit.surrogate()
        self.surrogate = replace(self.surrogate, weights=solver.weights)
        self.curve.append((self.before + fit.seconds, self.grade(solver)))
        fit.done = fit.done or self.used > self.limit or self.curve[-1][1] <= self.goal
