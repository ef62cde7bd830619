"""Which files of a folder pacpde wrote: those are replaced freely, the others are the user's."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pacpde.errors import OutputError
from pacpde.files import atomic_write, check_file, short_hash, taken
from pacpde.reading import TEXT, parse_json, read_bytes

LIST = ".pacpde.json"


class OwnFiles:
    """Remembers by a hash what pacpde wrote into a folder, in a file of that folder.

    A file counts as pacpde's own as long as nobody changed it. What is about to be written is
    noted first, so that a process may be killed at any time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / LIST

    @property
    def known(self) -> dict[str, list[str]]:
        """Name → hashes of what it held, the newest last."""
        try:
            files = parse_json(read_bytes(self.file, TEXT))["files"]
            return {str(name): [str(one) for one in hashes] for name, hashes in files.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def check(self, name: str, *, overwrite: bool = False) -> None:
        """Refuse a file that the user made or changed."""
        place = self.folder / name
        check_file(place)
        if overwrite or not place.exists():
            return
        if short_hash(place.read_bytes()) not in self.known.get(name, []):
            raise taken(place)

    @contextmanager
    def writing(self, name: str, *, overwrite: bool = False) -> Iterator[Path]:
        """Like `atomic_write`; the file then counts as pacpde's own."""
        self.check(name, overwrite=overwrite)
        with atomic_write(self.folder / name, before=partial(self.note, name)) as temporary:
            yield temporary

    def note(self, name: str, complete: Path) -> None:
        """Remember a file that is about to be moved to `name`."""
        known = self.known
        if self.file.exists() and not known:
            raise OutputError(f"{self.file} is not pacpde's, or damaged: name another folder.")
        known[name] = [*known.get(name, [])[-1:], short_hash(complete.read_bytes())]
        with atomic_write(self.file) as temporary:
            text = json.dumps({"files": known}, indent=1, sort_keys=True)
            temporary.write_text(text, encoding="utf-8")
