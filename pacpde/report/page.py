"""The page: tables, pictures and a slider in one HTML file that opens without a network."""

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pacpde.errors import InvalidValueError
from pacpde.files import atomic_write
from pacpde.plots.style import readable
from pacpde.report import slider, summary_text
from pacpde.report.pictures import pictures
from pacpde.report.summary_text import SCIPY, two_digits
from pacpde.report.template import rendered, script
from pacpde.studies.groups import Group, coefficient_text, group_rows, varying_names
from pacpde.studies.records import Row
from pacpde.studies.results_store import ResultsStore
from pacpde.studies.statistics import (
    ENOUGH,
    FEWEST,
    Ratio,
    break_even,
    error_summary,
    ratios,
)
from pacpde.studies.study import read_outline

CELLS = (
    "variant", "family", "seed", "source", "target", "labels", "noise", "physics", "distance",
    "zero_shot_error", "target_error", "seconds", "steps", "outcome",
)  # fmt: skip


def write(
    folder: str | Path,
    output: str | Path,
    title: str | None = None,
    plots: str | Path | None = None,
    *,
    trust: bool = False,
    overwrite: bool = True,
) -> dict[str, Any]:
    """The page of a study's folder as `output`; returns what it counts.

    Args:
        plots: a folder that gets every picture as PDF and PNG, in print quality.
        trust: run the plug-ins that the folder names. Without it, and where they were not imported
            before, what needs its families is left out: the slider and pictures of solutions.
        overwrite: replace files already there.

    Raises InvalidValueError where there is no record yet.
    """
    from plotly.offline import get_plotlyjs

    place = Path(folder)
    outline, study, untrusted = read_outline(place, trust=trust)
    results = ResultsStore(place)
    stored_rows = results.of(outline.names)
    cells = dict(zip(study.names, study.cells, strict=True)) if study else {}
    if not stored_rows:
        raise InvalidValueError(f"{folder} has no record yet: run the study first.")
    rows = outline.with_short_variants(stored_rows)
    groups = group_rows(rows)
    surrogates = results.surrogates(cells)
    frames = slider.frames(cells, surrogates, {row["cell"]: row for row in rows})
    shown = pictures(groups, cells, surrogates)
    if plots is not None and not overwrite:
        for picture in shown:
            picture.check_absent(Path(plots))
    names = dict.fromkeys([*(row["variant"] for row in rows), SCIPY])
    tables = [_table(group) for group in groups]
    headings = _without_empty(tables)
    page = rendered(
        "page.html",
        title=title or f"Transfer study {place.name}",
        sentences=summary_text.summary(groups, rows, len(outline.names)),
        tables=tables,
        headings=headings,
        row=ROW,
        scipy=any(line["variant"] == SCIPY for table in tables for line in table["lines"]),
        fewest=FEWEST,
        enough=ENOUGH,
        columns={name for name, _ in headings},
        bases=[readable(base) for base in dict.fromkeys(table["base"] for table in tables) if base],
        families=list(dict.fromkeys(group.family for group in groups)),
        variants=[{"name": name, "shown": readable(name)} for name in names],
        pictures=[{"caption": p.caption, "wide": p.wide,
                   "light": base64.b64encode(p.png()).decode(),
                   "dark": base64.b64encode(p.png(dark=True)).decode()}
                  for p in shown if p.on_page],
        frames=bool(frames),
        cells_count=len(rows),
        data=script({"frames": frames, "cells": _cells(stored_rows), "columns": list(CELLS),
                      "readable": {row["variant"]: readable(row["variant"])
                                   for row in [*stored_rows, *rows]}}),
        plotly=get_plotlyjs() if frames else "",
        toml=outline.text,
        beside=[{"name": file.name, "text": file.read_text("utf-8")}
                for file in ([study.tuned] if study and study.tuned else [])],
        versions=rows[0]["versions"],
        machine=sorted({f"{row['device']}, {row['dtype']}" for row in rows}),
        command=f"pacpde study run study.toml -o {place.name}",
    )  # fmt: skip
    with atomic_write(output, overwrite=overwrite) as temporary:
        Path(temporary).write_text(page, encoding="utf-8")
    if plots is not None:
        for picture in shown:
            picture.save(Path(plots))
    return {
        "cells": len(rows), "planned": len(outline.names), "transfers": len(groups),
        "failed": sum(row["fault"] is not None for row in rows), "bytes": len(page.encode()),
        "file": str(output), "untrusted": untrusted,
    }  # fmt: skip


ROW = 2  # columns that say what a line is of; they stay in sight
HEADINGS = (
    ("transfer", "text"), ("method", "text"), ("error", "number"), ("quartiles", "number"),
    ("zero-shot", "number"), ("ratio", "number"), ("interval", "number"), ("p", "number"),
    ("wins", "number"), ("seconds", "number"), ("to 1e-2, s", "number"),
    ("to 1e-3, s", "number"), ("pays from", "number"), ("source kept", "number"),
    ("free", "number"), ("not converged", "number"), ("failed", "number"),
)  # fmt: skip
NOTHING = "–"
Shown = tuple[str, float | None]  # text, number to sort by


def _table(group: Group) -> dict[str, Any]:
    """Lines of one transfer: heading → (text, number to sort by)."""
    base = summary_text.baseline_of([group])
    against = {ratio.variant: ratio for ratio in ratios(group, base)} if base else {}
    scratch = list(group.rows[base].values()) if base else []
    lines: list[dict[str, Any]] = []
    for name, seeds in group.rows.items():
        rows = list(seeds.values())
        s, ratio = error_summary(rows), against.get(name)
        graded, short = s.tried - s.ungraded, s.tried - s.failed - s.converged
        cells: dict[str, Shown] = {
            "transfer": (group.name, None),
            "method": (readable(name), None),
            "error": _error(s.median) if graded else ("ungraded", None),
            "zero-shot": _error(_median(row["zero_shot_error"] for row in rows)),
            "seconds": _seconds(s.seconds),
            "to 1e-2, s": _reached(*s.to["0.01"], graded),
            "to 1e-3, s": _reached(*s.to["0.001"], graded),
            "source kept": _error(_median(row["source_error"]["recalled"] for row in rows)),
            "not converged": (str(short), short),
            "failed": (str(s.failed), s.failed),
        }
        if graded:
            cells["quartiles"] = f"{_error(s.low)[0]} – {_error(s.high)[0]}", s.low
        if ratio and ratio.pairs:
            cells |= _ratio(ratio)
        pays = break_even(rows, scratch, "0.01") if name != base else None
        if pays is not None:
            cells["pays from"] = f"{math.ceil(pays)}", pays
        for row in [row for row in rows if row["total_parameters"]][:1]:
            free = row["free_parameters"]
            cells["free"] = f"{free} / {row['total_parameters']}", free
        lines.append({"variant": name, "cells": cells})
    if group.reference_error is not None and SCIPY not in group.rows:
        cells = {
            "transfer": (group.name, None),
            "method": (SCIPY, None),
            "error": _error(group.reference_error),
            "seconds": _seconds(group.reference_seconds),
        }
        lines.append({"variant": SCIPY, "cells": cells})
    return {"family": group.family, "name": group.name, "base": base, "lines": lines}


def _ratio(r: Ratio) -> dict[str, Shown]:
    finite = math.isfinite(r.low)
    return {
        "ratio": (two_digits(r.ratio), r.ratio),
        "interval": (f"{two_digits(r.low)} – {two_digits(r.high)}", r.low)
        if finite
        else (NOTHING, None),
        "p": (two_digits(r.p), r.p) if r.p is not None else (NOTHING, None),
        "wins": (f"{r.wins} of {r.pairs}", r.wins),
    }


def _without_empty(tables: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Leave columns of nothing but dashes out of the tables; returns the headings that stay."""
    lines = [line for table in tables for line in table["lines"]]
    full = {name for line in lines for name, cell in line["cells"].items() if cell[0] != NOTHING}
    headings = [(name, kind) for name, kind in HEADINGS if name in full]
    for line in lines:
        line["cells"] = [line["cells"].get(name, (NOTHING, None)) for name, _ in headings]
    return headings


def _cells(rows: Sequence[Row]) -> list[list[Any]]:
    """Every cell, short enough for a page."""
    varying = _varying(rows)

    def coefficients(row: Row, key: str) -> str:
        names = varying[row["family"]]
        return coefficient_text({name: row[key][name] for name in row[key] if name in names})

    def short(value: Any) -> Any:
        return float(f"{value:.3g}") if isinstance(value, float) and math.isfinite(value) else value

    return [
        [
            coefficients(row, key) if key in ("source", "target")
            else short(row[key]["total"]) if key == "seconds"
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
    if value is None:
        return NOTHING, None
    return ("failed", 1e300) if math.isinf(value) else (summary_text.scientific(value), value)


def _seconds(value: float | None) -> Shown:
    return (NOTHING, None) if value is None else (two_digits(value), value)


def _reached(seconds: float | None, there: int, tried: int) -> Shown:
    if not tried:
        return NOTHING, None
    if seconds is None:
        return f"never ({there} of {tried})", 1e300
    return (two_digits(seconds) + ("" if there == tried else f" ({there} of {tried})"), seconds)


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
