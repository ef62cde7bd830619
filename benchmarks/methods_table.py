"""The table of every method on every distance, from the records of a study.

python benchmarks/methods_table.py [FOLDER]
"""

import sys
from pathlib import Path
from statistics import median
from typing import Any

from common import RESULTS, markdown

BASE = "warm_start"
PAC = 'pac (mask="sensitivity")'
BUSY = ("scratch_budget",)  # carried out while the machine had other work: seconds that compare not


def main() -> None:
    print(table(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS / "methods"))


def table(folder: Path) -> str:
    """A table a family: median errors target by target, and all pairs against warm start.

    Intervals are by source, whose number stands above them.
    """
    from pacpde.studies.groups import group_rows
    from pacpde.studies.results_store import ResultsStore
    from pacpde.studies.study import Study

    study = Study.from_folder(folder)
    found = group_rows(study.outline.with_short_variants(ResultsStore(folder).of(study.names)))
    families: dict[str, list[Any]] = {}
    for group in found:
        families.setdefault(group.family, []).append(group)
    return "\n".join(_family(name, some) + _verdicts(name, some) for name, some in families.items())


def _verdicts(name: str, found: list[Any]) -> str:
    """Which methods win against PAC, and which lose."""
    from pacpde.report.summary_text import against

    return "".join(f"\n{sentence}\n" for sentence in against(name, found, PAC))


def _family(name: str, found: list[Any]) -> str:
    from pacpde.plots.style import readable
    from pacpde.report.summary_text import plain
    from pacpde.studies.groups import variant_names
    from pacpde.studies.statistics import error_summary, overall

    variants = variant_names(found)
    base = next(variant for variant in variants if variant.split(" ")[0] == BASE)
    against = {ratio.one: ratio for ratio in overall(found, base)}
    lines = []
    for variant in variants:
        rows = [list(group.rows.get(variant, {}).values()) for group in found]
        every = [row for some in rows for row in some]
        pair = against.get(variant)
        ratio, wins = "1", ""
        if pair is not None:
            ratio = f"{plain(pair.ratio)} [{plain(pair.low)}, {plain(pair.high)}]"
            wins = f"{pair.wins} of {pair.pairs}"
        errors = [row["source_error"] for row in every if row["source_error"]]
        kept = [(e["recalled"], e["trained"]) for e in errors if e["recalled"] is not None]
        recalled, times = "–", "–"
        if kept:
            recalled = f"{median(now for now, _ in kept):.0e}"
            times = f"{median(now / before for now, before in kept):.1f}"
        seconds = error_summary(every).seconds
        lines.append((
            [readable(variant),
             *(_error(error_summary(some).median) if some else "–" for some in rows)],
            [ratio, wins, f"{sum(row['outcome'] != 'converged' for row in every)}",
             recalled, times,
             "–" if seconds is None or variant in BUSY else f"{seconds:.1f}"],
        ))  # fmt: skip
    targets = [f"{group.name.removeprefix(name)} ({group.distance:.2f})" for group in found]
    sources = max(ratio.sources for ratio in against.values())
    head = [
        name,
        *targets,
        f"÷ warm start, {sources} sources",
        "wins",
        "not converged",
        "recalled",
        "÷ trained",
        "s",
    ]
    return markdown(head, [[*first, *rest] for first, rest in lines])


def _error(median: float | None) -> str:
    return "ungraded" if median is None else f"{median:.0e}"


if __name__ == "__main__":
    main()
