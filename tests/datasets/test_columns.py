"""Columns of the text files that people have."""

import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pacpde.datasets.columns import listed, read_columns
from pacpde.errors import DataFileError

ROWS = [[0.5, 0.25, 1e-3], [1.0, -2.0, 3.5]]
FILES = {
    "commas": "t,x,u\n0.5,0.25,1e-3\n1,-2,3.5\n",
    "a byte order mark": "\ufefft,x,u\n0.5,0.25,1e-3\n1,-2,3.5\n",
    "semicolons": "t;x;u\r\n0.5;0.25;1e-3\r\n\r\n1;-2;3.5\r\n",
    "decimal commas": "t;x;u\n0,5;0,25;1e-3\n1;-2;3,5\n",
    "decimal commas and tabs": "t\tx\tu\n0,5\t,25\t1e-3\n1\t-2\t3,5\n",
    "quoted decimal commas": 't,x,u\n"0,5","0,25",1e-3\n1,-2,"3,5"\n',
    "tabs": "t\tx\tu\n0.5\t0.25\t1e-3\n1\t-2\t3.5\n",
    "spaces": "  t   x u\n 0.5  0.25 1e-3\n1 -2   3.5\n",
    "a header of numpy": "# t,x,u\n0.5,0.25,1e-3\n1,-2,3.5\n",
    "a header of numpy, data by spaces": "# t x u\n0.5 0.25 1e-3\n1 -2 3.5\n",
    "comments of COMSOL": "% Model: heat\n% Nodes: 2\n% t  x  u\n0.5 0.25 1e-3\n1 -2 3.5\n",
    "comments between": "# measured\nt,x,u\n0.5,0.25,1e-3\n# a pause\n1,-2,3.5\n",
    "quotes": '"t","x","u"\n"0.5","0.25","1e-3"\n1,-2,3.5\n',
    "an index of pandas": ",t,x,u\n0,0.5,0.25,1e-3\n1,1,-2,3.5\n",
    "an index read again": "Unnamed: 0,t,x,u\n2026-01-01,0.5,0.25,1e-3\n2026-01-02,1,-2,3.5\n",
}


@pytest.mark.parametrize("name", FILES)
def test_every_form_gives_the_same_columns(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(FILES[name].encode())
    found = read_columns(tmp_path / "file")
    assert found.names == ("t", "x", "u") and found.values.tolist() == ROWS
    assert found.take(["u", "t"]).tolist() == [[1e-3, 0.5], [3.5, 1.0]]


def test_units_are_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("% t (s)  x[m] u [m / s]\n0.5 0.25 1e-3\n1 -2 3.5\n")
    found = read_columns(tmp_path / "file")
    assert found.names == ("t (s)", "x[m]", "u [m / s]") and found.values.tolist() == ROWS


def test_gaps_are_nan_where_they_may_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("t,u,by\n\n1,NA,Ada\n2,,Bo\n3,nan,4\n5,6,7\n")
    found = read_columns(tmp_path / "file", gaps=True)
    assert np.array_equal(
        found.values, [[1, *2 * [np.nan]], [2, *2 * [np.nan]], [3, np.nan, 4], [5, 6, 7]],
        equal_nan=True,
    )  # fmt: skip
    assert found.lines.tolist() == [3, 4, 5, 6]
    assert list(found.faults) == ["by"] and "line 3: by is 'Ada'" in found.faults["by"]


def test_what_pandas_and_numpy_write(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS, columns=["t", "x", "u"])
    for options in ({}, {"index": False}, {"sep": ";"}):
        table.to_csv(tmp_path / "table.csv", **options)
        assert read_columns(tmp_path / "table.csv").values.tolist() == ROWS
    np.savetxt(tmp_path / "rows.txt", ROWS, header="t x u")
    assert read_columns(tmp_path / "rows.txt").values.tolist() == ROWS


REFUSED = {
    "two decimal marks": (b"t;x\n0,5;0,25\n1.5;2\n", r"commas \(line 2\) and .* points \(line 3\)"),
    "groups of digits": (b"t;x\n1.234,5;1\n", "line 2: t is '1.234,5', expected a number"),
    "an underscore": (b"t,x\n0.1_5,1\n", "t is '0.1_5', expected a number"),
    "a gap": (b"t,x\n0.5,\n", "line 2: x is '', expected a number"),
    "a short row": (b"t,x\n# one\n0.5\n", "line 3: 1 values, expected 2"),
    "numpy's archive": (b"PK\x03\x04\x14\x00", "is an archive .*npz.*savetxt"),
    "numpy's array": (b"\x93NUMPY\x01\x00", "is a numpy array"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform", "is a MATLAB file"),
    "MATLAB of Level 4": (
        bytes((0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0)) + b"t\0" + bytes(16),
        "is a MATLAB file",
    ),
    "netCDF 3 of a later kind": (b"CDF\x05\0\0\0\0", r"is a netCDF 3 file .*\(CDF-5\)"),
    "MATLAB 7.3": (b"\x89HDF\r\n\x1a\n\x00", "is an HDF5 file"),
    "UTF-16": ("t,x\n0.5,1\n".encode("utf-16"), "is text in UTF-16"),
    "bytes": (b"t,x\n\xff\xfe\n", r"no UTF-8 text \(byte 0xff\): save it as UTF-8"),
    "Latin-1": ("t,T in °C\n1,2\n".encode("latin-1"), r"no UTF-8 text \(byte 0xb0\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    content, words = REFUSED[name]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataFileError, match=words) as caught:
        read_columns(tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value)


def test_many_columns_are_told_in_a_short_sentence(tmp_path: Path) -> None:
    names = ",".join(f"c{k}" for k in range(300_000))
    (tmp_path / "wide.csv").write_text(f"{names}\n1,2\n")
    with pytest.raises(DataFileError, match=r"c11, \.\.\. \(300,000 in all\)") as caught:
        read_columns(tmp_path / "wide.csv")
    assert len(str(caught.value)) < 300
    assert listed(["t", "x" * 200]) == f"t, {'x' * 57}..." and listed([]) == "(none)"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"cannot be read as CSV .*No such file"):
        read_columns(tmp_path / "none.csv")


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    content = FILES["semicolons"].encode()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    assert read_columns(tmp_path / "pipe").values.tolist() == ROWS
    writer.join()


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    for text, names in (("t,x\n", ("t", "x")), ("# t x\n", ("t", "x")), ("", ())):
        (tmp_path / "file").write_text(text)
        found = read_columns(tmp_path / "file")
        assert found.names == names and len(found.values) == 0
