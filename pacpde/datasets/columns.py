"""Named columns of numbers from a text file, as spreadsheets, pandas and numpy write it."""

import csv
import math
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from pathlib import Path

import numpy as np

from pacpde.datasets.matlab import is_level_4
from pacpde.errors import DataFileError
from pacpde.reading import no_utf8, open_regular

LARGEST = 2**30  # bytes
HEADER = 64  # of them, by which the kind of a file is known
SHOWN = 12  # names of columns in a sentence
COMMENTS = ("#", "%")
SEPARATORS = (";", "\t", ",")  # spaces where a line has none of them
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
NAME = re.compile(r"[^\s\[(]+(?:\s*(?:\[[^\]]*\]|\([^)]*\)))?")  # perhaps with a unit in brackets
MISSING = ("", "na", "n/a", "nan", "null", "none")  # what stands where nothing was measured
# how files that are no text begin, and what they are
OTHERS = {
    b"\x93NUMPY": "a numpy array (.npy)",
    b"PK\x03\x04": "an archive (.npz, .xlsx or .zip)",
    b"MATLAB": "a MATLAB file (.mat)",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (.h5, .nc)",
    b"CDF\x05": "a netCDF 3 file with sizes of 64 bits (CDF-5)",
    b"CDF": "a netCDF file (.nc)",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a compressed file (.gz)",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a file.

    Attributes:
        names: in the order of the file.
        values: [rows, columns].
        lines: number of the line of each row, [rows].
        faults: name → what is wrong with the first value that is no number.
    """

    names: tuple[str, ...]
    values: np.ndarray
    lines: np.ndarray
    faults: Mapping[str, str]

    def take(self, names: Iterable[str]) -> np.ndarray:
        """The values of some columns, [rows, names]."""
        return self.values[:, [self.names.index(name) for name in names]]


def read_columns(path: Path, *, gaps: bool = False) -> Columns:
    """The columns of a text file whose header names them.

    Commas, semicolons, tabs or spaces separate; where it is not commas, numbers may have decimal
    commas. The header may be a comment that begins with # or %, as `numpy.savetxt` and COMSOL
    write it; an index that pandas wrote without a name is left out.

    Args:
        gaps: an empty cell, nan or NA is nan, and so is text, which `faults` tells. Otherwise every
            value must be a finite number.

    Raises:
        DataFileError: no such file, of another kind, or a value that is no number.
    """
    try:
        with open_regular(path, LARGEST, pipes=True) as file:
            _check_text(path, file.peek(HEADER))
            text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
            return _parsed(path, enumerate(text, 1), gaps)
    except UnicodeDecodeError as error:
        raise DataFileError(no_utf8(path, error)) from error
    except (OSError, csv.Error) as error:
        raise DataFileError(f"{path} cannot be read as CSV ({error}).") from error


def _check_text(path: Path, begins: bytes) -> None:
    """Refuse what is known by its first bytes to be something else."""
    kinds = [kind for magic, kind in OTHERS.items() if begins.startswith(magic)]
    if is_level_4(begins):
        kinds.append(OTHERS[b"MATLAB"])
    if kinds:
        raise DataFileError(
            f"{path} is {kinds[0]}, expected text with separated columns: write them as CSV, in "
            'numpy by savetxt(file, columns, delimiter=",", header="t,x", comments="").'
        )


def _parsed(path: Path, lines: Iterator[tuple[int, str]], gaps: bool) -> Columns:
    header, lines = _header(lines)
    names = tuple(name.strip() for name in _cells(header, _separator(header), NAME.findall))
    index = bool(names) and (not names[0] or names[0].startswith("Unnamed: "))
    numbers, at, separator = array("d"), array("q"), ""
    marks, faults = dict[str, int](), dict[str, str]()
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith(COMMENTS):
            continue
        separator = separator or _separator(line)
        cells = _cells(line, separator)
        if len(cells) != len(names):
            raise DataFileError(
                f"{path}, line {number}: {len(cells)} values, expected {len(names)} "
                f"({listed(names)})."
            )
        at.append(number)
        for name, text in list(zip(names, cells, strict=True))[index:]:
            value, mark = _number(text)
            if mark:
                marks.setdefault(mark, number)
            if not math.isfinite(value) and not (gaps and text.strip().lower() in MISSING):
                fault = f"{path}, line {number}: {name} is {text!r}, expected a number."
                if not gaps:
                    raise DataFileError(fault)
                faults.setdefault(name, fault)
            numbers.append(value)
    if len(marks) > 1:
        raise DataFileError(
            f"{path} has decimal commas (line {marks[',']}) and decimal points (line "
            f"{marks['.']}): write all numbers in one way."
        )
    names = names[index:]
    values = np.array(numbers).reshape(len(at), len(names))
    return Columns(names, values, np.array(at), faults)


def listed(names: Sequence[str]) -> str:
    """Names for a sentence, the first of them where they are many or long."""
    shown = ", ".join(name if len(name) <= 60 else f"{name[:57]}..." for name in names[:SHOWN])
    more = f", ... ({len(names):,} in all)" if len(names) > SHOWN else ""
    return f"{shown or '(none)'}{more}"


def _header(lines: Iterator[tuple[int, str]]) -> tuple[str, Iterator[tuple[int, str]]]:
    """The line that names the columns, and the lines after it.

    It is the last comment where numbers follow at once, else the first line that is none.
    """
    comment = ""
    for number, line in lines:
        text = line.strip()
        if text.startswith(COMMENTS):
            comment = text.lstrip("#% \t")
        elif text and comment and _is_row(text):
            return comment, chain([(number, line)], lines)
        elif text:
            return line.rstrip("\r\n"), lines
    return comment, lines


def _separator(line: str) -> str:
    return next((separator for separator in SEPARATORS if separator in line), " ")


def _cells(
    line: str, separator: str, by_spaces: Callable[[str], list[str]] = str.split
) -> list[str]:
    if separator == " ":
        return by_spaces(line)
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])


def _is_row(line: str) -> bool:
    try:
        return bool([float(cell) for cell in _cells(line, _separator(line))])
    except ValueError:
        return False


def _number(text: str) -> tuple[float, str]:
    """(value, its decimal mark if it has one); nan for what is no number."""
    word = text.strip()
    mark = "," if DECIMAL_COMMA.fullmatch(word) else "." if "." in word else ""
    word = "nan" if "_" in word else word  # float("0.1_5") is 0.15
    try:
        return float(word.replace(",", ".") if mark == "," else word), mark
    except ValueError:
        return math.nan, ""
