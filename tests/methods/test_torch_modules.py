"""Transfers of torch modules: PAC to the last bit, every method or a sentence, images in tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pacpde import (
    PAC,
    LoRA,
    Surrogate,
    TorchModule,
    TransferResult,
    fit,
    fit_classes,
    fit_table,
    load,
    measure_classes,
    save,
    transfer,
    transfer_classes,
    transfer_table,
)
from pacpde.errors import InvalidValueError
from pacpde.methods.base import methods
from pacpde.problems import Heat
from tests.networks.user_modules import Normalised, Residual

FILTERS = PAC(scope="filter", reinit_scale=0.0, sparsity=0.5)
RNG = np.random.default_rng(0)
COLUMNS = RNG.uniform(size=(40, 2))
BEFORE, AFTER = (np.sin(k * COLUMNS[:, 0]) * COLUMNS[:, 1] for k in (3.0, 3.3))


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit_table(COLUMNS, BEFORE, network=Residual(width=8), steps=5)


def check_recalled(made: TransferResult, points: torch.Tensor) -> None:
    allocated, mask = made.snapshots["allocated"], made.surrogate.retained["source"].mask
    assert torch.equal(made.recall().weights, torch.where(mask, allocated.weights, 0))
    assert torch.equal(made.surrogate.weights[mask], allocated.weights[mask])
    assert not torch.equal(made.surrogate.weights[~mask], allocated.weights[~mask])
    assert torch.equal(made.recall().at(points), allocated.recall().at(points))
    # whole rows of hidden matrices
    rows = made.surrogate.network.layout.split(mask)["blocks.0.weight"].sum(1)
    assert sorted(rows.tolist()) == [0] * 4 + [8] * 4


@pytest.mark.parametrize("optimiser", ["levenberg_marquardt", "lbfgs", "adam:lr=1e-2", "soap"])
def test_pac_recalls_a_residual_network_to_the_last_bit(optimiser: str, source: Surrogate) -> None:
    settings: dict[str, Any] = {"optimiser": optimiser, "steps": 4}
    made = transfer_table(
        source, COLUMNS, AFTER, source_table=(COLUMNS, BEFORE), method=FILTERS, settings=settings
    )
    check_recalled(made, torch.from_numpy(COLUMNS))


def test_pac_recalls_a_residual_network_that_solves_an_equation() -> None:
    start = fit(Heat(alpha=0.4), network=Residual(width=8), points=60, steps=4, restarts=0)
    settings: dict[str, Any] = {"points": 60, "steps": 3}
    made = transfer(start, Heat(alpha=0.35), method=FILTERS, reference=None, settings=settings)
    check_recalled(made, torch.rand(9, 2, dtype=torch.float64))


WITHOUT = {  # method → what it needs and a torch module does not say
    "pac": r"write PAC\(scope=\"filter\", reinit_scale=0.0\)",
    "random_features": "has no hidden neurons",
    "transtailor": "has no hidden neurons",
    "library_head": "target's equation",
    "library_polish": "target's equation",
    "scipy": "target's equation",
}


@pytest.mark.parametrize("name", methods.names())
def test_every_method_takes_a_module_or_refuses_it_in_a_sentence(
    name: str, source: Surrogate
) -> None:
    def run() -> Any:
        own = name == "piggyback"  # which has steps of its own
        return transfer_table(
            source,
            COLUMNS,
            AFTER,
            source_table=(COLUMNS, BEFORE),
            method=methods.get(name)(steps=3 if own else None),
            settings={} if own else {"steps": 3},
        )

    if name in WITHOUT:
        with pytest.raises(InvalidValueError, match=WITHOUT[name]):
            run()
        return
    before = np.linalg.norm(source(*COLUMNS.T) - AFTER)
    # few steps: pruned networks and masks have not recovered all of it
    most = 2.0 if name in ("pac_net", "packnet", "piggyback") else 1.0
    assert np.linalg.norm(run().surrogate(*COLUMNS.T) - AFTER) < most * before


def test_what_a_module_does_not_end_in_is_said(source: Surrogate) -> None:
    network = TorchModule(Normalised())
    with pytest.raises(InvalidValueError, match="Normalised does not end in a dense layer"):
        methods.get("bss")().check_network(network)
    assert TorchModule(Residual(width=8)).n_features == 8
    with pytest.raises(InvalidValueError, match="rank is 9, expected a whole number from 1 to 8"):
        LoRA(rank=9).check_network(source.network)


def images(count: int, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bars across images of 8 × 8, where they begin, and whether they rise."""
    rng = np.random.default_rng(seed)
    start, rises = rng.uniform(1, 3, count), rng.integers(0, 2, count)
    x = np.arange(8)
    middle = start[:, None] + slope * np.where(rises, x[:, None], 7 - x[:, None]).T
    bars = np.exp(-((np.arange(8)[:, None] - middle[:, None, :]) ** 2))
    noisy = bars + 0.05 * rng.normal(size=bars.shape)
    return noisy.reshape(count, 64), start, rises


def convolutional(outputs: int) -> TorchModule:
    layers = (
        nn.Conv2d(1, 4, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3),
        nn.Tanh(),
    )
    return TorchModule(nn.Sequential(*layers, nn.Flatten(), nn.Linear(24, outputs)), (1, 8, 8))


def test_a_convolutional_network_takes_the_rows_of_a_table_as_images() -> None:
    x, start, _ = images(80, 0.4, 0)
    source = fit_table(x, start, network=convolutional(1), steps=10)
    new, moved, _ = images(30, 0.5, 1)
    test, expected, _ = images(60, 0.5, 2)
    zero_shot = np.abs(source(*test.T) - expected).mean()
    made = transfer_table(
        source, new, moved, source_table=(x, start), method=FILTERS, settings={"steps": 10}
    )
    assert np.abs(made.surrogate(*test.T) - expected).mean() < min(0.2, zero_shot)
    allocated = made.snapshots["allocated"]
    points = torch.from_numpy(test)
    assert torch.equal(made.recall().at(points), allocated.recall().at(points))


@pytest.mark.parametrize("name", ["pac", "transtailor"])
def test_methods_on_filters_take_a_chain(name: str, tmp_path: Path) -> None:
    """PAC by its defaults, and a smaller network of the target."""
    x, start, _ = images(80, 0.4, 0)
    source = fit_table(x, start, network=convolutional(1), steps=10)
    new, moved, _ = images(60, 0.5, 1)
    test, expected, _ = images(60, 0.5, 2)
    made = transfer_table(
        source, new, moved, source_table=(x, start), method=name, settings={"steps": 8}
    )
    assert np.abs(made.surrogate(*test.T) - expected).mean() < 0.2
    points = torch.from_numpy(test)
    if name == "pac":
        allocated = made.snapshots["allocated"]
        assert torch.equal(made.recall().at(points), allocated.recall().at(points))
        return
    assert made.surrogate.network.flops < 0.9 * source.network.flops
    save(made.surrogate, tmp_path / "smaller")
    assert torch.equal(load(tmp_path / "smaller").at(points), made.surrogate.at(points))


def test_classes_of_images_and_a_new_last_layer() -> None:
    x, _, rises = images(80, 0.4, 0)
    source = fit_classes(x, rises, network=convolutional(2), steps=10)
    new, _, labels = images(40, 0.55, 1)
    names = np.array(["falls", "rises"])[labels]
    made = transfer_classes(
        source, new, names, source_table=(x, rises), method="last_layer", settings={"steps": 10}
    )
    test, _, truth = images(60, 0.55, 2)
    measured = measure_classes(made.surrogate, test, np.array(["falls", "rises"])[truth])
    assert measured.accuracy > 0.9
