"""What the command line shows: progress on stderr, tables and JSON on stdout.

rich is imported where it draws: importing it takes a number from Python's global random state.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pacpde.cli.streams import legible, print_stderr
from pacpde.errors import named_numbers
from pacpde.studies import records
from pacpde.training.callbacks import Update

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, TaskID
    from rich.table import Table

PLAIN_INTERVAL = 10.0  # seconds between two lines where stderr is no terminal
SIDE_BY_SIDE = 8  # bars shown at once where fits run beside each other
UNGRADED = "ungraded"  # no reference
PLAIN_WIDTH = 140  # columns of a table where stdout is no terminal


class ProgressDisplay:
    """Progress events: transient bars on a terminal, sparse plain lines elsewhere."""

    def __init__(self, bars: Progress | None, lines: int = 1) -> None:
        self.bars, self.lines = bars, lines
        self.tasks: dict[str, TaskID] = {}
        self.shown: list[str] = []
        self.printed: dict[str, float] = {}

    def __call__(self, update: Update) -> None:
        text = f"held-out residual {update.held_out:.1e}, {update.seconds:.0f} s"
        if self.bars is None:
            self._line(update, text)
            return
        if update.stage not in self.tasks:
            self._make_room(self.bars, update.stage)
            self.tasks[update.stage] = self.bars.add_task(update.stage, total=update.total, text="")
            self.shown.append(update.stage)
        task = self.tasks[update.stage]
        self.bars.update(task, completed=update.step, total=update.total, text=text)

    def _make_room(self, bars: Progress, stage: str) -> None:
        """Hide what the same fit did before, else the oldest."""
        who = stage.partition(", ")[0]
        before = [old for old in self.shown if old.partition(", ")[0] == who]
        for old in before or self.shown[: max(0, len(self.shown) + 1 - self.lines)]:
            bars.update(self.tasks[old], visible=False)
            self.shown.remove(old)

    def log(self, sentence: str) -> None:
        """A sentence between the events."""
        if self.bars is None:
            print_stderr(sentence)
        else:
            self.bars.console.print(sentence, highlight=False, markup=False)

    def _line(self, update: Update, text: str) -> None:
        now = time.monotonic()
        if update.stage not in self.printed or now - max(self.printed.values()) > PLAIN_INTERVAL:
            self.printed[update.stage] = now
            print_stderr(f"{update.stage}: step {update.step} of at most {update.total}, {text}")


def terminal(stream: TextIO | None) -> Console:
    """rich on a stream, whose encoding it sees only where it is given the stream."""
    from rich.console import Console

    return Console(file=stream, quiet=stream is None)


@contextmanager
def progress_bars(*columns: ProgressColumn, width: int = 24) -> Iterator[Progress | None]:
    """Transient bars on stderr, a text at their end; None where stderr is no terminal.

    Args:
        columns: before the text.
        width: of a bar.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = terminal(sys.stderr)
    if not console.is_terminal:
        yield None
        return
    name, text = TextColumn("{task.description}"), TextColumn("{task.fields[text]}")
    every = (name, BarColumn(bar_width=width), MofNCompleteColumn(), *columns, text)
    with Progress(*every, console=console, transient=True) as bars:
        yield bars


@contextmanager
def progress_display(lines: int = 1) -> Iterator[ProgressDisplay]:
    """Progress on stderr while the block runs, at most so many bars at once."""
    with progress_bars() as bars:
        yield ProgressDisplay(bars, lines)


def emit(content: Any, json: str | None, *shown: Table | str, overwrite: bool = False) -> None:
    """Results: JSON alone on stdout for `-`; otherwise tables, and JSON in its file.

    Without `overwrite`, a file that holds something else stays and is refused.
    """
    if json == "-":
        print(records.as_json(content))
        return
    if json is not None:
        records.write_json(content, Path(json), overwrite=overwrite)
    console = terminal(sys.stdout)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    for item in shown:
        if isinstance(item, str):
            console.print(item, highlight=False, markup=False, soft_wrap=True)
        else:
            console.print(item)


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table; columns of numbers stand to the right and stay whole, others take more lines."""
    from rich.table import Table

    result = Table(title=legible(title), title_justify="left")
    for index, heading in enumerate(headings):
        numbers = all(isinstance(row[index], Number) for row in rows)
        if numbers:
            result.add_column(legible(heading).replace(" ", "\n"), justify="right", no_wrap=True)
        else:
            result.add_column(legible(heading), overflow="fold")
    for row in rows:
        result.add_row(*(legible(str(cell)) for cell in row))
    return result


class Number(str):
    """A number written out for a table."""


def error(value: float | None, missing: str = "–") -> Number:
    """Three digits: 1.23e-04."""
    return Number(missing if value is None else f"{value:.2e}")


def seconds(value: float | None) -> Number:
    return Number("–" if value is None else f"{value:.1f}")


def number(value: float) -> Number:
    return Number(f"{value:.6g}")


def worst_field(found: Sequence[Mapping[str, float] | None]) -> list[str]:
    """A cell for each: which field is worst, and its error; none where all have one field."""
    if all(errors is None or len(errors) < 2 for errors in found):
        return []
    cells = []
    for errors in found:
        name = max(errors, key=lambda name: errors[name]) if errors else ""
        cells.append(f"{errors[name]:.2e} ({name})" if errors else UNGRADED)
    return cells


def _left_out(record: Mapping[str, Any]) -> str:
    """Errors at labels that are left out, of the fit and of the source."""
    if record["source_returned"]:
        return f"source {error(record['zero_shot_cv'])}"
    return f"{error(record['cv_error'])} / {error(record['zero_shot_cv'])}"


def record_table(title: str, found: Sequence[Mapping[str, Any]]) -> Table:
    """Methods side by side."""
    several = len({record["seed"] for record in found}) > 1
    worst = worst_field([record.get("target_error_by_field") for record in found])
    chosen = any(record.get("cv_error") is not None for record in found)
    rows = []
    for k, record in enumerate(found):
        source = record["source_error"]
        kept = source["recalled"]
        rows.append([
            record["method"],
            *([Number(record["seed"])] if several else []),
            error(record["target_error"], UNGRADED),
            *worst[k : k + 1],
            error(record["zero_shot_error"], UNGRADED),
            *([_left_out(record)] if chosen else []),
            f"{error(kept)} / {error(source['unmasked'])}",
            f"{record['free_parameters']} / {record['total_parameters']}",
            Number(record["steps"]),
            seconds(record["seconds"]["total"]),
            ", ".join([record["outcome"], *records.shortfalls(record)]),
        ])  # fmt: skip
    headings = [
        "method", *(["seed"] if several else []), "target error",
        *(["worst field"] if worst else []), "zero-shot error",
        *(["labels left out\nfit / source"] if chosen else []),
        "source error\nrecalled / unmasked", "free / all\nparameters", "steps", "seconds",
        "outcome",
    ]  # fmt: skip
    return table(title, headings, rows)


def rung_table(rungs: Sequence[Mapping[str, Any]]) -> Table:
    """The rungs of a ladder, the target last."""
    rows = [
        [
            rung["name"],
            named_numbers(rung["coefficients"])
            + ("" if rung["until"] is None else f", until={rung['until']:g}"),
            error(rung["residual"]),
            error(rung["error_estimate"]),
            Number("–" if rung["own_parameters"] is None else rung["own_parameters"]),
            Number(rung["added_neurons"]),
            Number(rung["steps"]),
            seconds(rung["seconds"]),
            rung["outcome"],
        ]
        for rung in rungs
    ]
    headings = [
        "rung", "coefficients", "residual", "estimated\nerror", "own\nparameters",
        "neurons\nadded", "steps", "seconds", "outcome",
    ]  # fmt: skip
    return table("Ladder", headings, rows)
