"""The table over seeds counts what was never reached as never."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_quick_run_prints_its_table() -> None:
    command = [sys.executable, FOLDER / "over_seeds.py", "--quick", "--threads", "1"]
    done = subprocess.run(
        [*command, "--cases", "heat,lorenz", "--seeds", "2"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "| heat | seeds | median s | worst s |" in done.stdout
    assert "at the end: median error" in done.stdout and "written" not in done.stderr


def test_a_seed_that_never_arrives_is_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    import over_seeds  # type: ignore[import-not-found]

    end = {"error": 1e-3, "seconds": 9.0}
    times = ({"0.01": 1.0, "0.001": 4.0}, {"0.01": 3.0, "0.001": None}, {"0.01": 2.0, "0.001": 5.0})
    runs = [{"seconds_to": to, **end} for to in times]
    table = over_seeds.table({"case": "it", "runs": runs})
    assert "| 0.01 | 3 of 3 | 2.0 | 3.0 |" in table
    assert "| 0.001 | 2 of 3 | 5.0 | never |" in table
