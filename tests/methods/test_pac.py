"""PAC says which of its stages fell short."""

from typing import Any

import pytest

from pacpde import Surrogate, fit, transfer
from pacpde.problems import Heat

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
    made = transfer(source, Heat(alpha=0.3), settings={**SMALL, "tolerance": 1e-12})
    assert made.outcome == "not_converged"
