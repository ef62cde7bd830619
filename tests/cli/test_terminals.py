"""Commands on terminals and pipes that cannot show every sign, are full, or have no reader."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from pacpde.cli import main
from pacpde.cli.streams import TolerantStream, print_stderr, spell
from tests.cli.conftest import SMALL

ENCODINGS = ("cp1252", "latin-1", "ascii", "cp437", "koi8-r", "shift_jis", "utf-8", "utf-16")
COMMANDS = {
    "families": ["families"],
    "methods": ["methods"],
    "help": ["transfer", "--help"],
    "unknown coefficient": ["solve", "burgers", "ν=0.1", "-o", "x.h5"],
    "undecodable name": ["predict", os.fsdecode(b"\xff"), "points.csv"],
    "train": ["train", "heat", *SMALL, "-o", "ν"],
}
STATUS = {"unknown coefficient": 2, "undecodable name": 2}


def called_on(encoding: str, words: list[str], patch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Exit status, and what stood on the screen."""
    out, err = io.BytesIO(), io.BytesIO()
    with patch.context() as screen:
        screen.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
        screen.setattr(sys, "stderr", io.TextIOWrapper(err, encoding))
        status = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
        return status, out.getvalue().decode(encoding), err.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "train"])
def test_no_command_fails_for_a_sign(
    command: str, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = called_on(encoding, COMMANDS[command], monkeypatch)
    assert status == STATUS.get(command, 0), err
    assert "internal error" not in err
    assert bool(out) == (status == 0)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_fit_is_not_lost_to_a_sign(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = called_on(encoding, COMMANDS["train"], monkeypatch)
    assert status == 0
    assert "Surrogate in " in out and "converged" in out
    assert (tmp_path / "ν" / "surrogate.json").is_file()


def test_signs_are_spelled_out_and_columns_stay_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = called_on("ascii", ["families"], monkeypatch)
    assert "u_t = -u u_x + nu u_xx" in out
    frame = [line for line in out.splitlines() if line.startswith(("+", "|"))]
    assert len(frame) > 10 and len({len(line) for line in frame}) == 1


@pytest.mark.parametrize(
    ("sign", "plain"),
    {"ν": "nu", "Σ": "Sigma", "λ": "lambda", "²": "^2", "⁻": "^-", "₀": "_0", "−": "-", "–": "-",
     "é": "e", "š": "s", "∂": "d", "‖": "||", "½": "1/2", "文": "?", "\udcff": "?", "ᵀ": "^T",
     "\U0001f600": "?", "\x80": "?"}.items(),
)  # fmt: skip
def test_each_sign_has_its_spelling(sign: str, plain: str) -> None:
    assert spell(f"a{sign}b", "ascii") == f"a{plain}b"


def test_what_an_encoding_holds_stays() -> None:
    assert spell("ν²é", "utf-8") == "ν²é"
    assert spell("ν²é", "latin-1") == "nu²é"


class Broken(io.StringIO):
    """A stream that the system refuses to write to."""

    def __init__(self, fault: OSError) -> None:
        super().__init__()
        self.fault = fault

    def write(self, text: str) -> int:
        raise self.fault


def broken(stream: TextIO, name: str, patch: pytest.MonkeyPatch, words: list[str]) -> int:
    with patch.context() as screen:
        screen.setattr(sys, name, stream)
        return main(words)


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("words", [["families"], ["families", "--json", "-"], ["--help"]])
def test_a_full_output_is_said(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert broken(Broken(FULL), "stdout", monkeypatch, words) == 1
    err = capsys.readouterr().err
    assert "standard output cannot be written to (No space left on device)" in err
    assert err.count("\n") == 1


def test_a_reader_that_has_enough_does_not_change_how_a_fit_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gone = Broken(BrokenPipeError(32, "Broken pipe"))
    assert broken(gone, "stdout", monkeypatch, ["families"]) == 0
    short = ["train", "heat", *SMALL[:-1], "1", "-o", "x"]
    assert broken(gone, "stdout", monkeypatch, short) == 1  # it did not converge


@pytest.mark.parametrize("stderr", [None, Broken(FULL)], ids=["closed", "full"])
def test_a_fit_needs_no_standard_error(
    stderr: TextIO | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert broken(stderr, "stderr", monkeypatch, ["train", "heat", *SMALL, "-o", "x"]) == 0


def test_no_sentence_of_stderr_goes_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as screen:
        screen.setattr(sys, "stderr", None)
        print_stderr("anything")
    assert capsys.readouterr().out == ""


def test_the_streams_are_as_before_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.stdout, sys.stderr
    main(["families"])
    assert (sys.stdout, sys.stderr) == before
    assert not isinstance(sys.stdout, TolerantStream)


def test_a_process_in_the_plain_c_locale_ends_well_on_a_full_device() -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "pacpde", "families"],
            env={**os.environ, **plain, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert ended.returncode == 1
    assert ended.stderr.count(b"\n") == 1 and b"No space left" in ended.stderr
