"""Where in a TOML text a key stands."""

import re
from collections.abc import Mapping

Place = tuple[str | int, ...]  # names of tables and keys, numbers among several tables


def line_of(text: str, place: Place) -> int | None:
    """The line on which a key of a TOML text stands, or the nearest above it that can be found."""
    best: int | None = None
    table: list[str | int] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        several = re.match(r"\s*\[\[\s*([\w.\-\"']+)\s*\]\]", line)
        single = re.match(r"\s*\[\s*([\w.\-\"']+)\s*\]\s*(#.*)?$", line)
        key = re.match(r"\s*([\w\-\"']+)\s*=", line)
        if several:
            name = several[1]
            seen[name] = seen.get(name, -1) + 1
            table = [*name.split("."), seen[name]]
            found = table
        elif single:
            table = [part for name in single[1].split(".") for part in _with_number(name, seen)]
            found = table
        elif key:
            found = [*table, key[1].strip("\"'")]
        else:
            continue
        if found and tuple(found) == place[: len(found)]:
            best = number
    return best


def _with_number(name: str, seen: Mapping[str, int]) -> list[str | int]:
    """A name, and which of its tables it is where there are several."""
    name = name.strip("\"'")
    return [name, seen[name]] if name in seen else [name]
