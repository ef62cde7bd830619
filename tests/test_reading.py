"""Files that end, and only those, are read; what they hold may be anything."""

import os
from pathlib import Path

import pytest

from pacpde.checks import check_number
from pacpde.errors import DataFileError, InvalidValueError, UnknownNameError, unknown
from pacpde.reading import open_regular, parse_json, read_bytes, read_toml


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00\xff" * 1000)
    assert read_bytes(tmp_path / "file") == b"\x00\xff" * 1000
    (tmp_path / "link").symlink_to("file")
    assert len(read_bytes(tmp_path / "link", 2000)) == 2000


def test_what_is_no_regular_file_or_too_large_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    refused = {
        tmp_path / "pipe": "pipe or device",
        Path("/dev/zero"): "pipe or device",
        tmp_path: "folder",
        tmp_path / "sparse": "MiB",
        Path("a\0b"): "no name of a file",
    }
    for path, why in refused.items():
        with pytest.raises(DataFileError, match=why):
            open_regular(path)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "missing")


def test_a_pipe_is_read_where_it_may_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = os.pipe()
    os.write(ends[1], b"t,x\n0,0\n")
    os.close(ends[1])
    with open_regular(f"/dev/fd/{ends[0]}", pipes=True) as file:
        assert file.peek(1)[:1] == b"t" and file.read() == b"t,x\n0,0\n"
    os.close(ends[0])
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("pacpde.reading.PATIENCE", 0.1)
    with pytest.raises(DataFileError, match=r"nothing was written to the pipe .* in 0\.1 s"):
        open_regular(tmp_path / "pipe", pipes=True)


HOSTILE = {
    "brackets": "a = " + "[" * 50_000,
    "closed brackets": "a = " + "[" * 50_000 + "]" * 50_000,
    "braces": "a = " + "{ a = " * 50_000,
    "digits": "a = " + "9" * 5_000,
    "zero byte": "\0",
    "half a character": 'a = "\\ud800"',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_toml_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(content)
    with pytest.raises(InvalidValueError, match="this is not TOML") as caught:
        read_toml(tmp_path / "study.toml")
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


def test_toml_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes("a = 1".encode("utf-16"))
    with pytest.raises(DataFileError, match="no UTF-8 text"):
        read_toml(tmp_path / "study.toml")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "", b"\xff"])
def test_hostile_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize("number", range(10))
def test_what_is_no_finite_number_is_refused(number: int) -> None:
    inf = float("inf")
    value = [10**400, -(10**400), 10**5_000, inf - inf, inf, "1", None, True, [1], 1j][number]
    with pytest.raises(InvalidValueError) as caught:
        check_number("memory", value, -1e300, expected="a number")
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("number", range(5))
def test_a_name_of_any_kind_may_be_unknown(number: int) -> None:
    name = [["a"], {"a": 1}, 10**5_000, "x" * 10_000, None][number]
    error = unknown("optimiser", name, ["adam", "lbfgs"])
    assert isinstance(error, UnknownNameError) and len(str(error)) < 150
