"""A start that contradicts its edges, and `--soft`, on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

from pacpde import load

QUENCH = '''
from dataclasses import dataclass
from pacpde.physics import Axis, Dirichlet, Evolution, Problem


@dataclass(frozen=True)
class Quench(Evolution):
    """u_t = 0.1 u_xx; u = 1 at t = 0, u = 0 at both ends."""

    name = "quench"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        return 0.1 * d(u, "xx")

    def initial(self, x):
        return 1.0 + 0 * x
'''
FEW = ("--steps", "1", "--points", "20", "--width", "4", "--depth", "1", "--reference", "none")


def test_a_jump_is_said_once_and_nothing_is_bent(call: Callable, tmp_path: Path) -> None:
    plugin = tmp_path / "quench.py"
    plugin.write_text(QUENCH, encoding="utf-8")
    ended = call("train", "quench", "--plugin", plugin, *FEW, "-o", "out")
    assert ended.status == 1
    assert ended.err.count("u jumps by 1 from the start to the edge x = 0") == 1
    assert not load(tmp_path / "out").field_ansatz.hard


def test_soft_is_for_any_problem(call: Callable, tmp_path: Path) -> None:
    ended = call("train", "heat", "--soft", *FEW, "-o", "out", "--json", "-")
    assert json.loads(ended.out)["outcome"] != "converged"
    assert not load(tmp_path / "out").field_ansatz.hard
