"""The folder of a comparison: finished cells, half-done fits, and what a person looks at.

```
FOLDER/source, FOLDER/<method>     surrogates of this command (under seed-<n>/ for several seeds)
FOLDER/records.json                its records
FOLDER/.cells/<hash>               every finished cell, named by its inputs
FOLDER/.journal/<hash>             half-done fits
FOLDER/.lock                       held while a comparison runs
```
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pacpde.errors import DataFileError, OutputError
from pacpde.files import check_writable
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.journal import Journal
from pacpde.studies import records

LOCK = ".lock"


@dataclass(frozen=True)
class Cell:
    """One finished or unfinished fit; `about` is written last, so that it marks the end."""

    store: "Store"
    inputs: Mapping[str, Any]

    @property
    def key(self) -> str:
        return records.cell_hash(self.inputs)

    @property
    def folder(self) -> Path:
        return self.store.folder / ".cells" / self.key

    @property
    def journal(self) -> Journal:
        return Journal(self.store.folder / ".journal" / self.key, self.key)

    @property
    def finished(self) -> bool:
        """Whether it was carried out to its end."""
        return (self.folder / "about.json").is_file()

    def load(self) -> tuple[dict[str, Any], Surrogate] | None:
        """(about, surrogate) of a finished cell; None if it is unfinished or damaged."""
        try:
            about = json.loads((self.folder / "about.json").read_text(encoding="utf-8"))
            return about["about"], checkpoint.load(self.folder / "surrogate")
        except (OSError, ValueError, KeyError, TypeError, DataFileError):
            return None

    def save(self, about: Mapping[str, Any], surrogate: Surrogate) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint.save(surrogate, self.folder / "surrogate")
        content = {"inputs": self.inputs, "about": about}
        records.write_json(content, self.folder / "about.json")
        self.journal.clear()


@dataclass(frozen=True)
class Store:
    """A folder of cells."""

    folder: Path

    def cell(self, inputs: Mapping[str, Any]) -> Cell:
        return Cell(self, inputs)

    def show(self, surrogate: Surrogate, *place: str) -> None:
        """Put a surrogate where a person looks for it."""
        checkpoint.save(surrogate, self.folder.joinpath(*place))

    def check(self, places: Iterable[tuple[str, ...]]) -> None:
        """Refuse a folder that cannot be written, or in which a place holds something else."""
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(f"{self.folder} is a file: give the name of a folder.")
        check_writable(self.folder / "records.json")
        for place in places:
            checkpoint.check_place(self.folder.joinpath(*place))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The folder for this process alone; the system frees it when the process ends.

        Raises OutputError where another process has it. Where the file system knows no locks,
        nothing is held.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                f"another run of pacpde is at work in {self.folder}: wait for its end, or name "
                "another output folder."
            ) from error
        except NotImplementedError:
            pass
        try:
            yield
        finally:
            lock.release()

    def taken(self, places: Iterable[tuple[str, ...]]) -> list[Path]:
        """Where nothing else may be put."""
        inside = [(".cells",), (".journal",), (LOCK,), *places]
        return [self.folder.joinpath(*place) for place in inside]

    def tidy(self) -> None:
        """Remove what was left for resuming; finished cells stay."""
        shutil.rmtree(self.folder / ".journal", ignore_errors=True)
