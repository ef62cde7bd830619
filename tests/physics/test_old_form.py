"""Families that older versions took: they extend `Problem`, give `rhs`, and declare `edges`."""

import sys
from pathlib import Path

import pytest

from pacpde.physics import Evolution, families
from pacpde.physics.fingerprint import Fingerprint
from pacpde.plugins import load_plugin

OLD = """
from dataclasses import dataclass
from pacpde.physics import Axis, Dirichlet, Periodic, Problem, coefficient

@dataclass(frozen=True)
class Old(Problem):
    name = "test_old_form"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    edges = {"x": Dirichlet(0.0, 2.0), "y": Periodic()}
    k: float = coefficient(0.4, lower=0.1, upper=10, meaning="rate")

    def rhs(self, u, d):
        return self.k * (d(u, "xx") + d(u, "yy"))

    def initial(self, x, y):
        return 2 * x + 0 * y
"""


def test_the_old_form_is_read_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "old.py"
    file.write_text(OLD)
    with pytest.warns(FutureWarning) as warned:
        load_plugin(file)
    sentences = [str(one.message) for one in warned]
    assert any("write Old(Evolution)" in sentence for sentence in sentences)
    assert any("write def conditions(self)" in sentence for sentence in sentences)
    problem = families.get("test_old_form")()
    assert isinstance(problem, Evolution)
    assert problem.boundary.constant_edges("x", 0) == (0.0, 2.0)
    assert problem.boundary.periodic == ("y",)
    assert problem.channels == ("", "t", "x", "y", "xx", "yy")


def test_what_was_stored_of_the_old_form_is_known(tmp_path: Path) -> None:
    """The fingerprint in stored folders has the text of `edges` in it; this one is of then."""
    file = tmp_path / "old.py"
    file.write_text(OLD.replace("test_old_form", "test_old_form_too"))
    with pytest.warns(FutureWarning):
        load_plugin(file)
    declared = families.get("test_old_form_too")()
    assert Fingerprint.of(declared).declared == "a3d1f6fa710e9daa"
