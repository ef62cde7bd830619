"""The page of every command and option, made from the commands themselves."""

import inspect
from collections.abc import Iterator
from typing import Any

from pacpde.cli.commands import COMMANDS, command_of

PLACE = "reference/commands.md"
HEAD = """# Every command and option

What each command takes, as `pacpde COMMAND --help` shows it. What options mean that many commands
share, and the exit status, is on the page [The command line](../command_line.md).
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Each command that can be called, as (what is typed, command of click)."""
    for name in COMMANDS:
        command = command_of(name)
        if hasattr(command, "commands"):
            for part, own in command.commands.items():
                yield f"{name} {part}", own
        else:
            yield name, command


def pages() -> dict[str, str]:
    """Place on the site → Markdown."""
    return {PLACE: "\n".join([HEAD, *(section(name, command) for name, command in commands())])}


def row() -> str:
    """The page's row of the table of the reference."""
    return "| every command with every option | [Every command and option](commands.md) |\n"


def section(name: str, command: Any) -> str:
    context = command.context_class(command, info_name=f"pacpde {name}")
    usage = " ".join([f"pacpde {name}", *command.collect_usage_pieces(context)])
    text, options = [], []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        first, _, example = paragraph.partition("Example: ")
        text.append(escaped(" ".join(first.split())))
        if example:
            text.append(f"```\n{' '.join(example.split())}\n```")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            names, meaning = record
            options.append(f"`{names}`\n:   {escaped(meaning) or '–'}\n")
    body = "\n\n".join(part for part in text if part)
    return f"## pacpde {name}\n\n```\n{usage}\n```\n\n{body}\n\n" + "\n".join(options)


def escaped(text: str) -> str:
    """Text of a help, with what Markdown would take for markup outside of code."""
    parts = text.split("`")
    marks = str.maketrans({c: f"\\{c}" for c in "*_[]#"} | {"<": "&lt;", ">": "&gt;"})
    return "`".join(p if n % 2 else p.translate(marks) for n, p in enumerate(parts))
