"""`pacpde predict`: a surrogate at the points of a file."""

from pathlib import Path
from typing import Annotated

import typer

from pacpde.cli import inputs, options
from pacpde.cli import points as tabulated
from pacpde.cli.data import column_names
from pacpde.cli.streams import print_note
from pacpde.datasets.named_values import check_writable_kind
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
            "any order, and fields whose values are known, against which the error is given; "
            ".npz, .mat, HDF5, netCDF or Parquet with arrays of these names, as columns or one an "
            "axis; or an HDF5 file of `pacpde solve`, for its grid and its fields."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File to write, by its ending: .nc (netCDF), .h5 (HDF5), .parquet, else CSV "
            "(endings of other kinds, such as .xlsx, are refused); CSV to stdout without it.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS_OR_FIELD=NAME,...",
            help="What axes and fields are called in the file of points, as t=time,u=velocity.",
        ),
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
        check_writable_kind(output.suffix.lower())
    inputs.json_target(result.json, folder, points, *([output] if output else []))
    table = tabulated.read(points, surrogate.problem, extrapolate, dict(column_names(columns)))
    for remark in tabulated.remarks(table, surrogate):
        print_note(remark)
    fields = table.fields(surrogate)
    tabulated.write(table, fields, surrogate, output, overwrite=result.overwrite)
    summary = table.summary(surrogate, fields, output)
    if output is None and summary["error"] is not None:
        print_note(f"{tabulated.sentence(summary)}")
    shown = [tabulated.sentence(summary)] if output else []
    result.emit(summary, *shown)
