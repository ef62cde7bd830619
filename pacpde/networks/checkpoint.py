"""Surrogates as folders: `weights.safetensors` and `surrogate.json`; no pickle anywhere."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from pacpde.errors import (
    InvalidValueError,
    OutputError,
    short,
)
from pacpde.files import Before, check_folder, follow
from pacpde.keywords import checked_call
from pacpde.networks.module import TorchModule
from pacpde.networks.protocol import Network
from pacpde.networks.sealed import SealedFolder
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.surrogate_json import as_json, from_json, tensors_of
from pacpde.reading import TEXT, parse_json, read_bytes
from pacpde.runtime import Runtime, gradients, versions

SCHEMA = 1
WEIGHTS, ABOUT = "weights.safetensors", "surrogate.json"


class _SurrogateFolder(SealedFolder):
    def missing(self, place: Path, name: str) -> str:
        for pattern in ("source", "seed-*/source"):
            for inside in sorted(place.glob(f"{pattern}/{ABOUT}")):
                return (
                    f"{str(place)!r} holds a comparison, no single surrogate: give one of its "
                    f"folders, such as {str(inside.parent)!r}."
                )
        return super().missing(place, name)


FOLDER = _SurrogateFolder(
    "surrogate folder",
    "surrogate",
    ABOUT,
    WEIGHTS,
    SCHEMA,
    "pacpde train",
    "runs/source",
    "train it anew",
)


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
        **as_json(surrogate),
        "versions": versions(),
        **({"result": result} if result is not None else {}),
    }
    FOLDER.write(folder, about, tensors_of(surrogate), before)


@checked_call
@gradients()
def load(
    folder: str | Path, runtime: Runtime | None = None, network: Network | None = None
) -> Surrogate:
    """The surrogate in a folder, on the CPU in its own precision by default.

    Args:
        network: of the surrogate, where it is a torch module that no file can make again; it must
            give the outputs that it gave when the surrogate was saved.

    Example:
        >>> load("runs/source", network=TorchModule(MyModule()))
    """
    if isinstance(network, nn.Module):
        network = TorchModule(network)
    if not isinstance(network, Network | None):
        raise InvalidValueError(
            f"network is {short(network)}, expected the network of the surrogate: write "
            "network=TorchModule(my_module)."
        )
    surrogate = FOLDER.load(folder, partial(from_json, given=network))
    return surrogate if runtime is None else surrogate.to(runtime)


def check_whole(folder: str | Path) -> None:
    """Refuse a folder whose files are not as `save` wrote them."""
    FOLDER.whole(Path(folder))


def result(folder: str | Path) -> dict[str, Any] | None:
    """The result that `save` was given; None for none."""
    own = FOLDER.content(Path(folder))[0].get("result")
    return own if isinstance(own, dict) else None


def check_place(folder: str | Path) -> Path:
    """`folder`, if `save` may take its place; OutputError where it holds anything else.

    A file that is called as one of ours is not enough: `surrogate.json` must describe a surrogate.
    """
    FOLDER.path(folder)
    check_folder(folder, WEIGHTS, ABOUT)
    place = follow(folder)
    if holds_surrogate(place) or not (place.is_dir() and any(place.iterdir())):
        return Path(folder)
    raise OutputError(
        f"{folder} holds files that are no surrogate of pacpde and will not be replaced: name "
        "another output folder, or move them away."
    )


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
