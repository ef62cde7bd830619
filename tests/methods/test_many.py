"""Many fits in one call."""

import re
from pathlib import Path

import pytest
import torch

from pacpde import fit, fit_many, transfer, transfer_many
from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.networks.surrogate import Surrogate
from pacpde.problems import Burgers, Heat
from pacpde.training.resume import ResumeState

SMALL = {"width": 8, "depth": 2, "points": 120, "steps": 8}


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.2), seed=0, **SMALL)


def test_fits_of_several_seeds() -> None:
    told: list[str] = []
    found = fit_many(
        [Heat(alpha=0.2)] * 3,
        seeds=[0, 1, 0],
        progress=lambda update: told.append(update.stage),
        **SMALL,
    )
    assert torch.equal(found[0].weights, found[2].weights)
    for seed, made in zip((0, 1), found, strict=False):
        alone = fit(Heat(alpha=0.2), seed=seed, **SMALL)
        assert made.outcome == alone.outcome
        assert made.history[-1]["held_out"] == pytest.approx(alone.history[-1]["held_out"], 1e-2)
    assert {"0, train", "1, train", "2, train"} == set(told)


def test_each_fit_resumes_its_own(tmp_path: Path) -> None:
    """Also where two single fits are given one resume state."""
    problems = [Heat(alpha=0.2), Heat(alpha=0.3)]
    settings = {"width": 4, "depth": 1, "points": 20, "steps": 2}
    resume_state = ResumeState(tmp_path, "key")
    first = fit_many(problems, resume_state=resume_state, **settings)
    again = fit_many(problems, resume_state=resume_state, **settings)
    assert not torch.equal(first[0].weights, first[1].weights)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.weights, other.weights)
    shared = ResumeState(tmp_path / "shared", "key")
    for problem, made in zip(problems, first, strict=True):
        alone = fit(problem, resume_state=shared, **settings)
        assert torch.allclose(alone.weights, made.weights, rtol=1e-6)


def test_pac_to_several_targets_allocates_once(source: Surrogate) -> None:
    targets = [Heat(alpha=0.22), Heat(alpha=0.25)]
    settings = {"method": "pac", "sparsity": 0.5, "settings": {"steps": 8, "points": 120}}
    found = transfer_many(source, targets, **settings)
    for target, made in zip(targets, found, strict=True):
        alone = transfer(source, target, **settings)
        assert made.surrogate.problem == target
        assert made.target_error == pytest.approx(alone.target_error, rel=0.05)
        assert made.source_error["recalled"] == made.source_error["allocated"]
    first, second = (made.recall("source").weights for made in found)
    assert torch.equal(first, second)


def test_what_does_not_fit_together_is_refused_before_anything_runs(source: Surrogate) -> None:
    with pytest.raises(InvalidValueError, match="2 seeds for 3 fits"):
        fit_many([Heat()] * 3, seeds=[0, 1])
    with pytest.raises(InvalidValueError, match="one family"):
        transfer_many(source, [Heat(alpha=0.3), Burgers()])
    with pytest.raises(InvalidValueError, match="workers is 0"):
        fit_many([Heat()], workers=0)
    with pytest.raises(InvalidValueError, match="expected a list"):
        fit_many(Heat())
    with pytest.raises(InvalidValueError, match="give seeds"):
        fit_many([Heat()], seed=1)


@pytest.mark.parametrize(
    "setting", [("steps", 2.5), ("steps", "3"), ("width", True), ("depth", 0), ("points", -1),
                ("tolerance", float("nan")), ("tolerance", "x"), ("tolerance", 2),
                ("tolerance", float("inf")), ("memory", "2GB"),
                ("memory", 1e-5), ("memory", float("inf"))],
)  # fmt: skip
def test_settings_that_are_no_such_numbers_are_refused(setting: tuple[str, object]) -> None:
    name, value = setting
    with pytest.raises(InvalidValueError, match=f"{name} is {re.escape(repr(value))}, expected"):
        fit(Heat(), **{name: value})


def test_any_iterable_of_problems() -> None:
    settings = {"width": 4, "depth": 1, "points": 20, "steps": 1}
    found = fit_many((Heat(alpha=alpha) for alpha in (0.3, 0.4)), **settings)
    assert [made.problem.alpha for made in found] == [0.3, 0.4]


def test_coordinates_that_do_not_fit_are_refused(source: Surrogate) -> None:
    for given in (([0.1, 0.2], [0.1, 0.2, 0.3]), ("a", 0.2)):
        with pytest.raises(InvalidValueError, match="coordinates"):
            source(*given)
    assert source([], []).shape == (0,)
    with pytest.raises(UnknownNameError, match="pac"):
        transfer_many(source, [Heat(alpha=0.3)], method="pca")
