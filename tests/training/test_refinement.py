"""Refinements: what they reach beside exact solutions, and what they leave as it is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pacpde import PAC, fit, load, save, transfer
from pacpde.networks.assessment import Assessment
from pacpde.networks.correction import Correction, base_places, refinement
from pacpde.networks.mlp import MLP
from pacpde.networks.network_sum import RefinedNetwork
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.networks.refined import unrefined
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.time_windows import TimeWindows
from pacpde.optim.gauss_newton import GaussNewton, OrthogonalFactor
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.stepwise import steps_of, stepwise
from pacpde.problems import Heat, Helmholtz, LotkaVolterra, Reaction
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.residuals.terms import Anchor
from pacpde.runtime import generator
from pacpde.training.refinement import noted, reaches
from pacpde.training.trainer import Trainer
from tests.request_clock import RequestClock

TINY = {"width": 10, "depth": 2, "points": 200, "steps": 30, "restarts": 0}
SMALL_FIRST = 60


@pytest.fixture(autouse=True)
def few_neurons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacpde.training.refinement.FIRST", SMALL_FIRST)
    monkeypatch.setattr("pacpde.training.refinement.FIRST_IN_TIME", SMALL_FIRST // 2)


def error(solver: Surrogate) -> float:
    points = solver.problem.domain.sample(2000, np.random.default_rng(5))
    exact = np.asarray(solver.problem.exact(*points.T))[0]
    values = solver(*points.T)
    return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))


@pytest.fixture(scope="module")
def plain() -> Surrogate:
    return fit(Heat(alpha=0.4), **TINY)


def test_a_smaller_tolerance_is_met_by_a_correction_and_the_solver_keeps_its_bits(
    plain: Surrogate, tmp_path: Path
) -> None:
    assert error(plain) > 1e-6
    refined = fit(Heat(alpha=0.4), tolerance=1e-7, **TINY)
    assert refined.outcome == "converged"
    assert refined.assessment is not None and refined.assessment.meets(1e-7)
    assert error(refined) < min(1e-7, error(plain) / 100)
    assert refined.error_estimate is not None
    assert error(refined) / 3 < refined.error_estimate < 10 * error(refined)
    assert torch.equal(unrefined(refined).weights, plain.weights)
    assert unrefined(refined).network == plain.network
    assert refined.history[-1]["stage"].startswith("train.refine_")
    save(refined, tmp_path / "refined")
    again = load(tmp_path / "refined")
    assert again.network == refined.network and torch.equal(again.weights, refined.weights)


def test_without_refinements_and_by_default_nothing_is_added(plain: Surrogate) -> None:
    none = fit(Heat(alpha=0.4), tolerance=1e-7, refinements=0, **TINY)
    assert none.outcome != "converged"
    assert none.network == plain.network and torch.equal(none.weights, plain.weights)
    assert plain.outcome == "converged"


def test_what_is_not_met_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    few = fit(Heat(alpha=0.4), tolerance=1e-13, refinements=1, **TINY)
    assert few.outcome == "not_converged"
    assert few.assessment is not None
    assert "refinements=1 are all" in few.assessment.notes[-1]
    assert "float64" not in few.assessment.notes[-1]
    monkeypatch.setattr("pacpde.training.refinement.FIRST", 600)
    cramped = fit(Heat(alpha=0.4), tolerance=1e-13, memory_gib=0.01, **TINY)
    assert cramped.assessment is not None
    assert any("need more than the 0.01 GiB" in note for note in cramped.assessment.notes)


def test_a_tolerance_below_rounding_is_said_to_be_so() -> None:
    (told,) = noted(Assessment(1e-15, 1e-15), 1e-20, "no try was better").notes
    assert told.startswith("the tolerance 1e-20 is not met (float64 numbers tell differences from")
    (told,) = noted(Assessment(1e-13, 1e-13), 1e-15, "no try was better").notes
    assert told == "the tolerance 1e-15 is not met: no try was better"


def test_a_tolerance_is_reached_by_residual_and_estimated_error() -> None:
    assert reaches(Assessment(1e-7, 9e-7), 1e-6)
    assert reaches(Assessment(1e-7, None), 1e-6)
    assert Assessment(1e-7, 5e-6).meets(1e-6) and not reaches(Assessment(1e-7, 5e-6), 1e-6)
    assert not reaches(Assessment(1e-5, 9e-7), 1e-6)


@pytest.mark.parametrize("tolerance", [1e-9, 1e-15])
def test_tries_that_fall_short_by_far_are_assessed_only_where_they_are_the_best(
    tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights, notes and assessment as where every try is assessed, with fewer of them."""
    assessed: list[int] = []
    assess = PhysicsTask.assess

    def counted(self: PhysicsTask, network: Network, *arguments: Any) -> Assessment:
        assessed.append(network.size)
        return assess(self, network, *arguments)

    monkeypatch.setattr(PhysicsTask, "assess", counted)
    ends, counts = [], []
    for far in (float("inf"), 10.0, 0.0):
        monkeypatch.setattr("pacpde.training.refinement.FAR", far)
        assessed.clear()
        ends.append(fit(Heat(alpha=0.4), tolerance=tolerance, **TINY))
        counts.append(len(assessed))
    every, *fewer = ends
    for one in fewer:
        assert torch.equal(one.weights, every.weights)
        assert one.outcome == every.outcome and one.assessment == every.assessment
        assert one.assessment.notes == every.assessment.notes
        assert [entry["stage"] for entry in one.history] == [
            entry["stage"] for entry in every.history
        ]
    assert counts[0] >= counts[1] >= counts[2] and counts[0] > counts[2]


@pytest.mark.parametrize("kept", [0, 1])
def test_tries_that_are_given_up_count_in_the_seconds(
    kept: int, plain: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those after the best one, or all of them where none is better."""
    module = "pacpde.training.refinement"
    monkeypatch.setattr(
        f"{module}._better", lambda one, other: one if len(one.fits) <= kept else other
    )
    monkeypatch.setattr(f"{module}.reaches", lambda assessment, tolerance: False)
    monkeypatch.setattr(f"{module}._falls_short", lambda solver, tolerance: np.inf)
    clock, settings = RequestClock.patched(monkeypatch), {**TINY, "tolerance": 1e-7}
    own = fit(Heat(alpha=0.4), refinements=2, **settings)
    stages = {entry["stage"] for entry in own.history if "refine" in entry["stage"]}
    assert stages == {f"train.refine_{number}" for number in range(1, kept + 1)}
    assert own.seconds == clock.seconds
    clock = RequestClock.patched(monkeypatch)
    settings = {"points": 200, "steps": 30, "tolerance": 1e-7, "refinements": 2}
    result = transfer(plain, Heat(alpha=0.35), settings=settings, reference=None)
    seconds = result.record()["seconds"]
    assert result.surrogate.seconds == seconds["allocate"] + seconds["calibrate"]
    assert result.surrogate.seconds == clock.seconds
    assert result.surrogate.steps == result.method_result.steps


def test_a_device_that_is_lost_in_a_late_assessment_leaves_the_solver(
    plain: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    assess = PhysicsTask.assess

    def lost(self: PhysicsTask, network: Network, *arguments: Any) -> Assessment:
        if isinstance(network, RefinedNetwork):
            raise torch.OutOfMemoryError
        return assess(self, network, *arguments)

    monkeypatch.setattr(PhysicsTask, "assess", lost)
    monkeypatch.setattr("pacpde.training.refinement.FAR", 0.0)
    solver = fit(Heat(alpha=0.4), tolerance=1e-9, **TINY)
    assert solver.network == plain.network and torch.equal(solver.weights, plain.weights)
    assert solver.outcome == "not_converged"


def test_a_try_that_diverges_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words were of a lost device."""
    told = Trainer.fit

    def diverges(
        self: Trainer, task: Any, phases: Any, stage: str, *given: Any, **more: Any
    ) -> Any:
        made = yield from steps_of(told)(self, task, phases, stage, *given, **more)
        return replace(made, outcome=Outcome.DIVERGED) if stage.endswith("refine_2") else made

    monkeypatch.setattr(Trainer, "fit", stepwise(diverges))
    solver = fit(Heat(alpha=0.4), tolerance=1e-12, **TINY)
    assert solver.outcome == "not_converged"
    assert any("no finite numbers" in note for note in solver.assessment.notes)
    assert not any("device" in note for note in solver.assessment.notes)


def test_points_are_drawn_by_the_solver_below_a_blank_correction(plain: Surrogate) -> None:
    made = refinement(plain.network, plain.weights, 40, generator(0, "refine"))
    task = PhysicsTask(plain.problem, like=plain.field_ansatz)
    below = replace(task, drawn_by=(plain.network, plain.weights))
    sampling = SamplingSpec(100)
    usual, same = (
        one.terms(made.network, made.weights, sampling, np.random.default_rng(0))[0].batch
        for one in (task, below)
    )
    assert torch.equal(usual.inputs, same.inputs)
    evenly = replace(sampling, candidates=1)
    even = task.terms(made.network, made.weights, evenly, np.random.default_rng(0))[0].batch
    assert not torch.equal(usual.inputs, even.inputs)


def test_a_refined_target_keeps_a_refined_source_on_the_same_bits(
    plain: Surrogate, tmp_path: Path
) -> None:
    settings = {"points": 200, "steps": 30, "restarts": 0}
    small = {**settings, "tolerance": 1e-7}
    usual = transfer(plain, Heat(alpha=0.3), method="pac", settings=settings, reference=None)
    refined = fit(Heat(alpha=0.4), tolerance=1e-7, **TINY)
    result = transfer(refined, Heat(alpha=0.3), method="pac", settings=small, reference="exact")
    assert result.outcome == "converged"
    assert result.surrogate.assessment is not None
    assert result.surrogate.assessment.meets(1e-7)
    assert error(result.surrogate) < min(1e-7, error(usual.surrogate) / 10)
    # the source too, by a correction on the weights in which it is without a tolerance
    recalled = result.recall()
    assert recalled.outcome == "converged" and error(recalled) < 1e-7 < error(usual.recall())
    assert recalled.error_estimate is not None
    assert error(recalled) / 3 < recalled.error_estimate < 10 * error(recalled)
    kept = unrefined(recalled)
    assert kept.network == plain.network
    assert torch.equal(kept.weights, usual.recall().weights)
    # and these are the target's own, to the last bit
    mask = usual.surrogate.retained["source"].mask
    below = unrefined(result.surrogate).weights
    assert torch.equal(below, usual.surrogate.weights)
    assert torch.equal(torch.where(mask, below, 0), kept.weights)
    save(result.surrogate, tmp_path / "kept")
    points = Heat().domain.sample(50, np.random.default_rng(0)).T
    loaded = load(tmp_path / "kept").recall()
    assert np.array_equal(loaded(*points), recalled(*points))
    assert np.array_equal(loaded.recall()(*points), recalled(*points))
    assert loaded.outcome == "converged" and loaded.assessment == recalled.assessment
    # the record has both corrections
    errors = result.record()["source_error"]
    assert errors["recalled"] == errors["allocated"] < 1e-7 and errors["trained"] < 1e-7
    correction = result.surrogate.retained["source"].correction
    assert correction is not None
    assert result.surrogate.n_stored == result.surrogate.parameters + len(correction.weights)
    assert {"allocate.refine_1", "calibrate.refine_1"} <= {
        entry["stage"] for entry in result.history
    }
    seconds = result.method_result.seconds  # on one clock, those of the corrections too
    every = seconds["allocate"] + seconds["calibrate"]
    assert every == pytest.approx(result.history[-1]["seconds"], rel=1e-12)
    # what is moved from a refined source is the solver below its correction
    moved = transfer(refined, Heat(alpha=0.3), method="pac", settings=settings, reference=None)
    assert torch.equal(moved.surrogate.weights, usual.surrogate.weights)
    assert moved.surrogate.retained["source"].correction is None
    # two checkpoints keep the refined source as it is, a warm start keeps none
    two, warm = (
        transfer(refined, Heat(alpha=0.3), method=name, settings=settings, reference=None)
        for name in ("two_checkpoints", "warm_start")
    )
    assert np.array_equal(two.recall()(*points), refined(*points))
    assert not warm.surrogate.retained


def test_a_source_that_misses_the_tolerance_is_said(plain: Surrogate) -> None:
    result = transfer(
        plain,
        Heat(alpha=0.3),
        method=PAC(sparsity=0.75),
        settings={"points": 200, "steps": 30, "restarts": 0, "refinements": 1, "tolerance": 1e-6},
        reference=None,
    )
    kept = result.surrogate.retained["source"]
    assert kept.outcome == "not_converged" and kept.assessment is not None
    assert result.outcome == "allocate_not_converged"
    assert f"source: {kept.assessment.notes[-1]}" in result.surrogate.assessment.notes


def test_two_checkpoints_keep_the_correction_of_the_source(plain: Surrogate) -> None:
    refined = fit(Heat(alpha=0.4), tolerance=1e-7, **TINY)
    result = transfer(
        refined, Heat(alpha=0.3), method="two_checkpoints", reference=None,
        settings={"points": 200, "steps": 30, "restarts": 0, "tolerance": 1e-7},
    )  # fmt: skip
    recalled = result.recall()
    assert torch.equal(recalled.weights, refined.weights)
    assert recalled.outcome == result.outcome == "converged"


@pytest.mark.slow
def test_what_a_resonance_increases_is_refined_too() -> None:
    """Beside a mode the usual fit ends with a small residual and an error that is not."""
    problem = Helmholtz(k=3.54, a=1.0, b=2.0)  # k² = 12.5, and 12.3 of the mode 1, 2
    usual = fit(problem, **TINY)
    assert usual.assessment is not None and usual.assessment.drifted
    refined = fit(problem, tolerance=1e-4, refinements=4, **TINY)
    assert refined.outcome == "converged"
    assert error(refined) < 1e-4 < error(usual)


def test_a_kink_where_the_axis_closes_is_an_input() -> None:
    problem = Reaction(rho=2.0)
    solver = fit(problem, tolerance=1e-5, **TINY)
    assert solver.outcome == "converged"
    assert solver.field_ansatz.seams == 1 and solver.field_ansatz.inputs == 4
    assert error(solver) < 1e-5  # 4.5e-5 without it


def test_an_orbit_in_time_windows_agrees_with_scipy_to_the_tenth_digit() -> None:
    windows = "time_windows:count=4,width=8,depth=2"
    solver = fit(LotkaVolterra(until=4.0), network=windows, points=200, restarts=0, tolerance=1e-8)
    assert solver.outcome == "converged"
    assert solver.network.settings["random_neurons"] in (30, 60, 120)
    problem = LotkaVolterra(until=4.0)
    times = np.linspace(0, 4, 101)
    a, b, c, d = (getattr(problem, name) for name in problem.coefficients)
    true = solve_ivp(
        lambda t, y: [a * y[0] - b * y[0] * y[1], d * y[0] * y[1] - c * y[1]],
        (0, 4), [1.0, 1.0], method="DOP853", rtol=1e-13, atol=1e-13, t_eval=times,
    ).y  # fmt: skip
    assert np.abs(np.asarray(solver(times)) - true).max() < 1e-8 * np.abs(true).max()


def test_a_correction_begins_at_zero_in_dense_networks_and_in_time_windows() -> None:
    rng = np.random.default_rng(0)
    inputs = torch.from_numpy(rng.uniform(-1, 1, (1, 40, 2)))
    for network in (MLP(2, 1, width=5, depth=2), TimeWindows(2, 1, count=3, width=4, depth=1)):
        weights = torch.from_numpy(network.init_weights(rng))
        made = refinement(network, weights, 7, np.random.default_rng(1))
        before = network.forward(weights, inputs, ("",))
        assert torch.allclose(made.network.forward(made.weights, inputs, ("",)), before, atol=1e-14)
        found = base_places(made.network)
        assert found is not None and found[0] == network
        assert torch.equal(made.weights[found[1]], weights)
        assert torch.equal(found[1], made.places)
        assert int(made.heads.sum()) == 8 * network.time_windows
        fitted = made.weights.clone()
        fitted[made.heads] = torch.from_numpy(rng.normal(size=int(made.heads.sum())))
        # what is kept of it, and the solver, are all of it
        kept = Correction.of(made.network, fitted)
        assert kept is not None and kept.neurons == 7
        neurons = network.width if isinstance(network.width, int) else network.width[-1]
        assert len(kept.weights) == (7 * (neurons + 1) + 8) * network.time_windows
        again, whole = kept.on(network, weights)
        assert again == made.network and torch.equal(whole, fitted)
        more = refinement(network, weights, 11, np.random.default_rng(1), (made, fitted))
        assert torch.allclose(
            more.network.forward(more.weights, inputs, ("",)),
            made.network.forward(fitted, inputs, ("",)),
            atol=1e-13,
        )


def test_gauss_newton_solves_what_normal_equations_cannot() -> None:
    task = PhysicsTask(Heat(alpha=0.4))
    network = MLP(2, 1, width=30, depth=1)
    weights = torch.from_numpy(network.init_weights(np.random.default_rng(0), 0.1))
    terms = task.terms(network, weights, SamplingSpec(points=200), generator(0, "here"))
    heads = torch.zeros(network.size, dtype=torch.bool)
    heads[network.head] = True
    problem = LeastSquares(network, weights, heads, terms)
    r, jacobian = problem.linearise(problem.x0)
    matrix = jacobian.dense()
    assert torch.linalg.cond(matrix) > 1e8
    ended = GaussNewton(damping=1e-15).run(problem, problem.x0, 3)
    best, *_ = np.linalg.lstsq(matrix.numpy(), -r.numpy(), rcond=1e-15)
    least = np.linalg.norm(matrix.numpy() @ best + r.numpy())
    assert (2 * ended.loss) ** 0.5 == pytest.approx(least, rel=1e-6)
    # in blocks of rows, and with an anchor, against the stacked system
    anchored = replace(problem, anchor=Anchor(0.3, torch.zeros_like(problem.x0)))
    step = GaussNewton(damping=1e-15, memory_gib=1e-4).run(anchored, problem.x0, 1).x
    whole = np.vstack([matrix.numpy(), np.sqrt(0.6) * np.eye(len(step))])
    right = np.concatenate([(matrix @ problem.x0 - r).numpy(), np.zeros(len(step))])
    assert np.allclose(step.numpy(), np.linalg.lstsq(whole, right, rcond=None)[0], atol=1e-9)


def test_fewer_rows_than_unknowns_leave_no_loss() -> None:
    """½ min ‖J δ + r‖² from the factor, beside lstsq."""
    rng = np.random.default_rng(3)
    for rows in (4, 7, 12):
        matrix, r = rng.normal(size=(rows, 7)), rng.normal(size=(rows, 1))
        x = torch.zeros(7, dtype=torch.float64)
        factor = OrthogonalFactor.empty(x).joined([torch.tensor(np.hstack([matrix, -r]))])
        missed = matrix @ np.linalg.lstsq(matrix, -r, rcond=None)[0] + r
        assert factor.least_loss == pytest.approx(0.5 * (missed**2).sum(), rel=1e-12, abs=1e-20)
