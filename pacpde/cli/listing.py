"""`pacpde families` and `pacpde methods`: list the families and the methods."""

from pacpde.cli import inputs, options, tables
from pacpde.cli.output import emit


def families(
    json: options.Json = None,
    overwrite: options.Overwrite = False,
    device: options.Unused = "cpu",
    seed: options.Unused = "0",
    plugin: options.Plugin = [],  # noqa: B006
    debug: options.Debug = False,
) -> None:
    """List every family with its coefficients, bounds and defaults.

    Example: pacpde families --json -
    """
    inputs.json_target(json)
    emit(*tables.families(json), overwrite=overwrite)


def methods(
    json: options.Json = None,
    overwrite: options.Overwrite = False,
    device: options.Unused = "cpu",
    seed: options.Unused = "0",
    plugin: options.Plugin = [],  # noqa: B006
    debug: options.Debug = False,
) -> None:
    """List every way to transfer, with its formula and options.

    Example: pacpde methods
    """
    inputs.json_target(json)
    emit(*tables.methods(json), overwrite=overwrite)
