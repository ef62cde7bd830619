"""`pacpde families` and `pacpde methods`: what there is."""

from pacpde.cli import inputs, tables
from pacpde.cli.options import Debug, Json, Overwrite, Plugin, Unused
from pacpde.cli.output import emit


def families(
    json: Json = None,
    overwrite: Overwrite = False,
    device: Unused = "cpu",
    seed: Unused = "0",
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """List every family with its coefficients, bounds and defaults.

    Example: pacpde families --json -
    """
    inputs.json_target(json)
    emit(*tables.families(json), overwrite=overwrite)


def methods(
    json: Json = None,
    overwrite: Overwrite = False,
    device: Unused = "cpu",
    seed: Unused = "0",
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """List every way to transfer, with its formula and options.

    Example: pacpde methods
    """
    inputs.json_target(json)
    emit(*tables.methods(json), overwrite=overwrite)
