"""Keeps the states of the fits of one command, so that a rerun resumes exactly.

A command is a fixed sequence of named fits. Each writes its state to one file, atomically; a
rerun of the same command (same key) reads finished fits back and continues a half-done one from
its last state. A fit draws random numbers from its seed and position only, so that it ends with
the same bits.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors

from pacpde.files import atomic_write
from pacpde.training.callbacks import Callback, FitState

# Of a `FitState`, what is written as JSON; tensors are written beside it.
NUMBERS = (
    "phase", "refresh", "steps", "evaluations", "seconds", "held_out", "waited", "stalled", "done",
    "history",
)  # fmt: skip


@dataclass(frozen=True)
class ResumeState(Callback):
    """States of named fits in a folder, valid for one key (the command's inputs).

    Given to `fit` or `transfer` as `resume_state`, it lets a killed call go on exactly.

    Attributes:
        folder: is made when the first state is written.
        key: states that were written under another key do not count.

    Example:
        >>> state = ResumeState(Path("runs/resume"), "Burgers, seed 0")
        >>> fit(Burgers(nu=0.01), resume_state=state)  # doctest: +SKIP
    """

    folder: Path
    key: str

    def on_start(self, fit: FitState) -> None:
        """Put what is kept of the fit into its state."""
        kept = self._of(fit).read(fit.stage)
        if kept is None:
            return
        tensors, numbers = kept
        there = {name: value.to(fit.weights.device) for name, value in tensors.items()}
        fit.weights, fit.best = there.pop("weights"), there.pop("best")
        fit.optimiser_state = {name.removeprefix("state/"): value for name, value in there.items()}
        for name, value in numbers.items():
            setattr(fit, name, value)

    def on_refresh(self, fit: FitState) -> None:
        """Write the state of the fit."""
        tensors = {"weights": fit.weights, "best": fit.best}
        tensors |= {f"state/{name}": value for name, value in fit.optimiser_state.items()}
        self._of(fit).write(fit.stage, tensors, {name: getattr(fit, name) for name in NUMBERS})

    def _of(self, fit: FitState) -> "ResumeState":
        """The same files, valid for the inputs of one fit alone."""
        return replace(self, key=f"{self.key} {fit.key}")

    def write(self, name: str, tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> None:
        """Replace the state of fit `name`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        here = {k: v.cpu().clone() for k, v in tensors.items()}
        text = json.dumps(about)
        metadata = {"key": self.key, "about": text, "checksum": _checksum(here, text)}
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
        """States of one part of the command, in a folder of their own."""
        return ResumeState(self.folder / name, self.key)

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
    """SHA-256 of a state: names, shapes, dtypes and bytes of its tensors, and its JSON."""
    total = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        values = tensors[name].contiguous()
        total.update(f"{name} {tuple(values.shape)} {values.dtype} ".encode())
        total.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
