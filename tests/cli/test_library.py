"""`pacpde library`: build and resume, solve, add, show."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pacpde import Library, fit, load, save
from pacpde.methods.library import build
from pacpde.physics.numbers import relative_l2
from pacpde.problems import Heat
from pacpde.studies import output_folder
from tests.cli.conftest import Called

Call = Callable[..., Called]
TINY = ["--width", "12", "--depth", "2", "--points", "300", "--steps", "30"]
BUILD = [
    "library", "build", "heat", "--over", "alpha=0.2:0.8", "--tolerance", "1e-3",
    "-o", "runs/library", *TINY,
]  # fmt: skip
T, X = np.linspace(0, 1, 11)[:, None], np.linspace(0, 1, 31)


def error(values: np.ndarray, alpha: float) -> float:
    exact = Heat(alpha=alpha).exact(*np.broadcast_arrays(T, X))
    assert exact is not None
    return relative_l2(values, exact[0])


def test_a_library_is_built_solved_with_and_added_to(call: Call) -> None:
    built = call(*BUILD, "--json", "-")
    assert built.status == 0
    about = json.loads(built.out)
    assert about["largest_error_estimate"] <= 1e-3 and about["kept"] == []
    again = call(*BUILD, "--json", "-")
    assert again.status == 0 and json.loads(again.out) == about
    assert "holds the library of this command already" in again.err

    solved = call("library", "solve", "runs/library", "alpha=0.3", "-o", "runs/t", "--json", "-")
    assert solved.status == 0
    content = json.loads(solved.out)
    true = error(load("runs/t")(T, X), 0.3)
    assert true < 1e-3 and 0.5 * true <= content["error_estimate"] <= 10 * true
    assert load("runs/t").provenance["call"] == "library.solve"

    added = call("library", "add", "runs/library", "alpha=0.25,0.3,0.7")
    assert added.status == 0 and "3 targets kept" in added.out
    again = json.loads(call("library", "add", "runs/library", "alpha=0.3", "--json", "-").out)
    assert again["added"][0]["seconds"] > 0 and len(again["kept"]) == 3
    kept = Library.load("runs/library").recall(Heat(alpha=0.3))
    assert np.array_equal(kept(T, X), load("runs/t")(T, X))
    shown = call("library", "show", "runs/library")
    assert shown.status == 0 and "heat(alpha=0.25)" in shown.out


def test_a_build_that_was_killed_goes_on(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build._next_source
    monkeypatch.setattr(build, "_next_source", _killed)
    assert call(*BUILD).status == 130
    first = Library.load("runs/library").sources
    assert len(first) == 1
    monkeypatch.setattr(build, "_next_source", made)
    fits = []
    monkeypatch.setattr(build, "fit", lambda *a, **k: fits.append(a))
    cut = call(*BUILD, "--seconds", "0.001")
    assert cut.status == 1 and "the 0.001 seconds are over" in cut.err
    assert call(*BUILD).status == 0
    assert not fits  # the first source is not made again
    after = Library.load("runs/library").sources
    assert len(after) > 1 and np.array_equal(after[0].weights, first[0].weights)


def test_a_file_of_the_user_is_refused_before_anything_runs(call: Call, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text("mine")
    short = [*BUILD, "--most", "1"]
    first = call(*short, "--json", mine)
    assert first.status == 2 and "mine.json is already there" in first.err
    assert not Path("runs/library").exists()
    assert call(*short, "--json", "own.json").status == 1  # 1e-3 takes two sources
    again = call(*short, "--json", "own.json")
    assert again.status == 1 and "holds the library of this command already" in again.err
    for words in (short, ["library", "add", "runs/library", "alpha=0.3"]):
        before = Path("runs/library/library.json").read_bytes()
        ended = call(*words, "--json", mine)
        assert ended.status == 2 and "mine.json is already there" in ended.err
        assert Path("runs/library/library.json").read_bytes() == before
    assert mine.read_text() == "mine"


@pytest.fixture
def small(source: Path, call: Call) -> Path:
    """A library of one source."""
    Library([load(source)], ranges={"alpha": (0.2, 0.8)}).save("small")
    return Path("small")


def test_add_given_again_changes_nothing(call: Call, small: Path) -> None:
    save(fit(Heat(alpha=0.6), width=10, depth=2, points=200, steps=20), "joining")
    words = ["library", "add", small, "--source", "joining", "--json", "own.json"]
    joined = call(*words)
    assert joined.status == 0, joined.err
    held = (small / "library.safetensors").read_bytes()
    again = call(*words)
    assert again.status == 0 and "joining is a source of small already" in again.err
    assert (small / "library.safetensors").read_bytes() == held
    assert len(Library.load(small).sources) == 2


def test_one_command_at_a_time_writes_to_a_library(call: Call, small: Path) -> None:
    """Of two that add, the second would lose what the first has added."""
    for words in (["add", small, "alpha=0.3"], [*BUILD[1 : -len(TINY) - 1], "runs/library"]):
        place = words[-1] if words[0] == "build" else small
        with output_folder.alone(Path(place)):
            ended = call("library", *words)
        assert ended.status == 2
        assert f"another run of pacpde is at work in {place}" in ended.err
    assert [path.name for path in Path().iterdir()] == ["small"]


def test_a_build_of_more_sources_goes_on_and_keeps_what_was_added(call: Call) -> None:
    fine = [*BUILD[:6], "1e-9", *BUILD[7:], "--most"]
    assert fine[4:7] == ["alpha=0.2:0.8", "--tolerance", "1e-9"]
    assert call(*fine, "1").status == 1
    first = Library.load("runs/library")
    assert call("library", "add", "runs/library", "alpha=0.3").status == 1
    kept = Library.load("runs/library").recall(0.3)(T, X)
    assert call(*fine, "2").status == 1
    after = Library.load("runs/library")
    assert len(after.sources) == 2 and np.array_equal(after.recall(0.3)(T, X), kept)
    assert np.array_equal(after.sources[0].weights, first.sources[0].weights)
    again = call(*fine, "1")
    assert again.status == 2 and "holds this library, built with --most 2" in again.err


def _killed(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_what_is_wrong_is_refused_before_anything_runs(call: Call) -> None:
    Path("other").mkdir()
    Path("other/notes.txt").write_text("mine")
    for words, said in (
        (["build", "heat", "--over", "alpha=0.2", "-o", "x"], "is no range"),
        (["build", "heat", "--over", "beta=1:2", "-o", "x"], "unknown coefficient of heat 'beta'"),
        (["build", "heat", "--over", "alpha=0.8:0.2", "-o", "x"], "the smaller one first"),
        (["build", "heat", "--over", "alpha=0.2:0.8", "-o", "other"], "holds other files"),
        (["build", "heat", "--over", "alpha=0.2:0.8", "--most", "0", "-o", "x"], "most is 0"),
        (
            ["build", "heat", "--over", "alpha=0.2:0.8", "--tolerance", "nan", "-o", "x"],
            "tolerance is nan",
        ),
        (["solve", "other", "alpha=0.3", "-o", "x"], "it lacks library.json"),
        (["show", "absent"], "it lacks library.json"),
    ):
        called = call("library", *words)
        assert called.status == 2 and said in called.err
    assert Path("other/notes.txt").read_text() == "mine" and not Path("x").exists()
