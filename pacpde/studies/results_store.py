"""Results of a study: one row a finished cell, in Parquet files that only ever get more.

```
FOLDER/records/part-000001-<hash>.parquet    rows, in the order in which they finished
FOLDER/surrogates/<cell>                     surrogates of targets, where they are kept
```

A Parquet file cannot grow, so rows are written in parts, each whole or not at all; a reader takes
the folder as one table (`pandas.read_parquet(FOLDER / "records")` does). A part's name has the
first digits of the SHA-256 of its bytes, which every read verifies; older parts have six others.
"""

import io
import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pacpde.errors import DataFileError, unreadable
from pacpde.files import atomic_write, short_hash
from pacpde.methods.result import MOMENTS
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.reading import read_bytes
from pacpde.studies.folder import RECORDS
from pacpde.studies.records import CLOCKS, KEYS, LATER, TEXTS, Row

SURROGATES = "surrogates"
ATTEMPTS = 5  # to read parts while a run makes one of them
ROWS = 500  # in memory at most before a part is written
SECONDS = 2.0  # a finished row waits at most, if others follow
PARTS = 64  # at the end of a run more of them become one
OLDER = 6  # random digits in the names of parts without a checksum

_numbers = pa.map_(pa.string(), pa.float64())
_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("family", "method", "outcome", "device", "dtype", *TEXTS), pa.string()),
    **dict.fromkeys(("seed", "labels", "steps", "evaluations"), pa.int64()),
    **dict.fromkeys(("free_parameters", "total_parameters"), pa.int64()),
    **dict.fromkeys(("noise", "zero_shot_error", "target_error"), pa.float64()),
    **dict.fromkeys(("source", "target", "target_error_by_field"), _numbers),
    **dict.fromkeys(("versions", "outcomes"), pa.map_(pa.string(), pa.string())),
    "physics": pa.bool_(),
    **dict.fromkeys(("worst_field_error", "cv_error", "zero_shot_cv", "strength"), pa.float64()),
    "prior": pa.string(),
    "source_returned": pa.bool_(),
    "source_error": pa.struct([(name, pa.float64()) for name in MOMENTS]),
    "seconds": pa.struct([(name, pa.float64()) for name in CLOCKS]),
}
# What a study keeps of a cell beside its record.
EXTRAS: dict[str, pa.DataType] = {
    "cell": pa.string(),  # its key
    "variant": pa.string(),  # the method with the options that were given
    "until": pa.float64(),  # null: the family's own time span
    "distance": pa.float64(),  # ‖u_T − u_S‖ / ‖u_T‖
    "reference_seconds": pa.float64(),  # of scipy on the target
    "reference_error": pa.float64(),  # certified
    "held_out": pa.float64(),
    "seconds_to": _numbers,  # error, as text → seconds on the target until it; absent: never
    "fault": pa.string(),  # why there is no result
}
SCHEMA = pa.schema([(name, _TYPES[name]) for name in KEYS] + list(EXTRAS.items()))


@dataclass
class ResultsStore:
    """Rows of a study's folder; one process writes at a time."""

    folder: Path
    _waiting: list[Row] = field(default_factory=list, init=False)
    _since: float = field(default=0.0, init=False)

    @property
    def place(self) -> Path:
        return self.folder / RECORDS

    def make(self) -> None:
        """Make the folder, so that one that is missing later was taken away."""
        if not self.parts():
            self.place.mkdir(parents=True, exist_ok=True)

    def parts(self) -> list[Path]:
        try:
            names = os.listdir(self.place)
        except (FileNotFoundError, NotADirectoryError) as error:
            if self.place.is_symlink() or self.place.exists():
                raise DataFileError(
                    f"{str(self.place)!r} is no folder, or a link to none, so that the records "
                    "cannot be read: move it away, and put the folder back."
                ) from error
            if any(self.folder.glob(f"{SURROGATES}/*")):
                raise DataFileError(
                    f"the folder {str(self.place)!r} is missing, and {str(self.folder)!r} holds "
                    "what was carried out: put it back, or make an empty one in its place, and "
                    "`pacpde study run` makes every cell anew."
                ) from error
            return []
        except OSError as error:  # to a pattern an unreadable folder looks empty
            raise unreadable(self.place, error) from error
        return sorted(self.place / name for name in names if fnmatch(name, "part-*.parquet"))

    def tables(self, columns: list[str] | None = None) -> list[pa.Table]:
        """The tables of all parts; read again if a run merges parts meanwhile."""
        for _ in range(ATTEMPTS):
            with suppress(FileNotFoundError):
                return [_read(part, columns) for part in self.parts()]
        raise DataFileError(
            f"{str(self.place)!r} changes while it is read: give the command again."
        )

    def finished(self, keys: Iterable[str]) -> set[str]:
        """The keys of cells that have a result."""
        return self.keys().intersection(keys)

    def keys(self) -> set[str]:
        """Keys of the stored cells that have a result."""
        faults: dict[str, str | None] = {}
        for table in self.tables(["cell", "fault"]):
            columns = table.to_pydict()
            faults.update(zip(columns["cell"], columns["fault"], strict=True))
        return {key for key, fault in faults.items() if fault is None}

    def rows(self) -> list[Row]:
        """The latest row of every cell."""
        latest = {row["cell"]: row for table in self.tables() for row in _rows(table)}
        return list(latest.values())

    def of(self, keys: Iterable[str]) -> list[Row]:
        """The rows of these cells that are there, in this order."""
        rows = {row["cell"]: row for row in self.rows()}
        return [rows[key] for key in keys if key in rows]

    @staticmethod
    def read(part: Path) -> list[Row]:
        """The rows of one file."""
        return _rows(_read(part))

    def add(self, row: Mapping[str, Any], surrogate: Surrogate | None = None) -> None:
        """Keep a row; it is on the disk within seconds, or after `flush`.

        Args:
            surrogate: of the cell's target, where it is kept too.
        """
        if surrogate is not None:
            checkpoint.save(surrogate, self.folder / SURROGATES / row["cell"])
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(dict(row) | {name: _as_text(row.get(name)) for name in TEXTS})
        if len(self._waiting) >= ROWS or time.monotonic() - self._since > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._write(self._waiting)
            self._waiting = []

    def surrogates(self, keys: Iterable[str]) -> dict[str, Surrogate]:
        """key of a cell → surrogate of its target, without missing and damaged ones."""
        surrogates = {}
        for key in keys:
            place = self.folder / SURROGATES / key
            if place.is_dir():
                with suppress(DataFileError):
                    surrogates[key] = checkpoint.load(place)
        return surrogates

    def tidy(self) -> None:
        """Merge the parts into one. If killed, some rows are stored twice, and count once."""
        parts = self.parts()
        if len(parts) > PARTS:
            self._write(self.rows())
            for part in parts:
                part.unlink()

    def _write(self, rows: Iterable[Row]) -> None:
        table = pa.Table.from_pylist(list(rows), SCHEMA)
        last = max((int(part.name.split("-")[1]) for part in self.parts()), default=0)
        whole = io.BytesIO()
        pq.write_table(table, whole, compression="zstd")
        name = f"part-{last + 1:06d}-{short_hash(whole.getvalue())}.parquet"
        with atomic_write(self.place / name) as temporary:
            Path(temporary).write_bytes(whole.getvalue())


def _as_text(content: Any) -> str | None:
    """A row keeps it as it stands in a file: most readers never look at it."""
    plain = content is None or isinstance(content, str)
    return content if plain else json.dumps(content)


def _rows(table: pa.Table) -> list[Row]:
    try:
        return table.to_pylist(maps_as_pydicts="strict")
    except KeyError as error:
        raise DataFileError(
            "the records of a study name a coefficient twice in one row: they were not written by "
            "pacpde, name another folder."
        ) from error


def _read(part: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        content = read_bytes(part)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(part, error) from error
    try:
        checksum = part.stem.rpartition("-")[2]
        if len(checksum) > OLDER and checksum != short_hash(content):
            raise OSError("its bytes are not those that were written")
        with pq.ParquetFile(io.BytesIO(content)) as file:  # `read_table` imports pandas
            table = file.read(columns=columns)
        table.validate(full=True)  # text may be no UTF-8
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataFileError(
            f"the record file {str(part)!r} is cut short or damaged. The other files of its folder "
            "are not: move it away, and the same command makes its cells anew."
        ) from error
    found = _of_today(table) if columns is None else table
    expected = SCHEMA if columns is None else pa.schema([SCHEMA.field(name) for name in columns])
    if not found.schema.equals(expected):
        raise DataFileError(
            f"the record file {str(part)!r} was written by another pacpde: name another folder."
        )
    return found


def _of_today(table: pa.Table) -> pa.Table:
    """Without values for what an older part lacks."""
    for name in LATER:
        if name not in table.column_names:
            place, column = SCHEMA.get_field_index(name), SCHEMA.field(name)
            table = table.add_column(place, column, pa.nulls(len(table), column.type))
    return table
