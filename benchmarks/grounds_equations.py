"""ODEs and PDEs: by labels alone, beside the equation, and beside an equation known in part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
from grounds_base import Attempt, Case, Found, Pair, Unit, values_of
from grounds_rivals import Values

from pacpde import Measurements, Surrogate, fit, transfer
from pacpde.datasets import draw_labels
from pacpde.physics import Problem, families
from pacpde.reference import Reference, field_errors, solve
from pacpde.reference.exact import exact_reference, gives_exact

TEST_POINTS = 2000
GRADED_TO = 1e-9  # tolerance of a reference where the family has no exact solution
NEAR, FEW = (25, 0.01), ((25, 0.0), (25, 0.01), (25, 0.05))
MANY = ((10, 0.01), *FEW, (100, 0.01), (400, 0.01))
TWO = ((25, 0.01), (100, 0.01))
BESIDE: dict[str, Any] = {  # an equation
    "methods": ("pac", "warm_start", "l2sp", "lora", "scratch"),
    "slow": ("last_layer",),
    "slow_at": (NEAR,),
}
SHORT = {**BESIDE, "methods": ("pac", "warm_start", "l2sp", "scratch"), "slow": ()}


@dataclass(frozen=True)
class EquationCase(Case):
    """A problem moved to other coefficients; the error is relative, in L2, of the worst field.

    Attributes:
        source, target: coefficients.
        known: coefficients of the equation that is used beside the labels; None for labels alone.
        until: end of the time span.
        network: settings of the source's fit.
        steps: of a transfer.
    """

    family: str = field(kw_only=True)
    source: Mapping[str, float] = field(kw_only=True)
    target: Mapping[str, float] = field(kw_only=True)
    network: Mapping[str, Any] = field(kw_only=True)
    known: Mapping[str, float] | None = None
    until: float | None = None
    steps: int = 20

    error = "relative error"

    def problem(self, coefficients: Mapping[str, float]) -> Problem:
        return families.get(self.family)(**coefficients, until=self.until)

    def pair(self, seed: int, settings: Mapping[str, int]) -> "EquationPair":
        own = {**self.network, **settings}
        source = source_of(self.problem(self.source), seed, tuple(own.items()))
        reference = reference_of(self.problem(self.target))
        fits = {"points": own["points"], "steps": self.steps, **settings}
        return EquationPair(self, seed, source, reference, fits)


@cache
def source_of(problem: Problem, seed: int, settings: tuple[tuple[str, Any], ...]) -> Surrogate:
    """The same one for all cases of a seed and a problem."""
    return fit(problem, settings={**dict(settings), "restarts": 0}, seed=seed)


@cache
def reference_of(problem: Problem) -> Reference:
    if gives_exact(problem):
        return exact_reference(problem)
    return solve(problem, tolerance=GRADED_TO)


@dataclass(frozen=True)
class EquationPair(Pair):
    """Of an equation; values are [fields, test points].

    Attributes:
        reference: of the target; labels are drawn from it.
        settings: of the transfers.
    """

    case: EquationCase
    seed: int
    source: Surrogate
    reference: Reference
    settings: Mapping[str, Any]

    @property
    def test(self) -> np.ndarray:
        """The same points for all seeds, [points, axes]."""
        return self.reference.problem.domain.sample(TEST_POINTS, np.random.default_rng(0))

    def fields(self, solution: Surrogate | Reference) -> np.ndarray:
        return np.atleast_2d(solution(*self.test.T))

    def measurements(self, unit: Unit) -> Measurements:
        """Labels; their noise is told where there is any."""
        count, noise = unit
        drawn = draw_labels(self.reference, count, seed=self.seed, noise=noise)
        grid = self.reference.values.reshape(drawn.values.shape[1], -1)
        return Measurements(drawn.points, drawn.values, noise * grid.std(1) if noise else None)

    def attempts(self, unit: Unit, methods: Sequence[str]) -> Iterator[tuple[str, Attempt]]:
        data = self.measurements(unit)
        rivals = Values(self.source, data.points, data.values, self.test)
        yield from rivals.attempts(with_labels=self.case.known is None)
        for name in methods:
            yield name, partial(self.moved, name, data)

    def moved(self, name: str, data: Measurements) -> Found:
        known = self.case.known
        result = transfer(
            self.source, self.case.problem(self.case.target if known is None else known),
            method=name, data=data, physics=known is not None, settings=self.settings,
            seed=self.seed, reference=None,
        )  # fmt: skip
        return values_of(result, name, self.fields)

    def measures(self, values: np.ndarray) -> dict[str, float]:
        truth, scales = self.fields(self.reference), self.reference.problem.scales
        return {"error": float(max(field_errors(values, truth, scales)))}


BURGERS: dict[str, Any] = {
    "family": "burgers",
    "source": {"nu": 0.0318},
    "target": {"nu": 0.0222},
    "network": {"width": 12, "depth": 2, "points": 300, "steps": 40},
}
HEAT: dict[str, Any] = {
    "family": "heat_source",
    "source": {"alpha": 0.2, "q": 2.0},
    "target": {"alpha": 0.2, "q": 4.0},
    "network": {"width": 10, "depth": 2, "points": 200, "steps": 20},
}
PREDATORS: dict[str, Any] = {
    "family": "lotka_volterra",
    "source": {"alpha": 1.5},
    "target": {"alpha": 1.4},
    "network": {"width": 10, "depth": 2, "points": 100, "steps": 40},
    "until": 2.0,
}
OSCILLATOR: dict[str, Any] = {
    "family": "damped_oscillator",
    "source": {"delta": 2.0},
    "target": {"delta": 3.0},
    "network": {"width": 10, "depth": 2, "points": 100, "steps": 30},
}


def cases_of(name: str, about: Mapping[str, Any]) -> list[Case]:
    """Labels alone; beside the target's equation; beside the one with the source's coefficient."""
    return [
        EquationCase(f"{name}, labels alone", MANY, slow_at=(NEAR,), **about),
        EquationCase(
            f"{name}, with its equation", FEW, known=about["target"], **BESIDE, **about
        ),
        EquationCase(
            f"{name}, its equation with the source's coefficient", (*FEW, (100, 0.01)),
            known=about["source"], **BESIDE, **about,
        ),
    ]  # fmt: skip


ODE = (
    *cases_of("Lotka–Volterra", PREDATORS),
    EquationCase(
        "damped oscillator, its equation without the damping", (NEAR,),
        known={"delta": 0.0}, **SHORT, **OSCILLATOR,
    ),
)  # fmt: skip
PDE = (
    *cases_of("Burgers", BURGERS),
    EquationCase("heat with a source, labels alone", TWO, **HEAT),
    EquationCase(
        "heat with a source, its equation without the source", TWO,
        known={"alpha": 0.2, "q": 0.0}, **BESIDE, **HEAT,
    ),
)  # fmt: skip
