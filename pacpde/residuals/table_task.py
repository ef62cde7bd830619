"""Regression on a table as a task."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.assessment import Assessment
from pacpde.networks.batch import Ansatz
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.measurements import HELD_OUT_SHARE, Measurements
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec, merged_solver, residual_norm
from pacpde.residuals.terms import Term
from pacpde.runtime import Runtime


@dataclass(frozen=True)
class TableTask:
    """Regression on a table: inputs [points, columns], outputs [points, targets].

    A share of the rows is held out to stop on. `standard` gives the standardisation, so that
    source and target share one.
    """

    table: Measurements
    standard: Ansatz
    seed: int = 0
    held_out_share: float = HELD_OUT_SHARE
    runtime: Runtime = Runtime()

    @property
    def solves_equation(self) -> bool:
        return False

    @property
    def problem(self) -> Problem:
        raise InvalidValueError("this task fits a table: it has no problem.")

    @property
    def physics_task(self) -> PhysicsTask:
        raise InvalidValueError("this task fits a table: it has no equation.")

    def equation_at(self, problem: Problem) -> "TableTask":
        raise InvalidValueError("this task fits a table: it has no equation.")

    def sample_inputs(self, count: int, rng: np.random.Generator) -> np.ndarray:
        rows = self.table.points
        chosen = rng.choice(len(rows), min(count, len(rows)), replace=False)
        return rows[np.sort(chosen)]

    def ansatz(self, sampling: SamplingSpec) -> Ansatz:
        return self.standard

    def solver(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> Surrogate:
        return merged_solver(network, weights, self.standard)

    def terms(
        self,
        network: Network,
        weights: torch.Tensor,
        sampling: SamplingSpec,
        rng: np.random.Generator,
    ) -> list[Term]:
        return [self._split[0].term(self.standard, self.runtime)]

    def held_out(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> float:
        return residual_norm(network, weights, [self._split[1].term(self.standard, self.runtime)])

    def assess(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, estimate: bool = True
    ) -> Assessment:
        return Assessment(self.held_out(network, weights, sampling))

    @cached_property
    def _split(self) -> tuple[Measurements, Measurements]:
        return self.table.split(self.held_out_share, self.seed)
