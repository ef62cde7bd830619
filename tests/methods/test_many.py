"""Many fits in one call."""

import pytest
import torch

from pacpde import fit, fit_many, transfer, transfer_many
from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.networks.surrogate import Surrogate
from pacpde.problems import Burgers, Heat

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
    with pytest.raises(InvalidValueError, match="expected at least 1"):
        fit_many([Heat()], workers=0)
    with pytest.raises(UnknownNameError, match="pac"):
        transfer_many(source, [Heat(alpha=0.3)], method="pca")
