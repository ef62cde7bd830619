"""Transfers from a solver in random windows, beside exact solutions."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pacpde import Surrogate, WarmStart, load, save, transfer
from pacpde.methods.base import MethodResult, build_surrogate, methods
from pacpde.problems import Convection
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.training import random_windows as module
from pacpde.training.callbacks import Callback, FitState
from pacpde.training.config import TrainingConfig
from pacpde.training.random_windows import are_held_by, kept_places, random_windows
from pacpde.training.resume import ResumeState
from tests.request_clock import RequestClock

SOURCE, TARGET = Convection(beta=10.0), Convection(beta=12.0)
TOLERANCE = 1e-5
POINTS = SOURCE.domain.sample(500, np.random.default_rng(5)).T


@pytest.fixture(autouse=True, scope="module")
def few_neurons() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TRIES", ((8, 100),))
        yield


@pytest.fixture(scope="module")
def source() -> Surrogate:
    task = PhysicsTask(SOURCE)
    config = TrainingConfig.of(SOURCE, tolerance=TOLERANCE)
    ((blank, shorter, fit),) = random_windows(task, config)
    solver = build_surrogate(blank, shorter, [fit], "trained")
    assert are_held_by(solver) and solver.outcome == "converged"
    return solver


def error(solver: Surrogate) -> float:
    exact = np.asarray(solver.problem.exact(*POINTS))[0]
    return float(np.linalg.norm(solver(*POINTS) - exact) / np.linalg.norm(exact))


def test_pac_keeps_random_windows_beside_those_of_the_target(
    source: Surrogate, tmp_path: Path
) -> None:
    settings = {"tolerance": TOLERANCE}
    result = transfer(source, TARGET, method="pac", settings=settings, reference="exact")
    assert result.outcome == "converged" and error(result.surrogate) < TOLERANCE
    assert error(source.with_problem(TARGET)) > 0.1
    recalled = result.recall()
    assert recalled.outcome == "converged" and recalled.assessment == source.assessment
    places = kept_places(source, recalled.network)
    assert torch.equal(result.surrogate.weights[places], source.weights)
    assert torch.equal(recalled.weights[places], source.weights)
    assert recalled.weights.count_nonzero() == source.weights.count_nonzero()
    # the same function in a network of more neurons: sums are rounded in another order
    assert np.allclose(recalled(*POINTS), source(*POINTS), rtol=0, atol=1e-11)
    assert error(recalled) == pytest.approx(error(source), rel=1e-3)
    save(result.surrogate, tmp_path / "kept")
    again = load(tmp_path / "kept")
    assert np.array_equal(again.recall()(*POINTS), recalled(*POINTS))
    assert np.array_equal(again(*POINTS), result.surrogate(*POINTS))
    # the target's own are the heads of 100 neurons in 8 windows
    assert result.n_trainable == 8 * 100
    assert result.record()["source_error"]["recalled"] < TOLERANCE


def test_other_methods_leave_of_random_windows_what_they_leave_of_any_source(
    source: Surrogate,
) -> None:
    settings = {"tolerance": TOLERANCE}
    warm = transfer(source, TARGET, method="warm_start", settings=settings, reference=None)
    assert warm.outcome == "converged" and error(warm.surrogate) < TOLERANCE
    window = warm.surrogate.network.in_parts[0][0]
    heads = 8 * (window.head.stop - window.head.start)  # of all windows, with their biases
    assert warm.n_trainable == heads
    assert not warm.surrogate.retained and warm.surrogate.parameters == source.parameters
    two = transfer(source, TARGET, method="two_checkpoints", settings=settings, reference=None)
    assert torch.equal(two.surrogate.weights, warm.surrogate.weights)
    assert torch.equal(two.recall().weights, source.weights)
    assert methods.get("pac_net").random_windows_way is None  # prunes as published
    assert methods.get("continuation").random_windows_way is None


def test_random_windows_that_are_wrong_count_in_the_seconds(
    source: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*args: object) -> MethodResult:
        return MethodResult(source.reset().with_problem(TARGET), 0, 0, 0, {"calibrate": 0.0})

    monkeypatch.setattr(WarmStart, "run", run)
    monkeypatch.setattr(module, "TRIES", ((8, 3),))
    clock = RequestClock.patched(monkeypatch)
    settings = {"tolerance": TOLERANCE}
    result = transfer(source, TARGET, method="warm_start", settings=settings, reference=None)
    assert clock.seconds > 0
    assert result.surrogate.seconds == result.record()["seconds"]["total"] == clock.seconds
    assert result.surrogate.steps == result.method_result.steps > 0


def test_a_killed_transfer_of_random_windows_resumes_to_the_same_bits(
    source: Surrogate, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    class Kill(Callback):
        def on_refresh(self, fit: FitState) -> None:
            if fit.phase == 6:
                raise Killed

    settings = {"tolerance": TOLERANCE}
    whole = transfer(source, TARGET, settings=settings, reference=None)
    state = ResumeState(tmp_path, "key")
    with pytest.raises(Killed):
        transfer(
            source, TARGET, settings=settings, reference=None, resume_state=state,
            callbacks=[Kill()],
        )  # fmt: skip
    resumed = transfer(source, TARGET, settings=settings, reference=None, resume_state=state)
    assert torch.equal(resumed.surrogate.weights, whole.surrogate.weights)
