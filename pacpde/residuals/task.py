"""Tasks: what a network is fitted to, as residual terms at sampled points."""

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
    """How a task samples the points of a fit.

    Attributes:
        points: number of points of the equation's residual.
        odd: whether the ansatz makes the network odd; see `PhysicsAnsatz`.
        horizon: share of the time span, from its start, in which points lie; above 0, at most 1.
        start: in a time window by itself, the share of the time span at which it begins, from 0 and
            below `horizon`; measurements and conditions outside of it are left out then.
        candidates: random points for each one that is chosen among them by its residual; 1 takes
            them as they are.
    """

    points: int = 2000
    odd: bool = False
    horizon: float = 1.0
    start: float | None = None
    candidates: int = 4


@dataclass(frozen=True)
class LabelRows:
    """The terms of a fit to labels alone, none of them held out.

    Attributes:
        labels: their residuals.
        others: terms of conditions, and those that a method adds.
        noise: standard deviation of a label's weighted residual (u − y) / scale, if it is known.
    """

    labels: Term
    others: Sequence[Term] = ()
    noise: float | None = None

    @property
    def terms(self) -> list[Term]:
        """All of them, the labels first."""
        return [self.labels, *self.others]

    @property
    def n_labels(self) -> int:
        """Number of rows of the labels: points times fields."""
        return self.labels.batch.size * self.labels.n_components

    @property
    def n_rows(self) -> int:
        """Number of all rows."""
        return sum(term.batch.size * term.n_components for term in self.terms)


class Task(ABC):
    """Base class of tasks: the terms of the loss, and the held-out residual that stops a fit.

    Arguments of many methods:
        network, weights: the network, and its flat weight vector, [size].
        sampling: how points are sampled.

    Attributes:
        runtime: device and dtype of the terms.
        problem: the problem to solve; a task of a table has none.
    """

    runtime: Runtime
    problem: Problem

    @property
    def solves_equation(self) -> bool:
        """Whether there is an equation to solve; False if only values are fitted."""
        return False

    @property
    def has_classes(self) -> bool:
        """Whether its labels are classes."""
        return False

    @property
    def odd(self) -> bool:
        """Whether the ansatz of the weights that a fit goes on from is odd."""
        return False

    @property
    def physics_task(self) -> "PhysicsTask":
        """The task of the equation.

        Raises:
            InvalidValueError: unless `solves_equation`.
        """
        raise InvalidValueError("this task fits a table: it has no equation.")

    def equation_at(self, problem: Problem) -> "Task":
        """The task of the equation at the coefficients of `problem`, without labels.

        Raises:
            InvalidValueError: unless `solves_equation`.
        """
        return self.physics_task.equation_at(problem)

    def in_time_windows(self, count: int, harmonics: int = 1) -> "Task | None":
        """The same task, fitted in so many time windows; None where it has no time to divide.

        The ansatz leaves the start as fast as a window passes.

        Args:
            harmonics: of the ansatz, at least; see `PhysicsAnsatz`.
        """
        return None

    @abstractmethod
    def sample_inputs(self, count: int, rng: Generator) -> np.ndarray:
        """Random inputs, [count, axes]: points of the domain, or rows of the table."""

    @abstractmethod
    def ansatz(self, sampling: SamplingSpec) -> Ansatz:
        """The ansatz that maps the network's outputs to the fields."""

    @abstractmethod
    def terms(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> list[Term]:
        """The terms of the loss at newly sampled points; more may lie where residuals are large."""

    def label_rows(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> LabelRows | None:
        """The terms where labels are all there is to fit; None where there is an equation.

        A task that returns rows here takes them for values with independent errors of one size.
        """
        return None

    @abstractmethod
    def held_out(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> float:
        """Root mean square residual at held-out points, which are no training points."""

    def solver(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> Surrogate:
        """The surrogate of some weights, in the form of network that is stored."""
        stored, own = network.merged(weights)
        return Surrogate(stored, self.ansatz(sampling), own)

    def misfits(self, solver: Surrogate, sampling: SamplingSpec) -> tuple[str, ...]:
        """Notes on measured values beside the equation that a solution does not fit."""
        return ()

    def assess(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, estimate: bool = True
    ) -> Assessment:
        """Assess a solution by its residual.

        Args:
            estimate: whether the error is estimated too, where the task can.
        """
        return Assessment(self.held_out(network, weights, sampling))


def residual_norm(network: Network, weights: torch.Tensor, terms: Sequence[Term]) -> float:
    """‖r‖₂ of the stacked residuals of some terms.

    A term's residuals are scaled by √(weight / points), so that ‖r‖ of one term of weight 1 is the
    root mean square over its points.
    """
    with torch.no_grad():
        return float(residuals(network, weights, terms).norm())
