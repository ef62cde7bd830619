"""Remembers the finished and half-done fits of one command, so that a rerun resumes exactly.

A command is a fixed sequence of named fits. Each writes its state to one file, atomically; a
rerun of the same command (same key) reads finished fits back and continues a half-done one from
its last state. A fit draws random numbers from its seed and position only, so that it ends with
the same bits.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors

from pacpde.files import atomic_write


@dataclass(frozen=True)
class ResumeState:
    """States of named fits in a folder, valid for one key (the command's inputs)."""

    folder: Path
    key: str

    def write(self, name: str, tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> None:
        """Replace the state of fit `name`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        here = {k: v.cpu().clone() for k, v in tensors.items()}
        told = json.dumps(about)
        metadata = {"key": self.key, "about": told, "checksum": _checksum(here, told)}
        with atomic_write(self._file(name)) as temporary:
            Path(temporary).write_bytes(save_tensors(here, metadata))

    def read(self, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The state of fit `name`; None if there is none, or it is of another key or damaged."""
        try:
            with safe_open(self._file(name), "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("key") != self.key:
                    return None
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                if metadata["checksum"] != _checksum(tensors, metadata["about"]):
                    return None
                return tensors, json.loads(metadata["about"])
        except (OSError, SafetensorError, KeyError, ValueError):
            return None

    def child(self, name: str) -> "ResumeState":
        """A journal for one part of the command."""
        return ResumeState(self.folder / name, self.key)

    def of(self, inputs: Any) -> "ResumeState":
        """The same files, valid for these inputs (anything that can be written) beside the key."""
        return ResumeState(self.folder, f"{self.key} {key_of(inputs)}")

    def clear(self) -> None:
        """Forget every state, once the command's result is stored; other files stay."""
        for pattern in ("*.safetensors", ".*.safetensors.*.tmp"):
            for file in self.folder.rglob(pattern):
                file.unlink(missing_ok=True)
        folders = [place for place in self.folder.rglob("*") if place.is_dir()]
        for folder in [*sorted(folders, reverse=True), self.folder]:
            with suppress(OSError):  # not empty, or not there
                folder.rmdir()

    def _file(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '.')}.safetensors"


def _checksum(tensors: Mapping[str, torch.Tensor], about: str) -> str:
    """SHA-256 of a state: names, shapes, kinds and bytes of its tensors, and what is told of it."""
    total = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        values = tensors[name].contiguous()
        total.update(f"{name} {tuple(values.shape)} {values.dtype} ".encode())
        total.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def key_of(inputs: Any) -> str:
    """A short hash of anything JSON can hold."""
    text = json.dumps(inputs, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
