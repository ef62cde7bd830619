"""`compare` reuses the cells whose inputs are the same, and only those."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacpde import PAC, Scratch, TrainingConfig
from pacpde.errors import DataFileError, InvalidValueError, OutputError, UnknownNameError
from pacpde.problems import Burgers, Heat
from pacpde.studies import records
from pacpde.studies.comparison import Comparison, Plan, compare
from pacpde.studies.fit_store import FitStore
from pacpde.training.callbacks import Update

SMALL = {"width": 8, "depth": 2, "points": 150, "steps": 10}
T, X = np.meshgrid(np.linspace(0, 1, 20), np.linspace(0, 1, 20))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path / "cache"))


def small(folder: Path | None, *names: str, **changes: Any) -> Comparison:
    settings = {"settings": SMALL, **changes}
    return compare(Heat(alpha=0.4), Heat(alpha=0.3), names, folder=folder, **settings)


def test_the_same_call_reuses_and_a_changed_one_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = small(folder, "warm_start", "scratch")
    again = small(folder, "warm_start", "scratch")
    assert [cell.reused for cell in first.cells] == [False, False]
    assert [cell.reused for cell in again.cells] == [True, True]
    assert again.records == json.loads(json.dumps(first.records))
    for one, other in zip(first.cells, again.cells, strict=True):
        np.testing.assert_array_equal(one.surrogate(T, X), other.surrogate(T, X))
    noisy = small(folder, "warm_start", labels=5, noise=0.1)
    assert [cell.reused for cell in noisy.cells] == [False]
    assert [r["labels"] for r in records.read(folder / "records.json")] == [5]
    assert small(folder, "scratch").cells[0].reused
    assert not small(folder, "scratch", options={"scratch": {"steps": 9}}).cells[0].reused


def test_seeds_have_sources_of_their_own(tmp_path: Path) -> None:
    found = small(tmp_path / "out", "warm_start", seeds=(3, 1))
    assert [record["seed"] for record in found.records] == [3, 1]
    assert list(found.sources) == [3, 1]
    assert not np.array_equal(found.sources[3](T, X), found.sources[1](T, X))
    assert set(found.outcomes) == {
        "source (seed 3)", "source (seed 1)", "warm_start (seed 3)", "warm_start (seed 1)",
    }  # fmt: skip
    assert (tmp_path / "out" / "seed-1" / "warm_start" / "surrogate.json").is_file()
    alone = small(None, "warm_start", seeds=(1,))
    np.testing.assert_array_equal(
        alone.surrogates()["warm_start"](T, X), found.surrogates(1)["warm_start"](T, X)
    )


def test_side_by_side_is_the_same_to_rounding(tmp_path: Path) -> None:
    told: list[str] = []
    names, seeds = ("pac", "warm_start", "scratch"), (0, 1)
    apart = small(None, *names, seeds=seeds)
    found = small(
        tmp_path / "out",
        *names,
        seeds=seeds,
        together=True,
        progress=lambda update: told.append(update.stage),
    )
    for one, other in zip(found.records, apart.records, strict=True):
        assert [one[key] for key in ("method", "seed", "steps")] == [
            other[key] for key in ("method", "seed", "steps")
        ]
        # PAC's random features let rounding grow along the path
        rel = 0.5 if one["method"] == "pac" else 1e-4
        assert one["target_error"] == pytest.approx(other["target_error"], rel=rel)
        assert one["source_error"]["recalled"] == one["source_error"]["allocated"]
    assert {"source (seed 1), train", "scratch (seed 0), scratch"} <= set(told)
    assert len(records.read(tmp_path / "out" / "records.json")) == 6
    again = small(tmp_path / "out", *names, seeds=seeds, together=True)
    assert all(cell.reused for cell in again.cells)
    assert not small(tmp_path / "out", "scratch").cells[0].reused  # alone, other last digits


def test_a_damaged_cell_is_run_anew(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = small(folder, "scratch")
    for file in folder.glob(".cells/*/surrogate/weights.safetensors"):
        file.write_bytes(file.read_bytes()[:-8])
    again = small(folder, "scratch")
    assert [cell.reused for cell in again.cells] == [False]
    assert again.records[0]["target_error"] == first.records[0]["target_error"]


def test_records_are_written_after_each_method(tmp_path: Path) -> None:
    seen: list[int] = []

    def look(update: Update) -> None:
        if update.stage.startswith("scratch"):
            seen.append(len(records.read(tmp_path / "out" / "records.json")))

    small(tmp_path / "out", "warm_start", "scratch", progress=look)
    assert set(seen) == {1}


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert len(small(None, "scratch").records) == 1
    assert not any(empty.iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ()},
        {"seeds": ()},
        {"seeds": (-1,)},
        {"labels": -1},
        {"noise": float("inf")},
        {"physics": False},
        {"target": Burgers()},
        {"target": "heat"},
        {"source": "heat"},
        {"settings": {"steps": 0}},
        {"options": {"pac": {"sparsity": 1.0}}},
    ],
)
def test_a_plan_is_checked_when_it_is_made(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        Plan(**{"source": Heat(), "target": Heat(alpha=0.3), **changes})


def test_objects_are_what_names_with_options_are() -> None:
    """Of methods and of settings; the cells have the same keys, so that one reuses the other's."""
    ends = Heat(alpha=0.4), Heat(alpha=0.3)
    named = Plan(
        *ends, ["pac", "scratch"], options={"pac": {"sparsity": 0.5}}, settings=SMALL,
    )  # fmt: skip
    config = TrainingConfig.of(ends[0], **SMALL)
    made = Plan(*ends, [PAC(sparsity=0.5), Scratch()], settings=config)
    assert [cell.key for cell in made.cells] == [cell.key for cell in named.cells]
    assert [cell.variant for cell in made.cells] == ["pac (sparsity=0.5)", "scratch"]
    with pytest.raises(InvalidValueError, match="named twice in pac, pac"):
        Plan(*ends, [PAC(), PAC(sparsity=0.5)], settings=SMALL)
    with pytest.raises(InvalidValueError, match="options of 'pac', which the methods do not name"):
        Plan(*ends, [PAC()], options={"pac": {"sparsity": 0.5}}, settings=SMALL)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="warm_start"):
        Plan(Heat(), Heat(alpha=0.3), ("warm_strat",))
    with pytest.raises(UnknownNameError, match="width"):
        Plan(Heat(), Heat(alpha=0.3), settings={"widht": 3})


def test_a_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out" / "source").mkdir(parents=True)
    (tmp_path / "out" / "source" / "main.c").touch()
    with pytest.raises(OutputError, match=r"main\.c"):
        small(tmp_path / "out", "scratch")


def test_a_folder_in_use_is_refused_and_free_again_afterwards(tmp_path: Path) -> None:
    with FitStore(tmp_path / "out").locked():
        with pytest.raises(OutputError, match="another run of pacpde is at work in"):
            small(tmp_path / "out", "scratch")
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    assert not small(tmp_path / "out", "scratch").cells[0].reused


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from pacpde.studies.fit_store import FitStore\n"
        f"with FitStore(Path({str(tmp_path / 'out')!r})).locked():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    killed = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root})
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "out" / ".lock").exists()
    assert len(small(tmp_path / "out", "scratch").records) == 1


def test_a_record_with_foreign_keys_is_refused() -> None:
    with pytest.raises(DataFileError):
        records.check({"method": "pac"})
