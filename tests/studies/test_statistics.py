"""Statistics against other packages, and against small cases worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import CensoredData, bootstrap, ecdf, wilcoxon

from pacpde.studies import statistics
from pacpde.studies.groups import Group, group_rows
from tests.rows import row


def test_groups_by_transfer() -> None:
    rows = [row("a", 0, 1e-3), row("b", 0, 2e-3), row("a", 0, 1e-2, target={"alpha": 0.8})]
    first, second = group_rows(rows)
    assert first.name == "heat alpha=0.4→0.2" and list(first.rows) == ["a", "b"]
    assert second.name == "heat alpha=0.4→0.8" and first.distance == 0.5


def test_a_failure_counts_as_the_worst() -> None:
    rows = [row("a", k, error) for k, error in enumerate([1e-4, 1e-2, None])]
    found = statistics.error_summary(rows)
    assert (found.tried, found.failed) == (3, 1)
    assert found.median == pytest.approx(1e-2)
    assert found.low == pytest.approx(1e-3)  # half way between 1e-4 and 1e-2 in the logarithm
    assert found.high == math.inf


def test_quartiles_are_those_of_the_logarithm() -> None:
    errors = np.exp(np.random.default_rng(1).normal(size=12))
    found = statistics.error_summary([row("a", k, e) for k, e in enumerate(errors)])
    expected = np.exp(np.quantile(np.log(errors), [0.25, 0.5, 0.75]))
    np.testing.assert_allclose([found.low, found.median, found.high], expected)


def test_ratio_interval_and_test_are_paired_by_seed() -> None:
    rng = np.random.default_rng(2)
    base = np.exp(rng.normal(size=15))  # seeds differ much, methods little
    mine = base * np.exp(rng.normal(-0.5, 0.3, size=15))
    rows = [row("base", k, e) for k, e in enumerate(base)]
    rows += [row("mine", k, e) for k, e in enumerate(mine)]
    rows += [row("mine", 99, 1e9)]  # no partner: not in a pair
    (group,) = group_rows(rows)
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
    (group,) = group_rows(rows)
    (found,) = statistics.ratios(group, "base")
    assert (found.pairs, found.wins, found.failures) == (6, 0, 2)
    logs = np.log([2 * (k + 1) ** 0.1 for k in range(4)])
    assert math.log(found.ratio) == pytest.approx(logs.mean())
    assert found.p == pytest.approx(wilcoxon([*logs, 100, 100]).pvalue)


def test_holm() -> None:
    given = {"a": 0.04, "b": 0.01, "c": 0.03}
    made = [statistics.Ratio(name, "x", 1, 1, 1, p, 9, 0) for name, p in given.items()]
    assert [r.p for r in statistics._holm(made)] == pytest.approx([0.06, 0.03, 0.06])


def spent(seconds: float, reached: bool) -> dict[str, Any]:
    """A cell whose fit took so long and reached 1e-2 at its end, or did not."""
    clocks = {"source": 1.0, "prune": 0.0, "allocate": 0.0, "calibrate": seconds, "total": 1.0}
    return row("a", 0, 1e-3, seconds=clocks, seconds_to={"0.01": seconds} if reached else {})


def test_a_fit_that_ends_early_without_an_error_never_reaches_it() -> None:
    """Three of ten get there after 10 s and seven stall after 1 s: half never get there."""
    rows = [spent(10, True)] * 3 + [spent(1, False)] * 7
    assert statistics.time_to(rows, "0.01") == (None, 3)
    assert statistics.break_even(rows, [spent(20, True)], "0.01") is None
    assert statistics.break_even([spent(5, True)], rows, "0.01") is None


def test_time_to_an_error_is_the_median_with_misses_as_never() -> None:
    rows = [spent(1, True), spent(2, False), spent(3, True), spent(4, True), spent(0.1, False)]
    kept = CensoredData(uncensored=[1, 3, 4], right=[5, 5])  # scipy takes no infinite times
    curve = ecdf(kept).cdf
    expected = curve.quantiles[np.flatnonzero(curve.probabilities >= 0.5)[0]]
    assert statistics.time_to(rows, "0.01") == (expected, 3) == (4, 3)
    assert statistics.time_to(rows[:4], "0.01") == (3, 3)
    assert statistics.time_to(rows[:2], "0.01") == (1, 1)


def test_break_even() -> None:
    def cells(seconds: float) -> list[dict[str, Any]]:
        return [row("a", k, 1e-4, seconds_to={"0.01": seconds}) for k in range(3)]

    assert statistics.break_even(cells(2.0), cells(7.0), "0.01") == pytest.approx(10 / 5)
    assert statistics.break_even(cells(8.0), cells(7.0), "0.01") is None
    assert statistics.break_even(cells(2.0), [row("a", 0, 1.0)], "0.01") is None


def test_ranks() -> None:
    rows = [row("a", 0, 1e-3), row("b", 0, 1e-4), row("c", 0, None)]
    assert statistics.ranks(group_rows(rows)) == {"b": 1.0, "a": 2.0, "c": 3.0}


def of_targets(errors: dict[int, list[tuple[float, float]]]) -> list[Group]:
    """Groups of as many targets; seed → (error of "mine", error of "base") on each."""
    rows = []
    for seed, pairs in errors.items():
        for number, (mine, base) in enumerate(pairs):
            target = {"target": {"alpha": 0.1 + 0.01 * number}}
            rows += [row("mine", seed, mine, **target), row("base", seed, base, **target)]
    return group_rows(rows)


def test_targets_of_one_source_are_not_independent() -> None:
    """Fifteen pairs from three sources: what differs are the sources."""
    by_source = {0: 0.5, 1: 0.7, 2: 1.2}
    errors = {seed: [(1e-3 * ratio, 1e-3)] * 5 for seed, ratio in by_source.items()}
    (found,) = statistics.overall(of_targets(errors), "base")
    assert (found.pairs, found.sources, found.sources_better, found.sources_worse) == (15, 3, 2, 1)
    assert found.p is None  # three sources allow no test, however many pairs there are
    logs = np.log(list(by_source.values()))
    expected = bootstrap((logs,), np.mean, method="percentile", rng=0, n_resamples=10_000)
    assert math.log(found.ratio) == pytest.approx(logs.mean())
    assert math.log(found.low) == pytest.approx(expected.confidence_interval.low, abs=1e-9)
    assert math.log(found.high) == pytest.approx(expected.confidence_interval.high, abs=1e-9)


def test_the_test_is_by_source() -> None:
    rng = np.random.default_rng(3)
    shifts = rng.normal(-0.3, 0.5, size=12)
    noise = rng.normal(size=(12, 4)) * 0.1
    errors = {
        seed: [(1e-3 * math.exp(shift + e), 1e-3) for e in some]
        for seed, (shift, some) in enumerate(zip(shifts, noise, strict=True))
    }
    (found,) = statistics.overall(of_targets(errors), "base")
    means = shifts + noise.mean(1)
    assert (found.pairs, found.sources) == (48, 12)
    assert found.p == pytest.approx(wilcoxon(means).pvalue)


def test_sources_count_by_their_pairs() -> None:
    errors = {0: [(1e-3, 1e-3)] * 3, 1: [(1e-2, 1e-3)]}
    (found,) = statistics.overall(of_targets(errors), "base")
    assert found.ratio == pytest.approx(10**0.25)
    assert (found.low, found.high) == (pytest.approx(1.0), pytest.approx(10.0))


def test_one_source_has_no_interval() -> None:
    for pairs in ([(2e-3, 1e-3)], [(2e-3, 1e-3), (3e-3, 1e-3)]):
        (found,) = statistics.overall(of_targets({0: pairs}), "base")
        assert found.sources == 1 and found.p is None
        assert math.isnan(found.low) and math.isnan(found.high)


def test_other_time_spans_and_coefficients_are_other_sources() -> None:
    rows = []
    for until in (None, 0.5):
        for alpha in (0.4, 0.8):
            where = {"source": {"alpha": alpha}, "until": until}
            rows += [row("mine", 0, 2e-3, **where), row("base", 0, 1e-3, **where)]
    (found,) = statistics.overall(group_rows(rows), "base")
    assert (found.pairs, found.sources) == (4, 4)


def test_ranks_are_by_source() -> None:
    """On two of three targets "mine" is a little better, on the third much worse."""
    errors = {0: [(0.9e-3, 1e-3)] * 2 + [(1e-1, 1e-3)], 1: [(2e-3, 1e-3)] * 3}
    found = of_targets(errors)
    assert statistics.ranks(found) == {"base": 1.0, "mine": 2.0}
    assert len(statistics.ranked(found)) == 2


def ungraded(variant: str, seed: int) -> dict[str, Any]:
    """A cell whose target has no reference."""
    return row(variant, seed, None, reference_error=None, reference_seconds=None, distance=None)


def test_what_no_reference_grades_counts_in_no_statistic_of_errors() -> None:
    rows = [row("a", 0, 1e-3), ungraded("a", 1), row("b", 0, 2e-3), row("b", 1, 1e-9)]
    found = statistics.error_summary(rows[:2])
    assert (found.tried, found.failed, found.ungraded) == (2, 0, 1)
    assert found.median == pytest.approx(1e-3)
    nothing = statistics.error_summary([ungraded("a", 1)])
    assert (nothing.median, nothing.low, nothing.high, nothing.failed) == (None, None, None, 0)
    (ratio,) = statistics.ratios(group_rows(rows)[0], "b")
    assert (ratio.pairs, ratio.failures) == (1, 0)
    assert statistics.time_to(rows[:2], "0.01") == (None, 0)
    assert statistics.ranks(group_rows([ungraded("a", 0), row("b", 0, 1.0)])) == {}
    assert group_rows([ungraded("a", 0)])[0].distance is None


def test_an_error_of_zero_is_a_result() -> None:
    (found,) = statistics.overall(of_targets({0: [(0.0, 1e-3)], 1: [(1e-3, 1e-3)]}), "base")
    assert (found.failures, found.wins) == (0, 1)
    assert math.isfinite(found.ratio)
