"""Measurements: points and values."""

from dataclasses import dataclass

import numpy as np

from pacpde.networks.batch import Ansatz
from pacpde.residuals.terms import LabelTerm
from pacpde.runtime import Runtime, generator

HELD_OUT_SHARE = 0.2  # of the measurements, where a fit has no equation


@dataclass(frozen=True)
class Measurements:
    """Scattered measurements: points [n, axes] and values [n, fields]."""

    points: np.ndarray
    values: np.ndarray

    def term(self, ansatz: Ansatz, runtime: Runtime) -> LabelTerm:
        """(u − y) / scale at the points."""
        return LabelTerm.at(ansatz, runtime.tensor(self.points), runtime.tensor(self.values))

    def split(self, share: float, seed: int) -> tuple["Measurements", "Measurements"]:
        """(the others, about this share of them and at least one), shuffled by `seed`."""
        order = generator(seed, "held-out labels").permutation(len(self.points))
        count = max(1, round(share * len(order)))
        keep, out = order[count:], order[:count]
        return (
            Measurements(self.points[keep], self.values[keep]),
            Measurements(self.points[out], self.values[out]),
        )
