"""A task on the first outputs of a wider network, with other terms beside it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from pacpde.networks.ansatz import Ansatz
from pacpde.networks.assessment import Assessment
from pacpde.networks.outputs import Widened, as_head
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Term
from pacpde.runtime import Runtime

# (weights of the wider network, draw, random numbers) → terms
ExtraTerms = Callable[[torch.Tensor, SamplingSpec, np.random.Generator], list[Term]]


@dataclass(frozen=True)
class AugmentedTask:
    """Terms of a task, and others beside them; it is held out by the task alone.

    Attributes:
        network: the task's own, whose weights lie inside the wider one's.
        wide: the wider network.
        more: the other terms.
    """

    task: Task
    network: Network
    wide: Widened
    more: ExtraTerms

    @property
    def runtime(self) -> Runtime:
        return self.task.runtime

    @property
    def solves_equation(self) -> bool:
        return self.task.solves_equation

    @property
    def problem(self) -> Problem:
        return self.task.problem

    def equation_at(self, problem: Problem) -> "AugmentedTask":
        return replace(self, task=self.task.equation_at(problem))

    def sample_inputs(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return self.task.sample_inputs(count, rng)

    def ansatz(self, draw: SamplingSpec) -> Ansatz:
        return self.task.ansatz(draw)

    def solver(self, network: Network, weights: torch.Tensor, draw: SamplingSpec) -> Surrogate:
        return self.task.solver(self.network, weights[self.wide.own], draw)

    def terms(
        self, network: Network, weights: torch.Tensor, draw: SamplingSpec, rng: np.random.Generator
    ) -> list[Term]:
        own = self.task.terms(self.network, weights[self.wide.own], draw, rng)
        first = [replace(term, batch=as_head(term.batch, 0)) for term in own]  # type: ignore[type-var]
        return [*first, *self.more(weights, draw, rng)]

    def held_out(self, network: Network, weights: torch.Tensor, draw: SamplingSpec) -> float:
        return self.task.held_out(self.network, weights[self.wide.own], draw)

    def assess(
        self, network: Network, weights: torch.Tensor, draw: SamplingSpec, estimate: bool = True
    ) -> Assessment:
        return self.task.assess(self.network, weights[self.wide.own], draw, estimate)
