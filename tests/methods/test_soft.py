"""Solvers that meet start and edges by residuals: what follows from them does so too."""

import numpy as np
import pytest

from pacpde import fit, identify, transfer, transfer_in_turn
from pacpde.datasets import reference_for
from pacpde.errors import InvalidValueError
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.problems import Burgers, Heat
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec

SMALL = {"width": 12, "depth": 2, "points": 200, "steps": 20}


def test_a_transfer_goes_on_in_the_ansatz_of_its_source() -> None:
    source = fit(Heat(alpha=0.4), hard=False, **SMALL)
    assert abs(source(0.0, 0.5) - 1) > 0  # met by a residual, so not to the last bit
    for method in ("warm_start", "pac", "coefficient_input"):
        made = transfer(source, Heat(alpha=0.3), method=method, settings={"steps": 20})
        assert isinstance(made.surrogate.ansatz, PhysicsAnsatz) and not made.surrogate.ansatz.hard
        assert made.target_error < 1e-2 < made.zero_shot_error
    with pytest.raises(InvalidValueError, match="meets its start and edges by residuals"):
        transfer(source, Heat(alpha=0.3), method="warm_start", settings={"hard": True})
    backbone = transfer_in_turn(source, [Heat(alpha=0.35)], sparsity=0.6, settings={"steps": 20})
    assert all(held.error < 2e-2 for held in backbone.solvers)
    x = np.random.default_rng(0).uniform(0, 1, (12, 2))
    measured = reference_for(Heat(alpha=0.35))(*x.T)[0]
    found = identify(source, x, measured, unknown=["alpha"])
    assert found.problem.coefficients["alpha"] == pytest.approx(0.35, rel=0.02)


def test_the_held_out_measure_sees_a_start_that_is_missed() -> None:
    """0 solves the equation and the walls, and none of the start."""
    source = fit(Burgers(nu=0.3), hard=False, **{**SMALL, "steps": 1})
    task, draw = PhysicsTask(source.problem, hard=False), SamplingSpec(odd=True)
    found = task.held_out(source.network, 0 * source.weights, draw)
    assert found == pytest.approx(0.5**0.5, rel=0.05)  # root mean square of sin πx
    assert (
        task.field_ansatz(draw).odd
        and not PhysicsTask(source.problem, like=source.field_ansatz)
        .field_ansatz(SamplingSpec())
        .hard
    )
