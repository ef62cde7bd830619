"""Statistics of a study, from its rows alone: medians, paired intervals, tests, thresholds.

Methods are compared within a group (see `pacpde.studies.groups`). A pair is one seed of two methods
of a group: they share source, collocation and labels. Pairs of one trained source are not
independent, whatever their targets: intervals and tests are by source.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import bootstrap, rankdata, wilcoxon

from pacpde.studies.groups import Group, Source, error_of_row, variant_names
from pacpde.studies.records import Row

RESAMPLES = 10_000
COVERAGE = 0.95
FEWEST = 5  # sources for a test; fewer cannot get near p = 0.05
ENOUGH = 10  # sources from which an interval covers about as much as it says


@dataclass(frozen=True)
class ErrorSummary:
    """Summary of the target errors of one variant in one group.

    Attributes:
        tried, failed: cells; a failed one has no finite error. It counts, as the worst.
        converged: cells that ended so.
        median, low, high: of the target error with its quartiles; infinite where failures reach it,
            None where every cell is ungraded.
        seconds: median, on the target and its source stages.
        to: error, as text → (median seconds until it, cells that reached it).
        ungraded: cells with a result and without an error.
    """

    tried: int
    failed: int
    converged: int
    median: float | None
    low: float | None
    high: float | None
    seconds: float | None
    to: Mapping[str, tuple[float | None, int]]
    ungraded: int = 0


@dataclass(frozen=True)
class Ratio:
    """Ratio of the errors of a variant and of a baseline, paired by seed.

    Attributes:
        variant, baseline: their names.
        ratio: exp of the mean log ratio over pairs of results; below 1 the variant is better.
        median: of the ratios, those of failures among them; not a number where both failed as
            often.
        low, high: its interval of `COVERAGE`, from a bootstrap that draws sources with all of their
            pairs; not a number with one source. It is too narrow with few, see `ENOUGH`.
        p: of the Wilcoxon signed-rank test over the sources' mean log ratios, a failure as the
            largest difference of a pair, after Holm's correction; None with too few sources.
        pairs: number of pairs.
        wins: number of pairs in which the variant is better; failures of the baseline count.
        failures: pairs in which one of the two failed: in `wins` and `p`, not in `ratio`.
        sources: number of trained sources that the pairs are from.
        sources_better, sources_worse: number of sources whose mean log ratio is below and above 0;
            failures as for `p`.
    """

    variant: str
    baseline: str
    ratio: float
    low: float
    high: float
    p: float | None
    pairs: int
    wins: int
    failures: int = 0
    median: float = math.nan
    sources: int = 0
    sources_better: int = 0
    sources_worse: int = 0


def error_summary(
    rows: Sequence[Row], thresholds: Sequence[str] = ("0.01", "0.001")
) -> ErrorSummary:
    """Median and quartiles of the error (of its logarithm), failures counted as infinite."""
    errors = [error for row in rows if (error := error_of_row(row)) is not None]
    low, median, high = (
        _quantile(errors, share) if errors else None for share in (0.25, 0.5, 0.75)
    )
    seconds = [row["seconds"]["total"] for row in rows if row["seconds"]["total"] is not None]
    return ErrorSummary(
        len(rows),
        sum(math.isinf(error) for error in errors),
        sum(row["outcome"] == "converged" for row in rows),
        median,
        low,
        high,
        float(np.median(seconds)) if seconds else None,
        {threshold: time_to(rows, threshold) for threshold in thresholds},
        len(rows) - len(errors),
    )


def time_to(rows: Sequence[Row], threshold: str) -> tuple[float | None, int]:
    """Median seconds on the target until an error, and how many reached it.

    A cell that never got there takes for ever, however soon its fit ended: the median is the time
    by which half of the graded cells are there, None where fewer are.
    """
    graded = [row for row in rows if error_of_row(row) is not None]
    reached = [(row["seconds_to"] or {}).get(threshold) for row in graded]
    times = sorted(math.inf if seconds is None else seconds for seconds in reached)
    there = sum(math.isfinite(seconds) for seconds in times)
    median = times[(len(times) - 1) // 2] if times else math.inf
    return (median if math.isfinite(median) else None), there


def ratios(group: Group, base: str) -> list[Ratio]:
    """Every other variant of a group against `base`; p-values are Holm's over these."""
    return overall([group], base)


def overall(groups: Sequence[Group], base: str) -> list[Ratio]:
    """Every variant against `base` over all groups that have both, by source; p-values are Holm's.

    A source that serves several groups counts once.
    """
    compared = []
    for name in variant_names(groups):
        if name == base:
            continue
        logs: dict[Source, list[float]] = {}
        for group in groups:
            for seed, (error, other) in group.errors(name, base).items():
                logs.setdefault(group.source_of(seed), []).append(math.log(error) - math.log(other))
        compared.append(_ratio(name, base, list(logs.values())))
    return _holm(compared)


def ranks(groups: Sequence[Group]) -> dict[str, float]:
    """Mean rank of every variant over the sources of `ranked`; 1 is best."""
    table = list(ranked(groups).values())
    if not table:
        return {}
    mean = np.mean(table, axis=0).tolist()
    best = sorted(zip(variant_names(groups), mean, strict=True), key=lambda pair: pair[1])
    return dict(best)


def ranked(groups: Sequence[Group]) -> dict[Source, np.ndarray]:
    """Ranks of all variants, in the order of their names, by every source that has all of them.

    A source ranks the geometric means of the errors on its targets, a failure as the worst; targets
    that not every variant was graded on are left out.
    """
    names = variant_names(groups)
    logs: dict[Source, list[list[float]]] = {}
    for group in groups:
        if set(group.rows) != set(names):
            continue
        for seed in group.rows[names[0]]:
            cells = [group.rows[name].get(seed) for name in names]
            errors = [error for cell in cells if cell and (error := error_of_row(cell)) is not None]
            if len(errors) == len(names):
                logs.setdefault(group.source_of(seed), []).append([*map(math.log, errors)])
    return {source: rankdata(np.mean(lines, axis=0)) for source, lines in logs.items()}


def break_even(rows: Sequence[Row], scratch: Sequence[Row], threshold: str) -> float | None:
    """Targets from which on transfer, its source's training counted, is quicker than scratch.

    n · (seconds a target from scratch) = source + n · (seconds a target), to the same error; None
    where it never is, or fewer than half of the cells of one of them get there.
    """
    seconds, from_scratch = time_to(rows, threshold)[0], time_to(scratch, threshold)[0]
    source = [row["seconds"]["source"] for row in rows if row["seconds"]["source"] is not None]
    if seconds is None or from_scratch is None or not source or from_scratch <= seconds:
        return None
    stages = [
        (row["seconds"]["prune"] or 0) + (row["seconds"]["allocate"] or 0)
        for row in rows
        if row["seconds"]["total"] is not None
    ]
    return (float(np.median(source)) + float(np.median(stages))) / (from_scratch - seconds)


def _ratio(one: str, other: str, logs: Sequence[Sequence[float]]) -> Ratio:
    """From the log ratios of every source's pairs; infinite where one of a pair failed."""
    every = np.array([log for some in logs for log in some], float)
    finite = every[np.isfinite(every)]
    low, high = _interval(logs)
    most = 1 + np.abs(finite).max(initial=0)  # a failure is the largest difference
    means = np.array([np.clip(some, -most, most).mean() for some in logs], float)
    with np.errstate(invalid="ignore"):  # one failed as often as the other
        median = float(np.exp(np.median(every))) if len(every) else math.nan
    p = None
    if len(means) >= FEWEST and np.any(means):
        p = float(wilcoxon(means).pvalue)
    return Ratio(
        one,
        other,
        float(np.exp(finite.mean())) if len(finite) else math.nan,
        low,
        high,
        p,
        pairs=len(every),
        wins=int((every < 0).sum()),
        failures=len(every) - len(finite),
        median=median,
        sources=len(logs),
        sources_better=int((means < 0).sum()),
        sources_worse=int((means > 0).sum()),
    )


def _interval(logs: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Bootstrap interval of the ratio: sources are drawn, each with all of its pairs."""
    finite = [[log for log in some if math.isfinite(log)] for some in logs]
    counts = np.array([len(some) for some in finite if some], float)
    sums = np.array([sum(some) for some in finite if some], float)
    if len(sums) < 2:
        return math.nan, math.nan

    def mean(total: np.ndarray, count: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(total.sum(axis) / count.sum(axis))

    drawn = bootstrap(
        (sums, counts),
        mean,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=COVERAGE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(np.exp(drawn.low)), float(np.exp(drawn.high))


def _holm(ratios: Sequence[Ratio]) -> list[Ratio]:
    """Holm (1979): the k-th smallest of m p-values times m − k + 1, never falling."""
    order = sorted((r for r in ratios if r.p is not None), key=lambda r: r.p or 0)
    corrected, highest = {}, 0.0
    for k, one in enumerate(order):
        assert one.p is not None
        highest = max(highest, min(1.0, one.p * (len(order) - k)))
        corrected[one.variant] = highest
    return [replace(ratio, p=corrected.get(ratio.variant)) for ratio in ratios]


def _quantile(errors: Sequence[float], share: float) -> float:
    """Quantile of the logarithms of errors; infinite where a failure takes part."""
    ordered = np.sort(np.asarray(errors, float))
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    if math.isinf(above):
        return float(above) if place > math.floor(place) or math.isinf(below) else float(below)
    weight = place - math.floor(place)
    return float(np.exp((1 - weight) * np.log(below) + weight * np.log(above)))
