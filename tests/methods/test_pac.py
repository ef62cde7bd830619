"""PAC says which of its stages fell short."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pacpde import Surrogate, fit, transfer
from pacpde.methods import TrainingConfig
from pacpde.methods.allocation import allocate_source
from pacpde.methods.pac import LADDER
from pacpde.pac import prune
from pacpde.problems import Heat
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.training.trainer import FitResult

SMALL: dict[str, Any] = {"points": 150, "steps": 20}


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), width=10, depth=2, **SMALL)


def test_an_allocation_that_fell_short_is_named(source: Surrogate) -> None:
    # one step of allocate cannot restore a tenth of the weights; the rest can fit the target
    settings = {**SMALL, "tolerance": 0.2}
    made = transfer(source, Heat(alpha=0.3), sparsity=0.9, allocate_steps=1, settings=settings)
    assert made.outcome == made.record()["outcome"] == "allocate_not_converged"
    held_out = {entry["stage"]: entry["held_out"] for entry in made.history}
    assert held_out["calibrate"] < 0.2 < held_out["allocate"]


def test_a_calibration_that_fell_short_is_plain(source: Surrogate) -> None:
    made = transfer(
        source, Heat(alpha=0.3), settings={**SMALL, "tolerance": 1e-12, "refinements": 0}
    )
    assert made.outcome == "not_converged"


def ends(made: Any) -> dict[str, float]:
    """Stage → the lowest held-out residual that was measured in it."""
    found: dict[str, float] = {}
    for entry in made.history:
        found[entry["stage"]] = min(entry["held_out"], found.get(entry["stage"], float("inf")))
    return found


@pytest.mark.parametrize(
    ("residuals", "taken"), [([0.001], 0), ([0.5, 0.1], 1), ([0.1, 0.5], 0), ([0.5, 0.001], 1)]
)
def test_an_allocation_that_falls_short_starts_again_on_few_points(
    source: Surrogate, monkeypatch: pytest.MonkeyPatch, residuals: list[float], taken: int
) -> None:
    stages: list[str] = []

    def allocated(surrogate: Surrogate, *given: Any, stage: str, **settings: Any) -> FitResult:
        held_out = residuals[len(stages)]
        stages.append(stage)
        outcome = "converged" if held_out < 0.01 else "not_converged"
        weights = surrogate.weights + (len(stages) - 1)
        return FitResult(weights, outcome, held_out, 7, 9, 1.0, ())

    monkeypatch.setattr("pacpde.methods.allocation.allocate", allocated)
    pruned = prune(source.reset(), 0.8)
    task, config = PhysicsTask(source.problem), TrainingConfig.of(source.problem, **SMALL)
    made, fits = allocate_source(pruned, task, config, stage="allocate", seed=0, callbacks=())
    assert stages == ["allocate", "allocate.cold_start"][: len(residuals)]
    assert torch.equal(made.weights, pruned.weights + taken)
    assert made.seconds == len(fits) == len(residuals)
    assert made.outcome == ("converged" if min(residuals) < 0.01 else "not_converged")


def test_lambda_is_chosen_on_held_out_labels(source: Surrogate) -> None:
    options: dict[str, Any] = {"labels": 40, "noise": 0.2, "physics": False, "settings": SMALL}
    made = transfer(source, Heat(alpha=0.3), tune_penalty=True, **options)
    reached = {stage: end for stage, end in ends(made).items() if stage.startswith("calibrate")}
    assert set(reached) == {f"calibrate.{number}" for number in range(len(LADDER))}
    assert len(set(reached.values())) == len(LADDER)
    best = LADDER[int(min(reached, key=lambda stage: reached[stage]).rpartition(".")[2])]
    alone = transfer(source, Heat(alpha=0.3), strength=best, **options)
    assert alone.target_error == pytest.approx(made.target_error, rel=0.3)
    assert (
        made.method_result.seconds["calibrate"] > 0
        and made.method_result.steps > alone.method_result.steps
    )


def test_seconds_of_pruning_are_those_of_all_rounds(
    source: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(10.0, 2.0)  # two seconds from one look at it to the next
    monkeypatch.setattr("pacpde.methods.pac.time", SimpleNamespace(perf_counter=clock.__next__))
    settings = {"points": 60, "steps": 3, "restarts": 0, "refinements": 0}
    made = transfer(source, Heat(alpha=0.3), rounds=3, settings=settings, reference=None)
    assert made.method_result.seconds["prune"] == 3 * 2.0
    stages = made.method_result.seconds["allocate"] + made.method_result.seconds["calibrate"]
    assert stages == pytest.approx(made.history[-1]["seconds"], rel=1e-12)
