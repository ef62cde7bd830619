"""The summary of a study in sentences, computed from its records."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from pacpde.plots.numbers import two_digits
from pacpde.plots.style import readable
from pacpde.studies.groups import Group, error_of_row, variant_names
from pacpde.studies.records import Row
from pacpde.studies.statistics import Ratio, error_summary, overall

SIGNIFICANCE = 0.05  # level of the tests
MAX_SENTENCES = 6  # with more methods, methods of the same verdict share a sentence
SCIPY = "scipy"  # solves the target by itself: no way to transfer
WINS, LOSES, OPEN = "wins against", "loses against", "is not told apart from"
# With too few sources for a test, a sentence says the direction only.
EVERY = " from every source"
AHEAD, BEHIND = (f"has a {size} error{EVERY} than" for size in ("smaller", "larger"))
SEVERAL = {
    WINS: "win against",
    AHEAD: AHEAD.replace("has", "have"),
    OPEN: "are not told apart from",
    BEHIND: BEHIND.replace("has", "have"),
    LOSES: "lose against",
}


def summary(groups: Sequence[Group], rows: Sequence[Row], planned: int) -> list[str]:
    """The sentences, the most general first.

    Args:
        groups: the results of each transfer, see `pacpde.studies.groups`.
        rows: one a cell of the study.
        planned: number of cells of the complete study.
    """
    sentences = [_counts(groups, rows, planned)]
    for family in dict.fromkeys(group.family for group in groups):
        of_family = [group for group in groups if group.family == family]
        sentences += [
            _best(family, of_family),
            *comparisons(family, of_family, baseline_of(of_family)),
        ]
    sentences += [_recall(rows), _scipy(groups, rows)]
    return [sentence for sentence in sentences if sentence]


def baseline_of(groups: Sequence[Group]) -> str | None:
    """The variant that the others are compared with: scratch, else warm start, else the first."""
    names = variant_names(groups)
    for wanted in ("scratch", "warm_start"):
        for name in names:
            if name.partition(" (")[0] == wanted:
                return name
    return names[0] if names else None


def _counts(groups: Sequence[Group], rows: Sequence[Row], planned: int) -> str:
    failed = sum(row["fault"] is not None for row in rows)
    short = sum(row["fault"] is None and row["outcome"] != "converged" for row in rows)
    seeds = {row["seed"] for row in rows}
    parts = [
        f"{len(rows)} of {planned} cells: {_number(len(groups), 'transfer')}, {_methods(rows)}, "
        f"{_number(len(seeds), 'seed')}"
    ]
    if failed < len(rows):
        parts.append(f"{short} did not converge" if short else "all that ran converged")
    ungraded = sum(error_of_row(row) is None for row in rows)
    if ungraded:
        parts.append(f"{ungraded} have no reference and are ungraded")
    if failed:
        parts.append(f"{failed} have no result and count as the worst")
    return "; ".join(parts) + "."


def _methods(rows: Sequence[Row]) -> str:
    """The number of methods; variants of a method count once, and scipy does not count."""
    variants = {row["variant"] for row in rows}
    names = {variant.partition(" (")[0] for variant in variants}
    beside = " and scipy" if SCIPY in names else ""
    ways = [variant for variant in variants if variant.partition(" (")[0] != SCIPY]
    count = len(names - {SCIPY})
    several = f" in {len(ways)} variants" if len(ways) > count else ""
    return f"{_number(count, 'method')}{several}{beside}"


def _best(family: str, groups: Sequence[Group]) -> str:
    wins: dict[str, int] = {}
    for group in groups:
        medians = {name: error_summary(list(r.values())).median for name, r in group.rows.items()}
        known = {name: m for name, m in medians.items() if m is not None and math.isfinite(m)}
        if known:
            best = min(known, key=lambda name: known[name])
            wins[best] = wins.get(best, 0) + 1
    if not wins:
        cells = [row for group in groups for rows in group.rows.values() for row in rows.values()]
        if all(error_of_row(row) is None for row in cells):
            return f"{family}: no reference grades these transfers."
        return f"{family}: no method has a finite median error."
    if len(groups) == 1:
        return f"{family}: the smallest median error is that of {readable(next(iter(wins)))}."
    ordered = sorted(wins.items(), key=lambda item: -item[1])
    winners = ", ".join(f"{readable(name)} in {count}" for name, count in ordered)
    transfers = _number(len(groups), "transfer")
    return f"{family}: of {transfers} the smallest median error is that of {winners}."


def comparisons(family: str, groups: Sequence[Group], base: str | None) -> list[str]:
    """Compare each method of a family with a baseline.

    Returns:
        A sentence a method; with more than `MAX_SENTENCES` methods, a sentence a verdict.
    """
    if base is None:
        return []
    compared = [ratio for ratio in overall(groups, base) if ratio.pairs]
    if len(compared) <= MAX_SENTENCES:
        return [_compared(family, ratio) for ratio in compared]
    compared.sort(key=lambda ratio: ratio.ratio)
    alike = {verdict: [r for r in compared if _verdict(r) == verdict] for verdict in SEVERAL}
    return [_together(family, verdict, some) for verdict, some in alike.items() if some]


def _verdict(r: Ratio) -> str:
    if r.p is None:
        return {(r.sources, 0): AHEAD, (0, r.sources): BEHIND}.get(
            (r.sources_better, r.sources_worse), OPEN
        )
    compared = math.isfinite(r.high)  # else one of the two failed in every pair
    better = r.high < 1 if compared else r.sources_worse == 0
    worse = r.low > 1 if compared else r.sources_better == 0
    if r.p < SIGNIFICANCE and better:
        return WINS
    return LOSES if r.p < SIGNIFICANCE and worse else OPEN


def _together(family: str, verdict: str, some: Sequence[Ratio]) -> str:
    """One sentence on several methods of the same verdict."""
    methods = ", ".join(f"{readable(r.variant)} ({two_digits(r.ratio)})" for r in some)
    verb = verdict if len(some) == 1 else SEVERAL[verdict]
    if all(r.sources == 1 for r in some):
        verb = verb.replace(EVERY, "")
    pairs = _span(r.pairs for r in some)
    sources = _span(r.sources for r in some)
    few = f"; {_too_few(some[0])}" if all(r.p is None for r in some) else ""
    baseline = readable(some[0].baseline)
    return (
        f"{family}: {methods} {verb} {baseline}; in brackets the ratio of errors, "
        f"geometric mean of {pairs} pairs from {sources} source{'' if sources == '1' else 's'}"
        f"{few}."
    )


def _too_few(r: Ratio) -> str:
    if r.sources == 1:
        return "one source allows no interval and no test"
    return "too few sources for a test"


def _span(counts: Iterable[int]) -> str:
    known = sorted(counts)
    return str(known[0]) if known[0] == known[-1] else f"{known[0]} to {known[-1]}"


def _compared(family: str, r: Ratio) -> str:
    verb = _verdict(r) if r.sources > 1 else _verdict(r).replace(EVERY, "")
    p = _too_few(r) if r.p is None else f"p = {two_digits(r.p)} after Holm"
    failures = f", {r.failures} of them with one failure" if r.failures else ""
    return (
        f"{family}: {readable(r.variant)} {verb} {readable(r.baseline)}: {_size(r)}, smaller in "
        f"{r.wins} of {r.pairs} pairs{failures} from {_number(r.sources, 'source')}; {p}."
    )


def _size(r: Ratio) -> str:
    """How large the error is beside that of the baseline, in the mean and in the median."""
    if not math.isfinite(r.ratio):
        return "its error has no ratio, as one of the two failed in every pair"
    mean = f"its error is {two_digits(r.ratio)} times as large in the geometric mean"
    if math.isfinite(r.low):
        mean += f" (95 % interval {two_digits(r.low)} to {two_digits(r.high)})"
    if math.isnan(r.median):  # as often one fails as the other
        return mean
    if 0 < r.median < math.inf:
        return f"{mean}, {two_digits(r.median)} times in the median"
    return f"{mean}, {readable(r.variant if r.median else r.baseline)} fails in the median"


def _recall(rows: Sequence[Row]) -> str:
    """How much larger the error on the source is after the transfer, for methods that recall it."""
    ratios = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        pairs = [
            (row["source_error"]["trained"], row["source_error"]["recalled"])
            for row in rows
            if row["variant"] == name
            and row["source_error"]["recalled"] is not None
            and row["source_error"]["trained"]
        ]
        if pairs:
            ratio = float(np.median([after / before for before, after in pairs]))
            ratios.append(f"{readable(name)} {two_digits(ratio)}")
    if not ratios:
        return ""
    return (
        "The source is recalled at so many times its own error, in the median: "
        f"{', '.join(ratios)}; the other methods keep no source."
    )


def _scipy(groups: Sequence[Group], rows: Sequence[Row]) -> str:
    known = [g.reference_seconds for g in groups if g.reference_seconds is not None]
    spent = [
        row["seconds"]["total"]
        for row in rows
        if row["seconds"]["total"] is not None and row["source_error"]["trained"] is not None
    ]
    if not known or not spent:
        return ""
    return (
        f"scipy solves a target to its certificate in {two_digits(np.median(known))} s (median), a "
        f"transfer takes {two_digits(np.median(spent))} s, its source not counted."
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
