"""MATLAB's files of Level 5, checked before scipy reads their numbers, and those of Level 4.

- Level 5: scipy looks up the type of an element of numbers without a check, and a file with another
  one ends the process (scipy 1.17).
- Level 4, which `save -v4` and Modelica tools write, is read here: where the sizes in a file are
  negative, scipy goes back in it and never ends (scipy 1.17).

The layout is that of "MAT-File Format", MathWorks.
"""

import zlib
from collections.abc import Iterator
from struct import error as cut_off
from struct import unpack_from

import numpy as np

HEADER = 128  # bytes; the last two say the order of bytes
MATRIX, COMPRESSED = 14, 15
NUMBERS = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13))  # types of elements: integers and floats
CLASSES = range(6, 16)  # of arrays: double to uint64
COMPLEX = 8  # in the flags of an array: it has a second element of numbers
LEVEL_4 = 0  # of the first four bytes, one at least; Level 5 has text there
# Level 4: an array has five integers (type, rows, columns, complex, bytes of the name), the name
# with a zero at its end, and its values, columns first
HEADER_4 = 20  # bytes
NAME_4 = 256  # bytes of a name at most; MATLAB writes 64
TYPES_4 = ("f8", "f4", "i4", "i2", "u2", "u1")
FULL, TEXT, SPARSE = range(3)

Element = tuple[int, bytes]
Header4 = tuple[str, int, int, int, int, int, int]  # order, type, contents, then as in the file


def is_level_4(begins: bytes) -> bool:
    """Whether a file that begins so is one of Level 4."""
    return len(begins) >= HEADER_4 and _header_4(begins, 0) is not None


def read_level_4(content: bytes) -> dict[str, np.ndarray]:
    """Name → values of every array of numbers in a file of Level 4; sparse ones are left out.

    Raises:
        ValueError: it is cut off, or holds something else.
    """
    arrays, at = dict[str, np.ndarray](), 0
    while at < len(content):
        header = _header_4(content, at) if at + HEADER_4 <= len(content) else None
        if header is None:
            raise ValueError(f"there is no array at byte {at:,}")
        order, kind, holds, rows, columns, is_complex, length = header
        begin = at + HEADER_4 + length
        dtype = np.dtype(f"{order}{TYPES_4[kind]}")
        at = begin + rows * columns * dtype.itemsize * (1 + is_complex)
        if at > len(content):
            raise ValueError(f"an array of {rows:,} × {columns:,} numbers is cut off")
        if holds == FULL and not is_complex:
            name = content[begin - length : begin].rstrip(b"\0").decode("latin-1")
            values = np.frombuffer(content, dtype, rows * columns, begin)
            arrays[name] = values.reshape(rows, columns, order="F").astype(TYPES_4[kind])
    return arrays


def _header_4(content: bytes, at: int) -> Header4 | None:
    """The header of an array of Level 4; None where none stands there."""
    for order in "<>":
        type_, rows, columns, is_complex, length = unpack_from(f"{order}5i", content, at)
        machine, rest = divmod(type_, 1000)  # 0 for "<", 1 for ">"
        kind, holds = divmod(rest, 10)
        if (
            machine == "<>".index(order) and kind < len(TYPES_4) and holds in (FULL, TEXT, SPARSE)
            and min(rows, columns) >= 0 and is_complex in (0, 1) and 1 < length <= NAME_4
        ):  # fmt: skip
            return order, kind, holds, rows, columns, is_complex, length
    return None


def check_numbers(content: bytes, most: int) -> None:
    """Refuse arrays of numbers whose elements are none of numbers, or are cut off.

    Args:
        content: of a file.
        most: bytes that a compressed element may unpack to.

    Raises:
        ValueError: there is one; the message says what.
    """
    if len(content) < HEADER or LEVEL_4 in content[:4]:
        return  # of another level, which scipy reads by numpy
    order = "<" if content[126:128] == b"IM" else ">"
    for kind, inside in _elements(content[HEADER:], order, padded=False):
        if kind == COMPRESSED:
            unpacked = zlib.decompressobj().decompress(inside, most)
            for one in _elements(unpacked, order, padded=False):
                _check_matrix(*one, order)
        else:
            _check_matrix(kind, inside, order)


def _check_matrix(kind: int, inside: bytes, order: str) -> None:
    """Flags, dimensions, name, then one or two elements with numbers."""
    if kind != MATRIX or not inside:
        return
    elements = _elements(inside, order, padded=True)
    _, flags = next(elements, (0, b""))
    about = flags[:4] if order == "<" else flags[3::-1]
    if len(about) < 4 or about[0] not in CLASSES:
        return  # of no numbers: it is not read
    parts = [part for part, _ in elements][2:]  # after dimensions and name, which scipy checks
    others = [part for part in parts if part not in NUMBERS]
    if others:
        raise ValueError(f"an array has an element of the type {others[0]}")
    if len(parts) < (2 if about[1] & COMPLEX else 1):
        raise ValueError("an array lacks its numbers")


def _elements(content: bytes, order: str, *, padded: bool) -> Iterator[Element]:
    """(type, data) of each; in an array they begin at multiples of 8 bytes."""
    at = 0
    while at < len(content):
        try:
            kind, size = unpack_from(f"{order}II", content, at)
        except cut_off as error:
            raise ValueError("an element is cut off") from error
        small = kind >> 16
        begin = at + (4 if small else 8)
        if small:
            kind, size = kind & 0xFFFF, small
        end = begin + size
        if end > len(content) or (small and size > 4):
            raise ValueError(f"an element of {size:,} bytes is cut off")
        yield kind, content[begin:end]
        at = at + 8 if small else end
        if padded:
            at += -at % 8
