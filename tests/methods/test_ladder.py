"""Ladders: a far target over rungs; warm start keeps the last one, PAC every one."""

import numpy as np
import pytest
import torch

from pacpde import PAC, Surrogate, WarmStart, fit, transfer
from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.methods.own_weights import n_unused
from pacpde.methods.result import TransferResult
from pacpde.networks import checkpoint
from pacpde.networks.assessment import Assessment
from pacpde.networks.outcome import Outcome
from pacpde.pac.reinit import widen
from pacpde.problems import Burgers, Heat, Lorenz
from pacpde.training import trainer
from pacpde.training.callbacks import Callback, FitState
from pacpde.training.continuation import ladder
from tests.request_clock import RequestClock

SETTINGS = {"points": 150, "steps": 12}
TARGET = Heat(alpha=0.05)
MESH = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=16, depth=2, **SETTINGS)


@pytest.fixture(scope="module")
def pac(source: Surrogate) -> TransferResult:
    return transfer(source, TARGET, method=PAC(ladder=[0.2, 0.1]), settings=SETTINGS)


def error(solver: Surrogate) -> float:
    """Relative L2 error by the exact solution of its own problem."""
    exact = solver.problem.exact(*MESH)[0]
    return float(np.linalg.norm(solver(*MESH) - exact) / np.linalg.norm(exact))


def test_the_rungs_of_a_ladder() -> None:
    given = ladder(Burgers(nu=0.1), Burgers(nu=0.01), [0.05, 0.02])
    assert [rung.coefficients["nu"] for rung in given] == [0.05, 0.02, 0.01]
    assert given == ladder(Burgers(nu=0.1), Burgers(nu=0.01), [0.05, 0.02, 0.01])
    automatic = ladder(Burgers(nu=0.1), Burgers(nu=5e-4), None)
    values = [rung.coefficients["nu"] for rung in automatic]
    # 200 is 3 to the power 4.8: five equal steps of the logarithm
    assert values == pytest.approx([0.1 * 200 ** (-k / 5) for k in range(1, 6)], rel=1e-12)
    assert len(ladder(Heat(alpha=0.4), Heat(alpha=0.2), None)) == 1
    longer = ladder(Lorenz(until=3.0), Lorenz(until=10.0), [5.0])
    assert [rung.until for rung in longer] == [5.0, 10.0]


def test_the_last_rung_is_the_refined_result() -> None:
    """Its estimate was that of before the refinement, with `converged`."""
    source = fit(Heat(alpha=0.4), seed=0, width=10, depth=2, points=100, steps=15)
    settings = {"tolerance": 1e-6, "points": 100, "steps": 15}
    result = transfer(source, Heat(alpha=0.3), ladder=[0.35], settings=settings)
    last = result.rungs[-1]
    assert last.outcome == result.surrogate.outcome
    assert last.error_estimate == result.surrogate.assessment.error_estimate
    assert last.error_estimate < 1e-5
    assert result.record()["rungs"][-1]["error_estimate"] == last.error_estimate
    spent = result.record()["seconds"]["calibrate"]
    assert sum(rung.seconds for rung in result.rungs) == pytest.approx(spent)
    assert last.seconds == pytest.approx(spent - result.rungs[0].seconds)


def test_pac_goes_up_a_ladder_from_a_refined_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacpde.training.refinement.FIRST", 40)
    small = {"points": 100, "steps": 15}
    refined = fit(Heat(alpha=0.4), seed=0, width=10, depth=2, tolerance=1e-7, **small)
    assert type(refined.network).__name__ == "RefinedNetwork"
    with pytest.raises(InvalidValueError, match="each beyond the one before"):  # the rungs first
        transfer(refined, Heat(alpha=0.3), ladder=[0.2], settings=small)
    settings = {**small, "tolerance": 1e-5}
    result = transfer(refined, Heat(alpha=0.3), ladder=[0.35], settings=settings)
    assert result.outcome == "converged" and result.surrogate.retained["source"].correction
    assert error(result.recall()) < 1e-5 and error(result.surrogate) < 1e-5
    assert error(result.recall("rung 1")) < 1e-2
    again = result.recall("rung 2")
    assert np.array_equal(again(*MESH), result.surrogate(*MESH))
    assert again.assessment == result.surrogate.assessment


def test_warm_start_keeps_the_last_rung(source: Surrogate) -> None:
    told: list[str] = []
    result = transfer(
        source, TARGET, method="warm_start", ladder="0.2, 0.1", settings=SETTINGS,
        progress=lambda update: told.append(update.stage),
    )  # fmt: skip
    assert [rung.problem.coefficients["alpha"] for rung in result.rungs] == [0.2, 0.1, 0.05]
    assert all(rung.outcome == "converged" and rung.seconds > 0 for rung in result.rungs)
    assert error(result.surrogate) < 1e-4
    assert list(result.surrogate.retained) == ["rung 3"]  # the last rung is the result
    assert torch.equal(result.recall("rung 3").weights, result.surrogate.weights)
    words = "rung 1 is not retained, only rung 3: of a ladder warm_start keeps the last rung alone"
    with pytest.raises(UnknownNameError, match=words):
        result.recall("rung 1")
    # the steps of all rungs are counted, on one clock
    assert sum(rung.steps for rung in result.rungs) == result.method_result.steps
    seconds = [entry["seconds"] for entry in result.history]
    assert seconds == sorted(seconds)
    assert told[0].startswith("rung 1, calibrate") and told[-1] == "calibrate"
    # rung after rung is what a user would do by hand, to the last bit
    here = source
    for alpha in (0.2, 0.1, 0.05):
        step = transfer(here, Heat(alpha=alpha), method="warm_start", settings=SETTINGS)
        here = step.surrogate
    assert torch.equal(here.weights, result.surrogate.weights)


def test_pac_keeps_every_rung_to_the_last_bit(
    source: Surrogate, pac: TransferResult, tmp_path: object
) -> None:
    assert list(pac.surrogate.retained) == ["source", "rung 1", "rung 2", "rung 3"]
    for name in ("rung 3", pac.rungs[-1].name):
        assert torch.equal(pac.recall(name).weights, pac.surrogate.weights)
        assert pac.recall(name).outcome == pac.outcome
    assert all(rung.added_neurons == 0 for rung in pac.rungs)
    assert pac.surrogate.parameters == source.parameters
    assert sum(rung.n_own or 0 for rung in pac.rungs) <= 0.65 * source.parameters + 3
    for rung in pac.rungs[:-1]:
        recalled = pac.recall(rung.name)
        assert recalled.problem == rung.problem and recalled.outcome == rung.outcome
        # the estimate of each rung, when it was fitted, is of what is recalled now
        assert error(recalled) < min(1e-3, 3 * (rung.error_estimate or 0))
    assert error(pac.surrogate) < 1e-3
    # a ladder that ends at the first rung with the same share leaves the same solver there
    shorter = transfer(
        source, Heat(alpha=0.1), method=PAC(ladder=[0.2]), settings=SETTINGS, reference=None
    )  # fmt: skip
    assert torch.equal(shorter.recall().weights, pac.recall().weights)
    checkpoint.save(pac.surrogate, f"{tmp_path}/kept")
    kept = checkpoint.load(f"{tmp_path}/kept")
    for name in pac.surrogate.retained:
        assert np.array_equal(kept.recall(name)(*MESH), pac.recall(name)(*MESH))


def test_later_rungs_change_no_bit_of_earlier_ones(source: Surrogate) -> None:
    starts: list[torch.Tensor] = []

    class Start(Callback):
        def on_start(self, fit: FitState) -> None:
            starts.append(fit.weights.clone())

    result = transfer(
        source, TARGET, method=PAC(ladder=[0.2, 0.1]), settings=SETTINGS, callbacks=[Start()]
    )
    last = starts[-1]  # the target's own fit begins with all rungs in place
    for name in ("source", "rung 1", "rung 2"):
        mask = result.surrogate.retained[name].mask
        assert torch.equal(last[mask], result.surrogate.weights[mask])
        assert torch.count_nonzero(last[mask]) > 0


def test_neurons_are_added_where_there_is_no_room(source: Surrogate) -> None:
    result = transfer(
        source, TARGET, method=PAC(sparsity=0.1, ladder=[0.2, 0.1]), settings=SETTINGS
    )
    assert sum(rung.added_neurons for rung in result.rungs) > 0
    assert result.surrogate.parameters > source.parameters
    for rung in result.rungs[:-1]:
        assert error(result.recall(rung.name)) < 3e-3
    allocated = result.snapshots["allocated"]
    small = allocated.weights[allocated.retained["source"].mask]
    large = result.surrogate.weights[result.surrogate.retained["source"].mask]
    assert torch.equal(small, large)


def test_after_a_rung_that_needs_more_than_its_part_the_next_one_gets_as_many(
    source: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(fit: FitState, assessment: Assessment | None, tolerance: float) -> Outcome:
        if fit.stage == "keep":  # in the part of a rung
            return Outcome.NOT_CONVERGED
        return usual(fit, assessment, tolerance)

    usual = trainer._outcome
    monkeypatch.setattr(trainer, "_outcome", outcome)
    clock = RequestClock.patched(monkeypatch)
    result = transfer(
        source, Heat(alpha=0.1), method=PAC(ladder=[0.2]), settings=SETTINGS, reference=None
    )  # fmt: skip
    assert result.surrogate.seconds == clock.seconds
    on_rungs = result.record()["seconds"]["calibrate"]
    assert sum(rung.seconds for rung in result.rungs) == on_rungs  # failed tries too
    first, last = result.rungs
    assert first.n_own == n_unused(result.snapshots["allocated"])  # all that were free
    assert last.added_neurons > 0
    assert last.n_own is not None and last.n_own >= first.n_own
    assert error(result.recall("rung 1")) < 1e-3 and error(result.surrogate) < 1e-3


@pytest.fixture
def hard(monkeypatch: pytest.MonkeyPatch) -> set[float]:
    """Values of α of which no fit converges."""
    values: set[float] = set()

    def outcome(fit: FitState, assessment: Assessment | None, tolerance: float) -> Outcome:
        if fit.surrogate().problem.coefficients["alpha"] in values:
            return Outcome.NOT_CONVERGED
        return usual(fit, assessment, tolerance)

    usual = trainer._outcome
    monkeypatch.setattr(trainer, "_outcome", outcome)
    return values


@pytest.mark.parametrize("method", [WarmStart, PAC])
def test_a_rung_that_is_not_solved_ends_the_ladder(
    source: Surrogate, method: type[WarmStart | PAC], hard: set[float]
) -> None:
    hard.add(0.1)
    result = transfer(
        source, TARGET, method=method(ladder=[0.2, 0.1, 0.07]), settings=SETTINGS, reference=None
    )
    assert [(rung.name, str(rung.outcome)) for rung in result.rungs] == [
        ("rung 1", "converged"), ("rung 2", "not_converged"), ("rung 4", "converged"),
    ]  # fmt: skip
    assert result.surrogate.assessment is not None
    assert sum("rung 2" in note for note in result.surrogate.assessment.notes) == 1
    # as if it had not been asked for
    without = transfer(
        source, TARGET, method=method(ladder=[0.2]), settings=SETTINGS, reference=None
    )
    if method is WarmStart:
        assert torch.equal(result.surrogate.weights, without.surrogate.weights)
    else:
        assert list(result.surrogate.retained) == ["source", "rung 1", "rung 4"]
        assert error(result.recall("rung 1")) < 1e-3 and error(result.surrogate) < 3e-3
    assert sum(rung.steps for rung in result.rungs) <= result.method_result.steps
    seconds = [entry["seconds"] for entry in result.history]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("method", ["warm_start", "pac"])
def test_a_ladder_ends_no_worse_than_a_transfer_without(
    source: Surrogate, method: str, hard: set[float]
) -> None:
    hard.add(TARGET.alpha)
    few = {**SETTINGS, "steps": 4}
    climbed = transfer(source, TARGET, method=method, ladder=[0.2], settings=few, reference=None)
    at_once = transfer(source, TARGET, method=method, settings=few, reference=None)
    found, plain = climbed.surrogate.assessment, at_once.surrogate.assessment
    assert found is not None and plain is not None
    assert climbed.outcome == "not_converged"
    assert found.error_estimate is not None and plain.error_estimate is not None
    assert max(found.error_estimate, found.residual) <= max(plain.error_estimate, plain.residual)
    stages = [entry["stage"] for entry in climbed.history]
    assert any(stage.startswith("without ladder, ") for stage in stages)
    assert climbed.method_result.steps > at_once.method_result.steps
    assert climbed.rungs[-1].steps > at_once.method_result.steps
    if method == "warm_start":  # no allocate is before its rungs
        assert sum(rung.steps for rung in climbed.rungs) == climbed.surrogate.steps
        spent = climbed.record()["seconds"]["total"]
        assert sum(rung.seconds for rung in climbed.rungs) == pytest.approx(spent)


def test_a_walk_that_drifts_is_followed_by_a_cold_start(
    source: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(fit: FitState, assessment: Assessment | None, tolerance: float) -> Outcome:
        return Outcome.DRIFTED if fit.stage == "calibrate" else usual(fit, assessment, tolerance)

    usual = trainer._outcome
    monkeypatch.setattr(trainer, "_outcome", outcome)
    result = transfer(source, TARGET, method="warm_start", settings=SETTINGS, reference=None)
    stages = [entry["stage"] for entry in result.history]
    assert stages[-1] == "calibrate.cold_start" and result.outcome == "converged"
    only = transfer(
        source, TARGET, method=WarmStart(continuation="adaptive_only"), settings=SETTINGS,
        reference=None,
    )  # fmt: skip
    assert only.outcome == "drifted"


def test_a_method_without_a_ladder_says_which_have_one(source: Surrogate) -> None:
    with pytest.raises(UnknownNameError, match="scratch 'ladder': continuation, "):
        transfer(source, TARGET, method="scratch", ladder="auto", settings=SETTINGS)


def test_pac_goes_up_a_ladder_in_time_windows() -> None:
    windows = "time_windows:count=2,width=6,depth=2"
    source = fit(Heat(alpha=0.4), network=windows, restarts=0, **SETTINGS)
    wide = widen(source, 3, seed=0)
    assert wide.network.size > source.network.size
    assert np.allclose(wide(*MESH), source(*MESH), rtol=0, atol=1e-12)
    result = transfer(
        source, Heat(alpha=0.3), method=PAC(sparsity=0.1, ladder=[0.35]), settings=SETTINGS
    )
    assert result.rungs[0].added_neurons > 0 and result.outcome == "converged"
    assert error(result.recall("rung 1")) < 1e-2 and error(result.surrogate) < 1e-2
    mask = result.surrogate.retained["source"].mask
    allocated = result.snapshots["allocated"]
    kept = allocated.weights[allocated.retained["source"].mask]
    assert torch.equal(result.surrogate.weights[mask], kept)
    assert np.allclose(result.recall()(*MESH), allocated(*MESH), rtol=0, atol=1e-12)


def test_the_record_has_every_rung(pac: TransferResult) -> None:
    rungs = pac.record()["rungs"]
    assert [rung["coefficients"]["alpha"] for rung in rungs] == [0.2, 0.1, 0.05]
    assert rungs[0]["error_estimate"] == pac.rungs[0].error_estimate
    assert PAC(ladder=[0.2, 0.1]) == PAC(ladder="0.2,0.1") == PAC(**PAC(ladder=[0.2, 0.1]).options)


@pytest.mark.parametrize(
    ("target", "values", "sentence"),
    [
        (Heat(alpha=0.4), "auto", "no rungs: the target is the source's own"),
        (TARGET, "0.1, 0.2", "lead from the source's 0.4 to the target's 0.05"),
        (TARGET, "0.5", "lead from the source's 0.4 to the target's 0.05"),
        (TARGET, "0.2, 0.2", "each beyond the one before"),
        (Heat(alpha=0.1, until=0.5), "0.2", "changes alpha and the time span"),
    ],
)
def test_ladders_that_lead_nowhere_are_refused(
    source: Surrogate, target: Heat, values: str, sentence: str
) -> None:
    with pytest.raises(InvalidValueError, match=sentence):
        transfer(source, target, method=WarmStart(ladder=values), settings=SETTINGS)


def test_ladders_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="expected auto, or values"):
        WarmStart(ladder="steep")
    with pytest.raises(InvalidValueError, match="is empty"):
        PAC(ladder=[])
    with pytest.raises(InvalidValueError, match="tune_penalty tries several"):
        PAC(ladder="auto", tune_penalty=True)
