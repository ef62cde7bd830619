"""Regression on a table, and classification of its rows, as a task."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.random import Generator

from pacpde.networks.batch import Ansatz
from pacpde.networks.protocol import Network
from pacpde.residuals.class_labels import ClassLabels
from pacpde.residuals.measurements import HELD_OUT_SHARE, Measurements
from pacpde.residuals.task import LabelRows, SamplingSpec, Task, residual_norm
from pacpde.residuals.terms import Term
from pacpde.runtime import Runtime


@dataclass(frozen=True)
class TableTask(Task):
    """Rows of a table: inputs [points, columns], with outputs [points, targets] or classes.

    A share of the rows is held out to stop on. `standard` gives the standardisation, so that
    source and target share one.
    """

    table: Measurements | ClassLabels
    standard: Ansatz
    seed: int = 0
    held_out_share: float = HELD_OUT_SHARE
    runtime: Runtime = Runtime()

    @property
    def has_classes(self) -> bool:
        return isinstance(self.table, ClassLabels)

    def sample_inputs(self, count: int, rng: Generator) -> np.ndarray:
        rows = self.table.points
        chosen = rng.choice(len(rows), min(count, len(rows)), replace=False)
        return rows[np.sort(chosen)]

    def ansatz(self, sampling: SamplingSpec) -> Ansatz:
        return self.standard

    def terms(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> list[Term]:
        return [self.split[0].term(self.standard, self.runtime)]

    def label_rows(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> LabelRows | None:
        return self.table.rows(self.standard, self.runtime)

    def held_out(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> float:
        return residual_norm(network, weights, [self.split[1].term(self.standard, self.runtime)])

    @cached_property
    def split(self) -> tuple[Measurements | ClassLabels, Measurements | ClassLabels]:
        """(the rows that are fitted, those that are held out)."""
        return self.table.split(self.held_out_share, self.seed)
