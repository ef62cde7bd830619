"""Tasks: what a fit is to meet, as residual terms at points drawn when it asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

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


class Task(Protocol):
    """Training terms and the held-out measure that stops a fit."""

    @property
    def runtime(self) -> Runtime:
        """Device and dtype of the terms."""
        ...

    @property
    def solves_equation(self) -> bool:
        """Whether it has an equation to solve; otherwise values alone are fitted."""
        ...

    @property
    def problem(self) -> Problem:
        """The problem that it is about; a table has none."""
        ...

    @property
    def physics_task(self) -> "PhysicsTask":
        """The task of the equation; only where `solves_equation`."""
        ...

    def equation_at(self, problem: Problem) -> "Task":
        """The equation alone at other coefficients, no labels; only where `solves_equation`."""
        ...

    def sample_inputs(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Random inputs, [count, axes]: points of the domain, or rows of the table."""
        ...

    def ansatz(self, sampling: SamplingSpec) -> Ansatz:
        """The ansatz to fit in."""
        ...

    def solver(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> Surrogate:
        """What weights are worth: a surrogate in a plain dense network."""
        ...

    def terms(
        self,
        network: Network,
        weights: torch.Tensor,
        sampling: SamplingSpec,
        rng: np.random.Generator,
    ) -> list[Term]:
        """Training terms; points may be chosen by the residual of the present weights."""
        ...

    def held_out(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> float:
        """Root mean square residual at points that no fit ever sees."""
        ...

    def assess(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, estimate: bool = True
    ) -> Assessment:
        """How far weights can be trusted; `estimate` asks for the error, too."""
        ...


def merged_solver(network: Network, weights: torch.Tensor, ansatz: Ansatz) -> Surrogate:
    """A solver in the network that is stored, see `Network.merged`."""
    dense, own = network.merged(weights)
    return Surrogate(dense, ansatz, own)


def residual_norm(network: Network, weights: torch.Tensor, terms: Sequence[Term]) -> float:
    """‖r‖ of some terms: of one of weight 1 the root mean square over its points."""
    with torch.no_grad():
        return float(residuals(network, weights, terms).norm())
