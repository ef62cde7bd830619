"""The table of every method on every distance, from the records of a study.

python benchmarks/methods_table.py [FOLDER]
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from common import RESULTS, markdown

from pacpde.plots.numbers import two_digits
from pacpde.plots.style import readable
from pacpde.report.summary_text import comparisons
from pacpde.studies.groups import Group, group_rows, variant_names
from pacpde.studies.results_store import ResultsStore
from pacpde.studies.statistics import Ratio, error_summary, overall
from pacpde.studies.study import Study

BASE = "warm_start"
PAC = 'pac (mask="sensitivity")'
BUSY = ("scratch_budget",)  # carried out while the machine had other work: seconds that compare not


def table(folder: Path) -> str:
    """A table a family: median errors target by target, and all pairs against warm start.

    Intervals are by source, whose number stands above them. Then which methods win against PAC, and
    which lose.
    """
    families: dict[str, list[Group]] = {}
    for group in stored_groups(folder):
        families.setdefault(group.family, []).append(group)
    parts = []
    for name, transfers in families.items():
        sentences = "".join(f"\n{sentence}\n" for sentence in comparisons(name, transfers, PAC))
        parts.append(_family(name, transfers) + sentences)
    return "\n".join(parts)


def stored_groups(folder: Path) -> list[Group]:
    """The rows of a stored study, transfer by transfer."""
    study = Study.from_folder(folder)
    return group_rows(study.outline.with_short_variants(ResultsStore(folder).of(study.names)))


def _family(name: str, transfers: Sequence[Group]) -> str:
    variants = variant_names(transfers)
    base = next(variant for variant in variants if variant.split(" ")[0] == BASE)
    ratios = {ratio.variant: ratio for ratio in overall(transfers, base)}
    targets = [f"{group.name.removeprefix(name)} ({group.distance:.2f})" for group in transfers]
    sources = max(ratio.sources for ratio in ratios.values())
    head = [
        name, *targets, f"÷ warm start, {sources} sources", "wins", "not converged", "recalled",
        "÷ trained", "s",
    ]  # fmt: skip
    return markdown(head, [_line(variant, transfers, ratios.get(variant)) for variant in variants])


def _line(variant: str, transfers: Sequence[Group], pair: Ratio | None) -> list[str]:
    rows = [list(group.rows.get(variant, {}).values()) for group in transfers]
    every = [row for some in rows for row in some]
    ratio, wins = "1", ""
    if pair is not None:
        ratio = f"{two_digits(pair.ratio)} [{two_digits(pair.low)}, {two_digits(pair.high)}]"
        wins = f"{pair.wins} of {pair.pairs}"
    errors = [row["source_error"] for row in every if row["source_error"]]
    pairs_recalled = [(e["recalled"], e["trained"]) for e in errors if e["recalled"] is not None]
    seconds = error_summary(every).seconds
    return [
        readable(variant),
        *(_error(error_summary(some).median) if some else "–" for some in rows),
        ratio,
        wins,
        f"{sum(row['outcome'] != 'converged' for row in every)}",
        f"{median(now for now, _ in pairs_recalled):.0e}" if pairs_recalled else "–",
        f"{median(now / before for now, before in pairs_recalled):.1f}" if pairs_recalled else "–",
        "–" if seconds is None or variant in BUSY else f"{seconds:.1f}",
    ]


def _error(median: float | None) -> str:
    return "ungraded" if median is None else f"{median:.0e}"


if __name__ == "__main__":
    print(table(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS / "methods"))
