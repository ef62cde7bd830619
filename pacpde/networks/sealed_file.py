"""One file of tensors with a JSON header, sealed by a checksum; no pickle anywhere.

It is a safetensors file: the JSON object is the text "pacpde" of its metadata.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from pacpde.errors import DataFileError, InvalidValueError, OutputError, short, unreadable
from pacpde.files import atomic_write, follow
from pacpde.networks.sealed import UNLIKE, checksum
from pacpde.reading import parse_json, read_bytes

KEY, METADATA = "pacpde", "__metadata__"
Content = tuple[dict[str, Any], dict[str, torch.Tensor]]


@dataclass(frozen=True)
class SealedFile:
    """A kind of file.

    Attributes:
        what: it is called, as in "file of PAC's stages".
        kind: that the header names.
        schema: that is written and read.
        example: a name of one.
    """

    what: str
    kind: str
    schema: int
    example: str

    def write(
        self, path: str | Path, about: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
    ) -> None:
        """Write the file whole, or leave what was there; only one of the same kind is replaced.

        Raises:
            OutputError: it cannot be written, or something else is there.
        """
        place = self._path(path)
        target = follow(place)
        if target.exists() and not self._holds_own(target):
            raise OutputError(
                f"{place} is no {self.what} and will not be replaced: name another output file."
            )
        content = {"kind": self.kind, "schema": self.schema, **about}
        # one after the other in memory, whatever they share
        own = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        sealed = {"checksum": checksum(content, _tensors_of(save_tensors(own))), **content}
        stored = save_tensors(own, {KEY: json.dumps(sealed)})
        with atomic_write(place) as temporary:
            temporary.write_bytes(stored)

    def read(self, path: str | Path) -> Content:
        """The JSON object and the tensors, checked against the seal.

        Raises:
            DataFileError: there is none, it is another file, or it is damaged.
        """
        place = self._path(path)
        try:
            stored = read_bytes(place)
        except FileNotFoundError as error:
            raise DataFileError(
                f"there is no {self.what} {str(place)!r}: give the name that save was given."
            ) from error
        except OSError as error:
            raise unreadable(place, error) from error
        try:
            about = parse_json(_header(stored)[METADATA][KEY])
            kind, schema, seal = about["kind"], about["schema"], about["checksum"]
        except UNLIKE as error:
            raise DataFileError(f"{str(place)!r} is no {self.what}, or was cut off.") from error
        if (kind, schema) != (self.kind, self.schema):
            raise DataFileError(
                f"{str(place)!r} holds {kind!r} of schema {schema!r}, and this pacpde reads "
                f"{self.kind!r} of schema {self.schema}."
            )
        if seal != checksum(about, _tensors_of(stored)):
            raise DataFileError(
                f"{self.what} {str(place)!r} is damaged: it was cut off or changed after it was "
                "written (checksum); save it anew."
            )
        try:
            return about, load_tensors(stored)
        except UNLIKE as error:
            raise DataFileError(
                f"{self.what} {str(place)!r} is whole, but its tensors cannot be read: "
                "save it anew."
            ) from error

    def _path(self, path: object) -> Path:
        if not isinstance(path, str | os.PathLike):
            raise InvalidValueError(
                f'the file is {short(path)}, expected its name: write "{self.example}".'
            )
        return Path(path)

    def _holds_own(self, target: Path) -> bool:
        try:
            return bool(parse_json(_header(read_bytes(target))[METADATA][KEY])["kind"] == self.kind)
        except (OSError, *UNLIKE):
            return False


def _header(stored: bytes) -> dict[str, Any]:
    """The JSON header of a safetensors file."""
    size = int.from_bytes(stored[:8], "little")
    header = parse_json(stored[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header


def _tensors_of(stored: bytes) -> bytes:
    """What a safetensors file says of its tensors, without the metadata, and the tensors."""
    header = {name: own for name, own in _header(stored).items() if name != METADATA}
    size = int.from_bytes(stored[:8], "little")
    return json.dumps(header, sort_keys=True).encode() + stored[8 + size :]
