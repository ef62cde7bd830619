"""A study's summary in words, each sentence made from its numbers."""

import math
from collections.abc import Sequence

import numpy as np

from pacpde.plots.style import readable
from pacpde.studies.ledger import Row
from pacpde.studies.statistics import Group, Ratio, overall, spread, variant_names

SURE = 0.05
FEW = 6  # methods, each of which gets a sentence
WINS, LOSES, OPEN = "wins against", "loses against", "is not told apart from"
SEVERAL = {WINS: "win against", LOSES: "lose against", OPEN: "are not told apart from"}


def summary(found: Sequence[Group], rows: Sequence[Row], planned: int) -> list[str]:
    """Sentences, the most general first."""
    said = [_counts(found, rows, planned)]
    for family in dict.fromkeys(group.family for group in found):
        mine = [group for group in found if group.family == family]
        said += [_best(family, mine), *against(family, mine, base_of(mine))]
    said += [sentence for sentence in (_kept(rows), _scipy(found, rows)) if sentence]
    return said


def base_of(found: Sequence[Group]) -> str | None:
    """What the others are compared with: scratch, else warm start, else what comes first."""
    names = variant_names(found)
    for wanted in ("scratch", "warm_start"):
        for name in names:
            if name.partition(" (")[0] == wanted:
                return name
    return names[0] if names else None


def _counts(found: Sequence[Group], rows: Sequence[Row], planned: int) -> str:
    failed = sum(row["fault"] is not None for row in rows)
    short = sum(row["fault"] is None and row["outcome"] != "converged" for row in rows)
    seeds = {row["seed"] for row in rows}
    names = {row["variant"] for row in rows}
    parts = [
        f"{len(rows)} of {planned} cells: {_number(len(found), 'transfer')}, "
        f"{_number(len(names), 'method')}, {_number(len(seeds), 'seed')}"
    ]
    parts.append(f"{short} did not converge" if short else "all that ran converged")
    if failed:
        parts.append(f"{failed} have no result and count as the worst")
    return "; ".join(parts) + "."


def _best(family: str, mine: Sequence[Group]) -> str:
    wins: dict[str, int] = {}
    for group in mine:
        medians = {name: spread(list(r.values())).median for name, r in group.rows.items()}
        best = min(medians, key=lambda name: medians[name])
        if math.isfinite(medians[best]):
            wins[best] = wins.get(best, 0) + 1
    if not wins:
        return f"{family}: no method has a finite median error."
    told = ", ".join(
        f"{readable(name)} in {count}" for name, count in sorted(wins.items(), key=lambda p: -p[1])
    )
    transfers = _number(len(mine), "transfer")
    return f"{family}: of {transfers} the smallest median error is that of {told}."


def against(family: str, mine: Sequence[Group], base: str | None) -> list[str]:
    """Every other method of a family beside one of them: a sentence each, or one a verdict."""
    if base is None:
        return []
    compared = [ratio for ratio in overall(mine, base) if ratio.pairs]
    if len(compared) <= FEW:
        return [_compared(family, ratio) for ratio in compared]
    compared.sort(key=lambda ratio: ratio.ratio)
    alike = {said: [r for r in compared if _verdict(r) == said] for said in SEVERAL}
    return [_together(family, said, some) for said, some in alike.items() if some]


def _verdict(r: Ratio) -> str:
    sure = r.p is not None and r.p < SURE
    if sure and r.high < 1:
        return WINS
    return LOSES if sure and r.low > 1 else OPEN


def _together(family: str, verdict: str, some: Sequence[Ratio]) -> str:
    """Of several methods with the same verdict."""
    told = ", ".join(f"{readable(r.one)} ({plain(r.ratio)})" for r in some)
    said = verdict if len(some) == 1 else SEVERAL[verdict]
    least, most = min(r.pairs for r in some), max(r.pairs for r in some)
    pairs = str(most) if least == most else f"{least} to {most}"
    return (
        f"{family}: {told} {said} {readable(some[0].other)}; in brackets the ratio of errors, "
        f"geometric mean of {pairs} pairs."
    )


def _compared(family: str, r: Ratio) -> str:
    verdict = f"{_verdict(r)} {readable(r.other)}"
    p = "too few pairs for a test" if r.p is None else f"p = {r.p:.2g} after Holm"
    failures = f", {r.failures} of them with one failure" if r.failures else ""
    return (
        f"{family}: {readable(r.one)} {verdict}: its error is {plain(r.ratio)} times as large in "
        f"the geometric mean (95 % interval {plain(r.low)} to {plain(r.high)}), "
        f"{plain(r.median)} times in the median, smaller in {r.wins} of {r.pairs} pairs"
        f"{failures}; {p}."
    )


def _kept(rows: Sequence[Row]) -> str:
    """What is left of the source."""
    told = []
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
            told.append(f"{readable(name)} {plain(ratio)}")
    if not told:
        return ""
    return (
        f"The source is recalled at so many times its own error, in the median: {', '.join(told)}; "
        "the other methods keep no source."
    )


def _scipy(found: Sequence[Group], rows: Sequence[Row]) -> str:
    known = [g.reference_seconds for g in found if g.reference_seconds is not None]
    spent = [
        row["seconds"]["total"]
        for row in rows
        if row["seconds"]["total"] is not None and row["source_error"]["trained"] is not None
    ]
    if not known or not spent:
        return ""
    return (
        f"scipy solves a target to its certificate in {plain(np.median(known))} s (median), a "
        f"transfer takes {plain(np.median(spent))} s, its source not counted."
    )


def plain(value: float) -> str:
    """Two digits, as a power of ten only where there would be many zeros."""
    return f"{float(f'{value:.2g}'):g}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
