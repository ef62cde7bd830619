"""`pacpde study`: check, run, status."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from pacpde.cli import inputs, options
from pacpde.cli.groups import with_groups
from pacpde.cli.output import PLAIN_INTERVAL, Number, progress_bars, table
from pacpde.cli.streams import print_note, print_stderr
from pacpde.errors import UntrustedCodeError
from pacpde.ownership import LIST
from pacpde.runtime import Runtime

study_app = typer.Typer(
    help="Grids of transfers: many families, sources, targets, methods, seeds, labels.\n\n"
    "A study is a TOML file; see docs/studies.md. `check` counts its cells and estimates the time, "
    "`run` carries them out and resumes, `status` tells how far it is.",
    add_completion=False,
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Argument(metavar="STUDY.TOML", help="The study file.")]


def check(
    *,
    file: File,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder in which some may be done.")
    ] = None,
    device: options.Device = "cpu",
    seed: options.Unused = "0",
    result: options.ResultOptions,
    trust: options.Trust = False,
) -> None:
    """Check a study file, count its cells and estimate the time, before anything runs.

    Plug-ins that it names are run with --trust only, or where --plugin names them.

    Example: pacpde study check study.toml
    """
    from pacpde.studies.cells import trainings
    from pacpde.studies.estimate import estimate
    from pacpde.studies.results_store import ResultsStore
    from pacpde.studies.study import Study
    from pacpde.studies.study_file import StudyFile

    Runtime(device)
    inputs.json_target(result.json, file)
    try:
        study = Study.read(file, device=device, trust=trust)
    except UntrustedCodeError:
        counts = StudyFile(file).counts()
        nothing = dict.fromkeys(("done", "sources", "variants", "seconds"))
        unchecked = {"cells": sum(counts.values()), "families": counts, **nothing}
        lines = [[name, Number(count)] for name, count in counts.items()]
        title = f"Study {file}, unchecked"
        result.emit(unchecked, table(title, ["family", "cells at most"], lines))
        raise
    results = ResultsStore(output) if output is not None else None
    finished = results.finished(study.names) if results else set()
    guess = estimate(
        [cell for cell in study.cells if cell.key not in finished],
        results.rows() if results else (),
    )
    variants: dict[str, list[str]] = {}
    for cell in study.cells:
        variants.setdefault(cell.source.name, []).append(cell.variant)
    content = {
        "cells": len(study.cells),
        "done": len(finished),
        "sources": len(trainings(study.cells)),
        "families": {name: len(some) for name, some in variants.items()},
        "variants": sorted({cell.variant for cell in study.cells}),
        "seconds": guess.sources + guess.cells,
    }
    lines = [
        [name, Number(len(some)), ", ".join(sorted(set(some)))] for name, some in variants.items()
    ]
    result.emit(
        content,
        table(f"Study {file}", ["family", "cells", "methods"], lines),
        f"{content['cells']} cells from {content['sources']} sources"
        + (f", {len(finished)} of them done" if finished else "")
        + f"; at most about {_span(guess.sources + guess.cells)} of fitting in one process, "
        "divided by the workers.",
    )


def run(
    *,
    file: File,
    output: options.Folder,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a Dask scheduler, as in tcp://host:8786."),
    ] = None,
    local: Annotated[
        int | None, typer.Option(metavar="N", help="So many worker processes on this machine.")
    ] = None,
    device: options.Device = "cpu",
    seed: options.Unused = "0",
    result: options.ResultOptions,
    trust: options.Trust = False,
    plugin: options.Plugin = None,
) -> None:
    """Carry out a study. After any interruption the same command does only what is missing.

    Without --local or --scheduler it runs in this process, several fits in one batch. The plug-ins
    that the file names run, too; those of a file in the folder of a study with --trust only.

    Example: pacpde study run study.toml -o runs/study --local 4
    """
    from pacpde.studies import records
    from pacpde.studies.executors import cluster
    from pacpde.studies.folder import check_place, is_study
    from pacpde.studies.results_store import ResultsStore
    from pacpde.studies.run_study import run_study
    from pacpde.studies.study import Study

    overwrite = result.overwrite
    Runtime(device)
    study = Study.read(file, device=device, trust=trust or not is_study(file.parent))
    check_place(output, study.contents(), overwrite=overwrite)

    results = ResultsStore(output)

    def content(rows: Iterable[records.Row]) -> dict[str, Any]:
        return {"records": [records.check(records.record_of(row)) for row in rows]}

    replace = inputs.json_target(
        result.json, output, file, overwrite=overwrite, own=lambda: content(results.of(study.names))
    )
    if study.plugins:
        print_note(f"running with {', '.join(map(str, study.plugins))}.")
    plugins = [*study.plugins, *(plugin or [])]
    where: Any = nullcontext()
    if scheduler is not None or local is not None:
        where = cluster(scheduler, local, plugins)
    with _counting() as callback, where as executor:
        progress = run_study(study, output, executor, callback=callback, overwrite=overwrite)
    sentence = f"{progress.done} of {progress.cells} cells in {output}"
    rows = results.of(study.names)
    result.emit(content(rows), sentence, replace=replace)
    faults = [row["fault"] for row in rows if row["fault"]]
    if faults:
        print_note(
            f"{len(faults)} of {progress.cells} cells have no result, the first for this "
            f"reason: {faults[0]} The same command tries them again."
        )
        raise typer.Exit(1)


def status(
    *,
    folder: Annotated[Path, typer.Argument(help="Folder of a study.")],
    device: options.Unused = "cpu",
    seed: options.Unused = "0",
    result: options.ResultOptions,
    trust: options.Trust = False,
) -> None:
    """Tell how far a study is; it may be running.

    Example: pacpde study status runs/study
    """
    from pacpde.studies.fit_store import FitStore
    from pacpde.studies.results_store import ResultsStore
    from pacpde.studies.study import read_outline

    inputs.json_target(result.json, folder)
    outline, study, untrusted = read_outline(folder, trust=trust)
    rows = {row["cell"]: row for row in ResultsStore(folder).rows()}
    counts: dict[str, list[int]] = {}
    for name, variant in zip(outline.names, outline.variants, strict=True):
        row = rows.get(name)
        line = counts.setdefault(variant.name, [0, 0, 0, 0])
        line[0] += 1
        if row is not None:
            line[1] += row["fault"] is None
            line[2] += row["fault"] is None and row["outcome"] != "converged"
            line[3] += row["fault"] is not None
    done = sum(line[1] for line in counts.values())
    headings = ["method", "cells", "done", "of these not converged", "without result"]
    shown = [[name, *map(Number, line)] for name, line in counts.items()]
    content = {"cells": len(outline.names), "done": done,
               "failed": sum(line[3] for line in counts.values())}  # fmt: skip
    title = f"{done} of {len(outline.names)} cells"
    result.emit(content, table(title, headings, shown))
    if untrusted:
        print_note(untrusted)
    damaged = FitStore(folder).damaged()
    if damaged:
        print_note(
            f"of the sources in {folder}, {len(damaged)} cannot be used, the first being "
            f"{damaged[0]}, whose files are damaged: remove it, and `pacpde study run` trains it "
            "anew where it needs it."
        )
    if study and study.outdated:
        print_stderr(
            "Made by another version of pacpde or of what it stands on: `pacpde study run` into "
            "this folder would carry out every cell anew."
        )


def choose(
    *,
    folder: Annotated[Path, typer.Argument(help="Folder of a study that was carried out.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="TOML file to write.")] = Path(
        "tuned.toml"
    ),
    device: options.Unused = "cpu",
    seed: options.Unused = "0",
    result: options.ResultOptions,
    trust: options.Trust = False,
) -> None:
    """Write the best options of each method, for the studies that say `tuned = "FILE"`.

    The study's [options] list what is tried. For each family and method the options of the lowest
    median held-out residual are chosen, a trial that lost the source it is to keep last; errors
    against the reference have no say. Tune on coefficients that are not among those to be compared.

    Example: pacpde study choose runs/tuning -o tuned.toml
    """
    from pacpde.studies.results_store import ResultsStore
    from pacpde.studies.study import read_outline
    from pacpde.studies.tuning import choose, write_tuned

    inputs.output_file(output, *_parts(folder))
    inputs.json_target(result.json, folder, output)
    outline, rows = read_outline(folder, trust=trust)[0], ResultsStore(folder).rows()
    choices = choose(outline, rows)
    write_tuned(choices, output, overwrite=result.overwrite)
    missing = set(outline.names) - {row["cell"] for row in rows}
    content = {
        "cells": len(outline.names),
        "done": len(outline.names) - len(missing),
        "chosen": [vars(choice) for choice in choices],
    }
    shown = [
        [c.family, c.method, ", ".join(f"{k}={v}" for k, v in c.options.items()) or "nothing",
         Number(c.trials), f"{c.held_out:.1e}"]
        for c in choices
    ]  # fmt: skip
    headings = ["family", "method", "chosen", "trials", "held-out residual"]
    result.emit(content, table(f"Written to {output}", headings, shown))
    if missing:
        print_stderr(
            f"{len(missing)} of {len(outline.names)} cells are missing and count as failures: "
            "`pacpde study run` does them."
        )


def report(
    *,
    folder: Annotated[Path, typer.Argument(help="Folder of a `pacpde study run`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")] = Path(
        "report.html"
    ),
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    plots: Annotated[
        Path | None,
        typer.Option(help="Folder for every picture as PDF and PNG, in print quality."),
    ] = None,
    device: options.Unused = "cpu",
    seed: options.Unused = "0",
    result: options.ResultOptions,
    trust: options.Trust = False,
) -> None:
    """Write one self-contained HTML page of a study: summary, tables, pictures, a slider.

    It opens without a network. Nothing is fitted: all comes from records and kept surrogates.
    Plug-ins of the study's folder run with --trust only; without it their solutions are left out.

    Example: pacpde report runs/study -o report.html
    """
    from pacpde.report import write

    inputs.output_file(output, *_parts(folder))
    inputs.json_target(result.json, folder, output)
    counts = write(folder, output, title, plots, trust=trust, overwrite=result.overwrite)
    result.emit(
        counts,
        f"{counts['cells']} of {counts['planned']} cells in {output}, "
        f"{counts['bytes'] / 1e6:.1f} MB"
        + (f"; {counts['failed']} have no result" if counts["failed"] else ""),
    )
    if counts["untrusted"]:
        print_note(f"{counts['untrusted']} The slider and pictures of solutions are left out.")


for command in (check, run, status, choose):
    study_app.command()(with_groups(command))


def _parts(folder: Path) -> list[Path]:
    """What of a study's folder no output may replace."""
    from pacpde.studies.fit_store import FITS
    from pacpde.studies.folder import ABOUT, FILE, PLUGINS, RECORDS
    from pacpde.studies.results_store import SURROGATES

    names = (RECORDS, FILE, ABOUT, PLUGINS, SURROGATES, FITS, LIST)
    return [folder / name for name in names]


@contextmanager
def _counting() -> Iterator[Any]:
    """Cells done, failures and time left: a bar on a terminal, sparse lines elsewhere."""
    from rich.progress import TimeRemainingColumn

    last = 0.0

    def text(status: Any) -> str:
        parts = [f"{status.trained} of {status.sources} sources"]
        if status.failed:
            parts.append(f"{status.failed} failed")
        return ", ".join(parts)

    def line(status: Any) -> None:
        nonlocal last
        if time.monotonic() - last > PLAIN_INTERVAL or not status.left:
            last = time.monotonic()
            print_stderr(f"{status.done} of {status.cells} cells, {text(status)}")

    with progress_bars(TimeRemainingColumn(), width=32) as bars:
        if bars is None:
            yield line
            return
        task = bars.add_task("cells", total=None, text="")
        yield lambda status: bars.update(
            task, total=status.cells, completed=status.done + status.failed, text=text(status)
        )


def _span(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
