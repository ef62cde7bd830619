"""`pacpde study`: what it writes and says, and how it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pacpde.studies import records
from pacpde.studies.ledger import Ledger

STUDY = """
methods = ["warm_start", "scratch"]
seeds = 2
[settings]
width = 6
depth = 2
points = 60
steps = 3
[[transfers]]
family = "heat"
source = { alpha = 0.4 }
targets = [{ alpha = 0.3 }]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_check_counts_and_estimates(call: Callable, file: Path) -> None:
    ended = call("study", "check", file, "--json", "-")
    content = json.loads(ended.out)
    assert (ended.status, content["cells"], content["sources"], content["done"]) == (0, 4, 2, 0)
    assert content["variants"] == ["scratch", "warm_start"] and content["families"] == {"heat": 4}
    assert 0 < content["seconds"] < 1000
    assert "4 cells from 2 sources" in call("study", "check", file).out
    assert not Path("runs").exists()


def test_run_resumes_and_status_tells(call: Callable, file: Path) -> None:
    first = call("study", "run", file, "-o", "out", "--json", "found.json")
    assert first.status == 0 and "4 of 4 cells" in first.out
    content = json.loads(Path("found.json").read_text())
    assert set(content) == {"records"} and len(content["records"]) == 4
    for record in content["records"]:
        records.check(record)
    before = Ledger(Path("out")).parts()
    again = call("study", "run", file, "-o", "out")
    assert again.status == 0 and Ledger(Path("out")).parts() == before
    told = json.loads(call("study", "status", "out", "--json", "-").out)
    assert told == {"cells": 4, "done": 4, "failed": 0}
    assert "4 of 4 cells" in call("study", "status", "out").out
    done = json.loads(call("study", "check", file, "-o", "out", "--json", "-").out)
    assert done["done"] == 4 and done["seconds"] == 0


@pytest.mark.parametrize("command", ["check", "run", "status"])
def test_help_teaches_by_example(command: str, call: Callable) -> None:
    ended = call("study", command, "--help")
    assert ended.status == 0
    assert f"Example: pacpde study {command}" in ended.out
    for option in ("--json", "--device", "--seed", "--plugin", "--debug"):
        assert option in ended.out


def test_report_writes_a_page(call: Callable, file: Path) -> None:
    assert call("study", "run", file, "-o", "out").status == 0
    made = json.loads(call("report", "out", "-o", "page.html", "--json", "-").out)
    assert made["cells"] == made["planned"] == 4 and made["failed"] == 0
    assert made["bytes"] == Path("page.html").stat().st_size
    assert "<h1>Transfer study out</h1>" in Path("page.html").read_text()


@pytest.mark.parametrize(
    "words", ["none", ".", "out -o out", "out -o none/page.html", "out --json out"]
)
def test_report_refuses(call: Callable, file: Path, words: str) -> None:
    Path("out").mkdir()
    ended = call("report", *words.split())
    assert ended.status == 2 and ended.err
    assert [path.name for path in Path().iterdir() if path.name != file.name] == ["out"]


@pytest.mark.parametrize(
    "words, told",
    [
        (["check", "none.toml"], "cannot be read"),
        (["run", "none.toml", "-o", "out"], "cannot be read"),
        (["status", "."], "holds no study"),
        (["run", "study.toml", "-o", "study.toml"], "is a file"),
        (["run", "study.toml", "-o", "out", "--local", "0"], "at least 1"),
        (["run", "study.toml", "-o", "out", "--local", "1", "--scheduler", "x"], "give either"),
        (["run", "study.toml", "-o", "out", "--scheduler", "nowhere"], "expected one like tcp"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_sentence(
    call: Callable, file: Path, words: list[str], told: str
) -> None:
    ended = call("study", *words)
    assert ended.status == 2 and told in ended.err
    assert not Path("out").exists()


def test_a_killed_run_goes_on(call: Callable, file: Path) -> None:
    file.write_text(STUDY.replace("seeds = 2", "seeds = 40"))
    command = [sys.executable, "-m", "pacpde.cli", "study", "run", str(file), "-o", "out"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ledger = Ledger(Path("out"))
    until = time.monotonic() + 120
    while not ledger.keys() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = ledger.keys()
    assert 0 < len(kept) < 80
    before = {row["cell"]: row for row in ledger.rows()}
    assert call("study", "run", file, "-o", "out").status == 0
    after = {row["cell"]: row for row in ledger.rows()}
    assert len(after) == 80
    assert {key: after[key] for key in before} == before


def test_choose_writes_what_a_study_can_use(call: Callable, file: Path) -> None:
    file.write_text(STUDY + "[options.warm_start]\nsteps = [1, 3]\n")
    assert call("study", "run", file, "-o", "out").status == 0
    ended = call("study", "choose", "out", "-o", "tuned.toml", "--json", "-")
    content = json.loads(ended.out)
    assert ended.status == 0 and content["cells"] == content["done"] == 6
    assert [c["options"] for c in content["chosen"]] == [{"steps": 3}, {}]
    file.write_text('tuned = "tuned.toml"\n' + STUDY)
    told = json.loads(call("study", "check", file, "--json", "-").out)
    assert told["variants"] == ["scratch", "warm_start (steps=3)"]
