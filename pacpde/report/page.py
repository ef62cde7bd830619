"""The page: tables, pictures and a slider in one HTML file that opens without a network."""

import base64
from pathlib import Path
from typing import Any

from pacpde.errors import InvalidValueError
from pacpde.files import atomic_write, check_file
from pacpde.plots.numbers import two_digits
from pacpde.plots.style import readable
from pacpde.report import slider, summary_text, tables
from pacpde.report.pictures import pictures
from pacpde.report.summary_text import SCIPY
from pacpde.report.template import rendered, script
from pacpde.studies.groups import group_rows
from pacpde.studies.results_store import ResultsStore
from pacpde.studies.statistics import ENOUGH, FEWEST
from pacpde.studies.study import read_outline


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
        overwrite: replace files already there. Without it, those of other content are refused
            before anything is written.

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
    names = dict.fromkeys([*(row["variant"] for row in rows), SCIPY])
    shown_tables = [tables.of_transfer(group) for group in groups]
    headings = tables.without_empty(shown_tables)
    bases = [table["base"] for table in shown_tables]
    page = rendered(
        "page.html",
        title=title or f"Transfer study {place.name}",
        sentences=summary_text.summary(groups, rows, len(outline.names)),
        tables=shown_tables,
        headings=headings,
        row=tables.ROW,
        scipy=any(line["variant"] == SCIPY for table in shown_tables for line in table["lines"]),
        fewest=FEWEST,
        lowest=two_digits(2 / 2**FEWEST),
        enough=ENOUGH,
        columns={name for name, _ in headings},
        bases=[readable(base) for base in dict.fromkeys(bases) if base],
        example=groups[0].name.partition(" ")[2],
        families=list(dict.fromkeys(group.family for group in groups)),
        variants=[{"name": name, "shown": readable(name)} for name in names],
        pictures=[{"caption": p.caption, "wide": p.wide,
                   "light": base64.b64encode(p.png()).decode(),
                   "dark": base64.b64encode(p.png(dark=True)).decode()}
                  for p in shown if p.on_page],
        frames=bool(frames),
        cells_count=len(rows),
        data=script({"frames": frames, "cells": tables.every_cell(stored_rows),
                      "columns": list(tables.CELLS), "absent": list(tables.CELLS.values()),
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
    files = {Path(output): page.encode()}
    for picture in shown if plots is not None else ():
        files |= {Path(plots or "") / name: content for name, content in picture.files().items()}
    for file, content in files.items():  # all of them before any is written
        check_file(file, overwrite=overwrite, content=content)
    for file, content in files.items():
        with atomic_write(file, overwrite=overwrite) as temporary:
            temporary.write_bytes(content)
    return {
        "cells": len(rows), "planned": len(outline.names), "transfers": len(groups),
        "failed": sum(row["fault"] is not None for row in rows), "bytes": len(page.encode()),
        "file": str(output), "untrusted": untrusted,
    }  # fmt: skip
