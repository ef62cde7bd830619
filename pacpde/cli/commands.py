"""The console application: every command, one module each or one a group."""

from typing import Annotated

import typer

from pacpde.cli.check import check
from pacpde.cli.compare import compare
from pacpde.cli.groups import with_groups
from pacpde.cli.identify import identify
from pacpde.cli.library import library_app
from pacpde.cli.listing import families, methods
from pacpde.cli.predict import predict
from pacpde.cli.rerun import rerun
from pacpde.cli.solve import solve
from pacpde.cli.study import report, study_app
from pacpde.cli.train import train
from pacpde.cli.transfer import transfer
from pacpde.runtime import versions

app = typer.Typer(
    help="Move a trained ODE or PDE solver to changed coefficients: prune, allocate, calibrate.\n\n"
    "A first round: pacpde compare burgers --source nu=0.01/pi --target nu=0.02/pi "
    "--methods pac,warm_start,scratch -o runs/compare",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(", ".join(f"{name} {version}" for name, version in versions().items()))
        raise typer.Exit


@app.callback()
def everywhere(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Versions, and no more."),
    ] = False,
) -> None:
    pass


for command in (
    families, methods, check, solve, train, transfer, predict, compare, identify, report, rerun,
):  # fmt: skip
    app.command()(with_groups(command))
app.add_typer(study_app, name="study")
app.add_typer(library_app, name="library")
