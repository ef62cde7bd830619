"""Files that a user names, read whole: no pipe that nobody writes to, no device without an end."""

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

from pacpde.errors import DataFileError, InvalidValueError

TEXT, DATA = 2**26, 2**32  # bytes at most of a description, and of numbers


def open_regular(path: str | Path, most: int = DATA) -> BinaryIO:
    """A regular file of at most so many bytes, to read from.

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
    if stat.S_ISREG(about.st_mode) and about.st_size <= most:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISREG(about.st_mode):
        raise DataFileError(
            f"{str(path)!r} has {about.st_size / 2**20:,.0f} MiB, at most {most / 2**20:,.0f} are "
            "read: give the file that was meant."
        )
    kind = "folder" if stat.S_ISDIR(about.st_mode) else "pipe or device"
    raise DataFileError(f"{str(path)!r} is a {kind}, expected a regular file.")


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
        text = read_bytes(path, TEXT).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise DataFileError(f"{str(path)!r} cannot be read ({reason}).") from error
    text = text.replace("\r\n", "\n")
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"{path}: this is not TOML: {_reason(error)}.") from error


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
