"""Folders of a JSON file and a file of tensors, sealed by a checksum; no pickle anywhere."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from pacpde.errors import (
    DataFileError,
    InvalidValueError,
    PacpdeError,
    UnknownNameError,
    short,
    unreadable,
)
from pacpde.files import Before, atomic_folder, being_replaced
from pacpde.reading import TEXT, parse_json, read_bytes

T = TypeVar("T")
# raised where JSON or tensors have other types or keys than expected
UNLIKE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, SafetensorError)
ATTEMPTS, PAUSE = 5, 0.02  # to read a folder that is being replaced; seconds between them


@dataclass(frozen=True)
class SealedFolder:
    """A kind of folder.

    Attributes:
        what: it is called, as in "surrogate folder".
        holds: what it describes, as in "surrogate".
        about, tensors: names of the JSON file and of the file of tensors.
        schema: that is written and read.
        made: the command that makes one.
        example: a name of one, as in "runs/source".
        anew: what to do where it is damaged.
    """

    what: str
    holds: str
    about: str
    tensors: str
    schema: int
    made: str
    example: str
    anew: str

    def write(
        self,
        folder: str | Path,
        about: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        before: Before | None = None,
    ) -> None:
        """Write the folder whole, or leave what was there.

        Args:
            before: called with the complete folder, just before it takes its place.
        """
        content = {"schema": self.schema, **about}
        stored = save_tensors(dict(tensors))
        sealed = {"checksum": checksum(content, stored), **content}
        with atomic_folder(folder, before=before) as temporary:
            (temporary / self.tensors).write_bytes(stored)
            (temporary / self.about).write_text(json.dumps(sealed, indent=1), encoding="utf-8")

    def path(self, folder: object) -> Path:
        """A folder as a path; InvalidValueError where it is no name of one."""
        if not isinstance(folder, str | os.PathLike):
            raise InvalidValueError(
                f'the folder is {short(folder)}, expected its name: write "{self.example}".'
            )
        return Path(folder)

    def load(
        self,
        folder: str | Path,
        made: Callable[[dict[str, Any], dict[str, torch.Tensor]], T],
    ) -> T:
        """What a function makes of the JSON object and the tensors in a folder.

        Raises:
            DataFileError: there is none, it is damaged, or the function cannot use it.
        """
        about, stored = self.whole(self.path(folder))
        try:
            return made(about, load_tensors(stored))
        except (InvalidValueError, UnknownNameError) as error:
            raise DataFileError(f"{self.what} {str(folder)!r} cannot be used: {error}") from error
        except PacpdeError:
            raise
        except UNLIKE as error:
            raise DataFileError(
                f"{self.what} {str(folder)!r} is whole but of another pacpde than this one, which "
                f"cannot read it: {self.anew}."
            ) from error

    def whole(self, place: Path) -> tuple[dict[str, Any], bytes]:
        """The JSON object and the bytes of the tensors, checked against the seal.

        They are read again where the folder was replaced meanwhile.
        """
        for attempt in range(ATTEMPTS):
            before = self.state(place)
            try:
                about, stored = self.content(place)
                self._check_sealed(place, about, stored)
                return about, stored
            except DataFileError:
                last = attempt == ATTEMPTS - 1
                if last or (self.state(place) == before and not being_replaced(place)):
                    raise
            time.sleep(PAUSE)
        raise AssertionError("unreachable")

    def content(self, place: Path) -> tuple[dict[str, Any], bytes]:
        """The JSON object and the bytes of the tensors, unchecked."""
        try:
            text, stored = read_bytes(place / self.about, TEXT), read_bytes(place / self.tensors)
        except FileNotFoundError as error:
            raise DataFileError(self.missing(place, Path(str(error.filename)).name)) from error
        except NotADirectoryError as error:
            raise DataFileError(f"{str(place)!r} is a file, expected a {self.what}.") from error
        except OSError as error:
            raise unreadable(place, error) from error
        try:
            about = parse_json(text)
        except ValueError as error:
            raise self.damaged(place, f"{self.about} is no JSON") from error
        if not isinstance(about, dict):
            raise self.damaged(place, f"{self.about} describes no {self.holds}")
        return about, stored

    def missing(self, place: Path, name: str) -> str:
        """The sentence where a file is not there."""
        return f"{str(place)!r} is no {self.what}: it lacks {name}; make one with `{self.made}`."

    def damaged(self, place: Path, why: str) -> DataFileError:
        return DataFileError(f"{self.what} {str(place)!r} is damaged: {why}; {self.anew}.")

    def state(self, place: Path) -> tuple[tuple[int, int, int], ...]:
        """Changes with every content of a folder; empty where there is none."""
        state = []
        for file in (place, place / self.about, place / self.tensors):
            with suppress(OSError):
                stat = file.stat()
                state.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(state)

    def _check_sealed(self, place: Path, about: dict[str, Any], stored: bytes) -> None:
        if about.get("schema") != self.schema:
            raise DataFileError(
                f"{self.what} {str(place)!r} has schema {about.get('schema')!r}, this pacpde "
                f"reads {self.schema}: {self.anew}."
            )
        if about.get("checksum") != checksum(about, stored):
            raise self.damaged(
                place,
                f"{self.about} or {self.tensors} was cut off or changed after it was written "
                "(checksum)",
            )


def checksum(about: Mapping[str, Any], stored: bytes) -> str:
    """SHA-256 of the JSON object without its checksum, and of the file of tensors."""
    rest = {name: value for name, value in about.items() if name != "checksum"}
    text = json.dumps(rest, sort_keys=True).encode()
    return f"sha256:{hashlib.sha256(text + stored).hexdigest()}"
