"""Statistics against other packages, and against small cases worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import CensoredData, bootstrap, ecdf, wilcoxon

from pacpde.studies import statistics
from pacpde.studies.statistics import groups
from tests.rows import row


def test_groups_by_transfer() -> None:
    rows = [row("a", 0, 1e-3), row("b", 0, 2e-3), row("a", 0, 1e-2, target={"alpha": 0.8})]
    first, second = groups(rows)
    assert first.name == "heat alpha=0.4→0.2" and list(first.rows) == ["a", "b"]
    assert second.name == "heat alpha=0.4→0.8" and first.distance == 0.5


def test_a_failure_counts_as_the_worst() -> None:
    rows = [row("a", k, error) for k, error in enumerate([1e-4, 1e-2, None])]
    found = statistics.spread(rows)
    assert (found.tried, found.failed) == (3, 1)
    assert found.median == pytest.approx(1e-2)
    assert found.low == pytest.approx(1e-3)  # half way between 1e-4 and 1e-2 in the logarithm
    assert found.high == math.inf


def test_quartiles_are_those_of_the_logarithm() -> None:
    errors = np.exp(np.random.default_rng(1).normal(size=12))
    found = statistics.spread([row("a", k, e) for k, e in enumerate(errors)])
    expected = np.exp(np.quantile(np.log(errors), [0.25, 0.5, 0.75]))
    np.testing.assert_allclose([found.low, found.median, found.high], expected)


def test_ratio_interval_and_test_are_paired_by_seed() -> None:
    rng = np.random.default_rng(2)
    base = np.exp(rng.normal(size=15))  # seeds differ much, methods little
    mine = base * np.exp(rng.normal(-0.5, 0.3, size=15))
    rows = [row("base", k, e) for k, e in enumerate(base)]
    rows += [row("mine", k, e) for k, e in enumerate(mine)]
    rows += [row("mine", 99, 1e9)]  # no partner: not in a pair
    (group,) = groups(rows)
    (found,) = statistics.ratios(group, "base")
    logs = np.log(mine / base)
    expected = bootstrap((logs,), np.mean, method="percentile", random_state=0, n_resamples=10_000)
    assert found.pairs == 15 and found.wins == int((logs < 0).sum())
    assert math.log(found.ratio) == pytest.approx(logs.mean())
    assert math.log(found.low) == pytest.approx(expected.confidence_interval.low, abs=0.02)
    assert math.log(found.high) == pytest.approx(expected.confidence_interval.high, abs=0.02)
    assert found.p == pytest.approx(wilcoxon(logs).pvalue)


def test_a_pair_with_one_failure_is_won_by_the_other() -> None:
    rows = [row("base", k, 1e-3 * (k + 1)) for k in range(6)]
    rows += [row("mine", k, 2e-3 * (k + 1) ** 1.1) for k in range(4)]
    rows += [row("mine", k, None) for k in (4, 5)]
    rows += [row("base", 9, None), row("mine", 9, None)]  # says nothing of either
    (group,) = groups(rows)
    (found,) = statistics.ratios(group, "base")
    assert (found.pairs, found.wins, found.failures) == (6, 0, 2)
    logs = np.log([2 * (k + 1) ** 0.1 for k in range(4)])
    assert math.log(found.ratio) == pytest.approx(logs.mean())
    assert found.p == pytest.approx(wilcoxon([*logs, 100, 100]).pvalue)


def test_holm() -> None:
    given = {"a": 0.04, "b": 0.01, "c": 0.03}
    made = [statistics.Ratio(name, "x", 1, 1, 1, p, 9, 0) for name, p in given.items()]
    assert [r.p for r in statistics._holm(made)] == pytest.approx([0.06, 0.03, 0.06])


def test_time_to_an_error_is_censored() -> None:
    def cell(seconds: float, reached: bool) -> dict[str, Any]:
        spent = {"source": 1.0, "prune": 0.0, "allocate": 0.0, "calibrate": seconds, "total": 1.0}
        return row("a", 0, 1e-3, seconds=spent, seconds_to={"0.01": seconds} if reached else {})

    rows = [cell(1, True), cell(2, False), cell(3, True), cell(4, True), cell(5, False)]
    kept = CensoredData(uncensored=[1, 3, 4], right=[2, 5])
    curve = ecdf(kept).sf
    expected = curve.quantiles[np.flatnonzero(curve.probabilities <= 0.5)[0]]
    assert statistics.time_to(rows, "0.01") == (expected, 3)
    assert statistics.time_to([cell(1, True), cell(2, False), cell(3, False)], "0.01") == (None, 1)


def test_break_even() -> None:
    def cells(seconds: float) -> list[dict[str, Any]]:
        return [row("a", k, 1e-4, seconds_to={"0.01": seconds}) for k in range(3)]

    assert statistics.break_even(cells(2.0), cells(7.0), "0.01") == pytest.approx(10 / 5)
    assert statistics.break_even(cells(8.0), cells(7.0), "0.01") is None
    assert statistics.break_even(cells(2.0), [row("a", 0, 1.0)], "0.01") is None


def test_ranks() -> None:
    rows = [row("a", 0, 1e-3), row("b", 0, 1e-4), row("c", 0, None)]
    assert statistics.ranks(groups(rows)) == {"b": 1.0, "a": 2.0, "c": 3.0}
