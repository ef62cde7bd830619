"""Statistics of a study, from its rows alone: medians, paired intervals, tests, thresholds.

Methods are compared within a group: the same family, source, target, labels, noise and physics. A
pair is one seed of two methods of a group: they share source, collocation and labels.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.stats import rankdata, wilcoxon

from pacpde.studies.ledger import Row

RESAMPLES = 10_000
COVERAGE = 0.95
FEWEST = 5  # pairs for a test


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
    noise: float
    physics: bool
    rows: Mapping[str, Mapping[int, Row]]

    @property
    def name(self) -> str:
        """What changes, in words: `burgers nu=0.00318→0.00637`."""
        changed = [
            f"{name}={self.source[name]:.4g}→{value:.4g}"
            for name, value in self.target.items()
            if value != self.source[name]
        ] or ["to itself"]
        extra = [] if not self.labels else [f"{self.labels} labels"]
        extra += [f"{self.noise:.0%} noise"] if self.noise else []
        extra += [] if self.physics else ["no physics"]
        extra += [] if self.until is None else [f"t ≤ {self.until:g}"]
        return f"{self.family} {', '.join([*changed, *extra])}"

    @cached_property
    def distance(self) -> float | None:
        """‖u_T − u_S‖ / ‖u_T‖."""
        known = [row["distance"] for row in self._all if row["distance"] is not None]
        return known[0] if known else None

    @cached_property
    def reference_seconds(self) -> float | None:
        """Of scipy on the target, the median over the times it was asked."""
        known = [r["reference_seconds"] for r in self._all if r["reference_seconds"] is not None]
        return float(np.median(known)) if known else None

    @cached_property
    def reference_error(self) -> float | None:
        """The certificate of scipy's solution of the target."""
        known = [r["reference_error"] for r in self._all if r["reference_error"] is not None]
        return known[0] if known else None

    @property
    def _all(self) -> list[Row]:
        return [row for seeds in self.rows.values() for row in seeds.values()]

    def pairs(self, one: str, other: str) -> tuple[np.ndarray, np.ndarray]:
        """Target errors of two variants over the seeds of both; infinite for a failure.

        Seeds for which both failed are left out.
        """
        here, there = self.rows.get(one, {}), self.rows.get(other, {})
        both = [(_error(here[seed]), _error(there[seed])) for seed in here if seed in there]
        known = np.array([pair for pair in both if np.isfinite(pair).any()], float).reshape(-1, 2)
        return known[:, 0], known[:, 1]


@dataclass(frozen=True)
class Spread:
    """Of one variant in one group.

    Attributes:
        tried, failed: cells; a failed one has no finite error. It counts, as the worst.
        converged: cells that ended so.
        median, low, high: of the target error with its quartiles; infinite where failures reach it.
        seconds: median, on the target and its source stages.
        to: error, as text → (median seconds until it, cells that reached it).
    """

    tried: int
    failed: int
    converged: int
    median: float
    low: float
    high: float
    seconds: float | None
    to: Mapping[str, tuple[float | None, int]]


@dataclass(frozen=True)
class Ratio:
    """Error of one variant over another's, paired by seed.

    Attributes:
        ratio: exp of the mean log ratio over pairs of results; below 1 the first is better.
        median: of the ratios, those of failures among them.
        low, high: its bootstrap interval over seeds, see `COVERAGE`.
        p: of the Wilcoxon signed-rank test over all pairs, a failure as the largest difference,
            after Holm's correction; None with too few pairs.
        pairs: how many.
        wins: of them the first is better in so many, the failures of the second among them.
        failures: pairs in which one of the two failed: in `wins` and `p`, not in `ratio`.
    """

    one: str
    other: str
    ratio: float
    low: float
    high: float
    p: float | None
    pairs: int
    wins: int
    failures: int = 0
    median: float = math.nan


def groups(rows: Iterable[Row]) -> list[Group]:
    """Rows by transfer, in the order of their first appearance."""
    found: dict[Any, dict[str, dict[int, Row]]] = {}
    first: dict[Any, Row] = {}
    for row in rows:
        what = (
            row["family"], _items(row["source"]), _items(row["target"]), row["until"],
            row["labels"], row["noise"], row["physics"],
        )  # fmt: skip
        first.setdefault(what, row)
        found.setdefault(what, {}).setdefault(row["variant"], {})[row["seed"]] = row
    return [
        Group(
            **{
                key: first[what][key]
                for key in ("family", "source", "target", "until", "labels", "noise", "physics")
            },
            rows=variants,
        )
        for what, variants in found.items()
    ]


def variant_names(found: Iterable[Group]) -> list[str]:
    """In the order of their first appearance."""
    return list(dict.fromkeys(name for group in found for name in group.rows))


def spread(rows: Sequence[Row], thresholds: Sequence[str] = ("0.01", "0.001")) -> Spread:
    """Median and quartiles of the error (of its logarithm), failures counted as infinite."""
    errors = [_error(row) for row in rows]
    low, median, high = (_quantile(errors, share) for share in (0.25, 0.5, 0.75))
    seconds = [row["seconds"]["total"] for row in rows if row["seconds"]["total"] is not None]
    return Spread(
        len(rows),
        sum(math.isinf(error) for error in errors),
        sum(row["outcome"] == "converged" for row in rows),
        median,
        low,
        high,
        float(np.median(seconds)) if seconds else None,
        {threshold: time_to(rows, threshold) for threshold in thresholds},
    )


def time_to(rows: Sequence[Row], threshold: str) -> tuple[float | None, int]:
    """Median seconds on the target until an error, and how many reached it.

    Cells that never did are censored at the end of their fit, not left out: the median is that of
    Kaplan & Meier (1958), None where fewer than half get there.
    """
    events = []
    for row in rows:
        reached = (row["seconds_to"] or {}).get(threshold)
        if reached is not None:
            events.append((reached, True))
        elif row["seconds"]["calibrate"] is not None:
            events.append((row["seconds"]["calibrate"], False))
        else:
            events.append((math.inf, False))
    alive, left = 1.0, len(events)
    median = None
    for seconds, there in sorted(events, key=lambda event: (event[0], not event[1])):
        if there:
            alive *= 1 - 1 / left
            if median is None and alive <= 0.5 + 1e-12:
                median = seconds
        left -= 1
    return median, sum(there for _, there in events)


def ratios(group: Group, base: str) -> list[Ratio]:
    """Every other variant of a group against `base`; p-values are Holm's over these."""
    found = [_ratio(name, base, *group.pairs(name, base)) for name in group.rows if name != base]
    return _holm(found)


def overall(found: Sequence[Group], base: str) -> list[Ratio]:
    """Every variant against `base` over all groups that have both, pairs of all groups pooled."""
    names = [name for name in variant_names(found) if name != base]
    made = []
    for name in names:
        pairs = [group.pairs(name, base) for group in found]
        made.append(
            _ratio(name, base, np.concatenate([p[0] for p in pairs] or [np.zeros(0)]),
                   np.concatenate([p[1] for p in pairs] or [np.zeros(0)]))
        )  # fmt: skip
    return _holm(made)


def ranks(found: Sequence[Group]) -> dict[str, float]:
    """Mean rank of the median error over the groups that have every variant; 1 is best."""
    names = variant_names(found)
    whole = [group for group in found if set(group.rows) == set(names)]
    if not whole:
        return {}
    table = [[spread(list(g.rows[name].values())).median for name in names] for g in whole]
    mean = np.mean([rankdata(line) for line in table], axis=0)
    return dict(sorted(zip(names, mean.tolist(), strict=True), key=lambda pair: pair[1]))


def break_even(rows: Sequence[Row], scratch: Sequence[Row], threshold: str) -> float | None:
    """Targets from which on transfer, its source's training counted, is quicker than scratch.

    n · (seconds a target from scratch) = source + n · (seconds a target), to the same error; None
    where it never is, or one of them does not get there in the median.
    """
    mine, theirs = time_to(rows, threshold)[0], time_to(scratch, threshold)[0]
    source = [row["seconds"]["source"] for row in rows if row["seconds"]["source"] is not None]
    if mine is None or theirs is None or not source or theirs <= mine:
        return None
    stages = [
        (row["seconds"]["prune"] or 0) + (row["seconds"]["allocate"] or 0)
        for row in rows
        if row["seconds"]["total"] is not None
    ]
    return (float(np.median(source)) + float(np.median(stages))) / (theirs - mine)


def _ratio(one: str, other: str, here: np.ndarray, there: np.ndarray) -> Ratio:
    logs = np.log(here) - np.log(there)
    known = logs[np.isfinite(logs)]
    ratio = low = high = math.nan
    if len(known):
        rng = np.random.default_rng(0)
        means = known[rng.integers(len(known), size=(RESAMPLES, len(known)))].mean(1)
        low, high = np.exp(np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]))
        ratio = np.exp(known.mean())
    p = None
    if len(logs) >= FEWEST and np.any(logs):
        most = 1 + np.abs(known).max(initial=0)
        p = float(wilcoxon(np.clip(logs, -most, most)).pvalue)
    return Ratio(
        one, other, float(ratio), float(low), float(high), p,
        len(logs), int((logs < 0).sum()), len(logs) - len(known),
        float(np.exp(np.median(logs))) if len(logs) else math.nan,
    )  # fmt: skip


def _holm(found: Sequence[Ratio]) -> list[Ratio]:
    """Holm (1979): the k-th smallest of m p-values times m − k + 1, never falling."""
    order = sorted((r for r in found if r.p is not None), key=lambda r: r.p or 0)
    corrected, highest = {}, 0.0
    for k, one in enumerate(order):
        assert one.p is not None
        highest = max(highest, min(1.0, one.p * (len(order) - k)))
        corrected[one.one] = highest
    return [replace(ratio, p=corrected.get(ratio.one)) for ratio in found]


def _quantile(errors: Sequence[float], share: float) -> float:
    """Of the logarithms; infinite where a failure takes part."""
    ordered = np.sort(np.asarray(errors, float))
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    if math.isinf(above):
        return float(above) if place > math.floor(place) or math.isinf(below) else float(below)
    weight = place - math.floor(place)
    return float(np.exp((1 - weight) * np.log(below) + weight * np.log(above)))


def _error(row: Row) -> float:
    """On the target; infinite without a result."""
    error = row["target_error"]
    return error if error is not None and math.isfinite(error) else math.inf


def _items(values: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(values.items()))
