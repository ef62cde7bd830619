"""Measurements: points and values."""

from dataclasses import dataclass

import numpy as np

from pacpde.networks.batch import Ansatz
from pacpde.residuals.terms import LabelTerm
from pacpde.runtime import Runtime, generator

HELD_OUT_SHARE = 0.2  # share of them that is held out where they are all there is


@dataclass(frozen=True)
class Measurements:
    """Scattered measurements: points [n, axes] and values [n, fields]."""

    points: np.ndarray
    values: np.ndarray

    def term(self, ansatz: Ansatz, runtime: Runtime) -> LabelTerm:
        """(u − y) / scale at the points."""
        return LabelTerm.at(ansatz, runtime.tensor(self.points), runtime.tensor(self.values))

    def split(self, share: float, seed: int) -> tuple["Measurements", "Measurements"]:
        """(the rest, at least one for the share), shuffled by `seed`."""
        order = generator(seed, "held-out labels").permutation(len(self.points))
        held = max(1, round(share * len(order)))
        keep, out = order[held:], order[:held]
        return (
            Measurements(self.points[keep], self.values[keep]),
            Measurements(self.points[out], self.values[out]),
        )
