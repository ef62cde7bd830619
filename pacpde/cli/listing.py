"""`pacpde families` and `pacpde methods`: list the families and the methods."""

from pacpde.cli import inputs, options, tables


def families(
    *, result: options.ResultOptions, device: options.Unused = "cpu", seed: options.Unused = "0"
) -> None:
    """List every family with its coefficients, bounds and defaults.

    Example: pacpde families --json -
    """
    inputs.json_target(result.json)
    result.emit(*tables.families())


def methods(
    *, result: options.ResultOptions, device: options.Unused = "cpu", seed: options.Unused = "0"
) -> None:
    """List every way to transfer, with its formula and options.

    Example: pacpde methods
    """
    inputs.json_target(result.json)
    result.emit(*tables.methods())
