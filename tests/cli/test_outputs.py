"""Nothing of the user's is replaced without --overwrite, and a finished command is not repeated."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pacpde import load
from pacpde.locks import locked

TINY = ["--width", "4", "--depth", "1", "--points", "20", "--steps", "2"]
TRAIN = ["train", "heat", "alpha=0.4", *TINY, "--tolerance", "1e3"]
COMPARE = ["compare", "heat", "--source", "alpha=0.4", "--target", "alpha=0.3", *TINY,
           "--tolerance", "1e3", "--methods", "warm_start"]  # fmt: skip
RAN = (0, 1)  # the fits are too small to converge
# what a command writes a file with, and the file
FILES = {
    "solve": ["solve", "heat", "--tolerance", "1e-4", "-o", "mine"],
    "predict": ["predict", "SOURCE", "points.csv", "-o", "mine"],
    "families": ["families", "--json", "mine"],
    "methods": ["methods", "--json", "mine"],
    "solve json": ["solve", "heat", "--tolerance", "1e-4", "-o", "x.h5", "--json", "mine"],
    "train json": [*TRAIN, "-o", "x", "--json", "mine"],
    "compare json": [*COMPARE, "-o", "x", "--json", "mine"],
    "predict json": ["predict", "SOURCE", "points.csv", "-o", "x.csv", "--json", "mine"],
}


def words(command: list[str], source: Path) -> list[str]:
    Path("points.csv").write_text("t,x\n0.5,0.5\n")
    return [word.replace("SOURCE", str(source)) for word in command]


@pytest.mark.parametrize("case", FILES)
def test_a_file_of_the_user_stays(case: str, call: Callable, source: Path) -> None:
    Path("mine").write_text("years of work")
    ended = call(*words(FILES[case], source))
    assert ended.status == 2 and "mine is already there" in ended.err
    assert "--overwrite" in ended.err and ended.err.count("\n") == 1
    assert Path("mine").read_text() == "years of work"
    assert not Path("x").exists()  # told before anything is fitted


@pytest.mark.parametrize("case", ["solve", "families", "predict"])
def test_overwrite_replaces_a_file_and_keeps_its_permissions(
    case: str, call: Callable, source: Path
) -> None:
    Path("real").write_text("old")
    Path("real").chmod(0o640)
    Path("mine").symlink_to("real")
    assert call(*words(FILES[case], source), "--overwrite").status == 0
    assert Path("mine").is_symlink() and Path("real").read_bytes() != b"old"
    assert stat.S_IMODE(Path("real").stat().st_mode) == 0o640
    assert call(*words(FILES[case], source)).status == 0  # the same again is there already


@pytest.mark.parametrize("case", ["solve", "families", "predict"])
def test_a_read_only_file_stays_even_so(case: str, call: Callable, source: Path) -> None:
    Path("mine").write_text("mine")
    Path("mine").chmod(0o444)
    ended = call(*words(FILES[case], source), "--overwrite")
    assert ended.status == 2 and "read-only" in ended.err
    assert Path("mine").read_text() == "mine"


def test_the_same_command_again_shows_what_it_made(call: Callable) -> None:
    first = call(*TRAIN, "-o", "out", "--json", "out.json")
    assert first.status in RAN
    before = Path("out/weights.safetensors").read_bytes()
    again = call(*TRAIN, "-o", "out", "--json", "out.json")
    assert again.status in RAN and again.out == first.out
    assert "holds the result of this command already" in again.err
    assert "train: step" not in again.err
    anew = call(*TRAIN, "-o", "out", "--overwrite")
    assert anew.status in RAN and "train: step" in anew.err
    assert Path("out/weights.safetensors").read_bytes() == before


def test_another_surrogate_is_not_replaced(call: Callable) -> None:
    assert call(*TRAIN, "-o", "out").status in RAN
    before = Path("out/weights.safetensors").read_bytes()
    for change, told in ((["--seed", "1"], "differs in seed"), (["--depth", "2"], "depth")):
        ended = call(*TRAIN, *change, "-o", "out")
        assert ended.status == 2 and told in ended.err and "--overwrite" in ended.err
        assert "step" not in ended.err and ended.err.count("\n") == 1
    assert Path("out/weights.safetensors").read_bytes() == before
    assert call(*TRAIN, "--seed", "1", "-o", "out", "--overwrite").status in RAN
    assert Path("out/weights.safetensors").read_bytes() != before
    assert sorted(os.listdir()) == ["out"]


@pytest.mark.parametrize("name", ["surrogate.json", "weights.safetensors"])
def test_a_folder_with_a_file_called_like_ours_is_never_replaced(name: str, call: Callable) -> None:
    Path("out").mkdir()
    Path("out", name).write_text('{"mine": true}')
    for extra in ([], ["--overwrite"]):
        ended = call(*TRAIN, "-o", "out", *extra)
        assert ended.status == 2 and "no surrogate of pacpde" in ended.err
    assert Path("out", name).read_text() == '{"mine": true}'


def test_transfer_again_and_another_transfer(call: Callable, source: Path) -> None:
    small = ["--steps", "2", "--points", "50", "--tolerance", "1e3"]
    move = ["transfer", source, "alpha=0.3", "--method", "warm_start", *small]
    move += ["-o", "out", "--json", "record.json"]
    assert call(*move).status in RAN
    record = Path("record.json").read_bytes()
    again = call(*move)
    assert again.status in RAN and "holds the result of this command already" in again.err
    assert Path("record.json").read_bytes() == record
    other = call(*move, "--labels", "5")
    assert other.status == 2 and "differs in labels" in other.err


def test_a_transfer_from_a_refined_source_again(call: Callable, tmp_path: Path) -> None:
    train = ["train", "heat", "--width", "8", "--depth", "2", "--points", "150"]
    assert call(*train, "--tolerance", "1e-7", "-o", "refined").status in RAN
    assert '"refined"' in Path("refined/surrogate.json").read_text()
    small = ["--steps", "2", "--points", "50", "--tolerance", "1e3"]
    move = ["transfer", "refined", "alpha=0.41", "--method", "warm_start", *small, "-o", "out"]
    assert call(*move).status in RAN
    again = call(*move)
    assert again.status in RAN and "holds the result of this command already" in again.err


def test_a_link_is_followed(call: Callable) -> None:
    Path("disk").mkdir()
    Path("disk/real").mkdir()
    Path("lnk").symlink_to("disk/real")
    assert call(*TRAIN, "-o", "lnk").status in RAN
    assert Path("lnk").is_symlink() and load("disk/real").problem.name == "heat"
    assert os.listdir("disk") == ["real"] and sorted(os.listdir()) == ["disk", "lnk"]


@pytest.mark.parametrize("output", ["lnk", "lnk/below"])
@pytest.mark.parametrize("command", ["train", "solve", "compare"])
def test_a_link_to_nothing_is_told_before_anything(
    output: str, command: str, call: Callable
) -> None:
    Path("lnk").symlink_to("nowhere/real")
    given = {"train": TRAIN, "solve": ["solve", "heat"], "compare": COMPARE}[command]
    ended = call(*given, "-o", output)
    assert ended.status == 2 and "link to nowhere/real, which is not there" in ended.err
    assert ended.err.count("\n") == 1 and os.listdir() == ["lnk"]


def test_one_command_a_folder(call: Callable) -> None:
    """The second is refused at once; the first goes on; a killed one leaves no lock."""
    root = str(Path(__file__).resolve().parents[2])
    slow = [sys.executable, "-m", "pacpde.cli", *TRAIN, "--steps", "100000", "--tolerance", "1e-14"]
    process = subprocess.Popen(
        [*slow, "-o", "out"], env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while not any(Path(".out.journal").glob("*.safetensors")) and time.monotonic() < until:
            time.sleep(0.05)
        ended = call(*TRAIN, "--seed", "1", "-o", "out")
        assert ended.status == 2 and "another run of pacpde is at work in out" in ended.err
        assert ended.err.count("\n") == 1
    finally:
        process.kill()
        process.wait()
    assert call(*TRAIN, "--seed", "1", "-o", "out").status in RAN
    assert os.listdir() == ["out"]


def test_a_lock_leaves_the_content_of_its_file(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("mine")
    with locked(tmp_path / ".lock", tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == "mine"


@pytest.mark.parametrize("name", ["records.json", "maps.png", "source_error.png"])
def test_a_comparison_spares_files_that_it_did_not_write(name: str, call: Callable) -> None:
    Path("out").mkdir()
    Path("out", name).write_text("mine")
    ended = call(*COMPARE, "-o", "out")
    assert ended.status == 2 and f"{name} is already there" in ended.err
    assert os.listdir("out") == [name] and Path("out", name).read_text() == "mine"


def test_a_comparison_may_grow_and_is_not_lost(call: Callable, source: Path) -> None:
    assert call(*COMPARE, "-o", "out", "--json", "out/records.json").status in RAN
    again = call(*COMPARE, "-o", "out", "--json", "out/records.json")
    assert again.status in RAN and again.err.count("reused") == 2
    both = call(*COMPARE[:-1], "warm_start,scratch", "-o", "out", "--json", "out/records.json")
    assert (
        both.status in RAN and len(json.loads(Path("out/records.json").read_text())["records"]) == 2
    )
    other = call(*COMPARE[:-1], "scratch", "-o", "out")
    assert other.status == 2 and "shows another comparison" in other.err
    assert len(json.loads(Path("out/records.json").read_text())["records"]) == 2
    assert call(*COMPARE[:-1], "scratch", "-o", "out", "--overwrite").status in RAN
    Path("out/maps.png").write_text("mine")  # changed by the user
    ended = call(*COMPARE[:-1], "scratch", "-o", "out")
    assert ended.status == 2 and "maps.png is already there" in ended.err


def test_a_surrogate_put_into_a_comparison_stays(call: Callable) -> None:
    assert call(*TRAIN, "-o", "out/source").status in RAN
    ended = call(*COMPARE, "-o", "out")
    assert ended.status == 2 and "source/surrogate.json is already there" in ended.err
    assert os.listdir("out") == ["source"]
