"""Measurements and files of other people on the command line."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pacpde import load
from pacpde.datasets import named_arrays
from pacpde.problems import Heat

SMALL = ["--points", "150", "--steps", "15"]
TARGET = Heat(alpha=0.3)
COLUMNS = "t=time,u=temperature"
DATA = ["--data", "measured.csv", "--columns", COLUMNS]


def table() -> pd.DataFrame:
    """25 values with 1 % noise, the eighth of them outside the domain."""
    rng = np.random.default_rng(0)
    at = rng.random((25, 2))
    at[7, 0] = 1.25
    values = TARGET.exact(*at.T)[0] + 0.01 * rng.standard_normal(25)
    return pd.DataFrame({"time": at[:, 0], "x [m]": at[:, 1], "temperature": values})


@pytest.fixture
def measured(call: Callable) -> None:
    """measured.csv and theirs.npz in the folder of the call."""
    table().to_csv("measured.csv", sep=";", index=False, encoding="utf-8-sig")
    t, x = np.linspace(0, 1, 21), np.linspace(0, 1, 26)
    u = TARGET.exact(*np.meshgrid(t, x, indexing="ij"))[0]
    np.savez("theirs.npz", t=t[:, None], x=x[:, None], usol=u.T)


@pytest.mark.usefixtures("measured")
def test_a_file_moves_a_source_and_another_grades(call: Callable, source: Path) -> None:
    words = ["transfer", source, "alpha=0.3", "--method", "warm_start", *DATA, *SMALL]
    refused = call(*words, "-o", "out")
    assert refused.status == 2 and "measured.csv: 1 point lies outside the domain" in refused.err
    assert "t=1.25, " in refused.err and "(line 9)" in refused.err
    assert "--drop-outside" in refused.err and not Path("out").exists()

    words += ["--noise", "0.01", "--drop-outside", "--json", "record.json"]
    words[words.index(COLUMNS)] = f"{COLUMNS},u=usol"  # of the other file
    ended = call(*words, "--no-physics", "--reference", "theirs.npz", "-o", "out")
    assert ended.status in (0, 1)  # labels alone do not converge by the equation's residual
    record = json.loads(Path("record.json").read_text())
    assert record["labels"] == 24 and record["noise"] == pytest.approx(0.01)
    assert record["target_error"] < 0.3 * record["zero_shot_error"]
    assert record["cv_error"] < record["zero_shot_cv"] and record["source_returned"] is False
    assert "labels left out" in ended.out and "the labels chose the penalty λ = " in ended.err
    assert "(line 9), and left out" in ended.err and "t is time of measured.csv" in ended.err
    at = np.random.default_rng(1).random((300, 2))
    true = TARGET.exact(*at.T)[0]
    error = np.linalg.norm(load("out")(*at.T) - true) / np.linalg.norm(true)
    assert record["target_error"] == pytest.approx(error, rel=0.3)  # other points
    again = call(*words, "--no-physics", "--reference", "theirs.npz", "-o", "out")
    assert json.loads(Path("record.json").read_text()) == record and again.status == ended.status
    rerun = call("rerun", "record.json")
    assert rerun.status == 2 and "measurements, which it does not hold" in rerun.err


@pytest.mark.usefixtures("measured")
def test_every_command_takes_the_same_file(call: Callable, source: Path) -> None:
    inside = table().drop(index=7)
    inside.to_csv("measured.csv", sep="\t", index=False)
    small = ["--width", "8", "--depth", "2", *SMALL]
    noise = ["--noise", "0.01"]
    ended = call("train", "heat", "alpha=0.3", *DATA, *noise, *small, "--json", "-", "-o", "fit")
    assert json.loads(ended.out)["outcome"] == "converged"
    assert "misses the measurements" not in ended.err
    other = call("train", "heat", "alpha=0.6", *DATA, *noise, *small, "-o", "other")
    assert other.status == 0 and "misses the measurements by " in other.err
    assert load("fit").provenance["labels"] == 24
    ended = call(
        "compare", "heat", "--source", "alpha=0.4", "--target", "alpha=0.3", "--methods",
        "warm_start", *DATA, *noise, *small, "--json", "-", "-o", "both",
    )  # fmt: skip
    (record,) = json.loads(ended.out)["records"]
    assert record["labels"] == 24 and record["target_error"] < 1e-4
    found = []
    for words in (["measured.csv", *DATA[2:]], DATA):
        ended = call("identify", source, *words, *noise, *SMALL, "-o", "found", "--json", "-")
        found.append(json.loads(ended.out)["surrogate"]["estimates"]["alpha"])
    assert found[0] == found[1]
    assert abs(found[0]["value"] - 0.3) < 3 * found[0]["standard_error"] < 0.03


@pytest.mark.usefixtures("measured")
def test_a_file_is_read_once(
    call: Callable, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its names are looked at and its values taken in one reading: a pipe gives them once."""
    pipe, opened = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    content = Path("measured.csv").read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    read = named_arrays._of_file
    monkeypatch.setattr(
        named_arrays, "_of_file", lambda path: opened.append(path.name) or read(path)
    )
    ended = call(
        "transfer", source, "alpha=0.3", "--method", "warm_start", "--data", pipe, "--columns",
        f"{COLUMNS},u=usol", "--reference", "theirs.npz", "--drop-outside", *SMALL, "-o", "out",
        "--json", "-",
    )  # fmt: skip
    writer.join(5)
    record = json.loads(ended.out)
    assert record["labels"] == 24 and record["target_error"] < 1e-2
    assert sorted(opened) == ["pipe", "theirs.npz"]


REFUSED = {
    "names": (["--data", "measured.csv"], "expected t, x, u: the axes and the fields"),
    "both": ([*DATA, "--drop-outside", "--labels", "5"], "--labels and --data are both given"),
    "no file": (["--data", "none.csv"], "none.csv cannot be read"),
    "columns alone": (["--columns", "t=time"], "neither is given"),
    "drop alone": (["--drop-outside"], "--drop-outside is of --data, which is not given"),
    "noise": ([*DATA, "--drop-outside", "--noise", "-1"], "not positive and finite"),
    "word": (["--data", "measured.csv", "--columns", "time"], "'time' is no column"),
    "axis": (["--data", "measured.csv", "--columns", "y=time"], "'y': choose from t, u, x"),
    "grid": (
        ["--reference", "theirs.npz", "--columns", "u=speed"], "theirs.npz has no 'speed', it has"
    ),
}  # fmt: skip


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_sentence(name: str, call: Callable, source: Path) -> None:
    words, told = REFUSED[name]
    ended = call("transfer", source, "alpha=0.3", *words, *SMALL, "-o", "out")
    assert ended.status == 2 and told in ended.err
    assert "Traceback" not in ended.err and not Path("out").exists()


@pytest.mark.usefixtures("measured")
def test_a_file_is_named_once(call: Callable, source: Path) -> None:
    for words in ([], ["measured.csv", *DATA]):
        ended = call("identify", source, *words, "-o", "found")
        assert ended.status == 2 and "given twice, or not at all" in ended.err
    ended = call("train", "heat", "--noise", "0.1", "-o", "out")
    assert ended.status == 2 and "--noise is of --data" in ended.err
