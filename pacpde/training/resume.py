"""Store the states of the fits of one command, so that a second run resumes exactly.

A command is a fixed sequence of named fits. Each fit writes its state to one file, atomically. A
second run of the same command (same key) reads the finished fits, and continues an interrupted fit
from its last state. The random numbers of a fit depend on its seed and position only. So the result
is the same, bit for bit.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors

from pacpde.errors import OutputError
from pacpde.files import atomic_write, check_writable, file_above
from pacpde.training.callbacks import Callback, FitState

# attributes of a `FitState` that are written as JSON; the others are tensors
JSON_FIELDS = (
    "phase", "refresh", "steps", "evaluations", "seconds", "held_out", "waited", "stalled", "done",
    "history",
)  # fmt: skip
LARGEST = 2**53  # of the counts


@dataclass(frozen=True)
class ResumeState(Callback):
    """States of named fits in a folder, valid for one key.

    Pass it to `fit` or `transfer` as `resume_state`: after an interruption the same call resumes.

    Attributes:
        folder: of the files; it is created with the first state.
        key: text that identifies the inputs of the call. States of another key, or of another call
            with this one, are not used, and are replaced: give each call a folder of its own.

    Example:
        >>> state = ResumeState(Path("runs/resume"), "Burgers, seed 0")
        >>> fit(Burgers(nu=0.01), resume_state=state)
    """

    folder: Path
    key: str

    def on_start(self, fit: FitState) -> None:
        """Load the stored state of the fit, if there is one, into `fit`."""
        stored = self._of(fit).read(fit.stage)
        if stored is None or not _suits(fit, *stored):
            return
        tensors, numbers = stored
        on_device = {name: value.to(fit.weights.device) for name, value in tensors.items()}
        fit.weights, fit.best = on_device.pop("weights"), on_device.pop("best")
        fit.optimiser_state = {
            name.removeprefix("state/"): value for name, value in on_device.items()
        }
        for name, value in numbers.items():
            setattr(fit, name, value)

    def on_refresh(self, fit: FitState) -> None:
        """Store the state of the fit."""
        tensors = {"weights": fit.weights, "best": fit.best}
        tensors |= {f"state/{name}": value for name, value in fit.optimiser_state.items()}
        self._of(fit).write(fit.stage, tensors, {name: getattr(fit, name) for name in JSON_FIELDS})

    def _of(self, fit: FitState) -> "ResumeState":
        """The same folder, with a key that includes the inputs of the fit."""
        return replace(self, key=f"{self.key} {fit.key}")

    def write(self, name: str, tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> None:
        """Store the state of a fit; its previous state is replaced.

        Args:
            name: of the fit.
            tensors: by name, on any device.
            about: the rest of the state, as a JSON object.

        Raises:
            OutputError: it cannot be written.
        """
        here = {k: v.cpu().clone() for k, v in tensors.items()}
        text = json.dumps(about)
        metadata = {"key": self.key, "about": text, "checksum": _checksum(here, text)}
        with atomic_write(self._file(name)) as temporary:
            Path(temporary).write_bytes(save_tensors(here, metadata))

    def read(self, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The tensors and the JSON object of the fit `name`, as given to `write`.

        None if no state is stored, or if it has another key or is damaged.
        """
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

    def check(self) -> None:
        """Refuse a folder to which nothing can be written.

        Raises:
            OutputError: it is a file, or lies below one, or is read-only.
        """
        place = file_above(self.folder / "state")
        if place is not None:
            raise OutputError(
                f"{place} is a file, expected a folder for the resume state: give ResumeState "
                "the name of a folder."
            )
        check_writable(self.folder / "state")

    def part(self, name: str) -> "ResumeState":
        return self.child(name)

    def child(self, name: str) -> "ResumeState":
        """The states of a part of the command, in the subfolder `name`."""
        return ResumeState(self.folder / name, self.key)

    def clear(self) -> None:
        """Delete all states, when the command's result is stored; other files stay."""
        for pattern in ("*.safetensors", ".*.safetensors.*.tmp"):
            for file in self.folder.rglob(pattern):
                file.unlink(missing_ok=True)
        folders = [place for place in self.folder.rglob("*") if place.is_dir()]
        for folder in [*sorted(folders, reverse=True), self.folder]:
            with suppress(OSError):  # not empty, or not there
                folder.rmdir()

    def _file(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '.')}.safetensors"


def _suits(fit: FitState, tensors: Mapping[str, torch.Tensor], about: object) -> bool:
    """Whether a stored state has the parts of this fit's state, each of its kind."""
    for name in ("weights", "best"):
        own, stored = getattr(fit, name), tensors.get(name)
        if stored is None or (stored.shape, stored.dtype) != (own.shape, own.dtype):
            return False
    if not isinstance(about, dict) or set(about) != set(JSON_FIELDS):
        return False
    if not all(_is_like(value, getattr(fit, name)) for name, value in about.items()):
        return False
    return math.isfinite(about["seconds"]) and all(
        isinstance(one, dict) for one in about["history"]
    )


def _is_like(value: object, own: object) -> bool:
    """Whether a value of JSON can stand for another one: a flag, a list, a count or a number."""
    if isinstance(own, bool | list):
        return type(value) is type(own)
    if isinstance(own, int):
        return type(value) is int and 0 <= value <= LARGEST
    return type(value) is float or (type(value) is int and abs(value) <= LARGEST)


def _checksum(tensors: Mapping[str, torch.Tensor], about: str) -> str:
    """SHA-256 of a state: names, shapes, dtypes and bytes of its tensors, and its JSON."""
    total = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        values = tensors[name].contiguous()
        total.update(f"{name} {tuple(values.shape)} {values.dtype} ".encode())
        total.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
