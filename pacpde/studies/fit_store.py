"""Finished fits and half-done ones of a folder, each named by what it depends on.

```
FOLDER/.cells/<key>/surrogate    a finished fit
FOLDER/.journal/<key>            states to resume a half-done one from
FOLDER/.lock                     held while a run is at work
```
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError, OutputError, UnreadableError
from pacpde.files import check_writable, collect_leftovers
from pacpde.locks import locked
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.studies.records import Row
from pacpde.training.resume import ResumeState

LOCK, FITS, RESUME = ".lock", ".cells", ".journal"
Fit = tuple[Surrogate, dict[str, Any]]


@dataclass
class FitStore:
    """Finished fits of a folder.

    Attributes:
        folder: None keeps them in memory.
    """

    folder: Path | None
    _in_memory: dict[str, Fit] = field(default_factory=dict, init=False)

    def load(self, key: str) -> Fit | None:
        """(surrogate, result) of a finished fit; None if it is unfinished or damaged.

        Raises UnreadableError where it may be whole.
        """
        if self.folder is None:
            return self._in_memory.get(key)
        place = self.place(key)
        try:
            return checkpoint.load(place), checkpoint.result(place) or {}
        except UnreadableError:
            raise
        except DataFileError:
            return None

    def loaded(self, keys: Iterable[str]) -> dict[str, Fit]:
        """The finished fits among those of `keys`, in their order."""
        return {key: fit for key in keys if (fit := self.load(key)) is not None}

    def save(self, key: str, surrogate: Surrogate, result: Mapping[str, Any]) -> None:
        """Store a finished fit and its result, and delete its resume state."""
        if self.folder is None:
            self._in_memory[key] = surrogate, dict(result)
            return
        place = self.place(key)
        if not checkpoint.holds_surrogate(place):  # damaged: nobody else's files are here
            for name in (checkpoint.ABOUT, checkpoint.WEIGHTS):
                (place / name).unlink(missing_ok=True)
        checkpoint.save(surrogate, place, result=result)
        ResumeState(self.folder / RESUME / key, key).clear()

    def holds(self, key: str) -> bool:
        """Whether a fit is finished."""
        return key in self._in_memory or (self.folder is not None and self.place(key).is_dir())

    def finished(self, keys: Iterable[str]) -> set[str]:
        """The keys of cells whose result can be read."""
        return {key for key in keys if self.load(key) is not None}

    def add(self, row: Row, surrogate: Surrogate | None = None) -> None:
        """Store the row and the surrogate of a cell; without a surrogate, nothing is stored."""
        if surrogate is not None:
            self.save(row["cell"], surrogate, row)

    def flush(self) -> None:
        """Do nothing: every row is written at once."""

    def resume_state(self, key: str) -> ResumeState | None:
        """The states of an unfinished fit, or None without a folder."""
        return None if self.folder is None else ResumeState(self.folder / RESUME / key, key)

    def place(self, key: str) -> Path:
        """Folder of a finished fit's surrogate."""
        assert self.folder is not None
        return self.folder / FITS / key / "surrogate"

    def damaged(self) -> list[Path]:
        """Folders of finished fits whose files are not as they were written."""
        damaged = []
        for place in sorted((self.folder or Path()).glob(f"{FITS}/*/surrogate")):
            try:
                checkpoint.check_whole(place)
            except DataFileError:
                damaged.append(place.parent)
        return damaged

    def check(self) -> None:
        """Refuse a folder that cannot be written."""
        if self.folder is None:
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(f"{self.folder} is a file: give the name of a folder.")
        check_writable(self.folder / LOCK)

    @contextmanager
    def locked(self, *others: str) -> Iterator[None]:
        """The folder for this process alone; OutputError where another process has it.

        What killed writes left is removed, beside the fits and in `others`, folders in it.
        """
        if self.folder is None:
            yield
            return
        with locked(self.folder / LOCK, self.folder) as held:
            if held:
                own = self.folder.glob(f"{FITS}/*")
                for place in (*own, *(self.folder / name for name in others)):
                    collect_leftovers(place, seconds=0)
            yield

    def tidy(self, keys: Iterable[str] | None = None) -> None:
        """Remove what was left for resuming the fits `keys`, or all; finished fits stay."""
        if self.folder is None:
            return
        journal = ResumeState(self.folder / RESUME, "")
        if keys is None:
            journal.clear()
            return
        for key in keys:
            journal.child(key).clear()
        with suppress(OSError):  # not empty, or not there
            journal.folder.rmdir()
