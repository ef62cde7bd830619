"""The worked examples of the guide to equations are checked as files of a user."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pacpde.cli import main

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
FILES = {
    named.group(1): block for block in BLOCKS if (named := re.search(r'name = "(\w+)"', block))
}
TINY = ["--width", "10", "--depth", "2", "--points", "100", "--steps", "15"]
# settings of its fits, the coefficient of its transfer, errors that its transfers do not exceed:
# ten times what they were
FITS: dict[str, tuple[list[str], dict[str, float], float]] = {
    "brusselator": (TINY, {"a": 1.1, "b": 1.5}, 4e-5),
    "rope": (TINY, {"c": 1.1, "gamma": 0.5}, 8e-6),
    "fin": (TINY, {"m": 2.2, "r": 0.5, "h": 1.0}, 4e-5),
    "stirred": ([], {"a": 1.1}, 1e-2),
}


def checked(name: str, folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit status and result of `pacpde check` in a new process."""
    (folder / f"{name}.py").write_text(FILES[name], encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PACPDE_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "pacpde", "check", f"{name}.py", "--json", "-", *words]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=540
    )
    assert ended.returncode < 2, ended.stderr
    return ended.returncode, json.loads(ended.stdout)["families"][0]


def test_there_are_four_of_few_lines() -> None:
    assert set(FILES) == set(FITS)
    assert all(20 <= len(block.splitlines()) <= 32 for block in FILES.values())


@pytest.mark.parametrize("name", FILES)
def test_its_equation_is_sound(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"{name}.py"
    file.write_text(FILES[name], encoding="utf-8")
    assert main(["check", str(file), "--no-fit", "--json", "-"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["families"]
    verdicts = {one["verdict"] for one in result["findings"]}
    assert verdicts == {"found"}  # nothing to look at either


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_it_is_solved_fitted_and_transferred(name: str, tmp_path: Path) -> None:
    words, target, largest = FITS[name]
    status, result = checked(name, tmp_path, *words)
    assert status == 0, result["findings"]
    numbers = [one["numbers"] for one in result["findings"] if one["about"] == "transfer"]
    assert [one["method"] for one in numbers] == ["warm_start", "pac"]
    for one in numbers:
        assert one["target"] == pytest.approx(target)
        assert one["outcome"] == "converged" and one["error"] < largest
