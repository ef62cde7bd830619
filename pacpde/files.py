"""Files and folders that exist whole or not at all.

What is written goes to a temporary name beside the target and is renamed at the end, so that a
killed process leaves the old one or the new one, and maybe a `.tmp` beside it that nobody reads.
"""

import ctypes
import glob
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pacpde.errors import OutputError

ABANDONED = 86_400  # seconds after which a temporary file is nobody's
LEFTOVER = re.compile(r"\.\d+-[0-9a-f]{8}\.tmp$")  # how `_beside` names them


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary file name to write to; it becomes `path` when the block ends well.

    Folders above it are made. Raises OutputError where that cannot be done.
    """
    target = Path(path)
    _check_file(target)
    with _told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    collect_leftovers(target.parent, target.name)
    temporary = _beside(target)
    try:
        with _told(target):
            yield temporary
            _sync(temporary)
            os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, marker: str | None = None) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `path` when the block ends well.

    A folder already there is replaced if it holds a file called `marker`, which says that it is
    of the same kind, or nothing but what the new one holds too; any other is refused, lest a
    user's own files be lost.
    """
    target = Path(path)
    if marker is not None:
        check_folder(target, marker)
    with _told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    collect_leftovers(target.parent, target.name)
    temporary = _beside(target)
    try:
        with _told(target):
            temporary.mkdir()
            yield temporary
            if marker is None:
                check_folder(target, *(made.name for made in temporary.iterdir()), every=True)
            for file in temporary.rglob("*"):
                if file.is_file():
                    _sync(file)
            _move_over(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def collect_leftovers(folder: Path, name: str = "*") -> None:
    """Remove temporary files and folders that writes of `name` left when they were killed.

    Those of the last day stay: another process may be at work on them.
    """
    pattern = f".{name if name == '*' else glob.escape(name)}.*.tmp"
    for left in folder.glob(pattern):
        with suppress(OSError):
            if LEFTOVER.search(left.name) and time.time() - left.stat().st_mtime > ABANDONED:
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()


def check_writable(path: str | Path, *, file: bool = False) -> Path:
    """`path`, if a file or folder can be made there; leaves nothing behind.

    With `file`, a folder already there is refused. Raises OutputError. Meant for before a long
    computation.
    """
    target = Path(path)
    if file:
        _check_file(target)
    above = target.parent
    with _told(target):
        while not above.exists() and above != above.parent:
            above = above.parent
        probe = _beside(above / target.name)
        probe.touch(exist_ok=False)
        probe.unlink()
    return target


def check_folder(path: str | Path, *known: str, every: bool = False) -> Path:
    """`path`, if `atomic_folder` may take its place: absent, empty, or recognised.

    It is recognised by one of the file names `known`, or, with `every`, by having no others.
    """
    target = Path(path)
    with _told(target):
        if not target.exists():
            return target
        if not target.is_dir():
            raise OutputError(f"{target} is a file, expected a folder: name another output folder.")
        there = {inside.name for inside in target.iterdir()}
    if there and not (there <= set(known) if every else there & set(known)):
        raise OutputError(
            f"{target} holds other files ({', '.join(sorted(there)[:3])}) and will not be "
            "replaced: name another output folder."
        )
    return target


def _check_file(target: Path) -> None:
    if target.exists() and not target.is_file():
        raise OutputError(f"{target} is no regular file: name another output file.")


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Turns the system's refusals into one sentence."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {target} ({reason}): name another output path.") from error


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _move_over(folder: Path, target: Path) -> None:
    """Rename, swapping with what is there in one step where the system can."""
    if not target.exists():
        os.rename(folder, target)
    elif not _exchange(folder, target):
        old = _beside(target)
        os.rename(target, old)
        try:
            os.rename(folder, target)
        except OSError:
            os.rename(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)


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
