"""The same fits on every device that is there, and the same bits kept on each."""

from collections.abc import Callable
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import (
    Library,
    Runtime,
    fit,
    fit_classes,
    load,
    save,
    transfer,
    transfer_classes,
    transfer_many,
)
from pacpde.interop import modules
from pacpde.problems import Heat

SMALL = {"width": 10, "depth": 2, "points": 200, "steps": 15}


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    return str(request.param)


@pytest.mark.parametrize("optimiser", ["levenberg_marquardt", "ssbroyden", "lbfgs", "soap"])
def test_a_fit_stays_on_its_device_and_solves(device: str, optimiser: str) -> None:
    steps = 15 if optimiser == "levenberg_marquardt" else 150
    settings = {**SMALL, "steps": steps, "optimiser": optimiser, "points": 100}
    made = fit(Heat(alpha=0.2), runtime=Runtime(device), **settings)
    assert made.weights.device.type == device
    t, x = np.meshgrid(np.linspace(0, 1, 11), np.linspace(0, 1, 11))
    exact = np.exp(-0.2 * pi**2 * t) * np.sin(pi * x)
    error = np.linalg.norm(made(t, x) - exact) / np.linalg.norm(exact)
    assert error < (1e-3 if optimiser == "levenberg_marquardt" else 0.2)


def test_pac_keeps_the_source_to_the_last_bit(device: str, tmp_path: object) -> None:
    source = fit(Heat(alpha=0.2), runtime=Runtime(device), **SMALL)
    result = transfer(source, Heat(alpha=0.3), method="pac", sparsity=0.5, settings={"steps": 5})
    assert result.surrogate.weights.device.type == device
    assert result.source_error["recalled"] == result.source_error["allocated"]
    place = f"{tmp_path}/kept"
    save(result.surrogate, place)
    again = load(place)
    assert torch.equal(again.weights.cpu(), result.surrogate.weights.cpu())


def test_gradients_come_back_to_where_the_coordinates_are(device: str) -> None:
    made = fit(Heat(alpha=0.2), runtime=Runtime(device), **{**SMALL, "steps": 2})
    x = torch.linspace(0.1, 1.0000000000000002, 5, dtype=torch.float64, requires_grad=True)
    slopes = torch.autograd.grad(made(0.5, x).sum(), x)[0]
    assert slopes.device.type == "cpu"
    expected = made.derivative("x")(0.5, x.detach()).to("cpu")
    torch.testing.assert_close(slopes, expected, rtol=1e-10, atol=1e-10)
    assert made.derivative("xx")(0.5, x.detach().numpy()).shape == (5,)


def test_targets_side_by_side(device: str) -> None:
    source = fit(Heat(alpha=0.2), runtime=Runtime(device), **SMALL)
    targets = [Heat(alpha=0.2 + 0.02 * k) for k in (1, 2, 3)]
    settings = {"method": "warm_start", "settings": {"steps": 5}}
    found = transfer_many(source, targets, **settings)
    for target, made in zip(targets, found, strict=True):
        alone = transfer(source, target, **settings)
        assert made.surrogate.weights.device.type == device
        assert made.target_error == pytest.approx(alone.target_error, rel=1e-3)
        assert made.target_error < 1e-3


def test_a_library_stays_on_its_device(device: str, tmp_path: Path) -> None:
    runtime = Runtime(device)
    made = Library.build(
        Heat, {"alpha": (0.2, 0.4)}, tolerance=1e-3, candidates=5, settings=SMALL, runtime=runtime
    )
    made.save(tmp_path / "library")
    library = Library.load(tmp_path / "library", runtime)
    t, x = np.meshgrid(np.linspace(0, 1, 11), np.linspace(0, 1, 11))
    for alpha, values in zip((0.25, 0.35), library.solve_many([0.25, 0.35])(t, x), strict=True):
        exact = np.exp(-alpha * pi**2 * t) * np.sin(pi * x)
        assert np.linalg.norm(values - exact) < 1e-3 * np.linalg.norm(exact)
    found = library.solve(Heat(alpha=0.3))
    assert found.weights.device.type == device
    kept = [*(source.problem for source in library.sources), library.add(Heat(alpha=0.3)).problem]
    library.save(tmp_path / "more")
    stored = Library.load(tmp_path / "more", runtime)
    for problem in kept:
        assert np.array_equal(stored.recall(problem)(t, x), library.recall(problem)(t, x))
    again = Library.load(tmp_path / "library").solve(Heat(alpha=0.3))
    assert again.weights.device.type == "cpu"
    np.testing.assert_allclose(again(t, x), found(t, x), rtol=0, atol=1e-6)


def test_classes_stay_on_their_device(device: str) -> None:
    rng = np.random.default_rng(0)
    rows, classes = rng.normal(size=(90, 4)), rng.integers(0, 3, 90)
    rows[:, :3] += 6 * np.eye(3)[classes]
    source = fit_classes(rows, classes, runtime=Runtime(device), steps=10, width=8)
    assert source.weights.device.type == device
    assert (source.probabilities(*rows.T).argmax(0) == classes).mean() > 0.95
    moved = transfer_classes(source, rows[:30], classes[:30] > 0, source_table=(rows, classes),
                             steps=5)  # fmt: skip
    assert moved.surrogate.weights.device.type == device
    before = moved.snapshots["allocated"](*rows.T)
    assert np.array_equal(moved.recall()(*rows.T), before)


def test_a_module_in_its_own_loop_is_recalled(device: str) -> None:
    x = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)).to(device)
    module = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    pac = modules.PAC(module.to(device), example=x)
    pac.prune(0.6, scope="tensor")

    def train(stage: torch.nn.Module, penalty: Callable[[], Any] = lambda: 0.0) -> torch.Tensor:
        optimiser = torch.optim.Adam(stage.parameters(), 1e-2)
        for _ in range(20):
            optimiser.zero_grad()
            ((stage(x) - x.sum(1, keepdim=True) ** 2).square().mean() + penalty()).backward()
            optimiser.step()
        return stage(x)

    expected = train(pac.allocate())
    found = train(pac.calibrate(strength=1e-4), pac.penalty)
    assert torch.equal(pac.recall()(x), expected) and not torch.equal(found, expected)
    assert found.device.type == device


def test_default_device_and_dtype_of_others_have_no_effect() -> None:
    """DeepXDE's import moves both; tensors on "meta" hold no data, so that one would fail."""

    def weights() -> torch.Tensor:
        source = fit(Heat(alpha=0.2), **{**SMALL, "steps": 3})
        made = transfer(source, Heat(alpha=0.3), method="pac", settings={"steps": 3})
        return made.surrogate.weights

    expected, dtype = weights(), torch.get_default_dtype()
    other = torch.float32 if dtype == torch.float64 else torch.float64
    try:
        torch.set_default_dtype(other)
        with torch.device("meta"):
            found = weights()
    finally:
        torch.set_default_dtype(dtype)
    assert torch.equal(found, expected)
