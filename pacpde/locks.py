"""One process at a time in an output folder: a lock that the system frees when the process ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pacpde.errors import OutputError
from pacpde.files import follow

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(file: Path, folder: Path, *, remove: bool = False) -> Iterator[bool]:
    """Hold `file` as a lock for as long as the block runs; its content is left alone.

    Gives whether it is held: where the system or the file system knows no locks, nothing is.

    Args:
        folder: what the lock is for, named in the error.
        remove: delete the file at the end, and the folders that were made for it and are empty.

    Raises OutputError at once where another process, or another thread, holds it.
    """
    above = [place for place in file.parents if not place.exists()]
    descriptor, held = _acquire(file, folder)
    try:
        yield held
    finally:
        if remove:
            with suppress(OSError):  # while the lock is held, so that nobody else's file goes
                file.unlink()
                for place in above or [file.parent]:
                    place.rmdir()
        os.close(descriptor)


def _acquire(file: Path, folder: Path) -> tuple[int, bool]:
    """The open file, and whether it is locked."""
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # its folder was removed in between
            if not follow(file.parent.parent).exists():
                raise
            continue
        except OSError as error:
            raise OutputError(
                f"cannot write {file} ({error.strerror}): name another output path."
            ) from error
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputError(
                f"another run of pacpde is at work in {folder}: wait for its end, or name "
                "another output folder."
            ) from error
        except OSError:  # a file system without locks
            return descriptor, False
        if _is_at(descriptor, file):
            return descriptor, fcntl is not None
        os.close(descriptor)  # removed by its last holder between opening and locking


def _is_at(descriptor: int, file: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), file.stat())
    return False
