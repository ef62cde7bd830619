"""Readers under changed files: none of the real ones has a fault, and faults are found."""

import os
import time
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import fuzz as module  # type: ignore[import-not-found]
    import fuzz_changes  # type: ignore[import-not-found]
    import fuzz_targets  # type: ignore[import-not-found]

    module.Target, module.bytes_of = fuzz_targets.Target, fuzz_changes.bytes_of

    return module


QUICK = (
    "expression", "csv", "columns", "reference", "npz", "npz_bytes", "mat", "mat_4", "netcdf_3",
    "netcdf_4", "parquet", "hdf5", "dataset", "surrogate", "surrogate_tensors", "surrogate_bytes",
    "stages", "stages_bytes", "records", "study", "study_folder", "study_rows", "tuned", "resume",
    "resume_sealed",
)  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_a_reader_raises_nothing_but_its_own_errors(benchmark: ModuleType, name: str) -> None:
    run = benchmark.run_of(name, 150, seed=7, keep=None)
    assert run["faults"] == {}
    assert run.get("read", 0) + run.get("refused", 0) == 150


def fails(path: Path) -> None:
    if path.stat().st_size != 80:
        raise KeyError("a long file")


def dies(path: Path) -> None:
    if path.stat().st_size != 80:
        os._exit(3)


def hangs(path: Path) -> None:
    if path.stat().st_size != 80:
        time.sleep(30)


def one_file(folder: Path) -> list[Path]:
    (folder / "a.txt").write_bytes(bytes(80))
    return [folder / "a.txt"]


@pytest.mark.parametrize(
    ("read", "fault", "message"),
    [
        (fails, "KeyError at test_fuzz.py", "'a long file'"),
        (dies, "the process died", "exit status 3"),
        (hangs, "TooLongError at test_fuzz.py", "more than 1 s"),
    ],
)
def test_faults_are_found(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, read: object, fault: str, message: str
) -> None:
    target = benchmark.Target("a file", one_file, read, benchmark.bytes_of)
    monkeypatch.setitem(benchmark.TARGETS, "one", target)
    monkeypatch.setattr(benchmark, "SECONDS", 1)
    run = benchmark.run_of("one", 3 if read is hangs else 60, seed=1, keep=None)
    (kind, about), *others = run["faults"].items()
    assert kind.startswith(fault) and about["message"] == message and not others
    again = benchmark.run_of("one", 3 if read is hangs else 60, seed=1, keep=None)
    assert again["faults"] == run["faults"]
    with pytest.raises(SystemExit, match="FAULT one"):
        benchmark.TARGETS["one"] = target
        benchmark.table({"runs": [run]})
