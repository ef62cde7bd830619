"""The folder of a comparison: finished cells, half-done fits, and what a person looks at.

```
FOLDER/source, FOLDER/<method>     surrogates of this command (under seed-<n>/ for several seeds)
FOLDER/records.json                its records
FOLDER/.cells/<hash>               every finished cell, named by its inputs
FOLDER/.journal/<hash>             half-done fits
FOLDER/.lock                       held while a comparison runs
FOLDER/.pacpde.json                which of these files pacpde wrote, see `OwnFiles`
```
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError, OutputError, UnreadableError, unreadable
from pacpde.files import check_writable
from pacpde.locks import locked
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.ownership import LIST, OwnFiles
from pacpde.reading import TEXT, parse_json, read_bytes
from pacpde.studies import records
from pacpde.training.resume import ResumeState

LOCK = ".lock"
RECORDS, PICTURES = "records.json", ("maps.png", "error_vs_seconds.png", "source_error.png")


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
    def journal(self) -> ResumeState:
        return ResumeState(self.store.folder / ".journal" / self.key, self.key)

    @property
    def finished(self) -> bool:
        """Whether it was carried out to its end."""
        return (self.folder / "about.json").is_file()

    def load(self) -> tuple[dict[str, Any], Surrogate] | None:
        """(about, surrogate) of a finished cell; None if it is unfinished or damaged.

        Raises UnreadableError where it may be whole.
        """
        place = self.folder / "about.json"
        try:
            return _about(self.folder), checkpoint.load(self.folder / "surrogate")
        except UnreadableError:
            raise
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        except OSError as error:
            raise unreadable(place, error) from error

    def save(self, about: Mapping[str, Any], surrogate: Surrogate) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint.save(surrogate, self.folder / "surrogate")
        content = records.sealed({"inputs": self.inputs, "about": about})
        records.write_json(content, self.folder / "about.json")
        self.journal.clear()


@dataclass(frozen=True)
class Store:
    """A folder of cells."""

    folder: Path

    def cell(self, inputs: Mapping[str, Any]) -> Cell:
        return Cell(self, inputs)

    def damaged(self) -> list[Path]:
        """Folders of finished cells whose files are not as they were written."""
        found = []
        for file in sorted(self.folder.glob(".cells/*/about.json")):
            try:
                _about(file.parent)
                checkpoint.check_whole(file.parent / "surrogate")
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                found.append(file.parent)
        return found

    @property
    def own(self) -> OwnFiles:
        """What pacpde wrote here for a person to look at."""
        return OwnFiles(self.folder)

    def show(self, surrogate: Surrogate, *place: str) -> None:
        """Put a surrogate where a person looks for it."""
        name = "/".join((*place, checkpoint.ABOUT))

        def note(complete: Path) -> None:
            self.own.note(name, complete / checkpoint.ABOUT)

        checkpoint.save(surrogate, self.folder.joinpath(*place), before=note)

    def check(
        self,
        places: Iterable[tuple[str, ...]],
        files: Iterable[str] = (),
        *,
        overwrite: bool = False,
    ) -> None:
        """Refuse a folder that cannot be written, or in which something stands in the way.

        Args:
            places: for surrogates.
            files: for other output.
            overwrite: replace files and surrogates that pacpde did not write here.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(f"{self.folder} is a file: give the name of a folder.")
        check_writable(self.folder / RECORDS)
        for place in places:
            checkpoint.check_place(self.folder.joinpath(*place))
            self.own.check("/".join((*place, checkpoint.ABOUT)), overwrite=overwrite)
        for file in files:
            self.own.check(file, overwrite=overwrite)

    def shown(self) -> dict[str, Any] | None:
        """The records that are here, as `pacpde compare --json` writes them."""
        try:
            return {"records": records.read(self.folder / RECORDS)}
        except DataFileError:
            return None

    def write_records(self, found: Iterable[Mapping[str, Any]], *, overwrite: bool = False) -> None:
        """Keep the records of what is shown."""
        with self.own.writing(RECORDS, overwrite=overwrite) as temporary:
            records.write(found, temporary)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The folder for this process alone; OutputError where another process has it."""
        with locked(self.folder / LOCK, self.folder):
            yield

    def taken(self, places: Iterable[tuple[str, ...]]) -> list[Path]:
        """Where nothing else may be put."""
        files = [(name,) for name in (LOCK, LIST, *PICTURES)]  # --json may name the records
        inside = [(".cells",), (".journal",), *files, *places]
        return [self.folder.joinpath(*place) for place in inside]

    def tidy(self) -> None:
        """Remove what was left for resuming; finished cells stay."""
        ResumeState(self.folder / ".journal", "").clear()


def _about(folder: Path) -> dict[str, Any]:
    """What the `about.json` of a finished cell says, if it is as it was written."""
    about: dict[str, Any] = records.unsealed(parse_json(read_bytes(folder / "about.json", TEXT)))
    return dict(about["about"])
