"""`pacpde library`: build, solve, add, show, page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from pacpde.cli import inputs, options, outputs
from pacpde.cli.groups import with_groups
from pacpde.cli.output import Number, error, progress_display, table
from pacpde.cli.streams import print_note
from pacpde.errors import InvalidValueError, OutputError
from pacpde.expressions import evaluate
from pacpde.files import follow
from pacpde.methods.library import Library
from pacpde.methods.library.library import BUILD_SECONDS
from pacpde.methods.library.storage import FOLDER
from pacpde.methods.provenance import of_library_solution
from pacpde.networks import checkpoint
from pacpde.networks.outcome import Outcome
from pacpde.networks.refined import unrefined
from pacpde.networks.surrogate import Surrogate
from pacpde.runtime import Runtime, check_seed
from pacpde.studies import output_folder

library_app = typer.Typer(
    help="Libraries: several solved coefficients, on which others are found in milliseconds.\n\n"
    "`build` fits sources until a tolerance holds over a range, `solve` finds the surrogate of one "
    "coefficient, `add` keeps targets in the library, `show` tells what it holds, `page` makes a "
    "page with sliders.",
    add_completion=False,
    rich_markup_mode=None,
)
Place = Annotated[Path, typer.Argument(metavar="LIBRARY", help="Folder of a library.")]


def build(
    *,
    family: options.Family,
    output: options.Folder,
    over: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=LOWER:UPPER",
            help="A coefficient and its range, as nu=0.003:0.1; may be repeated.",
        ),
    ],
    coefficients: options.Coefficients = None,
    tolerance: Annotated[
        float,
        typer.Option(
            parser=options.number,
            help="Relative L2 error that is to hold over the range, by estimate.",
        ),
    ] = 1e-4,
    most: Annotated[int, typer.Option(help="Sources at which it ends in any case.")] = 20,
    seconds: Annotated[
        float,
        typer.Option(
            parser=options.number,
            help="Time after which it ends with what it has, once the step or candidate of that "
            "moment is finished; the same command then goes on.",
        ),
    ] = BUILD_SECONDS,
    steps: Annotated[int | None, typer.Option(help=options.steps_help())] = None,
    points: Annotated[int | None, typer.Option(help=options.points_help())] = None,
    width: Annotated[int | None, typer.Option(help="Neurons a hidden layer. Default: 30.")] = None,
    depth: Annotated[int | None, typer.Option(help="Hidden layers. Default: 3.")] = None,
    until: options.Until = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    result: options.ResultOptions,
) -> None:
    """Fit sources until a tolerance holds over a range; the same command resumes.

    Each next source stands where the library is worst, and is fitted by warm start. A command with
    a larger --most goes on from where it ended; targets that were added stay.

    Example: pacpde library build burgers --over nu=0.003:0.1 --tolerance 1e-4 -o runs/library
    """
    problem = inputs.problem(family, coefficients or [], until)
    ranges = {name: _range(name, text) for name, text in inputs.assignments(over, "range").items()}
    given = {"steps": steps, "points": points, "width": width, "depth": depth}
    settings = {name: value for name, value in given.items() if value is not None}
    call = {
        "family": problem.name, "coefficients": problem.coefficients, "until": problem.until,
        "over": {name: list(pair) for name, pair in ranges.items()}, "tolerance": tolerance,
        "most": most, "settings": settings, "seed": check_seed(seed),
    }  # fmt: skip
    runtime = Runtime(device)
    with output_folder.alone(output):
        before = _built_before(call, output, runtime, result.overwrite)
        may_replace = inputs.json_target(
            result.json, output, overwrite=result.overwrite,
            own=lambda: before and _about(before, output),
        )  # fmt: skip
        if before is not None and before.call == {**call, "done": True}:
            library = before
            print_note(
                f"{output} holds the library of this command already; --overwrite makes it anew."
            )
        else:

            def keep(library: Library) -> None:
                library.call = call
                library.save(output)

            with progress_display() as display:
                library = Library.build(
                    problem, ranges, tolerance=tolerance, most=most, seconds=seconds,
                    settings=settings, seed=seed, runtime=runtime, progress=display,
                    log=display.log, library=before, callback=keep,
                )  # fmt: skip
            library.call = {**call, "done": True} if library.complete else call
            library.save(output)
    result.emit(_about(library, output), _shown(library), replace=may_replace)
    if not float(np.nanmax(library.estimates())) <= tolerance:
        raise typer.Exit(1)


def solve(
    *,
    library: Place,
    output: options.Folder,
    coefficients: options.Changes = None,
    seed: options.Unused = "0",
    result: options.ResultOptions,
) -> None:
    """Find the surrogate of other coefficients, with an estimated error.

    The folder is one of a surrogate, as of `pacpde transfer`: predict, transfer and others take it.

    Example: pacpde library solve runs/library nu=0.0123 -o runs/target
    """
    opened = Library.load(library)
    problem = inputs.target(opened.box.problem, coefficients or [], None)
    call = {**of_library_solution(opened.sources, problem), "grading": None}

    def compute() -> output_folder.Fit:
        found = opened.solve(problem)
        return found, _solution(found, output)

    found, content, replace = outputs.one_surrogate(call, output, result, compute, library)
    result.emit(content, _table_of([content]), replace=replace)
    _exit_for([found], opened)


def add(
    *,
    library: Place,
    coefficients: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE,VALUE,...",
            help="Targets to solve and keep, as nu=0.01,0.02; of several coefficients as many of "
            "each.",
        ),
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="A surrogate that joins the sources; repeatable."),
    ] = None,
    seed: options.Unused = "0",
    result: options.ResultOptions,
) -> None:
    """Keep targets, or let surrogates join the sources; nothing that is there changes by a bit.

    Example: pacpde library add runs/library nu=0.0123,0.02
    """
    values = {
        name: [evaluate(word) for word in text.split(",")]
        for name, text in inputs.assignments(coefficients or [], "coefficient").items()
    }
    if not values and not source:
        raise InvalidValueError("nothing is to be added: name coefficients, or --source.")
    joining = {folder: checkpoint.load(folder) for folder in source or []}
    with output_folder.alone(library):
        opened = Library.load(library)
        problems = opened.box.problems(values) if values else []

        def content() -> dict[str, Any]:
            added = [_solution(opened.recall(problem), library) for problem in problems]
            return {**_about(opened, library), "added": added}

        there = all(problem in opened.kept for problem in problems)
        may_replace = inputs.json_target(
            result.json, library, overwrite=result.overwrite,
            own=lambda: content() if there else None,
        )  # fmt: skip
        for folder, surrogate in joining.items():
            if _has_joined(surrogate, opened):
                print_note(f"{folder} is a source of {library} already.")
            else:
                opened.add(surrogate)
        kept = [opened.add(problem) for problem in problems]
        opened.save(library)
    shown = [_table_of([_solution(one, library) for one in kept])] if kept else []
    result.emit(content(), *shown, _shown(opened), replace=may_replace)
    _exit_for(kept, opened)


def show(*, library: Place, seed: options.Unused = "0", result: options.ResultOptions) -> None:
    """Tell what a library holds: its range, its sources, what it keeps, and its errors.

    Example: pacpde library show runs/library
    """
    inputs.json_target(result.json, library)
    opened = Library.load(library)
    about = _about(opened, library)
    rows = [[str(one), "source"] for one in (source.problem for source in opened.sources)]
    rows += [
        [str(one.problem), f"kept, estimated error {error(one.assessment.error_estimate)}"]
        for one in opened.kept.values()
    ]
    result.emit(about, table(f"Library {library}", ["problem", "what it is"], rows), _shown(opened))


def page(
    *,
    library: Place,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")],
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    seed: options.Unused = "0",
    result: options.ResultOptions,
) -> None:
    """Write a page with sliders that evaluates a library in the browser, without a server.

    Example: pacpde library page runs/library -o burgers.html
    """
    from pacpde.report import library_page

    inputs.output_file(output, library)
    inputs.json_target(result.json, library, output)
    content = library_page.write(
        Library.load(library), output, title=title, overwrite=result.overwrite
    )
    result.emit(
        content,
        f"{output}: {content['bytes'] / 1e6:.1f} MB; it differs from the library by at most "
        f"{content['largest_difference']:.0e} at random coefficients.",
    )


def _range(name: str, text: str) -> tuple[float, float]:
    ends = text.split(":")
    if len(ends) != 2:
        raise InvalidValueError(
            f"--over {name}={text} is no range: write {name}=LOWER:UPPER, as in nu=0.003:0.1."
        )
    lower, upper = (evaluate(end) for end in ends)
    return lower, upper


def _built_before(
    call: dict[str, Any], output: Path, runtime: Runtime, overwrite: bool
) -> Library | None:
    """What the same command left in a folder, or one of fewer sources at most.

    Raises:
        OutputError: it holds anything else.
    """
    place = follow(output)
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return None
    if not (place / FOLDER.about).exists():
        raise OutputError(f"{output} holds other files: name another output folder.")
    if overwrite:
        return None
    library = Library.load(place, runtime)
    same = {"done": True, "most": call["most"]}
    made = library.call or {}
    is_same = {**made, **same} == {**call, **same}
    if is_same and made["most"] > call["most"]:
        raise OutputError(
            f"{output} holds this library, built with --most {made['most']}: give that or more, or "
            "another folder for fewer sources."
        )
    if not is_same:
        raise OutputError(
            f"{output} holds another library: name another folder, or add --overwrite to replace "
            "it."
        )
    return library


def _has_joined(surrogate: Surrogate, library: Library) -> bool:
    """Whether a library has this very source, as where `add` was killed at its end."""
    given = unrefined(surrogate)
    return any(
        own.problem == given.problem and torch.equal(own.weights.cpu(), given.weights.cpu())
        for own in library.sources
    )


def _about(library: Library, place: Path) -> dict[str, Any]:
    """A library as a JSON object."""
    estimates = library.estimates()
    known = estimates[np.isfinite(estimates)]
    return {
        "library": str(place),
        "family": library.box.problem.name,
        "ranges": {name: list(pair) for name, pair in library.box.ranges.items()},
        "tolerance": library.tolerance,
        "sources": [source.problem.coefficients for source in library.sources],
        "kept": [one.problem.coefficients for one in library.kept.values()],
        "functions": library.backbone.functions,
        "largest_error_estimate": float(known.max()) if len(known) else None,
    }


def _shown(library: Library) -> str:
    about = _about(library, Path())
    ranges = ", ".join(f"{n} from {a:g} to {b:g}" for n, (a, b) in library.box.ranges.items())
    largest = about["largest_error_estimate"]
    errors = "not estimated" if largest is None else f"up to {largest:.1e}"
    return (
        f"{about['family']}, {ranges}: {len(about['sources'])} sources, {about['functions']} "
        f"functions, {len(about['kept'])} targets kept; estimated errors {errors}."
    )


def _solution(found: Surrogate, place: Path) -> dict[str, Any]:
    about = found.assessment
    return {
        "folder": str(place),
        "family": found.problem.name,
        "coefficients": found.problem.coefficients,
        "outcome": found.outcome,
        "residual": about and about.residual,
        "error_estimate": found.error_estimate,
        "seconds": found.seconds,
    }


def _table_of(contents: Sequence[dict[str, Any]]) -> Any:
    rows = [
        [
            ", ".join(f"{name}={value:g}" for name, value in one["coefficients"].items()),
            one["outcome"], error(one["error_estimate"]), error(one["residual"]),
            Number(f"{one['seconds']:.2g}"),
        ]
        for one in contents
    ]  # fmt: skip
    return table(
        f"Targets of {contents[0]['family']}",
        ["target", "outcome", "estimated error", "residual", "seconds"],
        rows,
    )


def _exit_for(found: Sequence[Surrogate], library: Library) -> None:
    """Exit with 1 where a solution is not estimated to be good enough."""
    poor = [one for one in found if one.outcome != Outcome.CONVERGED]
    if poor:
        print_note(
            f"not estimated below the library's tolerance of {library.tolerance:g}: {len(poor)} of "
            f"{len(found)}, the first {poor[0].problem}. Start a transfer from it "
            "(`pacpde transfer`), or let a source near it join (`pacpde library add --source`)."
        )
        raise typer.Exit(1)


for command in (build, solve, add, show, page):
    library_app.command()(with_groups(command))
