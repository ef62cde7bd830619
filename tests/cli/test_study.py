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
from pacpde.studies.results_store import ResultsStore

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
    before = ResultsStore(Path("out")).parts()
    again = call("study", "run", file, "-o", "out")
    assert again.status == 0 and ResultsStore(Path("out")).parts() == before
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
    file.write_text(STUDY.replace("seeds = 2", "seeds = 14"))
    command = [sys.executable, "-m", "pacpde.cli", "study", "run", str(file), "-o", "out"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    store = ResultsStore(Path("out"))
    until = time.monotonic() + 120
    while not store.keys() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = store.keys()
    assert 0 < len(kept) < 28
    before = {row["cell"]: row for row in store.rows()}
    assert call("study", "run", file, "-o", "out").status == 0
    after = {row["cell"]: row for row in store.rows()}
    assert len(after) == 28
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


PLUGIN = """
from dataclasses import dataclass
from pathlib import Path
from pacpde.physics import Axis, Evolution, Problem, coefficient
Path({ran!r}).touch()

@dataclass(frozen=True)
class Theirs(Evolution):
    \"\"\"u' = -k u.\"\"\"
    name = "of_somebody_else"
    axes = (Axis("t", 0.0, 1.0),)
    k: float = coefficient(1.0, lower=0.1, upper=5.0, meaning="rate")

    def rhs(self, u, d):
        return -self.k * u

    def initial(self):
        return 1.0
"""


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """The folder of a study with a plug-in, carried out by another process."""
    (tmp_path / "theirs").mkdir()
    text = STUDY.replace('"heat"', '"of_somebody_else"').replace("alpha", "k")
    text = f'plugins = ["mine.py"]\n{text}'.replace("targets", "until = 0.5\ntargets")
    (tmp_path / "theirs" / "study.toml").write_text(text)
    ran = tmp_path / "ran"
    (tmp_path / "theirs" / "mine.py").write_text(PLUGIN.format(ran=str(ran)))
    command = [sys.executable, "-m", "pacpde.cli", "study", "run", "study.toml", "-o", "out"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    ended = subprocess.run(
        command, cwd=tmp_path / "theirs", env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0 and "running with mine.py" in ended.stderr
    ran.unlink()
    return tmp_path / "theirs" / "out"


def test_plug_ins_of_a_study_folder_run_when_trusted_only(call: Callable, theirs: Path) -> None:
    file = theirs / "study.toml"
    status = call("study", "status", theirs, "--json", "-")
    assert status.status == 0 and json.loads(status.out) == {"cells": 4, "done": 4, "failed": 0}
    assert "mine.py, whose code was not run" in status.err and "--trust" in status.err
    chosen = call("study", "choose", theirs, "-o", "tuned.toml")
    assert chosen.status == 0 and "[of_somebody_else.scratch]" in Path("tuned.toml").read_text()
    page = call("report", theirs, "-o", "page.html", "--json", "-")
    assert page.status == 0 and json.loads(page.out)["cells"] == 4 and "--trust" in page.err
    for words in (("study", "check", file), ("study", "run", file, "-o", "mine")):
        ended = call(*words)
        assert ended.status == 2 and "--trust" in ended.err and ended.err.count("\n") == 1
    assert "unchecked" in call("study", "check", file).out and not Path("mine").exists()
    own = theirs.parent / "study.toml"
    assert json.loads(call("study", "check", own, "--json", "-").out)["cells"] == 4
    assert not Path("ran").exists()
    trusted = call("study", "check", file, "--trust", "--json", "-")
    assert trusted.status == 0 and json.loads(trusted.out)["sources"] == 2
    assert Path("ran").exists()
    page = call("report", theirs, "-o", "page.html", "--trust", "--overwrite", "--json", "-")
    assert page.status == 0 and json.loads(page.out)["untrusted"] is None


def test_a_study_spares_files_that_it_did_not_write(call: Callable, file: Path) -> None:
    Path("tuning.toml").write_text(STUDY.replace("seeds = 2", "seeds = 1"))
    ended = call("study", "run", "tuning.toml", "-o", ".")
    assert ended.status == 2 and "study.toml is already there" in ended.err
    assert ended.err.count("\n") == 1 and file.read_text() == STUDY
    assert sorted(os.listdir()) == ["study.toml", "tuning.toml"]
    # into the folder of its own file it may run, which stays the user's
    assert call("study", "run", "study.toml", "-o", ".").status == 0
    assert call("study", "run", "tuning.toml", "-o", ".").status == 2
    assert file.read_text() == STUDY
    assert call("study", "run", "tuning.toml", "-o", ".", "--overwrite").status == 0
    assert file.read_text() == Path("tuning.toml").read_text()


@pytest.mark.parametrize("name", ["study.json", "study.toml", "records/part-000001-a.parquet"])
def test_a_study_asks_before_it_takes_a_folder(name: str, call: Callable, file: Path) -> None:
    mine = Path("out", name)
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    ended = call("study", "run", file, "-o", "out")
    assert ended.status == 2 and "Error" not in ended.err and ended.err.count("\n") == 1
    assert mine.read_text() == "mine" and not Path("out/.lock").exists()


def test_a_study_that_was_edited_goes_on_and_its_json_is_its_own(
    call: Callable, file: Path
) -> None:
    words = ["study", "run", file, "-o", "out", "--json", "found.json"]
    assert call(*words).status == 0
    file.write_text(STUDY.replace("seeds = 2", "seeds = 3"))
    assert call(*words).status == 0  # it holds what the folder holds, and so is the study's own
    assert len(json.loads(Path("found.json").read_text())["records"]) == 6
    assert Path("out/study.toml").read_text() == file.read_text()
    Path("found.json").write_text("mine")
    ended = call(*words)
    assert ended.status == 2 and "found.json is already there" in ended.err
    page = call("report", "out", "-o", "out/study.json", "--overwrite")
    assert page.status == 2 and "collides" in page.err
    Path("report.html").write_text("mine")
    page = call("report", "out")
    assert page.status == 2 and "report.html is already there" in page.err


def test_a_script_without_a_guard_runs_a_command_once(tmp_path: Path) -> None:
    """Worker processes import the script that starts them."""
    (tmp_path / "study.toml").write_text(
        'methods = ["warm_start"]\n'
        "settings = { width = 5, depth = 1, points = 60, steps = 2 }\n"
        '[[transfers]]\nfamily = "heat"\ntargets = [{ alpha = 0.3 }]\n'
    )
    (tmp_path / "script.py").write_text(
        "from pacpde.cli import main\n"
        'status = main(["study", "run", "study.toml", "-o", "out", "--local", "1"])\n'
        'print("status", status)\n'
    )
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "1 of 1 cells in out" in ended.stdout
    assert "Error" not in ended.stderr and "Traceback" not in ended.stderr
