"""The command line: `commands` parses, calls and prints; the rest helps it."""

from pacpde.cli.commands import app, main

__all__ = ["app", "main"]
