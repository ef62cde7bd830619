"""TransTailor: what it takes away is gone, and what it keeps is the same function."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit, transfer
from pacpde.errors import InvalidValueError
from pacpde.methods.transtailor import _importance, divide_by_factors, flops_of, subnetwork_of
from pacpde.networks import checkpoint
from pacpde.networks.mlp import MLP
from pacpde.networks.reparametrised import Scaled
from pacpde.pac.tailoring import remaining
from pacpde.problems import Heat
from pacpde.residuals.factors import residuals
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import generator

SETTINGS = {"points": 150, "steps": 12}
T, X = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9))


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=10, depth=2, **SETTINGS)


def test_neurons_without_effect_can_go(source: Surrogate) -> None:
    weights = source.weights.clone()
    matrices = source.network.matrices(weights)
    matrices[1][0][:, 3] = 0  # the fourth neuron of the first layer reaches nothing
    matrices[2][0][:, [0, 5]] = 0  # nor do two of the second
    dead = Surrogate(source.network, source.ansatz, weights)
    kept = [torch.ones(10, dtype=torch.bool) for _ in range(2)]
    kept[0][3] = kept[1][0] = kept[1][5] = False
    network, smaller = subnetwork_of(dead, kept)
    assert network.widths == (9, 8) and network.size == len(smaller) < source.parameters
    again = Surrogate(network, source.ansatz, smaller)
    np.testing.assert_allclose(again(T, X), dead(T, X), atol=1e-14)


def test_the_least_important_go_until_a_share_of_the_flops_has() -> None:
    network = MLP(2, 1, 10, 2)
    importance = [torch.arange(10.0) + 100, torch.arange(10.0)]
    kept = remaining(importance, 0.75 * network.flops, partial(flops_of, network))
    assert kept is not None
    assert bool(kept[0].all())  # more important than all of the second layer
    count = int(kept[1].sum())
    assert bool(kept[1][-count:].all())
    left = 2 * (2 * 10 + 10 * count + count)
    assert left <= 0.75 * network.flops < 2 * (2 * 10 + 10 * (count + 1) + count + 1)
    narrow = MLP(2, 1, 1, 1)
    assert remaining([torch.ones(1)], 0.9 * narrow.flops, partial(flops_of, narrow)) is None


def test_importance_is_the_mean_size_of_every_points_share(source: Surrogate) -> None:
    network = Scaled.of(source.network)
    factors = torch.linspace(0.5, 1.5, network.n_extra, dtype=torch.float64)
    vector = torch.cat([source.weights, factors])
    task, draw = PhysicsTask(Heat(alpha=0.3)), SamplingSpec(30)
    terms = task.terms(network, vector, draw, generator(0, "importance"))

    def halves(a: torch.Tensor) -> torch.Tensor:
        return residuals(network, torch.cat([source.weights, a]), terms) ** 2 / 2

    slopes = torch.func.jacrev(halves)(factors)
    expected = (slopes * factors).abs().mean(0)
    found = torch.cat(_importance(network, vector, task, draw, 0))
    torch.testing.assert_close(found, expected)


def test_a_smaller_network_is_returned_and_stored(source: Surrogate, tmp_path: Path) -> None:
    target = Heat(alpha=0.3)
    made = transfer(source, target, method="transtailor", tau=20.0, rounds=2, settings=SETTINGS)
    network = made.surrogate.network
    assert network.flops < 0.85 * source.network.flops
    assert made.record()["total_parameters"] == network.size < source.parameters
    assert made.target_error < 1e-2
    checkpoint.save(made.surrogate, tmp_path / "kept")
    assert np.array_equal(checkpoint.load(tmp_path / "kept")(T, X), made.surrogate(T, X))


def test_it_stops_before_it_loses_too_much(source: Surrogate) -> None:
    target = Heat(alpha=0.3)
    warm = transfer(source, target, method="warm_start", settings=SETTINGS)
    made = transfer(source, target, method="transtailor", tau=0.0, settings=SETTINGS)
    assert made.history[-1]["held_out"] <= 1.001 * warm.history[-1]["held_out"]
    for option, value in (("flops", 0), ("tau", -1), ("rounds", 0), ("factor_steps", 0)):
        with pytest.raises(InvalidValueError, match=option):
            transfer(source, target, method="transtailor", **{option: value})


def test_dividing_keeps_the_function_under_the_factors(source: Surrogate) -> None:
    factors = torch.linspace(0.2, 3.0, 20, dtype=torch.float64)
    weights = divide_by_factors(source.network, source.weights, factors)
    scaled = Scaled.of(source.network)
    network, plain = scaled.merged(torch.cat([weights, factors]))
    again = Surrogate(network, source.ansatz, plain)
    np.testing.assert_allclose(again(T, X), source(T, X), atol=1e-13)
    assert not torch.allclose(weights, source.weights)
