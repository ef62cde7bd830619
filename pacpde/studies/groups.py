"""Rows of a study by transfer: the same family, source, target, labels, noise and physics.

A row without a result is a failure and counts as the worst. A row whose target has no reference is
ungraded: it has no error, and counts in no statistic of errors.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pacpde.errors import named_numbers
from pacpde.studies.records import Row

TINY = 1e-300  # in place of an error of 0, which has no logarithm
COMMON = ("family", "source", "target", "until", "labels", "noise", "physics")  # to a group

Source = tuple[Any, ...]  # what tells a trained source from others


@dataclass(frozen=True)
class Group:
    """All cells of one transfer: variants × seeds.

    Attributes:
        rows: variant → seed → row.
    """

    family: str
    source: Mapping[str, float]
    target: Mapping[str, float]
    until: float | None
    labels: int
    noise: float | None
    physics: bool
    rows: dict[str, dict[int, Row]]

    @property
    def name(self) -> str:
        """The transfer as text: `burgers nu=0.00318→0.00637`."""
        changed = [
            f"{name}={self.source[name]:.4g}→{value:.4g}"
            for name, value in self.target.items()
            if value != self.source[name]
        ] or ["to itself"]
        until = [] if self.until is None else [f"t ≤ {self.until:g}"]
        data = data_text(self.labels, self.noise, self.physics)
        return f"{self.family} {', '.join([*changed, *data, *until])}"

    @cached_property
    def distance(self) -> float | None:
        """‖u_T − u_S‖ / ‖u_T‖."""
        return next(iter(self._values("distance")), None)

    @cached_property
    def reference_seconds(self) -> float | None:
        """Median seconds that scipy needs for the target."""
        seconds = self._values("reference_seconds")
        return float(np.median(seconds)) if seconds else None

    @cached_property
    def reference_error(self) -> float | None:
        """The certificate of scipy's solution of the target."""
        return next(iter(self._values("reference_error")), None)

    def _values(self, key: str) -> list[float]:
        rows = [row for seeds in self.rows.values() for row in seeds.values()]
        return [row[key] for row in rows if row[key] is not None]

    def pairs(self, one: str, other: str) -> tuple[np.ndarray, np.ndarray]:
        """Target errors of two variants over the seeds of both; infinite for a failure.

        Seeds for which both failed, or one is ungraded, are left out.
        """
        pairs = np.array(list(self.errors(one, other).values()), float).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def errors(self, one: str, other: str) -> dict[int, tuple[float, float]]:
        """`pairs`, by seed."""
        rows, other_rows = self.rows.get(one, {}), self.rows.get(other, {})
        pairs = {}
        for seed in [seed for seed in rows if seed in other_rows]:
            error, other_error = error_of_row(rows[seed]), error_of_row(other_rows[seed])
            if error is not None and other_error is not None:
                pairs[seed] = error, other_error
        return {seed: pair for seed, pair in pairs.items() if math.isfinite(min(pair))}

    def source_of(self, seed: int) -> Source:
        """A key of the source of a seed's cells: equal for all targets of that source."""
        return self.family, _items(self.source), self.until, seed


def group_rows(rows: Iterable[Row]) -> list[Group]:
    """Rows by transfer, in the order of their first appearance."""
    groups: dict[str, Group] = {}
    for row in rows:
        common = {key: row[key] for key in COMMON}
        transfer = json.dumps(common, sort_keys=True)
        group = groups.setdefault(transfer, Group(**common, rows={}))
        group.rows.setdefault(row["variant"], {})[row["seed"]] = row
    return list(groups.values())


def variant_names(groups: Iterable[Group]) -> list[str]:
    """Names of the variants, in the order of their first appearance."""
    return list(dict.fromkeys(name for group in groups for name in group.rows))


def data_text(labels: int, noise: float | None, physics: bool) -> list[str]:
    """What a transfer learns from beside the equation, in words."""
    size = noise or 0.0  # None where it is not known
    texts = {f"{labels} labels": labels, f"{size:.0%} noise": size, "no physics": not physics}
    return [text for text, given in texts.items() if given]


def coefficient_text(values: Mapping[str, float]) -> str:
    """As `nu=0.003183, beta=2`, with four digits."""
    return named_numbers(values, digits=4)


def varying_names(ends: Iterable[Mapping[str, float]]) -> set[str]:
    """The coefficients that are not the same in all of some sources and targets."""
    values: dict[str, set[float]] = {}
    for end in ends:
        for name, value in end.items():
            values.setdefault(name, set()).add(value)
    return {name for name, different in values.items() if len(different) > 1}


def error_of_row(row: Row) -> float | None:
    """On the target; infinite without a result, None without a reference to grade it."""
    error = row["target_error"]
    if error is not None:
        return max(error, TINY) if math.isfinite(error) else math.inf
    failed = row.get("fault") is not None or row.get("reference_error") is not None
    return math.inf if failed else None


def _items(values: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(values.items()))
