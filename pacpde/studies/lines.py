"""Where in a TOML text a key stands."""

import re
from collections.abc import Mapping

Place = tuple[str | int, ...]  # names of tables and keys, numbers among several tables


def line_of(text: str, place: Place) -> int | None:
    """The line on which a key of a TOML text stands, or the nearest above it that can be here."""
    best: int | None = None
    table: list[str | int] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        several = re.match(r"\s*\[\[\s*([\w.\-\"']+)\s*\]\]", line)
        single = re.match(r"\s*\[\s*([\w.\-\"']+)\s*\]\s*(#.*)?$", line)
        key = re.match(r"\s*([\w\-\"']+)\s*=", line)
        if several:
            name = several[1]
            counts[name] = counts.get(name, -1) + 1
            table = [*name.split("."), counts[name]]
            here = table
        elif single:
            table = [part for name in single[1].split(".") for part in _with_number(name, counts)]
            here = table
        elif key:
            here = [*table, key[1].strip("\"'")]
        else:
            continue
        if here and tuple(here) == place[: len(here)]:
            best = number
    return best


def _with_number(name: str, counts: Mapping[str, int]) -> list[str | int]:
    """A name, and which of its tables it is where there are several."""
    name = name.strip("\"'")
    return [name, counts[name]] if name in counts else [name]
