"""Exit status 1 comes with the stage that fell short, its held-out residual and the tolerance."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pacpde import load
from pacpde.cli.verdicts import verdict


def test_a_stage_before_the_last(call: Callable, source: Path, tmp_path: Path) -> None:
    ended = call(
        "transfer", source, "alpha=0.3", "--sparsity", "0.9", "--set", "allocate_steps=1",
        "--steps", "20", "--points", "200", "--tolerance", "0.2", "-o", "out", "--json", "-",
    )  # fmt: skip
    assert json.loads(ended.out)["outcome"] == "allocate_not_converged"
    assert ended.status == 1
    made = load(tmp_path / "out")
    *_, last = [entry["held_out"] for entry in made.history if entry["stage"] == "allocate"]
    line = ended.err.splitlines()[-1]
    said = f"pac: allocate ended not_converged, held-out residual {last:.1e}, tolerance 2.0e-01;"
    assert said in line
    assert "--sparsity" in line and "kept in out" in line


def test_a_fit_of_one_stage_has_its_tolerance_from_the_settings(source: Path) -> None:
    made = load(source)
    poor = replace(made, outcome="stalled")
    said = verdict({"good": made, "poor": poor}, {"tolerance": 2e-5}, Path("out")) or ""
    held_out = made.held_out
    assert said.startswith(
        f"poor: train ended stalled, held-out residual {held_out:.1e}, tolerance 2.0e-05; "
    )
    assert "good" not in said
    assert verdict({"good": made}, {}, Path("out")) is None


def test_a_residual_that_is_no_number_is_not_shown(source: Path) -> None:
    made = load(source)
    gone = {**made.history[-1], "held_out": math.nan}
    poor = replace(made, outcome="diverged", history=(gone,), held_out=math.nan)
    assert (verdict({"it": poor}, {}, Path("out")) or "").startswith("it: train ended diverged;")
