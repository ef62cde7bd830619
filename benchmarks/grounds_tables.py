"""Regression: Friedman #1 and #2, and scikit-learn's diabetes, each from one table to another."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from grounds_base import DISTILLED, SLOW, Attempt, Case, Found, Pair, Unit, values_of
from grounds_rivals import Values
from sklearn.datasets import load_diabetes

from pacpde import Surrogate
from pacpde.methods import fit_table, transfer_table

TEST_POINTS = 2000
LABELS = tuple((count, 0.0) for count in (10, 25, 50, 100, 200, 400))  # noise is the table's own


@dataclass(frozen=True)
class Tables:
    """Rows of a source and of a target.

    Attributes:
        before, labels: inputs [rows, columns] and outputs [rows], of source and target.
        test, expected: other rows of the target, with outputs free of noise where they are known.
    """

    before: tuple[np.ndarray, np.ndarray]
    labels: tuple[np.ndarray, np.ndarray]
    test: np.ndarray
    expected: np.ndarray


@dataclass(frozen=True)
class TableCase(Case):
    """A regression; the error is the root mean square at the test rows.

    Attributes:
        sample: tables, from random numbers.
        network: settings of the source's fit.
        steps: of a transfer.
    """

    sample: Callable[[np.random.Generator], Tables] = field(kw_only=True)
    network: Mapping[str, int] = field(default_factory=lambda: {"width": 16, "steps": 40})
    steps: int = 20

    error = "root mean square error"

    def pair(self, seed: int, settings: Mapping[str, int]) -> "TablePair":
        tables = self.sample(np.random.default_rng(seed))
        source = fit_table(*tables.before, seed=seed, settings={**self.network, **settings})
        return TablePair(seed, source, tables, {"steps": self.steps, **settings})


@dataclass(frozen=True)
class TablePair(Pair):
    """Of a regression; values are [1, test rows]."""

    seed: int
    source: Surrogate
    tables: Tables
    settings: Mapping[str, int]

    def attempts(self, unit: Unit, methods: Sequence[str]) -> Iterator[tuple[str, Attempt]]:
        inputs, outputs = (values[: unit[0]] for values in self.tables.labels)
        yield from Values(self.source, inputs, outputs[:, None], self.tables.test).attempts()
        for name in methods:
            yield name, partial(self.moved, name, inputs, outputs)

    def moved(self, name: str, inputs: np.ndarray, outputs: np.ndarray) -> Found:
        rows = DISTILLED if name in SLOW else None
        before = self.tables.before[0][:rows], self.tables.before[1][:rows]
        result = transfer_table(
            self.source, inputs, outputs, source_table=before, method=name,
            settings=self.settings, seed=self.seed,
        )  # fmt: skip
        return values_of(result, name, lambda found: found(*self.tables.test.T)[None])

    def measures(self, values: np.ndarray) -> dict[str, float]:
        return {"error": float(np.sqrt(np.mean((values[0] - self.tables.expected) ** 2)))}


def friedman(distance: float, rng: np.random.Generator, rows: int = 2000) -> Tables:
    """Friedman #1 in the transfer variant of Pardoe & Stone (2010), ten inputs, labels N(y, 1).

    y = 10 a₁ sin(π z₁ z₂) + 20 a₂ (z₃ − ½)² + 10 a₃ z₄ + 5 a₄ z₅ with z = b x + c. Sources draw
    a, b ~ N(1, 0.1 d) and c ~ N(0, 0.05 d); the target has a = b = 1, c = 0.

    Args:
        distance: d.
        rows: of the source.
    """

    def values(x: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        z = b * x[:, :5] + c
        wave = 10 * a[0] * np.sin(np.pi * z[:, 0] * z[:, 1])
        rest = 20 * a[1] * (z[:, 2] - 0.5) ** 2 + 10 * a[2] * z[:, 3] + 5 * a[3] * z[:, 4]
        return np.asarray(wave + rest)

    wide, narrow = 0.1 * distance, 0.05 * distance
    source = rng.normal(1, wide, 4), rng.normal(1, wide, 5), rng.normal(0, narrow, 5)
    target = np.ones(4), np.ones(5), np.zeros(5)
    before, labels = rng.random((rows, 10)), rng.random((400, 10))
    test = rng.random((TEST_POINTS, 10))
    return Tables(
        (before, values(before, *source) + rng.normal(size=rows)),
        (labels, values(labels, *target) + rng.normal(size=len(labels))),
        test,
        values(test, *target),
    )


def impedance(rng: np.random.Generator, rows: int = 2000) -> Tables:
    """Friedman #2, from the lower half of the frequencies x₂ to the upper one.

    y = √(x₁² + (x₂x₃ − 1/(x₂x₄))²), labels N(y, 125²); Friedman, Ann. Statist. 19 (1991), eq. 63.
    """

    def sample(count: int, least: float, most: float) -> np.ndarray:
        sizes, starts = [100, (most - least) * np.pi, 1, 10], [0, least * np.pi, 0, 1]
        return rng.random((count, 4)) * sizes + starts

    def values(x: np.ndarray) -> np.ndarray:
        return np.hypot(x[:, 0], x[:, 1] * x[:, 2] - 1 / (x[:, 1] * x[:, 3]))

    before, labels = sample(rows, 40, 300), sample(400, 300, 560)
    test = sample(TEST_POINTS, 300, 560)
    return Tables(
        (before, values(before) + rng.normal(0, 125, rows)),
        (labels, values(labels) + rng.normal(0, 125, len(labels))),
        test,
        values(test),
    )


def diabetes(rng: np.random.Generator) -> Tables:
    """scikit-learn's diabetes, from the half with the lower body mass index to the other one."""
    inputs, outputs = load_diabetes(return_X_y=True)
    low = inputs[:, 2] <= np.median(inputs[:, 2])
    labels, test = np.split(rng.permutation(np.flatnonzero(~low)), [100])
    return Tables(
        (inputs[low], outputs[low]),
        (inputs[labels], outputs[labels]),
        inputs[test],
        outputs[test],
    )


FRIEDMAN = tuple(
    TableCase(
        f"Friedman #1, d = {distance:g}", LABELS, sample=partial(friedman, distance),
        slow_at=LABELS[:4] if distance == 1 else (),
    )
    for distance in (0.5, 1.0, 2.0)
)  # fmt: skip
GENERATED = (TableCase("Friedman #2, by frequency", LABELS, slow_at=LABELS[:4], sample=impedance),)
DIABETES = (
    TableCase(
        "diabetes, by body mass", LABELS[:4], slow_at=LABELS[:4], sample=diabetes,
        network={"width": 8, "steps": 20},
    ),
)  # fmt: skip
