"""What a result depends on beside its inputs: versions, and the code that made it."""

import hashlib
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pacpde
from pacpde.runtime import versions

IRRELEVANT = ("cli", "expressions", "plots", "report", "interop", "studies")


def identity(*classes: type) -> dict[str, Any]:
    """Versions, and hashes of pacpde's own sources and of those of a user's own classes.

    With it in a cell's inputs, an edited method or family is run anew instead of reused.
    """
    files = {inspect.getsourcefile(cls) for cls in classes if not _ours(cls)}
    own = {Path(file).name: _hash(Path(file).read_bytes()) for file in files if file}
    return {"versions": versions(), "code": _package(), "own": own}


def _ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "pacpde"


@cache
def _package() -> str:
    root = Path(pacpde.__file__).parent
    files = [
        *root.glob("*.py"),
        *(file for room in root.iterdir() if room.is_dir() for file in room.rglob("*.py")),
    ]
    relevant = sorted(
        (file.relative_to(root).as_posix(), file)
        for file in files
        if not file.relative_to(root).parts[0].startswith(IRRELEVANT)
    )
    return _hash(b"".join(name.encode() + b"\0" + file.read_bytes() for name, file in relevant))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
