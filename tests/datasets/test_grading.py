"""References grade, and nothing waits for one."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from pacpde import fit, transfer, transfer_in_turn, transfer_many
from pacpde.datasets import cache, grading_reference, load, transfer_references, write
from pacpde.datasets.grading import References, choice_inputs
from pacpde.datasets.tables import read_table
from pacpde.errors import DataFileError, InvalidValueError, SolverError
from pacpde.methods.pac import PAC
from pacpde.physics import Axis, Evolution, coefficient, families
from pacpde.problems import Heat, Lorenz
from pacpde.reference import solve
from pacpde.studies.comparison import compare

S = {"width": 6, "depth": 2, "points": 60, "steps": 2}
ENDS = ("source", "target")


@dataclass(frozen=True)
class Bomb(Evolution):
    """u' = a u², which ends at t = 1/a: no reference for a ≥ 1."""

    name = "test_grading_bomb"
    axes = (Axis("t", 0.0, 1.0),)
    a: float = coefficient(0.5, lower=0.1, upper=10.0, meaning="rate")

    def rhs(self, u, d):
        return self.a * u * u

    def initial(self):
        return 1.0


@pytest.fixture(autouse=True)
def bomb() -> None:
    """Known by its name while a test runs."""
    families.register(Bomb.name, Bomb)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The problems that were really solved."""
    problems: list[str] = []
    real = cache.solve_or_exact

    def counting(problem, *options):
        problems.append(str(problem))
        return real(problem, *options)

    monkeypatch.setattr(cache, "solve_or_exact", counting)
    return problems


def test_the_best_certificate_is_taken_and_said(solved: list[str]) -> None:
    told: list[str] = []
    found = grading_reference(Lorenz(rho=28.0), tolerance=1e-12, log=told.append)
    assert found is not None and 1e-12 < found.certified_error < 1e-10
    assert told[0].startswith("the reference of lorenz") and "not to 1e-12" in told[0]
    again = grading_reference(Lorenz(rho=28.0), tolerance=1e-12)
    assert again is not None and np.array_equal(again.values, found.values) and len(solved) == 1


def test_that_there_is_none_is_said_and_remembered(solved: list[str]) -> None:
    for _ in range(2):
        told: list[str] = []
        assert grading_reference(Bomb(a=2.0), log=told.append) is None
        assert "has no reference up to t = 1" in told[0] and "will not be known" in told[0]
    assert len(solved) == 1


def test_a_reference_may_be_named(tmp_path: Path) -> None:
    problem = Heat(alpha=0.3)
    made = solve(problem, tolerance=1e-3)
    write(made, tmp_path / "heat.h5")
    assert grading_reference(problem, made) is made
    read = grading_reference(problem, tmp_path / "heat.h5")
    assert read is not None and np.array_equal(read.values, made.values)
    assert grading_reference(problem, None) is None
    assert grading_reference(problem, "none") is None
    with pytest.raises(InvalidValueError, match=r"solves heat\(alpha=0\.3\) up to t = 1, expected"):
        grading_reference(Heat(alpha=0.2), made)
    with pytest.raises(DataFileError, match=r"up to t = 1, expected up to t = 0\.5"):
        grading_reference(Heat(alpha=0.3, until=0.5), tmp_path / "heat.h5")
    with pytest.raises(InvalidValueError, match="expected 'auto', None, a Reference or a file"):
        grading_reference(problem, 3)


def test_a_pipe_or_device_is_no_reference(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(DataFileError, match="is a pipe or device, expected a regular file"):
            choice_inputs(place, None)
        with pytest.raises(DataFileError, match="is a pipe or device, expected a regular file"):
            grading_reference(Heat(), place)


def test_a_named_reference_grades_the_target_alone(tmp_path: Path, solved: list[str]) -> None:
    made = solve(Heat(alpha=0.3), tolerance=1e-3)
    found = transfer_references(Heat(), Heat(alpha=0.3), made, 1e-3)
    assert found.target is made and found.source is not None and solved == ["heat(alpha=0.4)"]


def test_a_tolerance_that_nothing_is_certified_to_is_refused() -> None:
    made = solve(Heat(), tolerance=1e-3)
    ends = References(made, made)
    calls = (
        lambda: grading_reference(Heat(), made, 1e-3),
        lambda: grading_reference(Heat(), "heat.h5", 1e-3),
        lambda: transfer_references(Heat(), Heat(), made, 1e-3),
        lambda: transfer_references(Heat(), Heat(alpha=0.3), ends, 1e-3),
    )
    for call in calls:
        with pytest.raises(InvalidValueError, match=r"tolerance is 0\.001, without effect, as the"):
            call()


def test_a_transfer_goes_on_ungraded_with_the_same_weights() -> None:
    source, target = fit(Heat(), **S), Heat(alpha=0.3)
    given = {"method": "pac", "settings": {"points": 60, "steps": 2}}
    graded = transfer(source, target, reference_tolerance=1e-4, **given)
    ungraded = transfer(source, target, reference=None, **given)
    assert torch.equal(graded.surrogate.weights, ungraded.surrogate.weights)
    assert graded.target_error is not None and graded.reference_error is not None
    record = ungraded.record()
    assert record["target_error"] is None and record["zero_shot_error"] is None
    assert set(record["source_error"].values()) == {None}
    assert all("error" not in entry for entry in ungraded.history)


def test_a_fit_is_graded_on_demand_and_has_the_same_bits() -> None:
    plain, graded = fit(Heat(), **S), fit(Heat(), reference="auto", reference_tolerance=1e-4, **S)
    assert torch.equal(plain.weights, graded.weights)
    assert "error" not in plain.history[-1] and graded.history[-1]["error"] > 0


def test_without_a_certificate_everything_goes_on() -> None:
    source = fit(Bomb(), **S)
    result = transfer(source, Bomb(a=2.0), method="warm_start", settings={"points": 60, "steps": 2})
    assert result.target_error is None and result.reference_error is None
    assert result.source_error["unmasked"] is not None  # the source has a reference
    (one,) = transfer_many(
        source, [Bomb(a=2.0)], method="warm_start", settings={"points": 60, "steps": 2}
    )
    assert one.target_error is None
    held = transfer_in_turn(source, [Bomb(a=2.0)], settings={"points": 60, "steps": 2}).solvers
    assert held[0].error is not None and held[1].error is None


@pytest.mark.parametrize("call", [transfer, transfer_many])
def test_labels_need_a_reference_before_anything_is_trained(
    call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fit(Bomb(), **S)
    monkeypatch.setattr(PAC, "run", None)  # nothing gets this far
    target = Bomb(a=2.0) if call is transfer else [Bomb(a=2.0)]
    with pytest.raises(SolverError, match="no reference to draw 5 labels from"):
        call(source, target, labels=5)


def test_a_comparison_looks_at_both_ends_before_it_trains(
    solved: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class TrainedError(Exception):
        pass

    def training(*args, **kwargs):
        raise TrainedError

    monkeypatch.setattr("pacpde.studies.cells.fit", training)
    said: list[str] = []
    with pytest.raises(TrainedError):
        compare(Bomb(), Bomb(a=2.0), ["warm_start"], settings=S, log=said.append)
    assert solved == ["test_grading_bomb(a=2)", "test_grading_bomb(a=0.5)"]
    assert "will not be known" in said[0]
    with pytest.raises(SolverError, match="no reference to draw 5 labels from"):
        compare(Bomb(), Bomb(a=2.0), ["warm_start"], settings=S, labels=5)


def test_a_comparison_goes_on_ungraded(tmp_path: Path) -> None:
    found = compare(Bomb(), Bomb(a=2.0), ["warm_start"], settings=S, folder=tmp_path / "runs")
    assert found.records[0]["target_error"] is None and found.references.target is None
    from pacpde import plots

    drawn = plots.draw_all(found, tmp_path / "runs")
    assert [path.name for path in drawn] == ["source_error.png"]


def test_the_exact_solution_grades_on_request(tmp_path: Path) -> None:
    problem = Heat(alpha=0.3)
    reference = grading_reference(problem, "exact")
    assert reference is not None and reference.certified_error < 1e-9
    assert np.array_equal(reference(0.3, 0.4), problem.exact(np.array(0.3), np.array(0.4)))
    both = transfer_references(Heat(alpha=0.2), problem, "exact")
    assert both.source is not None and "exact" in both.source.solver
    write(reference, tmp_path / "exact.h5")
    again = load(tmp_path / "exact.h5", problem).reference
    assert np.array_equal(again(0.3, 0.4), reference(0.3, 0.4))
    with pytest.raises(SolverError, match="gives no exact solution"):
        grading_reference(Lorenz(), "exact")


def test_a_table_of_the_user_grades(tmp_path: Path) -> None:
    problem = Heat(alpha=0.3)
    t, x = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 31), indexing="ij")
    rows = np.stack([x.ravel(), problem.exact(t, x).ravel(), t.ravel()], -1)
    file = tmp_path / "mine.csv"
    np.random.default_rng(0).shuffle(rows)
    np.savetxt(file, rows, delimiter=",", header="x,u,t", comments="", fmt="%.17g")
    said: list[str] = []
    reference = grading_reference(problem, file, log=said.append)
    assert reference is not None and "nothing is known of the error" in said[0]
    assert reference.known_error is None and reference.values.shape == (1, 21, 31)
    assert np.array_equal(reference.values, problem.exact(t, x))
    # cubic splines with spacings of 1/20 and 1/30 of a sine that decays with rate 3
    write(reference, tmp_path / "mine.h5")
    again = load(tmp_path / "mine.h5", problem).reference
    assert again(0.333, 0.444) == reference(0.333, 0.444) and again.known_error is None
    assert np.abs(reference(0.333, 0.444) - problem.exact(0.333, 0.444)).max() < 1e-4
    np.savetxt(file, rows[1:], delimiter=",", header="x,u,t", comments="")
    with pytest.raises(DataFileError, match=r"650 points, .* 21 × 31 different values: expected a"):
        grading_reference(problem, file)
    np.savetxt(file, rows, delimiter=",", header="x,v,t", comments="")
    with pytest.raises(DataFileError, match="has the columns x, v, t, expected t, x, u"):
        grading_reference(problem, file)


def test_files_of_others_grade(tmp_path: Path) -> None:
    """Grids of numpy and MATLAB, in either order, as a table of text does."""
    problem, T, X = Heat(alpha=0.3), np.linspace(0, 1, 11), np.linspace(0, 1, 13)
    u = problem.exact(*np.meshgrid(T, X, indexing="ij"))[0]
    np.savez(tmp_path / "theirs.npz", t=T, x=X[:, None], u=u)
    savemat(tmp_path / "theirs.mat", {"t": T[:, None], "x": X[None], "u": u.T})
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        file["t"], file["x"], file["U [K]"] = T, X, u
    for name in ("theirs.npz", "theirs.mat", "theirs.h5"):
        reference = grading_reference(problem, tmp_path / name)
        assert reference is not None and reference.known_error is None
        assert np.array_equal(reference.values[0], u)
    np.savez(tmp_path / "named.npz", time=T, x=X, usol=u.T)
    reference = read_table(tmp_path / "named.npz", problem, {"t": "time", "u": "usol"})
    assert np.array_equal(reference.values[0], u)
    np.savez(tmp_path / "holes.npz", t=T, x=X, u=np.where(u > 0.99, np.nan, u))
    with pytest.raises(DataFileError, match=r"has no number for u in row .*: a reference needs"):
        grading_reference(problem, tmp_path / "holes.npz")
    np.savez(tmp_path / "far.npz", t=2 * T, x=X, u=u)
    with pytest.raises(DataFileError, match=r"points lie outside the domain .*: leave them out"):
        grading_reference(problem, tmp_path / "far.npz")
