"""Faults of a plugin and want of memory are told in one sentence each."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pacpde.cli.explain import explain

FAMILY = """
import os
import subprocess
import sys
from dataclasses import dataclass
from math import sin
from pacpde.physics import Axis, Dirichlet, Evolution, Problem, coefficient

@dataclass(frozen=True)
class Plugged(Evolution):
    name = "test_plugged"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    k: float = coefficient(0.4, lower=0.1, upper=10, meaning="rate")
    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        return self.k * d(u, "xx")
    def initial(self, x):
        return x * (1 - x) * (1 + x)
"""
DECORATOR, NAME = "@dataclass(frozen=True)\n", '    name = "test_plugged"\n'
RATES, START = 'self.k * d(u, "xx")', "x * (1 - x) * (1 + x)"


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


FAULTS = {
    "math": (START, "sin(x)", "pacpde.physics.elementary"),
    "type": (RATES, "u + 'a'", "UFunc"),
    "key": (RATES, "{}['k']", "KeyError: 'k'."),
    "exit": (RATES, "sys.exit(3)", "calls sys.exit"),
}


@pytest.mark.filterwarnings("ignore:Converting a tensor")  # torch's own remark on math.sin
@pytest.mark.parametrize("case", FAULTS)
@pytest.mark.parametrize("command", ["solve", "train"])
def test_a_fault_inside_a_plugin_names_its_line(
    case: str, command: str, call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # nothing of Python's beside the plugin
    old, new, words = FAULTS[case]
    text = FAMILY.replace(old, new)
    (tmp_path / "mine.py").write_text(text)
    ended = call(command, "test_plugged", "-o", "out", "--plugin", "mine.py")
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert f"plugin mine.py, line {line_of(text, new)}: " in ended.err
    assert words in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


UNSOLVED = {
    "a start that is nan": (START, "x * float('nan')", 2, "initial gives nan for the field 'u'"),
    "an equation that is nan": (
        RATES,
        "d(u, 'xx') * float('nan')",
        2,
        "rhs gives nan for the field 'u'",
    ),
    "a solution that blows up": (RATES, "d(u, 'xx') + 500 * u**2", 1, "grows without bound"),
}


@pytest.mark.parametrize("case", UNSOLVED)
def test_a_fit_without_a_reference_is_kept_and_not_graded(
    case: str, call: Callable, tmp_path: Path
) -> None:
    old, new, status, words = UNSOLVED[case]
    (tmp_path / "mine.py").write_text(FAMILY.replace(old, new))
    small = ["--width", "5", "--depth", "1", "--points", "20", "--steps", "2"]
    ended = call("train", "test_plugged", "-o", "out", "--plugin", "mine.py", "--json", "out.json",
                 *small)  # fmt: skip
    assert ended.status == status and words in ended.err
    assert "internal error" not in ended.err
    if status == 1:
        assert "will not be known" in ended.err and "kept in out" in ended.err
        assert json.loads((tmp_path / "out.json").read_text())["error"] is None
    else:
        assert not (tmp_path / "out").exists()


DECLARED = {
    "no decorator": (DECORATOR, "", "write @dataclass(frozen=True) above its class"),
    "no name": (NAME, "", "registers nothing"),
    "no rhs": ("def rhs", "def lhs", "lacks rhs"),
    "exit on import": ("import sys\n", "import sys\nsys.exit()\n", "calls sys.exit on import"),
}


@pytest.mark.parametrize("case", DECLARED)
def test_a_family_that_is_incomplete_is_refused(case: str, call: Callable, tmp_path: Path) -> None:
    old, new, words = DECLARED[case]
    (tmp_path / "mine.py").write_text(FAMILY.replace(old, new))
    ended = call("solve", "test_plugged", "k=1", "-o", "x.h5", "--plugin", "mine.py")
    assert ended.status == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "allocate", [lambda: np.empty(10**15), lambda: torch.empty(10**15), lambda: np.empty(10**19)]
)
def test_want_of_memory_says_what_to_lower(
    allocate: Callable, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacpde.studies.cells.fit", lambda *a, **k: allocate())
    ended = call("train", "heat", "-o", "out")
    assert ended.status == 1
    assert "not enough memory for this train: lower --points, --width or --depth." in ended.err
    assert ended.err.count("\n") == 1


def test_what_is_not_a_plugin_is_our_own_fault() -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        sentence, status = explain(error)
    assert (status, sentence.startswith("internal error, KeyError")) == (1, True)


def test_a_package_of_an_extra_is_named() -> None:
    sentence, status = explain(ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow"))
    assert status == 2 and "pip install 'pacpde[studies]'" in sentence


def test_what_the_system_refuses_is_no_internal_error(call: Callable) -> None:
    for words in (("families", "--json"), ("predict", "x", "-o"), ("families", "--plugin")):
        ended = call(*words, "x" * 5_000)
        assert ended.status == 2 and "internal error" not in ended.err
        assert ended.err.count("\n") == 1
    assert explain(OSError(5, "Input/output error", "weights")) == (
        "'weights' cannot be used (Input/output error): name another place.",
        2,
    )
    assert explain(OSError(24, "Too many open files"))[1] == 1
    assert "internal error" in explain(OSError("of a library, without a number"))[0]


def test_a_working_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "from pacpde.cli import main\n"
        "sys.exit(main(['families']))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "pacpde: the working folder does not exist any more: change to another one.\n"
    )
