"""The elements of MATLAB's files, checked before scipy reads their numbers.

scipy looks up the type of an element of numbers without a check, and a file with another one ends
the process (scipy 1.17). The layout is that of "MAT-File Format", MathWorks, of Level 5.
"""

import zlib
from collections.abc import Iterator
from struct import error as cut_off
from struct import unpack_from

HEADER = 128  # bytes; the last two say the order of bytes
MATRIX, COMPRESSED = 14, 15
NUMBERS = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13))  # types of elements: integers and floats
CLASSES = range(6, 16)  # of arrays: double to uint64
COMPLEX = 8  # in the flags of an array: it has a second element of numbers
LEVEL_4 = 0  # of the first four bytes, one at least; Level 5 has text there

Element = tuple[int, bytes]


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
