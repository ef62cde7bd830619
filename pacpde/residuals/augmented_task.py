"""A task on the first outputs of a network with more outputs, and further terms on the others."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.random import Generator

from pacpde.networks.assessment import Assessment
from pacpde.networks.batch import Ansatz
from pacpde.networks.heads import ExtendedNetwork
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import LabelRows, SamplingSpec, Task
from pacpde.residuals.terms import Term

# (weights of the extended network, sampling, random numbers) → terms
ExtraTerms = Callable[[torch.Tensor, SamplingSpec, Generator], list[Term]]


@dataclass(frozen=True)
class AugmentedTask(Task):
    """The terms of a task and further ones; the held-out measure is that of the task.

    Attributes:
        network: the task's own, whose weights lie inside the extended one's.
        extended: the network with more outputs.
        extra_terms: the other terms.
    """

    task: Task
    network: Network
    extended: ExtendedNetwork
    extra_terms: ExtraTerms

    def __post_init__(self) -> None:
        object.__setattr__(self, "runtime", self.task.runtime)
        if self.solves_equation:
            object.__setattr__(self, "problem", self.task.problem)

    @property
    def solves_equation(self) -> bool:
        return self.task.solves_equation

    @property
    def odd(self) -> bool:
        return self.task.odd

    @property
    def physics_task(self) -> PhysicsTask:
        return self.task.physics_task

    def equation_at(self, problem: Problem) -> "AugmentedTask":
        return replace(self, task=self.task.equation_at(problem))

    def ansatz(self, sampling: SamplingSpec) -> Ansatz:
        return self.task.ansatz(sampling)

    def sample_inputs(self, count: int, rng: Generator) -> np.ndarray:
        return self.task.sample_inputs(count, rng)

    def solver(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> Surrogate:
        return self.task.solver(self.network, self._own(weights), sampling)

    def terms(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> list[Term]:
        own = self.task.terms(self.network, self._own(weights), sampling, rng)
        return [*own, *self.extra_terms(weights, sampling, rng)]

    @property
    def has_classes(self) -> bool:
        return self.task.has_classes

    def label_rows(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> LabelRows | None:
        own = self.task.label_rows(self.network, self._own(weights), sampling, rng)
        if own is None:
            return None
        return replace(own, others=[*own.others, *self.extra_terms(weights, sampling, rng)])

    def held_out(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> float:
        return self.task.held_out(self.network, self._own(weights), sampling)

    def assess(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, estimate: bool = True
    ) -> Assessment:
        return self.task.assess(self.network, self._own(weights), sampling, estimate)

    def misfits(self, solver: Surrogate, sampling: SamplingSpec) -> tuple[str, ...]:
        return self.task.misfits(solver, sampling)

    def _own(self, weights: torch.Tensor) -> torch.Tensor:
        """The task's weights among those of the extended network."""
        return weights[self.extended.original_indices]
