"""The layout of an HDF5 file, and the checksum that covers every byte of it."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pacpde.errors import DataFileError, unreadable
from pacpde.reading import read_bytes
from pacpde.reference import Reference

SCHEMA = 1
MAGIC = b"\x89HDF\r\n\x1a\n"
UNSEALED = "sha256:" + 64 * "0"
SEAL = re.compile(rb"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Labels:
    """Scattered noisy values of a reference.

    Attributes:
        points: coordinates [n, axes] in the problem's axis order.
        values: the fields there [n, fields], noise added.
        seed: of points and noise.
        noise: standard deviation of the noise, in standard deviations of each field.
    """

    points: np.ndarray
    values: np.ndarray
    seed: int
    noise: float


@dataclass(frozen=True, eq=False)
class Dataset:
    """The content of one HDF5 file: a certified reference, perhaps labels."""

    reference: Reference
    labels: Labels | None = None


def sealed(content: bytes) -> bytes:
    """A file's content with its checksum in the place of `UNSEALED`.

    The checksum is the SHA-256 of the file's bytes with its own 64 digits read as zeros, so that
    no changed byte goes unseen, in the numbers or in HDF5's own structures.
    """
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}".encode()
    place = content.index(UNSEALED.encode())
    return content[:place] + checksum + content[place + len(checksum) :]


def check_sealed(path: Path) -> None:
    """Refuse what is missing, of another kind, truncated or changed, before HDF5 reads it."""
    try:
        content = read_bytes(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataFileError(
            f"{path} is no file: give an HDF5 file that `pacpde solve` wrote."
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not content.startswith(MAGIC):
        raise DataFileError(f"{path} is not an HDF5 file: give a file that `pacpde solve` wrote.")
    seals = list(SEAL.finditer(content))
    if len(seals) == 1:
        hashed = hashlib.sha256(content[: seals[0].start()])
        hashed.update(UNSEALED.encode() + content[seals[0].end() :])
        if seals[0][0].decode() == f"sha256:{hashed.hexdigest()}":
            return
    raise DataFileError(
        f"{path} does not match its checksum: it was truncated or changed after it was written, "
        "or not written by pacpde; make it anew with `pacpde solve`."
    )
