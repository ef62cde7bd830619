"""Identification: the unknown coefficients, and the task of the solver."""

from dataclasses import dataclass, field

import numpy as np

from pacpde.physics.problem import Problem
from pacpde.residuals.measurements import Measurements
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.residuals.terms import Term

STEP = 1e-4  # of finite differences in the coefficients, in their units
SPAN = 1e-2  # share of its bounds that is the unit of a coefficient near 0


@dataclass(frozen=True)
class Unknowns:
    """The unknown coefficients of a problem as a vector θ, [unknowns].

    θ is log c for a coefficient c with positive bounds, and c for all others.

    Attributes:
        problem: initial guess of the unknown coefficients, and values of all others.
        names: of the unknown coefficients, in the order of θ.
    """

    problem: Problem
    names: tuple[str, ...]

    def logarithmic(self, name: str) -> bool:
        """Whether θ has the logarithm of this coefficient."""
        return self.problem.declared()[name].lower > 0

    @property
    def start(self) -> np.ndarray:
        """θ of `problem`, the initial guess, [unknowns]."""
        values = self.problem.coefficients
        return np.array([self._number(name, values[name]) for name in self.names])

    @property
    def bounds(self) -> np.ndarray:
        """Lower and upper bounds of θ, [2, unknowns]."""
        declared = self.problem.declared()
        ends = [
            [self._number(name, getattr(declared[name], side)) for name in self.names]
            for side in ("lower", "upper")
        ]
        return np.array(ends)

    @property
    def units(self) -> np.ndarray:
        """A typical change of each entry of θ, [unknowns]: 1 for a logarithm."""
        units = []
        for name, number in zip(self.names, self.start, strict=True):
            about = self.problem.declared()[name]
            span = SPAN * (about.upper - about.lower)
            units.append(1.0 if self.logarithmic(name) else max(abs(number), span))
        return np.array(units)

    def problem_at(self, theta: np.ndarray) -> Problem:
        """The problem with the coefficients of `theta`, θ, clipped to their bounds."""
        values = {}
        for name, number in zip(self.names, theta, strict=True):
            about = self.problem.declared()[name]
            value = float(np.exp(number)) if self.logarithmic(name) else float(number)
            values[name] = min(max(value, about.lower), about.upper)
        return self.problem.with_coefficients(**values)

    def around(self, theta: np.ndarray, step: float = STEP) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each unknown: θ minus and plus `step` of its unit, clipped to the bounds."""
        pairs = []
        for k, unit in enumerate(self.units):
            move = np.zeros_like(theta)
            move[k] = step * unit
            behind, ahead = (np.clip(theta + s * move, *self.bounds) for s in (-1, 1))
            pairs.append((behind, ahead))
        return pairs

    def _number(self, name: str, value: float) -> float:
        return float(np.log(value)) if self.logarithmic(name) else value


@dataclass(frozen=True)
class IdentificationTask(PhysicsTask):
    """An equation to solve, and measurements to compare the solution with.

    The weights are fitted to the equation alone. The coefficients are fitted to the measurements.

    Attributes:
        measured: points and values of the measurements.
    """

    measured: Measurements = field(kw_only=True)

    def equation_terms(self, sampling: SamplingSpec) -> list[Term]:
        """Residuals of the equation at held-out points; these are the same for all coefficients."""
        return [
            term.subset(slice(0, min(sampling.points, term.batch.size)))
            for term in self._held_out_terms(sampling)
        ]

    def measurement_term(self, sampling: SamplingSpec) -> Term:
        """Residual (u − y) / scale at the measured points."""
        return self.measured.term(self.ansatz(sampling), self.runtime)
