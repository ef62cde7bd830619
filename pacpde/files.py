"""Files and folders that exist whole or not at all.

What is written goes to a temporary name beside the target and is renamed at the end, so that a
killed process leaves the old one or the new one, and maybe a `.tmp` beside it that nobody reads.
Links are followed: the file or folder that a link names is replaced, and the link stays.
"""

import ctypes
import filecmp
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE
from typing import Any

from pacpde.errors import OutputError

ABANDONED = 86_400  # seconds after which a temporary file is nobody's
LEFTOVER = re.compile(r"\.\d+-[0-9a-f]{8}\.tmp$")  # how `_beside` names them
WRITE = 0o222  # permission bits, without which a file is read-only, also for an administrator

Before = Callable[[Path], object]  # called with what is complete, just before it takes its place


@contextmanager
def atomic_write(
    path: str | Path, *, overwrite: bool = True, before: Before | None = None
) -> Iterator[Path]:
    """A temporary file name to write to; it becomes `path` when the block ends well.

    Folders above it are made. A file already there keeps its permissions.

    Args:
        overwrite: replace a file already there. Without it, one with other content is refused.
        before: called with the complete temporary file.

    Raises OutputError where that cannot be done.
    """
    target = follow(path)
    check_file(target)
    temporary = _temporary(target)
    try:
        with _refusals(target):
            yield temporary
            _sync(temporary)
            if before is not None:
                before(temporary)
            check_file(target)
            if overwrite:
                _keep_mode(target, temporary)
                os.replace(temporary, target)
            else:
                _put(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, before: Before | None = None) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `path` when the block ends well.

    A folder already there is replaced if it holds nothing but what the new one holds too; any
    other is refused, lest a user's own files be lost. Permissions stay as they were.

    Args:
        before: called with the complete temporary folder; it may refuse.
    """
    target = follow(path)
    temporary = _temporary(target)
    try:
        with _refusals(target):
            temporary.mkdir()
            yield temporary
            check_folder(target, *(inside.name for inside in temporary.iterdir()))
            if before is not None:
                before(temporary)
            for file in temporary.rglob("*"):
                if file.is_file():
                    _sync(file)
                    _keep_mode(target / file.relative_to(temporary), file)
            _keep_mode(target, temporary)
            _move_over(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def collect_leftovers(folder: Path, name: str = "*", *, seconds: float = ABANDONED) -> None:
    """Remove temporary files and folders that writes of `name` left when they were killed.

    Args:
        name: of a file or folder in it; all of them by default.
        seconds: of younger ones another process may be at work on; 0 for who has the folder alone.
    """
    pattern = f".{name if name == '*' else glob.escape(name)}.*.tmp"
    for left in folder.glob(pattern):
        with suppress(OSError):
            own = LEFTOVER.search(left.name)
            if own is None or (name != "*" and left.name[: own.start()] != f".{name}"):
                continue  # of another one, whose name begins so
            if time.time() - left.stat().st_mtime >= seconds:
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()


def being_replaced(path: str | Path) -> bool:
    """Whether a new content of a file or folder is, or was left, in the making beside it."""
    target = Path(os.path.realpath(path))
    return any(target.parent.glob(f".{glob.escape(target.name)}.*.tmp"))


def follow(path: str | Path) -> Path:
    """The absolute place that `path` names, all links followed.

    Raises OutputError where it, or a folder above it, is a link to something that is not there.
    """
    place = Path(path)
    with _refusals(place):
        for part in (place, *place.parents):
            if part.is_symlink() and not part.exists():
                raise OutputError(
                    f"{part} is a link to {os.readlink(part)}, which is not there: make that "
                    "folder first, or name another output path."
                )
        return Path(os.path.realpath(place))


def check_writable(path: str | Path) -> Path:
    """`path`, if a file or folder can be made there; leaves nothing behind.

    Raises OutputError. Meant for before a long computation.
    """
    target = follow(path)
    with _refusals(target):
        above = next((place for place in target.parents if place.exists()), target.parent)
        probe = _beside(above / target.name)
        probe.touch(exist_ok=False)
        probe.unlink()
    return Path(path)


def check_file(path: str | Path, *, overwrite: bool = True, content: bytes | None = None) -> Path:
    """`path`, if a file may be written there: absent, or a regular file that is not read-only.

    Without `overwrite` it must be absent, or hold the `content` that is to be written.
    """
    target = follow(path)
    with _refusals(target):
        if not target.exists():
            return Path(path)
        if not target.is_file():
            raise OutputError(f"{path} is no regular file: name another output file.")
        if not overwrite and (content is None or target.read_bytes() != content):
            raise taken(path)
        _check_not_read_only(target)
    return Path(path)


def check_folder(path: str | Path, *known: str) -> Path:
    """`path`, if `atomic_folder` may take its place: absent, or a folder of the names `known`."""
    target = follow(path)
    with _refusals(target):
        if not target.exists():
            return Path(path)
        if not target.is_dir():
            raise OutputError(f"{path} is a file, expected a folder: name another output folder.")
        there = {inside.name: inside for inside in target.iterdir()}
    if not set(there) <= set(known):
        raise OutputError(
            f"{path} holds other files ({', '.join(sorted(there)[:3])}) and will not be "
            "replaced: name another output folder."
        )
    with _refusals(target):
        for place in (target, *there.values()):
            _check_not_read_only(place)
        if os.path.ismount(target) or target.samefile(os.curdir):
            raise OutputError(
                f"{path} is the working folder or the root of a disk, which cannot be replaced: "
                "name a folder inside it."
            )
    return Path(path)


def short_hash(content: bytes) -> str:
    """The first digits of a SHA-256, by which contents are distinguished."""
    return hashlib.sha256(content).hexdigest()[:16]


def key_of(inputs: Any) -> str:
    """A short hash of anything JSON can hold; what it cannot hold counts by its text."""
    return short_hash(json.dumps(inputs, sort_keys=True, default=str).encode())


def taken(path: str | Path) -> OutputError:
    """Says that something stands where an output is to go."""
    return OutputError(
        f"{path} is already there: name another output, or add --overwrite to replace it."
    )


def reason_of(error: OSError) -> str:
    """What the system said, in a few words; HDF5 hides it in a text of several lines."""
    if error.strerror:
        return error.strerror
    number = re.search(r"errno = (\d+)", str(error))
    return os.strerror(int(number[1])) if number else " ".join(str(error).split())


def _check_not_read_only(target: Path) -> None:
    if not (target.stat().st_mode & WRITE and os.access(target, os.W_OK)):
        raise OutputError(f"{target} is read-only: name another output path.")


def _keep_mode(old: Path, new: Path) -> None:
    """Give `new` the permissions of what it replaces."""
    if old.exists():
        new.chmod(S_IMODE(old.stat().st_mode))


def _put(temporary: Path, target: Path) -> None:
    """Move a file to a place where nothing, or the same content, may be."""
    try:
        os.link(temporary, target)  # unlike a renaming it never replaces
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not target.exists():
            os.replace(temporary, target)
            return
    if not filecmp.cmp(temporary, target, shallow=False):
        raise taken(target)


def file_above(target: Path) -> Path | None:
    """The file that stands where a folder above `target` is to be; None where none does."""
    return next((place for place in target.parents if os.path.isfile(place)), None)


@contextmanager
def _refusals(target: Path) -> Iterator[None]:
    """Turn what the system refuses into one sentence."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        above = file_above(target)
        reason = f"{above} is a file, not a folder" if above else reason_of(error)
        raise OutputError(f"cannot write {target} ({reason}): name another output path.") from error


def _temporary(target: Path) -> Path:
    """A free name beside `target`, whose folder is made and rid of what killed writes left."""
    with _refusals(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    collect_leftovers(target.parent, target.name)
    return _beside(target)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _move_over(folder: Path, target: Path) -> None:
    """Rename, swapping with what is there in one step where the system can."""
    if _moved(folder, target) or _exchange(folder, target):
        return
    old = _beside(target)
    os.rename(target, old)
    try:
        os.rename(folder, target)
    except OSError:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _moved(folder: Path, target: Path) -> bool:
    """Rename to where nothing is; False where something is, be it since a moment ago."""
    if target.exists():
        return False
    try:
        os.rename(folder, target)
    except OSError:
        if not target.exists():
            raise
        return False  # another process was first
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders atomically (renameat2 of Linux); False where that does not exist."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)
