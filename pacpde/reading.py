"""Files that a user names, read whole: no pipe that nobody writes to, no device without an end."""

import json
import os
import select
import stat
import tomllib
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError, InvalidValueError

PATIENCE = 30.0  # seconds until something must have been written to a pipe
TEXT, DATA = 2**26, 2**32  # bytes at most of a description, and of numbers


def open_regular(path: str | Path, most: int = DATA, *, pipes: bool = False) -> BufferedReader:
    """A regular file of at most so many bytes, to read from.

    Args:
        pipes: read a pipe, too, until those who write to it have ended.

    Raises:
        DataFileError: it is a folder, pipe or device, too large, or its name holds a zero byte.
        OSError: it is missing, or the system refuses to read it.
    """
    try:
        # without O_NONBLOCK the opening of a pipe waits for somebody who writes
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except ValueError as error:
        raise DataFileError(f"{str(path)!r} is no name of a file ({error}).") from error
    about = os.fstat(descriptor)
    kind = about.st_mode
    if not (stat.S_ISREG(kind) or (pipes and stat.S_ISFIFO(kind))):
        os.close(descriptor)
        named = "folder" if stat.S_ISDIR(kind) else "pipe or device"
        raise DataFileError(f"{str(path)!r} is a {named}, expected a regular file.")
    file, size = os.fdopen(descriptor, "rb"), about.st_size
    if stat.S_ISFIFO(kind):
        with file as pipe:
            _await_writer(path, descriptor)
            content = pipe.read(most + 1)
        file, size = BufferedReader(BytesIO(content)), len(content)
    if size > most:
        file.close()
        raise DataFileError(
            f"{str(path)!r} has more than the {most / 2**20:,.0f} MiB that are read: give the file "
            "that was meant."
        )
    return file


def _await_writer(path: str | Path, descriptor: int) -> None:
    """Refuse a pipe to which nobody writes."""
    pipe = select.poll()
    pipe.register(descriptor, select.POLLIN)
    if not pipe.poll(1000 * PATIENCE):
        raise DataFileError(
            f"nothing was written to the pipe {str(path)!r} in {PATIENCE:g} s: give a file."
        )
    os.set_blocking(descriptor, True)


def read_bytes(path: str | Path, most: int = DATA) -> bytes:
    """The content of a regular file; raises as `open_regular` does."""
    with open_regular(path, most) as file:
        return file.read()


def read_toml(path: str | Path) -> tuple[str, dict[str, Any]]:
    """(text, content) of a TOML file.

    Raises:
        DataFileError: it cannot be read, or is no text.
        InvalidValueError: it is no TOML.
    """
    try:
        text = read_bytes(path, TEXT).decode("utf-8-sig")  # some editors put a mark first
    except UnicodeDecodeError as error:
        raise DataFileError(no_utf8(path, error)) from error
    except OSError as error:
        raise DataFileError(f"{str(path)!r} cannot be read ({error.strerror or error}).") from error
    text = text.replace("\r\n", "\n")
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"{path}: this is not TOML: {_reason(error)}.") from error


def no_utf8(path: str | Path, error: UnicodeDecodeError) -> str:
    """What to say of a file that is no text in UTF-8."""
    return f"{path} is no UTF-8 text (byte {error.object[error.start]:#04x}): save it as UTF-8."


def parse_json(text: str | bytes) -> Any:
    """The content of JSON text; ValueError where it is none, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "its brackets are nested too deeply"
    return str(error).partition(";")[0].rstrip(".")
