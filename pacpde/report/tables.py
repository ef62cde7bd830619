"""The tables of the page: methods transfer by transfer, and every cell.

Where there is no number, a word says why.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pacpde.plots.numbers import FAILED, scientific, two_digits
from pacpde.plots.style import readable
from pacpde.report.summary_text import SCIPY, baseline_of
from pacpde.studies.groups import Group, coefficient_text, error_of_row, varying_names
from pacpde.studies.records import Row
from pacpde.studies.statistics import Ratio, break_even, error_summary, ratios

LAST = 1e300  # where failures are sorted
ROW = 2  # columns that say what a line is of; they stay in sight
HEADINGS = {  # column → what stands for no value; numbers but for the first two
    "transfer": "", "method": "", "error": "none", "quartiles": "none", "zero-shot": "none",
    "ratio": "none", "interval": "none", "p": "none", "wins": "none", "seconds": "none",
    "to 1e-02, s": "none", "to 1e-03, s": "none", "pays from": "none", "source kept": "not kept",
    "free": "none", "not converged": "none", "failed": "none",
}  # fmt: skip
Shown = tuple[str, float | None]  # text, number to sort by; None where there is no number
CELLS = {  # column → what stands for no value
    "variant": "none", "family": "none", "seed": "none", "source": "none", "target": "none",
    "labels": "none", "noise": "unknown", "physics": "unknown", "distance": "no reference",
    "zero_shot_error": "none", "target_error": "ungraded", "seconds": "none", "steps": "none",
    "outcome": "none",
}  # fmt: skip


def of_transfer(group: Group) -> dict[str, Any]:
    """Lines of one transfer: heading → (text, number to sort by)."""
    base = baseline_of([group])
    against = {ratio.variant: ratio for ratio in ratios(group, base)} if base else {}
    scratch = list(group.rows[base].values()) if base else []
    lines = [
        {"variant": name, "cells": _line(group, name, against.get(name), base, scratch)}
        for name in group.rows
    ]
    if group.reference_error is not None and SCIPY not in group.rows:
        cells = {
            "transfer": (group.name, None),
            "method": (SCIPY, None),
            "error": _error(group.reference_error),
            "seconds": _seconds(group.reference_seconds),
        }
        lines.append({"variant": SCIPY, "cells": cells})
    return {"family": group.family, "name": group.name, "base": base, "lines": lines}


def _line(
    group: Group, name: str, ratio: Ratio | None, base: str | None, scratch: Sequence[Row]
) -> dict[str, Shown]:
    """One variant of a transfer."""
    rows = list(group.rows[name].values())
    s = error_summary(rows)
    graded = s.tried - s.ungraded
    short = sum(row["outcome"] != "converged" and error_of_row(row) != math.inf for row in rows)
    cells: dict[str, Shown] = {
        "transfer": (group.name, None),
        "method": (readable(name), None),
        "error": _error(s.median) if graded else ("ungraded", None),
        "zero-shot": _error(_median(row["zero_shot_error"] for row in rows)),
        "seconds": _seconds(s.seconds),
        "to 1e-02, s": _reached(*s.to["0.01"], graded),
        "to 1e-03, s": _reached(*s.to["0.001"], graded),
        "source kept": _error(_median(row["source_error"]["recalled"] for row in rows)),
        "not converged": (str(short), short),
        "failed": (str(s.failed), s.failed),
    }
    if s.low is not None and s.high is not None:
        low, high = scientific(s.low), scientific(s.high)
        cells["quartiles"] = (low if low == FAILED else f"{low} – {high}"), _sortable(s.low)
    if name == base:
        cells["ratio"] = "baseline", None
    if ratio and ratio.pairs:
        cells |= _ratio(ratio)
    pays = break_even(rows, scratch, "0.01") if name != base else None
    if pays is not None:
        cells["pays from"] = f"{math.ceil(pays)}", pays
    for row in [row for row in rows if row["total_parameters"]][:1]:
        free = row["free_parameters"]
        cells["free"] = f"{free} / {row['total_parameters']}", free
    return {key: cell for key, cell in cells.items() if cell[0]}


def _ratio(r: Ratio) -> dict[str, Shown]:
    interval: Shown = ("one source" if r.sources == 1 else "none"), None
    if math.isfinite(r.low):
        interval = f"{two_digits(r.low)} – {two_digits(r.high)}", r.low
    return {
        "ratio": (two_digits(r.ratio), r.ratio) if math.isfinite(r.ratio) else ("no pair", None),
        "interval": interval,
        "p": ("few sources", None) if r.p is None else (two_digits(r.p), r.p),
        "wins": (f"{r.wins} of {r.pairs}", r.wins),
    }


def without_empty(tables: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Leave columns without any number out of the tables; returns the headings that stay."""
    lines = [line for table in tables for line in table["lines"]]
    full = {
        name for line in lines for name, (_, number) in line["cells"].items() if number is not None
    }
    names = list(HEADINGS)
    stay = [name for name in names if name in {*names[:ROW], "error", *full}]
    for line in lines:
        line["cells"] = [line["cells"].get(name, (HEADINGS[name], None)) for name in stay]
    return [(name, "text" if name in names[:ROW] else "number") for name in stay]


def every_cell(rows: Sequence[Row]) -> list[list[Any]]:
    """Every cell, short enough for a page."""
    varying = _varying(rows)

    def coefficients(row: Row, key: str) -> str:
        names = varying[row["family"]]
        return coefficient_text({name: row[key][name] for name in row[key] if name in names})

    def short(value: Any) -> Any:
        return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value

    def target_error(row: Row) -> Any:
        error = error_of_row(row)
        return FAILED if error == math.inf else short(row["target_error"])

    return [
        [
            coefficients(row, key) if key in ("source", "target")
            else short(row["seconds"]["total"]) if key == "seconds"
            else target_error(row) if key == "target_error"
            else (row["fault"] or row[key]) if key == "outcome"
            else short(row[key])
            for key in CELLS
        ]
        for row in rows
    ]  # fmt: skip


def _varying(rows: Sequence[Row]) -> dict[str, set[str]]:
    """family → the coefficients that are not the same everywhere; all, if every one is."""
    ends: dict[str, list[Mapping[str, float]]] = {}
    for row in rows:
        ends.setdefault(row["family"], []).extend((row["source"], row["target"]))
    return {
        family: varying_names(of_family) or set().union(*of_family)
        for family, of_family in ends.items()
    }


def _error(value: float | None) -> Shown:
    return ("", None) if value is None else (scientific(value), _sortable(value))


def _seconds(value: float | None) -> Shown:
    return ("", None) if value is None else (two_digits(value), value)


def _reached(seconds: float | None, there: int, tried: int) -> Shown:
    if not tried:
        return "", None
    if seconds is None:
        return f"never ({there} of {tried})", LAST
    return (two_digits(seconds) + ("" if there == tried else f" ({there} of {tried})"), seconds)


def _sortable(value: float) -> float:
    return value if math.isfinite(value) else LAST


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
