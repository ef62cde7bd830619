"""The command line: `entry` calls `commands`, which the rest helps."""

from pacpde.cli.entry import main

__all__ = ["main"]
