"""Surrogates as folders: `weights.safetensors` and `surrogate.json`; no pickle anywhere."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from pacpde.errors import (
    DataFileError,
    InvalidValueError,
    OutputError,
    PacpdeError,
    UnknownNameError,
    short,
    unreadable,
)
from pacpde.files import Before, atomic_folder, being_replaced, check_folder, follow
from pacpde.keywords import checked_call
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.surrogate_json import as_json, from_json, tensors_of
from pacpde.reading import TEXT, parse_json, read_bytes
from pacpde.runtime import Runtime, gradients, versions

SCHEMA = 1
# raised where JSON or tensors have other types or keys than expected
UNLIKE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, SafetensorError)
ATTEMPTS, PAUSE = 5, 0.02  # to read a folder that is being replaced; seconds between them
WEIGHTS, ABOUT = "weights.safetensors", "surrogate.json"


@checked_call
def save(
    surrogate: Surrogate,
    folder: str | Path,
    *,
    result: Mapping[str, Any] | None = None,
    before: Before | None = None,
) -> None:
    """Write the folder whole, or leave what was there.

    Another surrogate is replaced; a folder that holds anything else is refused.

    Args:
        result: of the command that made it, for its record; stored in the same folder.
        before: called with the complete folder, just before it takes its place.
    """
    _check_arguments(surrogate, result)
    check_place(folder)
    about = {
        "schema": SCHEMA,
        **as_json(surrogate),
        "versions": versions(),
        **({"result": result} if result is not None else {}),
    }
    weights = save_tensors(tensors_of(surrogate))
    sealed = {"checksum": _checksum(about, weights), **about}
    with atomic_folder(folder, before=before) as temporary:
        (temporary / WEIGHTS).write_bytes(weights)
        (temporary / ABOUT).write_text(json.dumps(sealed, indent=1), encoding="utf-8")


@checked_call
@gradients()
def load(folder: str | Path, runtime: Runtime | None = None) -> Surrogate:
    """The surrogate in a folder, on the CPU in its own precision by default."""
    place = _path(folder)
    about, weights = _whole(place)
    try:
        surrogate = from_json(about, load_tensors(weights))
    except (InvalidValueError, UnknownNameError) as error:
        raise DataFileError(f"surrogate folder {str(folder)!r} cannot be used: {error}") from error
    except PacpdeError:
        raise
    except UNLIKE as error:
        raise DataFileError(
            f"surrogate folder {str(folder)!r} is whole but of another pacpde than this one, which "
            "cannot read it: train it anew."
        ) from error
    return surrogate if runtime is None else surrogate.to(runtime)


def check_whole(folder: str | Path) -> None:
    """Refuse a folder whose files are not as `save` wrote them."""
    _whole(Path(folder))


def result(folder: str | Path) -> dict[str, Any] | None:
    """The result that `save` was given; None for none."""
    own = _read(Path(folder))[0].get("result")
    return own if isinstance(own, dict) else None


def check_place(folder: str | Path) -> Path:
    """`folder`, if `save` may take its place; OutputError where it holds anything else.

    A file that is called as one of ours is not enough: `surrogate.json` must describe a surrogate.
    """
    _path(folder)
    check_folder(folder, WEIGHTS, ABOUT)
    place = follow(folder)
    if holds_surrogate(place) or not (place.is_dir() and any(place.iterdir())):
        return Path(folder)
    raise OutputError(
        f"{folder} holds files that are no surrogate of pacpde and will not be replaced: name "
        "another output folder, or move them away."
    )


def _path(folder: object) -> Path:
    """A folder as a path; InvalidValueError where it is no name of one."""
    if not isinstance(folder, str | os.PathLike):
        raise InvalidValueError(
            f'the folder is {short(folder)}, expected its name: write "runs/source".'
        )
    return Path(folder)


def _check_arguments(surrogate: object, result: object) -> None:
    """Refuse what `save` cannot write."""
    if not isinstance(surrogate, Surrogate):
        inside = isinstance(getattr(surrogate, "surrogate", None), Surrogate)
        raise InvalidValueError(
            f"what is to be saved is {'a' if inside else short(surrogate)}"
            f"{f' {type(surrogate).__name__}' if inside else ''}, expected a surrogate: "
            f"{'give its .surrogate' if inside else 'make one with fit or transfer'}."
        )
    try:
        if not isinstance(result, Mapping | None):
            raise TypeError("it is no dict")
        json.dumps(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(
            f"the result is {short(result)}, expected a dict that JSON can hold ({error}): give "
            "numbers, text, lists and dicts, or leave it out."
        ) from error


def holds_surrogate(folder: Path) -> bool:
    """Whether a folder was written by `save`; it may be damaged."""
    try:
        about = parse_json(read_bytes(folder / ABOUT, TEXT))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and {"schema", "checksum", "network", "family"} <= set(about)


def _whole(place: Path) -> tuple[dict[str, Any], bytes]:
    """As `_read`, checked; read again where the folder was replaced meanwhile."""
    for attempt in range(ATTEMPTS):
        before = _state(place)
        try:
            about, weights = _read(place)
            _check_sealed(place, about, weights)
            return about, weights
        except DataFileError:
            last = attempt == ATTEMPTS - 1
            if last or (_state(place) == before and not being_replaced(place)):
                raise
        time.sleep(PAUSE)
    raise AssertionError("unreachable")


def _state(place: Path) -> list[tuple[int, int, int]]:
    """Changes with every content of a folder."""
    state = []
    for file in (place, place / ABOUT, place / WEIGHTS):
        with suppress(OSError):
            stat = file.stat()
            state.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return state


def _read(place: Path) -> tuple[dict[str, Any], bytes]:
    """The content of `surrogate.json`, and the bytes of the weights."""
    try:
        text, weights = read_bytes(place / ABOUT, TEXT), read_bytes(place / WEIGHTS)
    except FileNotFoundError as error:
        raise DataFileError(_missing(place, Path(str(error.filename)).name)) from error
    except NotADirectoryError as error:
        raise DataFileError(f"{str(place)!r} is a file, expected a surrogate folder.") from error
    except OSError as error:
        raise unreadable(place, error) from error
    try:
        about = parse_json(text)
    except ValueError as error:
        raise _damaged(place, f"{ABOUT} is no JSON") from error
    if not isinstance(about, dict):
        raise _damaged(place, f"{ABOUT} describes no surrogate")
    return about, weights


def _missing(place: Path, name: str) -> str:
    for pattern in ("source", "seed-*/source"):
        for inside in sorted(place.glob(f"{pattern}/{ABOUT}")):
            return (
                f"{str(place)!r} holds a comparison, no single surrogate: give one of its "
                f"folders, such as {str(inside.parent)!r}."
            )
    return f"{str(place)!r} is no surrogate folder: it lacks {name}; make one with `pacpde train`."


def _damaged(place: Path, why: str) -> DataFileError:
    return DataFileError(f"surrogate folder {str(place)!r} is damaged: {why}; train it anew.")


def _checksum(about: dict[str, Any], weights: bytes) -> str:
    """SHA-256 of `surrogate.json` without its checksum, and of the weights file."""
    rest = {name: value for name, value in about.items() if name != "checksum"}
    text = json.dumps(rest, sort_keys=True).encode()
    return f"sha256:{hashlib.sha256(text + weights).hexdigest()}"


def _check_sealed(place: Path, about: dict[str, Any], weights: bytes) -> None:
    if about.get("schema") != SCHEMA:
        raise DataFileError(
            f"surrogate folder {str(place)!r} has schema {about.get('schema')!r}, this pacpde "
            f"reads {SCHEMA}: train it anew."
        )
    if about.get("checksum") != _checksum(about, weights):
        raise _damaged(
            place, f"{ABOUT} or {WEIGHTS} was cut off or changed after it was written (checksum)"
        )
