"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from pacpde.errors import PacpdeError
from pacpde.expressions import evaluate
from pacpde.methods import TrainingConfig
from pacpde.methods.pac import PAC
from pacpde.optim.base import optimisers
from pacpde.plugins import load_plugin


def _load_plugins(paths: list[Path]) -> list[Path]:
    for path in paths:
        load_plugin(path)
    return paths


def number(text: str) -> float:
    """The value of an option: a number, or arithmetic on numbers, pi and e, as coefficients are."""
    word = str(text).strip()  # a default comes as a number
    if word.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return float(word)  # refused by the option, which says what it may be
    try:
        return evaluate(word)
    except PacpdeError as error:
        raise typer.BadParameter(str(error)) from error


def _else(setting: str) -> str:
    """What holds where a setting of a fit is not given."""
    return f"Default: what the family declares, else {getattr(TrainingConfig, setting):g}."


Coefficients = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME=VALUE",
        help="Coefficients: arithmetic on numbers, pi and e. Those not named take their defaults.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME=VALUE",
        help="Coefficients of the target: arithmetic on numbers, pi and e. Those not named keep "
        "the source's values.",
    ),
]
Family = Annotated[str, typer.Argument(help="Name of the equation; see `pacpde families`.")]
Folder = Annotated[Path, typer.Option("-o", "--output", help="Folder for the result.")]
Json = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Write the result as JSON; - prints nothing else."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")]
Dtype = Annotated[str, typer.Option(help="float64 or float32; float32 stalls fine fits.")]
Seed = Annotated[int, typer.Option(help="Of weights, points and labels.")]
OneSeed = Annotated[int | None, typer.Option(help="Of weights, points and labels; default 0.")]
Plugin = Annotated[
    list[Path],
    typer.Option(
        metavar="FILE",
        callback=_load_plugins,
        is_eager=True,
        help="A Python file with families or methods of your own; may be repeated.",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace files and surrogates that are already there."),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run the plug-ins that the study names: code that somebody wrote."
    ),
]
Until = Annotated[
    float | None, typer.Option(parser=number, help="End of the time span, if not the family's own.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Steps = Annotated[
    int | None,
    typer.Option(
        help="At most so many steps of a fit's last phase; the "
        f"total shown counts the phases before it too. {_else('steps')}"
    ),
]
Points = Annotated[
    int | None, typer.Option(help=f"Collocation points drawn at a time. {_else('points')}")
]
Width = Annotated[int | None, typer.Option(help=f"Neurons a hidden layer. {_else('width')}")]
Depth = Annotated[int | None, typer.Option(help=f"Hidden layers. {_else('depth')}")]
Residual = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        parser=number,
        help=f"Held-out residual below which a fit counts as converged. {_else('tolerance')}",
    ),
]
Memory = Annotated[
    float | None,
    typer.Option(
        parser=number,
        help="GiB that a step of a fit may take, half for the Jacobian and half for its normal "
        f"matrix; a fit that needs more forms no matrix. {_else('memory_gib')}",
    ),
]
Optimiser = Annotated[
    str | None,
    typer.Option(
        help=f"One of {', '.join(optimisers.names())}; those without second-order steps need "
        "thousands of --steps. Default: levenberg_marquardt."
    ),
]
Soft = Annotated[
    bool,
    typer.Option(
        "--soft",
        help="Meet start and edges by residuals, not exactly; so it is anyway where they "
        "contradict each other.",
    ),
]
Labels = Annotated[int, typer.Option(help="Number of labelled points drawn of the target.")]
Noise = Annotated[
    float, typer.Option(parser=number, help="Noise of the labels, in spreads of each field.")
]
Physics = Annotated[bool, typer.Option("--physics/--no-physics", help="Use the target's equation.")]
Sparsity = Annotated[
    float | None,
    typer.Option(
        parser=number,
        help="Share of the source's weights that is freed, between 0 and 1. Default "
        f"of pac: {PAC.sparsity:g}.",
    ),
]
Strength = Annotated[
    float | None,
    typer.Option(
        parser=number, help=f"λ of the penalty λ‖w_P‖². Default of pac: {PAC.strength:g}."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another option of a method; repeatable."),
]
ReferenceChoice = Annotated[
    str,
    typer.Option(
        "--reference",
        metavar="auto|none|FILE",
        help="What grades the result, and nothing more: the best solution that scipy certifies, "
        "nothing, or a file of `pacpde solve`.",
    ),
]
ReferenceTolerance = Annotated[
    float | None,
    typer.Option(
        "--reference-tolerance",
        parser=number,
        help="Relative L2 error to which the reference is certified where that can be done; else "
        "the best that can be done is taken, and said. Default: 1e-10; 1e-9 in two dimensions of "
        "space or more.",
    ),
]
Unused = Annotated[str, typer.Option(help="Taken as by every command, without effect here.")]
