"""The console application: every command, one module each or one a group.

A command's module, and torch with it, is imported when the command is called or asked for its
options: `pacpde --help` answers at once.
"""

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple

import typer
import typer.core
import typer.main


class Place(NamedTuple):
    """Where a command is: its module in `pacpde.cli`, its name there, and the start of its help."""

    module: str
    name: str
    summary: str


COMMANDS = {
    "families": Place(
        "listing",
        "families",
        "List every family with its coefficients, bounds and defaults.",
    ),
    "methods": Place(
        "listing",
        "methods",
        "List every way to transfer, with its formula and options.",
    ),
    "check": Place(
        "check",
        "check",
        "Say what a family of yours does, what is wrong with it, and whether it can be solved.",
    ),
    "solve": Place(
        "solve",
        "solve",
        "Compute a certified reference solution with scipy.",
    ),
    "train": Place(
        "train",
        "train",
        "Train a source surrogate; after an interruption the same command resumes.",
    ),
    "transfer": Place(
        "transfer",
        "transfer",
        "Move a trained surrogate to other coefficients.",
    ),
    "predict": Place(
        "predict",
        "predict",
        "Evaluate a surrogate at the points of a file.",
    ),
    "compare": Place(
        "compare",
        "compare",
        "Train a source, transfer it by several methods, and show them side by side.",
    ),
    "identify": Place(
        "identify",
        "identify",
        "Find unknown coefficients from measurements of a solution, with standard errors.",
    ),
    "report": Place(
        "study",
        "report",
        "Write one self-contained HTML page of a study: summary, tables, pictures, a slider.",
    ),
    "rerun": Place(
        "rerun",
        "rerun",
        "Make transfers again, sources included, from records alone, and compare the numbers.",
    ),
    "study": Place(
        "study",
        "study_app",
        "Grids of transfers: many families, sources, targets, methods, seeds, labels.",
    ),
    "library": Place(
        "library",
        "library_app",
        "Libraries: several solved coefficients, on which others are found in milliseconds.",
    ),
}

app = typer.Typer(
    help="Move a trained ODE or PDE solver to changed coefficients: prune, allocate, calibrate.\n\n"
    "A first round: pacpde compare burgers --source nu=0.01/pi --target nu=0.02/pi "
    "--methods pac,warm_start,scratch -o runs/compare",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@cache
def command_of(name: str) -> Any:
    """The command of click, or the group, of this name; its module is imported.

    Example:
        >>> command_of("study").list_commands(None)
        ['check', 'run', 'status', 'choose']
    """
    place = COMMANDS[name]
    found = getattr(importlib.import_module(f"pacpde.cli.{place.module}"), place.name)
    if not isinstance(found, typer.Typer):
        from pacpde.cli.groups import with_groups

        command, found = found, typer.Typer(add_completion=False, rich_markup_mode=None)
        found.command(name)(with_groups(command))
    return typer.main.get_command(found)


def imported(words: Sequence[str]) -> None:
    """Import what these words of a command line call, which is then ready to be interrupted."""
    for name in words:
        if name in COMMANDS:
            command_of(name)
            return


class ImportedLater(typer.core.TyperCommand):
    """Stands for a command until it is called."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return command_of(str(self.name)).make_context(info_name, args, parent, **extra)


def _version(wanted: bool) -> None:
    if wanted:
        from pacpde.runtime import versions

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


for _name, _place in COMMANDS.items():
    app.command(_name, cls=ImportedLater, help=_place.summary)(lambda: None)
