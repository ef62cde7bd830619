"""Tasks: what a fit is to meet, as residual terms at points drawn when it asks for them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.random import Generator

from pacpde.errors import InvalidValueError
from pacpde.networks.assessment import Assessment
from pacpde.networks.batch import Ansatz
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.factors import residuals
from pacpde.residuals.terms import Term
from pacpde.runtime import Runtime

if TYPE_CHECKING:
    from pacpde.residuals.physics_task import PhysicsTask


@dataclass(frozen=True)
class SamplingSpec:
    """What a fit asks for: how many points, up to when, and in which ansatz."""

    points: int = 2000
    odd: bool = False
    horizon: float = 1.0


class Task(ABC):
    """Training terms, and the held-out measure that stops a fit.

    Attributes:
        runtime: device and dtype of the terms.
        problem: the problem that it is about; a table has none.
    """

    runtime: Runtime
    problem: Problem

    @property
    def solves_equation(self) -> bool:
        """Whether it has an equation to solve; otherwise values alone are fitted."""
        return False

    @property
    def physics_task(self) -> "PhysicsTask":
        """The task of the equation; only where `solves_equation`."""
        raise InvalidValueError("this task fits a table: it has no equation.")

    def equation_at(self, problem: Problem) -> "Task":
        """The equation alone at other coefficients, no labels; only where `solves_equation`."""
        return self.physics_task.equation_at(problem)

    @abstractmethod
    def sample_inputs(self, count: int, rng: Generator) -> np.ndarray:
        """Random inputs, [count, axes]: points of the domain, or rows of the table."""

    @abstractmethod
    def ansatz(self, sampling: SamplingSpec) -> Ansatz:
        """The ansatz to fit in."""

    @abstractmethod
    def terms(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> list[Term]:
        """Training terms; points may be chosen by the residual of the present weights."""

    @abstractmethod
    def held_out(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> float:
        """Root mean square residual at points that no fit ever sees."""

    def solver(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> Surrogate:
        """What weights are worth: a surrogate in the network that is stored."""
        stored, own = network.merged(weights)
        return Surrogate(stored, self.ansatz(sampling), own)

    def assess(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, estimate: bool = True
    ) -> Assessment:
        """How far weights can be trusted; `estimate` asks for the error, too."""
        return Assessment(self.held_out(network, weights, sampling))


def residual_norm(network: Network, weights: torch.Tensor, terms: Sequence[Term]) -> float:
    """‖r‖ of some terms: of one of weight 1 the root mean square over its points."""
    with torch.no_grad():
        return float(residuals(network, weights, terms).norm())
