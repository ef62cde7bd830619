"""`pacpde predict`: a surrogate at the points of a file."""

from pathlib import Path
from typing import Annotated

import typer

from pacpde.cli import inputs, options
from pacpde.cli import points as tabulated
from pacpde.cli.streams import print_note
from pacpde.errors import InvalidValueError
from pacpde.networks import checkpoint
from pacpde.runtime import Runtime


def predict(
    *,
    folder: Annotated[Path, typer.Argument(help="Folder of a surrogate.")],
    points: Annotated[
        Path,
        typer.Argument(
            help="CSV (commas, semicolons, tabs or spaces) with a header that names the axes, in "
            "any order, and fields whose values are known, against which the error is given; or "
            "an HDF5 file of `pacpde solve`, for its grid and its fields."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV to write; stdout without it.")
    ] = None,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Allow points outside the domain.")
    ] = False,
    device: options.Device = "cpu",
    seed: Annotated[int, typer.Option(help="Unused: a prediction draws nothing.")] = 0,
    result: options.ResultOptions,
) -> None:
    """Evaluate a surrogate at the points of a file.

    Example: pacpde predict runs/target points.csv -o out.csv
    """
    surrogate = checkpoint.load(folder)
    surrogate = surrogate.to(Runtime(device, surrogate.runtime.dtype))
    if output is None and result.json == "-":
        raise InvalidValueError("--json - and the table both go to stdout: name a file with -o.")
    if output is not None:
        inputs.output_file(output, folder, points)
    inputs.json_target(result.json, folder, points, *([output] if output else []))
    table = tabulated.read(points, surrogate.problem, extrapolate)
    for remark in tabulated.remarks(table, surrogate):
        print_note(remark)
    fields = table.fields(surrogate)
    tabulated.write(table, fields, surrogate, output, overwrite=result.overwrite)
    summary = table.summary(surrogate, fields, output)
    if output is None and summary["error"] is not None:
        print_note(f"{tabulated.sentence(summary)}")
    shown = [tabulated.sentence(summary)] if output else []
    result.emit(summary, *shown)
