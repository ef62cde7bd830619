"""The source that is nearest by its residual on the target."""

from pathlib import Path

import pytest
import torch

from pacpde import fit, load, nearest, save, transfer
from pacpde.errors import InvalidValueError
from pacpde.methods.nearest import zero_shot_residual
from pacpde.problems import Burgers, Heat

SETTINGS = {"width": 8, "depth": 2, "points": 100, "steps": 10}


def test_it_is_the_one_with_the_smallest_residual() -> None:
    sources = [fit(Heat(alpha=alpha), seed=0, **SETTINGS) for alpha in (0.1, 0.3, 0.8)]
    assert nearest(sources, Heat(alpha=0.28)) is sources[1]
    assert nearest(sources, Heat(alpha=0.09)) is sources[0]
    assert nearest(sources, Heat(alpha=0.9)) is sources[2]
    # on its own problem a source has the residual that it was trained to
    own = zero_shot_residual(sources[1], sources[1].problem)
    assert own == pytest.approx(sources[1].history[-1]["held_out"], rel=1e-6)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="no sources"):
        nearest([], Heat())
    with pytest.raises(InvalidValueError, match="one family"):
        nearest([fit(Heat(), seed=0, **{**SETTINGS, "steps": 1})], Burgers())


def test_as_a_method_it_starts_from_the_nearest_of_a_library(tmp_path: Path) -> None:
    far = fit(Heat(alpha=0.9), seed=0, **SETTINGS)
    for alpha in (0.1, 0.3):
        save(fit(Heat(alpha=alpha), seed=0, **SETTINGS), tmp_path / f"{alpha}")
    one = {"points": 100, "steps": 1}
    save(fit(Burgers(), seed=0, width=4, depth=1, points=30, steps=1), tmp_path / "another family")
    solved = transfer(far, Heat(alpha=0.29), method="scipy").surrogate
    save(solved, tmp_path / "scipy")
    target = Heat(alpha=0.29)
    made = transfer(far, target, method="nearest_source", among=str(tmp_path), settings=one)
    expected = transfer(load(tmp_path / "0.3"), target, method="warm_start", settings=one)
    assert torch.equal(made.surrogate.weights, expected.surrogate.weights)
    from_far = transfer(far, target, method="warm_start", settings=one)
    assert not torch.equal(made.surrogate.weights, from_far.surrogate.weights)
    with pytest.raises(InvalidValueError, match="no weights to start from"):
        transfer(solved, target, method="warm_start")
    with pytest.raises(InvalidValueError, match="holds no surrogate folders"):
        transfer(far, target, method="nearest_source", among=str(tmp_path / "0.1"), settings=one)
