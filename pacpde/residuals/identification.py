"""Coefficients that are to be found, and the task of a solver that follows them."""

from dataclasses import dataclass

import numpy as np

from pacpde.physics.problem import Problem
from pacpde.residuals.measurements import Measurements
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.residuals.terms import Term

STEP = 1e-4  # of the differences in the coefficients, in their units
SPAN = 1e-2  # share of its bounds that is the unit of a coefficient near 0


@dataclass(frozen=True)
class Unknowns:
    """Coefficients of a problem that are to be found, as numbers without a unit.

    A coefficient that is positive by its bounds is fitted by its logarithm.

    Attributes:
        problem: has where they start, and all other coefficients.
    """

    problem: Problem
    names: tuple[str, ...]

    def logarithmic(self, name: str) -> bool:
        return self.problem.declared()[name].lower > 0

    @property
    def start(self) -> np.ndarray:
        """The numbers of `problem`, [unknowns]."""
        values = self.problem.coefficients
        return np.array([self._number(name, values[name]) for name in self.names])

    @property
    def bounds(self) -> np.ndarray:
        """[2, unknowns], lower and upper."""
        declared = [(name, self.problem.declared()[name]) for name in self.names]
        return np.array(
            [[self._number(name, end) for name, c in declared for end in [getattr(c, side)]]
             for side in ("lower", "upper")]
        )  # fmt: skip

    @property
    def units(self) -> np.ndarray:
        """A typical change of each number, [unknowns]: 1 for a logarithm."""
        units = []
        for name, number in zip(self.names, self.start, strict=True):
            about = self.problem.declared()[name]
            span = SPAN * (about.upper - about.lower)
            units.append(1.0 if self.logarithmic(name) else max(abs(number), span))
        return np.array(units)

    def at(self, numbers: np.ndarray) -> Problem:
        """The problem with the coefficients that stand for some numbers, within their bounds."""
        values = {}
        for name, number in zip(self.names, numbers, strict=True):
            about = self.problem.declared()[name]
            value = float(np.exp(number)) if self.logarithmic(name) else float(number)
            values[name] = min(max(value, about.lower), about.upper)
        return self.problem.with_coefficients(**values)

    def around(
        self, numbers: np.ndarray, step: float = STEP
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """(behind, ahead) in each number by a step of its unit, within the bounds."""
        pairs = []
        for k, unit in enumerate(self.units):
            move = np.zeros_like(numbers)
            move[k] = step * unit
            behind, ahead = (np.clip(numbers + s * move, *self.bounds) for s in (-1, 1))
            pairs.append((behind, ahead))
        return pairs

    def _number(self, name: str, value: float) -> float:
        return float(np.log(value)) if self.logarithmic(name) else value


@dataclass(frozen=True)
class IdentificationTask(PhysicsTask):
    """An equation to solve, and measurements to compare the solution with.

    The measurements are no part of a fit: its weights are to solve the equation, for all
    coefficients, and the coefficients are to meet the measurements.

    Attributes:
        measured: points and values.
    """

    measured: Measurements | None = None

    def equation(self, sampling: SamplingSpec) -> list[Term]:
        """Its residuals at some of the held-out points, the same for all coefficients."""
        return [
            term.subset(slice(0, min(sampling.points, term.batch.size)))
            for term in self._held_out_terms(sampling)
        ]

    def misses(self, sampling: SamplingSpec) -> Term:
        """(u − y) / scale at the measured points."""
        assert self.measured is not None
        return self.measured.term(self.ansatz(sampling), self.runtime)
