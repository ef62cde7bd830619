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
from pacpde.errors import SolverError
from pacpde.locks import locked
from pacpde.studies.cells import Training
from pacpde.training.callbacks import FitState
from pacpde.training.resume import ResumeState

TINY = ["--width", "4", "--depth", "1", "--points", "20", "--steps", "2"]
TRAIN = ["train", "heat", "alpha=0.4", *TINY, "--tolerance", "1"]
COMPARE = ["compare", "heat", "--source", "alpha=0.4", "--target", "alpha=0.3", *TINY,
           "--tolerance", "1", "--methods", "warm_start"]  # fmt: skip
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
    small = ["--steps", "2", "--points", "50", "--tolerance", "1"]
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
    small = ["--steps", "2", "--points", "50", "--tolerance", "1"]
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
    """The second is refused at once; the first goes on; a killed one leaves its state, no lock."""
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
    assert "out has an unfinished fit" in call(*TRAIN, "--seed", "1", "-o", "out").err
    assert call(*TRAIN, "--seed", "1", "-o", "out", "--overwrite").status in RAN
    assert os.listdir() == ["out"]


@pytest.fixture
def killed(call: Callable, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Gives a function that carries out a command, kills it, and gives the file of a state."""
    store = ResumeState.on_refresh

    def killed(*words: object) -> Path:
        def store_and_end(state: ResumeState, fit: FitState) -> None:
            store(state, fit)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(ResumeState, "on_refresh", store_and_end)
            assert call(*words).status == 130
        states = [*Path(".out.journal").rglob("*.safetensors"), *Path("out").glob(".journal/*/*")]
        assert len(states) == 1
        return states[0]

    return killed


@pytest.mark.parametrize(
    ("change", "told"),
    [(["--seed", "1"], "that differs in seed"), (["--depth", "2"], "that differs in depth"),
     (["alpha=0.3"], "that differs in coefficients")],
)  # fmt: skip
def test_another_command_spares_an_unfinished_fit(
    change: list[str], told: str, call: Callable, killed: Callable[..., Path]
) -> None:
    state = killed(*TRAIN, "-o", "out")
    before = state.read_bytes()
    other = [change[0] if "=" in change[0] and word == "alpha=0.4" else word for word in TRAIN]
    other += [] if "=" in change[0] else change
    ended = call(*other, "-o", "out")
    assert ended.status == 2 and ended.err.count("\n") == 1
    assert f"out has an unfinished fit {told}: give its command again to go on, " in ended.err
    assert "name another folder, or add --overwrite to delete it and begin anew." in ended.err
    assert state.read_bytes() == before
    assert call(*TRAIN, "-o", "out").status in RAN  # the same goes on
    assert os.listdir() == ["out"]


def test_a_killed_fit_goes_on_from_its_state_also_with_overwrite(
    call: Callable, killed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a folder holds another surrogate, no command without it could go on."""
    assert call(*TRAIN, "--seed", "1", "-o", "out").status in RAN
    killed(*TRAIN, "-o", "out", "--overwrite")
    assert call(*TRAIN, "--seed", "1", "-o", "out").status in RAN  # shows its result
    assert len(list(Path(".out.journal").glob("*.safetensors"))) == 1
    found: list[bool] = []
    start = ResumeState.on_start

    def on_start(state: ResumeState, fit: FitState) -> None:
        start(state, fit)
        found.append(bool(fit.steps))

    monkeypatch.setattr(ResumeState, "on_start", on_start)
    assert call(*TRAIN, "-o", "out", "--overwrite").status in RAN
    assert found[0] and os.listdir() == ["out"]


def test_overwrite_discards_the_unfinished_fit_of_another_command(
    call: Callable, killed: Callable[..., Path]
) -> None:
    killed(*TRAIN, "-o", "out")
    killed(*TRAIN, "--seed", "1", "-o", "out", "--overwrite")
    ended = call(*TRAIN, "-o", "out")
    assert ended.status == 2 and "that differs in seed" in ended.err
    assert call(*TRAIN, "--seed", "1", "-o", "out").status in RAN
    assert os.listdir() == ["out"] and load("out").provenance["seed"] == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "unfinished fit of an unknown command: name another folder, or add --overwrite"),
        ("{", "unfinished fit of an unknown command: name another folder, or add --overwrite"),
        ("[]", "unfinished fit of an unknown command: name another folder, or add --overwrite"),
        ("code", "another version of pacpde, or of what it stands on, made: go on with that vers"),
        ("key", "unfinished fit begun with another file of yours: restore it to go on, name an"),
    ],
)
def test_a_state_that_the_same_command_cannot_use_locks_nobody_out(
    content: str | None, told: str, call: Callable, killed: Callable[..., Path]
) -> None:
    """As one of another version; --overwrite begins anew."""
    command = killed(*TRAIN, "-o", "out").parent / "command.json"
    if content is None:
        command.unlink()
    elif content in ("code", "key"):
        about = json.loads(command.read_text())
        (about["call"] if content == "code" else about)[content] = "other"
        command.write_text(json.dumps(about))
    else:
        command.write_text(content)
    ended = call(*TRAIN, "-o", "out")
    assert ended.status == 2 and told in ended.err and ended.err.count("\n") == 1
    assert call(*TRAIN, "-o", "out", "--overwrite").status in RAN
    assert os.listdir() == ["out"]


def test_a_transfer_spares_an_unfinished_one_and_a_fit(
    call: Callable, source: Path, killed: Callable[..., Path]
) -> None:
    small = ["--steps", "2", "--points", "50", "--tolerance", "1", "-o", "out"]
    move = ["transfer", source, "alpha=0.3", "--method", "warm_start", *small]
    state = killed(*move)
    before = state.read_bytes()
    other = call(*move, "--labels", "5")
    assert other.status == 2 and "out has an unfinished fit that differs in labels" in other.err
    other = call(*TRAIN, "-o", "out")
    assert other.status == 2 and "unfinished fit that came from transfer" in other.err
    assert state.read_bytes() == before
    assert call(*move).status in RAN and os.listdir() == ["out"]


@pytest.mark.parametrize("tolerance", ["inf", "2"])
@pytest.mark.parametrize("command", [TRAIN, COMPARE], ids=["train", "compare"])
def test_a_tolerance_above_all_terms_is_refused(
    tolerance: str, command: list[str], call: Callable
) -> None:
    ended = call(*command, "--tolerance", tolerance, "-o", "out")
    assert ended.status == 2 and "expected a number above 0, at most 1" in ended.err
    assert os.listdir() == []


def test_a_command_that_fails_leaves_nothing(
    call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*words: object, **options: object) -> None:
        raise SolverError("no")

    monkeypatch.setattr(Training, "run", fails)
    assert call(*TRAIN, "-o", "out").status == 1
    assert os.listdir() == []


def test_another_comparison_spares_what_an_unfinished_one_needs(
    call: Callable, killed: Callable[..., Path]
) -> None:
    """Each finished cell and each state is kept apart, so that both can go on."""
    state = killed(*COMPARE, "-o", "out")
    before = state.read_bytes()
    assert call(*COMPARE, "--seed", "1", "-o", "out").status in RAN
    assert state.read_bytes() == before
    assert list(Path("out/.journal").rglob("*.safetensors")) == [state]
    ended = call(*COMPARE, "-o", "out")
    assert ended.status == 2 and "finished cells stay and are reused" in ended.err
    assert state.read_bytes() == before
    assert call(*COMPARE, "-o", "out", "--overwrite").status in RAN
    assert not Path("out/.journal").exists()


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
