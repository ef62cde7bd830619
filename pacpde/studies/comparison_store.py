"""The folder of a comparison: its finished fits, and what of them a person looks at.

```
FOLDER/source, FOLDER/<method>     surrogates of this command (under seed-<n>/ for several seeds)
FOLDER/records.json                its records
FOLDER/maps.png, ...               its pictures
FOLDER/.cells, .journal, .lock     see `FitStore`; every cell that ever finished here
FOLDER/.pacpde.json                which of these files pacpde wrote, see `OwnFiles`
```
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError, OutputError
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.ownership import LIST, OwnFiles
from pacpde.studies import records
from pacpde.studies.fit_store import FITS, LOCK, RESUME, FitStore

RECORDS, PICTURES = "records.json", ("maps.png", "error_vs_seconds.png", "source_error.png")


@dataclass
class ComparisonStore(FitStore):
    """Fits of a comparison, which its folder shows as soon as they are finished.

    Attributes:
        places: key of a source or cell → where its surrogate is shown, in this order.
        overwrite: replace files and surrogates that pacpde did not write here.
    """

    places: Mapping[str, tuple[str, ...]]
    overwrite: bool = False
    _records: dict[str, records.Record] = field(default_factory=dict, init=False)

    def save(self, key: str, surrogate: Surrogate, result: Mapping[str, Any]) -> None:
        super().save(key, surrogate, result)
        self.show(key, surrogate, result)

    def show(self, key: str, surrogate: Surrogate, result: Mapping[str, Any]) -> None:
        """Put a surrogate, and the record of a cell, where a person looks for them."""
        if self.folder is None:
            return
        own, name = OwnFiles(self.folder), "/".join((*self.places[key], checkpoint.ABOUT))
        checkpoint.save(
            surrogate,
            self.folder.joinpath(*self.places[key]),
            before=lambda complete: own.note(name, complete / checkpoint.ABOUT),
        )
        if "cell" in result:
            self._records[key] = records.record_of(dict(result))
            shown = [self._records[key] for key in self.places if key in self._records]
            with own.writing(RECORDS, overwrite=self.overwrite) as temporary:
                records.write(shown, temporary)

    def check(self) -> None:
        """Refuse a folder that cannot be written, or in which something stands in the way."""
        super().check()
        if self.folder is None:
            return
        own = OwnFiles(self.folder)
        for place in self.places.values():
            checkpoint.check_place(self.folder.joinpath(*place))
            own.check("/".join((*place, checkpoint.ABOUT)), overwrite=self.overwrite)
        for file in (RECORDS, *PICTURES):
            own.check(file, overwrite=self.overwrite)

    def check_shown(self) -> None:
        """Refuse a folder that shows transfers which are none of these: they would be lost there.

        Finished cells are kept apart and are reused, whatever the folder shows.
        """
        fits = self.loaded(self.places).values()
        rows = [result for _, result in fits if "cell" in result]
        own_records = [records.plain(records.record_of(row)) for row in rows]
        shown = self.shown() or {"records": []}
        if any(record not in own_records for record in shown["records"]):
            raise OutputError(
                f"{self.folder} shows another comparison: name another folder, or add --overwrite "
                "to show this one (finished cells stay and are reused)."
            )

    def shown(self) -> dict[str, Any] | None:
        """The records that are here, as `pacpde compare --json` writes them."""
        try:
            return {"records": records.read((self.folder or Path()) / RECORDS)}
        except DataFileError:
            return None

    def reserved(self) -> list[Path]:
        """Paths that no other output may use; --json may name the file of the records."""
        names = [(name,) for name in (FITS, RESUME, LOCK, LIST, *PICTURES)]
        return [
            (self.folder or Path()).joinpath(*place) for place in [*names, *self.places.values()]
        ]
