"""Arguments and options that several commands share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacpde.checks import check_unused
from pacpde.cli import inputs
from pacpde.cli.output import emit
from pacpde.datasets.grading import COMMAND, check_choice
from pacpde.errors import PacpdeError
from pacpde.expressions import evaluate
from pacpde.methods import Method, TrainingConfig
from pacpde.methods.pac import PAC
from pacpde.optim.base import optimisers
from pacpde.physics import Problem
from pacpde.plugins import load_plugin
from pacpde.training.config import POINTS_IN_TIME, unused_beside

if TYPE_CHECKING:
    from rich.table import Table


def _load_plugins(paths: list[Path] | None) -> list[Path]:
    for path in paths or []:
        load_plugin(path)
    return paths or []


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


def steps_help(default: int = TrainingConfig.steps) -> str:
    """Help of --steps."""
    return (
        "At most so many steps of a fit's last phase; the total shown counts the phases before it "
        f"too. Default: what the family declares, else {default}."
    )


def points_help(default: int = TrainingConfig.points, also: str = "") -> str:
    """Help of --points.

    Args:
        also: a sentence on what else holds of the default.
    """
    return (
        "Collocation points drawn at a time. Default: what the family declares, else "
        f"{default}. Of an ODE: {POINTS_IN_TIME}.{also}"
    )


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
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")]
Dtype = Annotated[str, typer.Option(help="float64 or float32; float32 stalls fine fits.")]
Seed = Annotated[int, typer.Option(help="Of what is drawn at random: weights, points, labels.")]
OneSeed = Annotated[
    int | None,
    typer.Option(help="Of what is drawn at random: weights, points, labels. Default: 0."),
]
Plugin = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        callback=_load_plugins,
        is_eager=True,
        help="A Python file with families, methods or networks of your own; may be repeated.",
    ),
]
Until = Annotated[
    float | None, typer.Option(parser=number, help="End of the time span, if not the family's own.")
]
Noise = Annotated[
    float,
    typer.Option(
        parser=number,
        help="Noise of --labels, in standard deviations of each field; with --data, standard "
        "deviation of its values, in their units.",
    ),
]
DataNoise = Annotated[
    float | None,
    typer.Option(parser=number, help="Standard deviation of the values of --data, in their units."),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run the plug-ins that the study names: code that somebody wrote."
    ),
]
Unused = Annotated[str, typer.Option(help="Taken as by every command, without effect here.")]


@dataclass(frozen=True)
class FitOptions:
    """Settings of a fit."""

    steps: Annotated[int | None, typer.Option(help=steps_help())] = None
    width: Annotated[int | None, typer.Option(help=f"Neurons a hidden layer. {_else('width')}")] = (
        None
    )
    depth: Annotated[int | None, typer.Option(help=f"Hidden layers. {_else('depth')}")] = None
    network: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPTION=VALUE,...]",
            help="Another network than the dense one of --width and --depth: for long times of an "
            "equation of first order in time time_windows:count=20,width=12,depth=2, or one of a "
            "--plugin of yours.",
        ),
    ] = None
    points: Annotated[int | None, typer.Option(help=points_help())] = None
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            parser=number,
            help="A fit counts as converged where its held-out residual, as a share of the "
            f"equation's terms, or twice its estimated error is below it. {_else('tolerance')}",
        ),
    ] = None
    restarts: Annotated[
        int | None,
        typer.Option(
            help="How often a fit from random weights begins again in time windows where it "
            f"did not converge; one of fewer than {TrainingConfig.steps} --steps never does. "
            f"{_else('restarts')}"
        ),
    ] = None
    refinements: Annotated[
        int | None,
        typer.Option(
            help="How often a fit that is right, but not to a --tolerance below the default, gets "
            "a correction of random neurons, 500 at first (50 in time alone), then twice as many. "
            f"{_else('refinements')}"
        ),
    ] = None
    memory: Annotated[
        float | None,
        typer.Option(
            parser=number,
            help="GiB that a step of a fit may take, half for the Jacobian and half for its normal "
            f"matrix; a fit that needs more forms no matrix. {_else('memory_gib')}",
        ),
    ] = None
    optimiser: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(optimisers.names())}, with options as adam:lr=1e-2. Those "
            "without second-order steps need thousands of --steps. Default: what the family "
            f"declares, else {TrainingConfig.optimiser}."
        ),
    ] = None
    soft: Annotated[
        bool,
        typer.Option(
            "--soft",
            help="Meet start and conditions by residuals, not exactly. Those that contradict each "
            "other are met so anyway.",
        ),
    ] = False

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that were given, name → value."""
        given = {option.name: getattr(self, option.name) for option in fields(self)}
        given |= {"memory_gib": given.pop("memory"), "hard": False if given.pop("soft") else None}
        return {name: value for name, value in given.items() if value is not None}

    def __post_init__(self) -> None:
        self.check(unused_beside(self.settings))

    def check(self, unused: Mapping[str, str]) -> None:
        """Refuse settings without effect.

        Args:
            unused: setting → why it has no effect.
        """
        written = {"memory_gib": "memory", "hard": "soft"}  # options of other names
        for name in self.settings:
            check_unused([name], unused, f"--{written.get(name, name)}")


@dataclass(frozen=True)
class RefitOptions(FitOptions):
    """Settings of fits that go on from a source, whose network and ansatz they keep."""

    points: Annotated[
        int | None,
        typer.Option(help=points_help(also=" At least as many as the source was fitted with.")),
    ] = None
    width: None = field(default=None, init=False)
    depth: None = field(default=None, init=False)
    network: None = field(default=None, init=False)
    restarts: None = field(default=None, init=False)
    soft: bool = field(default=False, init=False)


@dataclass(frozen=True)
class TransferOptions:
    """Options of methods, and what the target is known by."""

    sparsity: Annotated[
        float | None,
        typer.Option(
            parser=number,
            help="Share of the source's weights that is freed for the target, between 0 and 1. "
            f"Default of pac: {PAC.sparsity:g}.",
        ),
    ] = None
    strength: Annotated[
        float | None,
        typer.Option(
            parser=number,
            help="λ of the penalty λ‖w_P‖², with the freed weights w_P. Default of pac: "
            f"{PAC.strength:g}.",
        ),
    ] = None
    labels: Annotated[
        int,
        typer.Option(
            help="Also fit so many labels: values of the target's reference at random points, in "
            "place of --data."
        ),
    ] = 0
    noise: Noise = 0.0
    physics: Annotated[
        bool,
        typer.Option(
            "--physics/--no-physics",
            help="Fit the target's equation, or --labels or --data alone.",
        ),
    ] = True
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another option of a method, see `pacpde methods`; repeatable.",
        ),
    ] = None

    def methods(self, names: Sequence[str], **others: Any) -> list[Method]:
        """The methods of these names, each with those of the options that it has.

        Args:
            others: of options that one command has; None where they were not given.
        """
        own = {"sparsity": self.sparsity, "strength": self.strength, **others}
        return inputs.methods_of(names, self.option or [], **own)


@dataclass(frozen=True)
class GradingOptions:
    """The reference that grades a result."""

    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            metavar="auto|none|exact|FILE",
            help="What grades the result, and nothing more: auto, the best solution that can be "
            "certified; none; exact, the family's exact solution; or a file, of `pacpde solve`, or "
            "values on a grid in CSV, .npz, .mat or HDF5, see --columns.",
        ),
    ] = "auto"
    reference_tolerance: Annotated[
        float | None,
        typer.Option(
            "--reference-tolerance",
            parser=number,
            help="Relative L2 error to which the reference is certified where that can be done; "
            "else the best that can be done is taken, and said. Default: 1e-10; 1e-9 in two "
            "dimensions of space or more.",
        ),
    ] = None

    def check(self, source: Problem | None = None, target: Problem | None = None) -> None:
        """Refuse a --reference-tolerance that cannot be, or that has no effect."""
        check_choice(
            self.reference, self.reference_tolerance, of_source=source != target, written=COMMAND
        )


@dataclass(frozen=True)
class ResultOptions:
    """Where a result goes."""

    json: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="Write the result as JSON; - prints nothing else."),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace files and surrogates that are already there."),
    ] = False

    def emit(self, content: Any, *shown: "Table | str", replace: bool = False) -> None:
        """Show a result, or write it.

        Args:
            replace: a file of --json may be replaced, as with --overwrite.
        """
        emit(content, self.json, *shown, overwrite=self.overwrite or replace)


@dataclass(frozen=True)
class EveryCommand:
    """The last options of every command, which act before it is called."""

    plugin: Plugin = None
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False
