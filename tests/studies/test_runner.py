"""Studies end to end: in one process and on Dask workers, undisturbed, killed and resumed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacpde.errors import OutputError, SolverError
from pacpde.files import key_of
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.studies import executors as executors_module
from pacpde.studies.cells import Cell, Training
from pacpde.studies.executors import cluster
from pacpde.studies.results_store import ResultsStore
from pacpde.studies.run_study import run_study, status
from pacpde.studies.runner import Status
from pacpde.studies.study import Study

SMALL = """
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
targets = [{ alpha = 0.3 }, { alpha = 0.2 }]
"""
TIMES = ("seconds", "seconds_to", "reference_seconds")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path_factory.getbasetemp() / "study-cache"))


def study(tmp_path: Path, text: str = SMALL) -> Study:
    file = tmp_path / "study.toml"
    file.write_text(text)
    return Study.read(file)


def content(folder: Path) -> dict[str, str]:
    """cell → hash of all of its row but what a clock says."""
    return {
        row["cell"]: key_of({key: value for key, value in row.items() if key not in TIMES})
        for row in ResultsStore(folder).rows()
    }


def test_scratch_in_a_study_has_the_budget_of_its_source(tmp_path: Path) -> None:
    text = SMALL.replace('"warm_start", "scratch"', '"scratch", "scratch_budget"')
    found = study(tmp_path, text.replace("seeds = 2", "seeds = 1"))
    run_study(found, tmp_path / "made")
    source = checkpoint.load(next((tmp_path / "made" / ".cells").iterdir()) / "surrogate")
    steps: dict[str, list[int]] = {}
    for row in ResultsStore(tmp_path / "made").rows():
        steps.setdefault(row["method"], []).append(row["steps"])
    assert source.steps > 0
    plain, longer = sorted(steps["scratch"]), sorted(steps["scratch_budget"])
    assert longer == [count + source.steps for count in plain]


def test_the_held_out_residual_of_a_row_is_that_of_its_weights(tmp_path: Path) -> None:
    """Patience ends a fit to few noisy labels after its best weights, which it returns."""
    text = SMALL.replace('"warm_start", "scratch"', '"scratch"').replace("seeds = 2", "seeds = 1")
    text += "labels = [12]\nnoise = [0.1]\nphysics = [false]\n"
    found = study(tmp_path, text.replace("steps = 3", "steps = 60"))
    run_study(found, tmp_path / "made")
    for row in ResultsStore(tmp_path / "made").rows():
        made = checkpoint.load(tmp_path / "made" / "surrogates" / row["cell"])
        measured = [entry["held_out"] for entry in made.history]
        assert row["held_out"] == min(measured) < measured[-1]


def test_it_does_only_what_is_missing(tmp_path: Path) -> None:
    found, out, told = study(tmp_path), tmp_path / "out", []
    first = run_study(found, out, callback=lambda now: told.append((now.trained, now.done)))
    assert first == Status(8, 2, 8, 2, 0)
    assert told[0] == (0, 0) and told[-1] == (2, 8)
    rows = ResultsStore(out).rows()
    assert {row["cell"] for row in rows} == {cell.key for cell in found.cells}
    assert all(row["distance"] > 0.1 and row["target_error"] < 1 for row in rows)
    before = content(out)

    def never(*given: Any) -> Any:
        raise AssertionError("it ran again")

    assert run_study(found, out, train=never, carry_out=never) == first
    other = study(
        tmp_path, SMALL.replace("[settings]", "[options.warm_start]\nsteps = 2\n[settings]")
    )
    run_study(other, out, train=never, callback=lambda now: told.append((now.trained, now.done)))
    assert told[-5:] == [(2, 4), (2, 5), (2, 6), (2, 7), (2, 8)]
    more = study(tmp_path, SMALL.replace("seeds = 2", "seeds = 3"))
    assert status(more, out) == Status(12, 3, 8, 2, 0)
    assert run_study(more, out).done == 12
    assert {key: content(out)[key] for key in before} == before


def test_surrogates_of_the_first_seed_are_kept(tmp_path: Path) -> None:
    found, out = study(tmp_path), tmp_path / "out"
    run_study(found, out)
    kept = {place.name for place in (out / "surrogates").iterdir()}
    assert kept == {cell.key for cell in found.cells if cell.seed == 0}
    for cell in found.cells:
        if cell.seed == 0:
            made = checkpoint.load(out / "surrogates" / cell.key)
            assert made.problem == cell.target


def test_a_cell_that_raises_leaves_a_row_and_the_others_run(tmp_path: Path) -> None:
    found, out = study(tmp_path), tmp_path / "out"

    def fails(cell: Cell, source: Surrogate, *rest: Any) -> Any:
        if cell.method == "scratch" and cell.seed == 1:
            raise ValueError("on purpose")
        return cell.run(source, *rest)

    assert run_study(found, out, carry_out=fails) == Status(8, 2, 6, 2, 2)
    faults = [row["fault"] for row in ResultsStore(out).rows() if row["fault"]]
    assert faults == ["ValueError: on purpose"] * 2
    assert run_study(found, out) == Status(8, 2, 8, 2, 0)
    assert not any(row["fault"] for row in ResultsStore(out).rows())


def test_a_source_that_raises_fails_its_cells_alone(tmp_path: Path) -> None:
    def fails(training: Any, *rest: Any) -> Surrogate:
        if training.seed == 1:
            raise ValueError("on purpose")
        return training.run(*rest)

    assert run_study(study(tmp_path), tmp_path / "out", train=fails) == Status(8, 2, 4, 1, 4)
    faults = {row["fault"] for row in ResultsStore(tmp_path / "out").rows() if row["fault"]}
    assert faults == {"its source has no result: ValueError: on purpose"}


def test_a_damaged_source_is_trained_anew_where_it_is_needed(tmp_path: Path) -> None:
    text, trained = SMALL.replace("seeds = 2", "seeds = 1"), []

    def train(training: Training) -> Surrogate:
        trained.append(training.key)
        return training.run()

    run_study(study(tmp_path, text), tmp_path / "out", train=train)
    (file,) = (tmp_path / "out" / ".cells").glob("*/surrogate/weights.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-8])
    run_study(study(tmp_path, text), tmp_path / "out", train=train)
    assert len(trained) == 1  # no cell needs it
    more = study(tmp_path, text.replace("{ alpha = 0.2 }", "{ alpha = 0.2 }, { alpha = 0.1 }"))
    assert run_study(more, tmp_path / "out", train=train) == Status(6, 1, 6, 1, 0)
    assert trained == [trained[0]] * 2 and file.read_bytes() == whole


def test_a_folder_at_work_is_refused(tmp_path: Path) -> None:
    found, out = study(tmp_path), tmp_path / "out"

    def again(*given: Any) -> Any:
        with pytest.raises(OutputError, match="another run of pacpde is at work"):
            run_study(found, out)
        return Training.run(*given)

    assert run_study(found, out, train=again).done == 8


def start(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture
def scheduler() -> Iterator[tuple[str, "subprocess.Popen[str]", list["subprocess.Popen[str]"]]]:
    """(address, scheduler, two workers), each a process of its own."""
    port = 20_000 + os.getpid() % 20_000
    address = f"tcp://127.0.0.1:{port}"
    head = start("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
                 "--port", str(port), "--no-dashboard")  # fmt: skip
    hands = [
        start("-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard",
              "--no-nanny")
        for _ in range(2)
    ]  # fmt: skip
    yield address, head, hands
    for process in (*hands, head):
        process.kill()
        process.wait()


def test_on_dask_workers_one_of_which_is_killed(tmp_path: Path, scheduler: Any) -> None:
    address, _, hands = scheduler
    found = study(tmp_path, SMALL.replace("seeds = 2", "seeds = 3"))
    with cluster(address) as workers:

        def callback(now: Status) -> None:
            if now.done == 3 and hands[0].poll() is None:
                hands[0].send_signal(signal.SIGKILL)
                hands[0].wait()

        made = run_study(found, tmp_path / "out", workers, callback=callback)
    assert made == Status(12, 3, 12, 3, 0)
    run_study(found, tmp_path / "here")
    ours = {row["cell"]: row["target_error"] for row in ResultsStore(tmp_path / "here").rows()}
    for row in ResultsStore(tmp_path / "out").rows():
        assert row["target_error"] == pytest.approx(ours[row["cell"]], rel=1e-3)


def test_a_scheduler_that_is_gone_ends_in_one_sentence(
    tmp_path: Path, scheduler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors_module, "PATIENCE", 4)
    address, head, _ = scheduler
    found, out = study(tmp_path), tmp_path / "out"

    def callback(now: Status) -> None:
        if now.done == 2:
            head.send_signal(signal.SIGKILL)
            head.wait()

    with pytest.raises(SolverError, match="scheduler is gone"), cluster(address) as workers:
        run_study(found, out, workers, callback=callback)
    assert 2 <= len(ResultsStore(out).keys()) < 8
    assert run_study(found, out).done == 8
