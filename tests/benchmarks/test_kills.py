"""A command that leaves half a file when it is killed has a fault; a real one has none."""

import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from pacpde.studies import records

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
NAME = "families"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import kills as module  # type: ignore[import-not-found]

    monkeypatch.setattr(module, "PREPARED", ())
    return module


@pytest.fixture
def faults(benchmark: ModuleType, tmp_path: Path) -> Callable[[], list[str]]:
    """What is wrong with a command that is killed at every act on a file."""

    def found() -> list[str]:
        said = []
        trial = benchmark.Trial(benchmark.Workshop(tmp_path), NAME)
        assert trial.calm.acts >= 2
        for act in range(1, trial.calm.acts + 1):
            try:
                trial.killed_at(benchmark.Moment(signal.SIGKILL, act=act))
            except benchmark.FaultError as error:
                said.append(str(error))
        assert trial.counts["killed"] == trial.calm.acts == trial.counts["SIGKILL"]
        return said

    return found


def test_a_real_command_has_none(faults: Callable[[], list[str]]) -> None:
    assert faults() == []


def test_half_a_file_is_found(
    faults: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(content: object, path: Path, *, overwrite: bool) -> None:
        path.write_text("[1, 2")
        path.write_text("[1, 2, 3]")

    monkeypatch.setattr(records, "write_json", careless)
    (only,) = faults()
    assert only.startswith("half a file out.json")


def test_four_at_once_that_differ_are_found(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = benchmark.Trial(benchmark.Workshop(tmp_path), NAME)
    trial.at_once(None, 0)
    monkeypatch.setattr(records, "write_json", lambda content, path, **_: path.write_text("7"))
    with pytest.raises(benchmark.FaultError, match=r"at once: /out\.json"):
        trial.at_once(None, 0)


def test_contents_differ_but_for_times(benchmark: ModuleType) -> None:
    one = {"a": [{"seconds": 3, "error": 1.0}]}
    other = {"a": [{"seconds": 4, "error": 2.0}]}
    assert benchmark.difference(one, other) == "/a/0/seconds: 3 and 4"
    plain = [benchmark.without_times(each) for each in (one, other)]
    assert benchmark.difference(*plain) == "/a/0/error: 1.0 and 2.0"
    assert benchmark.difference(plain[0], plain[0]) == ""
