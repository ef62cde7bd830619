"""What a caller does to autograd changes no result: starts and equations are differentiated."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit, fit_many, load, nearest, save, transfer, transfer_in_turn
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.problems import Heat, HeatModes, Lorenz
from pacpde.reference import solve

SMALL = {"width": 5, "depth": 2, "points": 40, "steps": 2}
OFF: list[Callable[[], AbstractContextManager[None]]] = [torch.no_grad, torch.inference_mode]

pytestmark = pytest.mark.parametrize("off", OFF)


def same(one: Surrogate, other: Surrogate) -> bool:
    return torch.equal(one.weights, other.weights) and one.outcome == other.outcome


def test_a_fit(off: Callable[[], AbstractContextManager[None]]) -> None:
    for problem in (HeatModes(alpha=0.3), Lorenz(until=0.2)):
        with off():
            inside = fit(problem, **SMALL)
        assert same(inside, fit(problem, **SMALL))
        assert not inside.weights.is_inference()


def test_fits_side_by_side(off: Callable[[], AbstractContextManager[None]]) -> None:
    problems = [Heat(), Heat(alpha=0.3)]
    with off():
        inside = fit_many(problems, **SMALL)
    assert all(map(same, inside, fit_many(problems, **SMALL)))


def test_transfers(off: Callable[[], AbstractContextManager[None]]) -> None:
    source, target = fit(Heat(), **SMALL), Heat(alpha=0.3)
    few = {"steps": 1, "points": 20}
    more = {"settings": few, "reference": None, "continuation": "direct"}
    outside = transfer(source, target, **more)
    with off():
        inside = transfer(source, target, **more)
    assert same(inside.surrogate, outside.surrogate)


def test_a_chain_of_transfers(off: Callable[[], AbstractContextManager[None]]) -> None:
    source = fit(Heat(), **SMALL)
    targets = [Heat(alpha=0.3)]
    outside = transfer_in_turn(source, targets, settings={"steps": 1})
    with off():
        inside = transfer_in_turn(source, targets, settings={"steps": 1})
        assert nearest([source], targets[0]) is source
    assert torch.equal(inside.surrogate.weights, outside.surrogate.weights)


def test_a_reference(off: Callable[[], AbstractContextManager[None]]) -> None:
    with off():
        inside = solve(HeatModes(alpha=0.3), tolerance=1e-6)
    outside = solve(HeatModes(alpha=0.3), tolerance=1e-6)
    assert np.array_equal(inside.fields["u"], outside.fields["u"])
    assert inside.certified_error == outside.certified_error


def test_a_start_keeps_its_derivatives(off: Callable[[], AbstractContextManager[None]]) -> None:
    """u = sin πx where the network is 0, so that u_xx = −π² sin πx."""
    points = torch.tensor([[0.0, 0.3]])
    with off():
        batch = PhysicsAnsatz(Heat()).batch(points, ("", "x", "xx"))
    expected = -(np.pi**2) * np.sin(0.3 * np.pi)
    assert float(batch.offset[2, 0, 0]) == pytest.approx(expected, rel=1e-6)  # float32 points


def test_a_folder(off: Callable[[], AbstractContextManager[None]], tmp_path) -> None:  # type: ignore[no-untyped-def]
    source = fit(Heat(), **SMALL)
    save(source, tmp_path / "source")
    with off():
        loaded = load(tmp_path / "source")
        inside = fit(loaded.problem, **SMALL)
    outside = transfer(loaded, Heat(alpha=0.3), method="warm_start", settings={"steps": 1})
    assert same(inside, source)
    assert outside.target_error is not None and np.isfinite(outside.target_error)


def test_a_process_that_never_has_gradients(
    off: Callable[[], AbstractContextManager[None]],
) -> None:
    """As a library that calls `torch.set_grad_enabled(False)` when it is imported."""
    lines = (
        "import torch; torch.set_grad_enabled(False)\n"
        "from pacpde import fit; from pacpde.problems import Heat\n"
        f"print(fit(Heat(), **{SMALL}).history[-1]['held_out'].hex(), torch.is_grad_enabled())"
    )
    if off is torch.inference_mode:
        return  # one process is enough
    ran = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [fit(Heat(), **SMALL).history[-1]["held_out"].hex(), "False"]
