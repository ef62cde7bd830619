"""The benchmark runs, and what was not reached counts as censored."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "burgers_vs_deepxde.py"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    spec = importlib.util.spec_from_file_location("burgers_vs_deepxde", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_threshold_is_reached_at_its_first_crossing(benchmark: ModuleType) -> None:
    curve = [(1.0, 0.5), (2.0, 0.009), (3.0, 0.02), (4.0, 0.008)]
    assert benchmark.reached(curve, 1e-2) == 2.0
    assert benchmark.reached(curve, 1e-3) is None


def test_a_run_that_never_got_there_gives_a_lower_bound(benchmark: ModuleType) -> None:
    def run(name: str, seconds: float, to: float | None) -> dict[str, Any]:
        end = {"dtype": "float64", "parameters": 9, "outcome": "ended", "best_error": 5e-3}
        return {"name": name, "seconds": seconds, "seconds_to": {"0.01": to, "0.001": None}} | end

    lines = benchmark.table([run("pacpde", 20, 10.0), run("a", 300, 250.0), run("b", 400, None)])
    assert "pacpde is 25 times faster to 0.01 than a\n" in lines
    assert "pacpde is more than 40 times faster to 0.01 than b" in lines
    assert "to 0.001" not in lines  # pacpde did not get there itself


def test_a_quick_run_writes_its_record(tmp_path: Path) -> None:
    output = tmp_path / "record.json"
    command = [sys.executable, SCRIPT, "--quick", "--runs", "pacpde", "--threads", "1"]
    done = subprocess.run(
        [*command, "-o", output], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads(output.read_text())
    (run,) = record["runs"]
    assert run["parameters"] == 921  # 3 layers of 20 with two inputs and one output
    assert run["seconds_to"] == {"0.01": None, "0.001": None}  # 15 steps get nowhere near
    seconds = [at for at, _ in run["curve"]]
    assert seconds == sorted(seconds) and run["seconds"] == seconds[-1]
    assert "pacpde" in done.stdout
