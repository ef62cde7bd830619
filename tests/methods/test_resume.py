"""A killed fit ends with the same bits; folders come back as they went."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import fit, load, save, transfer
from pacpde.optim.continuation import Follower, between, follow
from pacpde.optim.fit import FitResult
from pacpde.optim.journal import Journal
from pacpde.optim.update import Update
from pacpde.problems import Burgers, Heat

SMALL: dict[str, Any] = {"width": 8, "depth": 2, "points": 100, "steps": 12, "tolerance": 1e-9}


class Killed(BaseException):
    """Stands for a kill: nothing in the package catches it."""


def killer(after: int) -> Any:
    seen: list[Update] = []

    def progress(update: Update) -> None:
        seen.append(update)
        if len(seen) == after:
            raise Killed

    return progress


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize("optimiser", ["levenberg_marquardt", "adam", "lbfgs"])
def test_a_killed_fit_resumes_to_the_same_bits(tmp_path: Path, after: int, optimiser: str) -> None:
    settings = {**SMALL, "optimiser": optimiser}
    whole = fit(Heat(), **settings)
    journal = Journal(tmp_path / "journal", "key")
    with pytest.raises(Killed):
        fit(Heat(), progress=killer(after), journal=journal, **settings)
    resumed = fit(Heat(), journal=journal, **settings)
    assert torch.equal(resumed.weights, whole.weights)
    assert [e["held_out"] for e in resumed.history] == [e["held_out"] for e in whole.history]


def test_a_killed_transfer_resumes_to_the_same_bits(tmp_path: Path) -> None:
    source = fit(Heat(), **SMALL)
    options = {"method": "pac", "settings": {"points": 100, "steps": 12, "tolerance": 1e-9}}
    whole = transfer(source, Heat(alpha=0.3), **options)
    journal = Journal(tmp_path / "journal", "key")
    with pytest.raises(Killed):
        transfer(source, Heat(alpha=0.3), progress=killer(4), journal=journal, **options)
    resumed = transfer(source, Heat(alpha=0.3), journal=journal, **options)
    assert torch.equal(resumed.surrogate.weights, whole.surrogate.weights)
    assert resumed.made.steps == whole.made.steps


def test_a_journal_of_another_command_or_a_damaged_one_is_not_used(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "key")
    journal.write("train", {"weights": torch.ones(3)}, {"steps": 1})
    found = journal.read("train")
    assert found is not None
    assert found[1] == {"steps": 1}
    assert Journal(tmp_path, "other").read("train") is None
    (file,) = tmp_path.glob("train*")
    file.write_bytes(file.read_bytes()[:-4])
    assert journal.read("train") is None


def test_a_surrogate_folder_holds_everything(tmp_path: Path) -> None:
    source = fit(Heat(until=0.5), **SMALL)
    made = transfer(source, Heat(alpha=0.3, until=0.5), settings={"points": 100, "steps": 5})
    save(made.surrogate, tmp_path / "target")
    back = load(tmp_path / "target")
    t = np.linspace(0, 0.5, 40)
    assert np.array_equal(back(t, 0.3), made.surrogate(t, 0.3))
    assert np.array_equal(back.recall("source")(t, 0.3), made.recall("source")(t, 0.3))
    assert back.problem == made.surrogate.problem
    assert back.recall("source").problem == source.problem
    assert back.history == made.surrogate.history


def test_the_path_is_geometric_and_ends_at_the_target() -> None:
    source, target = Burgers(nu=0.01), Burgers(nu=0.0025)
    assert between(source, target, 0.5).nu == pytest.approx(0.005)  # type: ignore[attr-defined]
    assert between(source, target, 1.0) == target


def test_the_follower_halves_refused_steps_and_doubles_accepted_ones() -> None:
    """A corrector that can only go a quarter of the way at a time walks there and arrives."""
    source, target = Burgers(nu=0.01), Burgers(nu=0.0025)
    shares: list[float] = []
    here = 0.0

    def correct(problem: Any, fitted: FitResult | None, attempt: int) -> FitResult:
        nonlocal here
        share = float(np.log(problem.nu / 0.01) / np.log(0.25))
        shares.append(share)
        good = share - here <= 0.2501
        here = share if good else here
        return FitResult(torch.zeros(1), "", 0.0 if good else 1.0, 1, 1, 0.0, ())

    attempts, reached = follow(source, target, correct, Follower(accept=0.5))
    assert reached is attempts[-1]
    assert attempts[-1].held_out == 0.0
    np.testing.assert_allclose(shares, [1, 0.5, 0.25, 0.75, 0.5, 1.0, 0.75, 1.0], atol=1e-9)


def test_a_lost_path_says_so() -> None:
    def correct(problem: Any, fitted: FitResult | None, attempt: int) -> FitResult:
        return FitResult(torch.zeros(1), "", 1.0, 1, 1, 0.0, ())

    attempts, reached = follow(Burgers(nu=0.01), Burgers(nu=0.005), correct, Follower())
    assert reached is None
    assert len(attempts) == 7  # 1, 1/2, ... 1/64


def test_a_path_that_ends_halfway_leads_that_far() -> None:
    """The full fit starts there, which is nearer to the target than the source."""
    shares: list[float] = []

    def correct(problem: Any, fitted: FitResult | None, attempt: int) -> FitResult:
        shares.append(float(np.log(problem.nu / 0.01) / np.log(0.25)))
        held_out = 0.0 if shares[-1] <= 0.6 else 1.0
        return FitResult(torch.zeros(1), "", held_out, 1, 1, 0.0, ())

    attempts, reached = follow(Burgers(nu=0.01), Burgers(nu=0.0025), correct, Follower(accept=0.5))
    assert reached is not None and reached is not attempts[-1]
    place = next(number for number, made in enumerate(attempts) if made is reached)
    assert shares[place] == max(share for share in shares if share <= 0.6)
