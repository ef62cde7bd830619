"""The description in a study's folder; it is read without families, methods or plug-ins.

```
FOLDER/study.toml     the study
FOLDER/study.json     device, names of the cells, and of each its family, method and options;
                      with a checksum, and hashes of the other files
FOLDER/plugins/       copies of the plug-ins and of the tuned options that it names
```
"""

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError, OutputError, unreadable
from pacpde.files import short_hash
from pacpde.ownership import OwnFiles
from pacpde.reading import TEXT, parse_json, read_bytes
from pacpde.studies.records import Row, sealed, unsealed
from pacpde.studies.variants import Variant, distinguishing_names

FILE, ABOUT, PLUGINS, RECORDS = "study.toml", "study.json", "plugins", "records"
OLDER = {"device", "cells", "ways", "way_of"}  # keys of a study.json without a checksum


@dataclass(frozen=True)
class Outline:
    """The cells of a study.

    Attributes:
        names: under which the study was carried out.
        variants: of each cell.
        text: of the study file.
    """

    names: Sequence[str]
    variants: Sequence[Variant]
    text: str

    def with_short_variants(self, rows: Iterable[Row]) -> list[Row]:
        """Rows of its cells, each variant with the options alone that differ from the others'."""
        short = dict(zip(self.names, distinguishing_names(self.variants), strict=True))
        return [row | {"variant": short[row["cell"]]} for row in rows]

    @classmethod
    def from_folder(cls, folder: Path) -> "Outline | None":
        """The outline in a folder; None in a folder of an older pacpde, which has names alone."""
        about = read_about(folder)
        if "ways" not in about:
            return None
        try:
            different = [Variant(*parts) for parts in about["ways"]]
            variants = [different[number] for number in about["way_of"]]
            text = read_bytes(folder / FILE, TEXT).decode("utf-8")
            names = [str(name) for name in about["cells"]]
            if len(names) != len(variants) or not all(own.is_plain for own in different):
                raise ValueError("other cells than variants")
            return cls(names, variants, text)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise _damaged(folder) from error

    def as_json(self, device: str, files: Mapping[str, bytes]) -> dict[str, Any]:
        """The content of `study.json`; `files` are the files beside it, name → content."""
        numbers: dict[str, int] = {}
        different: list[list[Any]] = []
        way_of = []
        for variant in self.variants:
            parts = [variant.family, variant.method, dict(variant.options)]
            number = numbers.setdefault(json.dumps(parts), len(different))
            if number == len(different):
                different.append(parts)
            way_of.append(number)
        hashes = {name: short_hash(_lines(content)) for name, content in files.items()}
        return sealed(
            {
                "device": device, "cells": list(self.names), "ways": different, "way_of": way_of,
                "files": hashes,
            }
        )  # fmt: skip


def is_study(folder: Path) -> bool:
    """Whether a study was carried out in a folder."""
    try:
        _described(folder)
    except DataFileError:
        return False
    return True


def read_about(folder: Path) -> dict[str, Any]:
    """`study.json`; DataFileError where there is none, or it or a file beside it was changed."""
    about = _described(folder)
    if "checksum" not in about and set(about) <= OLDER:
        return about
    try:
        about = unsealed(about)
        files = dict(about["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder) from error
    for name, expected in files.items():
        place = folder / name
        if place.is_file() and short_hash(_lines(read_bytes(place))) != expected:
            raise DataFileError(
                f"{str(place)!r} was edited or damaged after the study was carried out: give the "
                "`pacpde study run` of your own file again, which writes it anew and keeps the "
                "records."
            )
    return about


def _described(folder: Path) -> dict[str, Any]:
    """What `study.json` says."""
    try:
        about = parse_json(read_bytes(folder / ABOUT, TEXT))
        if isinstance(about["device"], str) and isinstance(about["cells"], list):
            return dict(about)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder) from error
    except OSError as error:
        raise unreadable(folder / ABOUT, error) from error
    raise _damaged(folder)


def check_place(folder: Path, contents: Mapping[str, bytes], *, overwrite: bool = False) -> None:
    """Refuse a folder in which files of the user stand where a study's are to go.

    Args:
        contents: name → what is to be written.
        overwrite: replace such files.
    """
    own = OwnFiles(folder)
    # what an older pacpde wrote is not listed; a damaged study.json is written anew
    older = not own.file.exists() and is_study(folder)
    repaired = FILE in own.known and (folder / FILE).is_file()
    for name, content in contents.items():
        if _holds(folder / name, content):
            continue
        may = overwrite or older or (name == ABOUT and repaired)
        own.check(name, overwrite=may)
    records = folder / RECORDS
    if (records.exists() or records.is_symlink()) and not records.is_dir():
        raise OutputError(f"{records} is no folder: move it away, and put the folder back.")
    there = records.is_dir() and any(records.iterdir())
    if there and not ((folder / ABOUT).exists() or (folder / FILE).exists()):
        raise OutputError(
            f"{records} holds files and {folder} no study: name another folder, for the records of "
            "the study."
        )


def keep(folder: Path, contents: Mapping[str, bytes], *, overwrite: bool = False) -> None:
    """Write down what a study is, beside its records."""
    check_place(folder, contents, overwrite=overwrite)
    own = OwnFiles(folder)
    for name, content in contents.items():
        if _holds(folder / name, content):
            continue  # maybe the user's own file, which then stays the user's
        with own.writing(name, overwrite=True) as temporary:
            temporary.write_bytes(content)


def _holds(place: Path, content: bytes) -> bool:
    """Whether a file has this content, whatever its lines end with."""
    return place.is_file() and _lines(read_bytes(place)) == _lines(content)


def _lines(content: bytes) -> bytes:
    """Of a text file, whatever its lines end with, and whether or not it has a byte order mark."""
    return content.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n")


def _damaged(folder: Path) -> DataFileError:
    if (folder / FILE).is_file() and (folder / RECORDS).is_dir():
        return DataFileError(
            f"{str(folder / ABOUT)!r} is missing or damaged: give the same `pacpde study run` "
            "again, which writes it anew and keeps the records."
        )
    return DataFileError(
        f"{str(folder)!r} holds no study: give the folder of a `pacpde study run`."
    )
