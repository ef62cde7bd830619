"""Exit status 1 comes with the stage that fell short, its held-out residual and the tolerance."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pacpde import fit, load, save, transfer
from pacpde.cli.output import record_table
from pacpde.cli.verdicts import contradicted, remarks, verdict
from pacpde.problems import Heat


def test_a_stage_before_the_last(call: Callable, source: Path, tmp_path: Path) -> None:
    ended = call(
        "transfer", source, "alpha=0.3", "--sparsity", "0.9", "--set", "allocate_steps=1",
        "--steps", "20", "--points", "200", "--tolerance", "0.2", "-o", "out", "--json", "-",
    )  # fmt: skip
    assert json.loads(ended.out)["outcome"] == "allocate_not_converged"
    assert ended.status == 1
    made = load(tmp_path / "out")
    allocated = made.retained["source"].assessment
    assert allocated is not None and made.assessment != allocated
    line = ended.err.splitlines()[-1]
    said = (
        f"pac: allocate ended not_converged, residual {allocated.residual:.1e} of its terms, "
        f"tolerance 2.0e-01, estimated error {allocated.error_estimate:.1e};"
    )
    assert said in line
    assert "--sparsity" in line and "kept in out" in line


def test_every_stage_that_fell_short_is_shown(tmp_path: Path) -> None:
    source = fit(Heat(alpha=0.4), width=6, depth=2, points=60, steps=4)
    result = transfer(
        source, Heat(alpha=5.0), sparsity=0.95, allocate_steps=1, continuation="adaptive_only",
        settings={"steps": 1, "points": 30},
    )  # fmt: skip
    outcomes = {"source": "converged", "allocated": "not_converged", "calibrated": "path_lost"}
    assert result.outcome == "path_lost"
    assert result.record()["outcomes"] == outcomes
    save(result.surrogate, tmp_path / "made")
    said = verdict({"pac": load(tmp_path / "made")}, {}, Path("out")) or ""
    assert (
        "pac: calibrate ended path_lost, " in said and "before it: allocated not_converged" in said
    )
    assert "a lower --sparsity" in said and "more --steps" in said
    shown = record_table("", [result.record()]).columns[-1]
    assert list(shown.cells) == ["path_lost, allocated not_converged"]


def test_a_fit_of_one_stage_has_its_tolerance_from_the_settings(source: Path) -> None:
    made = load(source)
    poor = replace(made, outcome="stalled")
    said = verdict({"good": made, "poor": poor}, {"tolerance": 2e-5}, Path("out")) or ""
    assert made.assessment is not None
    assert said.startswith(
        f"poor: train ended stalled, residual {made.assessment.residual:.1e} of its terms, "
        f"tolerance 2.0e-05, estimated error {made.assessment.error_estimate:.1e}; "
    )
    assert "good" not in said
    assert verdict({"good": made}, {}, Path("out")) is None


def test_a_residual_that_is_no_number_is_not_shown(source: Path) -> None:
    made = load(source)
    gone = {**made.history[-1], "held_out": math.nan}
    poor = replace(made, outcome="diverged", history=(gone,), held_out=math.nan)
    assert (verdict({"it": poor}, {}, Path("out")) or "").startswith("it: train ended diverged;")


def test_remarks_are_said_once(source: Path) -> None:
    made = load(source)
    assert made.assessment is not None
    noted = replace(made, assessment=replace(made.assessment, notes=("u is small",)))
    assert remarks({"one": noted, "two": noted, "three": made}) == ["one: u is small."]


def test_a_converged_fit_that_its_reference_contradicts(call: Callable, tmp_path: Path) -> None:
    """Graded by a table of twice the solution: half of it is missing."""
    t, x = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 9), indexing="ij")
    twice = 2 * np.exp(-0.4 * np.pi**2 * t) * np.sin(np.pi * x)
    table = np.stack([t.ravel(), x.ravel(), twice.ravel()], -1)
    np.savetxt(tmp_path / "twice.csv", table, delimiter=",", header="t,x,u", comments="")
    ended = call(
        "train", "heat", "alpha=0.4", "--reference", "twice.csv", "--width", "6", "--points", "60",
        "--steps", "20", "-o", "out",
    )  # fmt: skip
    assert ended.status == 0
    assert "by the reference its error is 5.0e-01: it looks converged and is not" in ended.err
    solver = load(tmp_path / "out")
    assert contradicted({"it": solver}, {"it": 0.009}) == []
    assert contradicted({"it": solver}, {"it": None}) == []
