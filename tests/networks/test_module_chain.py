"""Filters and neurons of chains of torch layers: which weights they have, and networks without."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from pacpde import MLP, PAC, TorchModule
from pacpde.errors import InvalidValueError
from pacpde.networks.reparametrised import Scaled
from tests.networks.user_modules import Residual


def dense() -> TorchModule:
    layers = [part for own in pairwise((2, 9, 7, 1)) for part in (nn.Linear(*own), nn.Tanh())]
    return TorchModule(nn.Sequential(*layers[:-1]))


def convolutional() -> TorchModule:
    first = nn.Conv2d(2, 5, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2)
    second = nn.Conv2d(5, 4, (2, 1), stride=2), nn.Softsign(), nn.Flatten()
    third = nn.Linear(16, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 2)
    return TorchModule(nn.Sequential(*first, *second, *third), input_shape=(2, 8, 8))


def weights_of(network: TorchModule) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(0, 0.4, network.size))


def points_of(network: TorchModule, count: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, (1, count, network.inputs)))


def chosen_of(network: TorchModule) -> list[torch.Tensor]:
    rng = np.random.default_rng(3)
    masks = [torch.from_numpy(rng.random(width) < 0.6) for width in network.neurons.widths]
    for mask in masks:
        mask[0], mask[1] = True, False
    return masks


def test_the_neurons_of_a_dense_chain_are_those_of_the_dense_network() -> None:
    own, other = dense().neurons, MLP(2, 1, (9, 7), 2).neurons
    chosen, weights = chosen_of(dense()), weights_of(dense())
    assert own.widths == other.widths == (9, 7)
    assert torch.equal(own.entering(chosen), other.entering(chosen))
    assert torch.equal(own.between(chosen), other.between(chosen))
    assert torch.equal(own.numbers(), other.numbers())
    for one, two in zip(own.mean_scores(weights), other.mean_scores(weights), strict=True):
        assert torch.equal(one, two)
    smaller, places = own.subnetwork(chosen)
    assert torch.equal(places, other.subnetwork(chosen)[1])
    assert [layer.outputs for layer in smaller.layers[:-1]] == [int(m.sum()) for m in chosen]


@pytest.mark.parametrize("make", [dense, convolutional])
def test_a_smaller_network_is_the_masked_one(make: type) -> None:
    network: TorchModule = make()
    weights, x, chosen = weights_of(network), points_of(network), chosen_of(network)
    masked = torch.where(network.neurons.between(chosen), weights, 0)
    smaller, places = network.neurons.subnetwork(chosen)
    made = smaller.forward(weights[places], x, ("",))
    # the outputs of a filter whose weights and bias are 0 are 0: tanh(0) = 0
    torch.testing.assert_close(made, network.forward(masked, x, ("",)), rtol=0, atol=1e-12)
    assert smaller.size == int(network.neurons.between(chosen).sum())
    assert smaller.flops < network.flops
    if network.neurons.widths == (9, 7):
        one, two = (int(mask.sum()) for mask in chosen)
        assert smaller.flops == 2 * (2 * one + one * two + two)


@pytest.mark.parametrize("make", [dense, convolutional])
def test_dead_neurons_do_not_change_the_outputs(make: type) -> None:
    network: TorchModule = make()
    weights, x, chosen = weights_of(network), points_of(network), chosen_of(network)
    neurons = network.neurons
    away = [torch.where(own, 1.0, 0.0).double() for own in chosen]
    cut = weights * neurons.leaving(away)  # no weight leaves those that are not chosen
    dead = neurons.unreachable(cut != 0)
    assert [own.tolist() for own in dead] == [(~own).tolist() for own in chosen]
    before = network.forward(cut, x, ("",))
    moved = torch.where(neurons.entering(dead), cut + 1.0, cut)
    assert torch.equal(network.forward(moved, x, ("",)), before)


@pytest.mark.parametrize("make", [dense, convolutional])
def test_factors_of_neurons_and_their_jacobian(make: type) -> None:
    scaled = Scaled.of(make())
    inner: TorchModule = scaled.inner  # type: ignore[assignment]
    weights, x = weights_of(inner), points_of(inner)
    factors = 1 + 0.3 * torch.sin(torch.arange(scaled.n_extra).double())
    v = torch.cat([weights, factors])
    outputs, factors_of = scaled.linearise(v, x, ("",), 1)
    slopes = torch.ones_like(outputs)[None]
    target = torch.empty(scaled.size, x.shape[1]).double()
    (columns,) = scaled.columns(None, scaled.size, v.device)
    factors_of(slopes).write(columns, target)

    def summed(at: torch.Tensor) -> torch.Tensor:
        return scaled.forward(at, x, ("",))[0].sum(-1)

    leaf = v.clone().requires_grad_()
    rows = [torch.autograd.grad(row, leaf, retain_graph=True)[0] for row in summed(leaf)]
    torch.testing.assert_close(target.mT, torch.stack(rows), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 1)),
            r"layer 1 \(BatchNorm1d\) that has weights or statistics"),
        (nn.Sequential(nn.Linear(2, 3, bias=False), nn.Tanh(), nn.Linear(3, 1)),
            r"layer 0 \(Linear\) that has no biases"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softmax(-1), nn.Linear(3, 1)),
            r"layer 1 \(Softmax\) that may mix neurons"),
        (nn.Sequential(nn.Linear(2, 1)), "fewer than two dense layers"),
        (Residual(), "is a Residual, and no nn.Sequential"),
    ],
    ids=["normalised", "no biases", "mixed", "one layer", "no chain"],
)  # fmt: skip
def test_other_modules_do_not_say_which_neurons_they_have(module: nn.Module, why: str) -> None:
    network = TorchModule(module)
    assert not network.has_neurons
    with pytest.raises(InvalidValueError, match=f"TorchModule has no hidden neurons.*{why}"):
        _ = network.neurons
    with pytest.raises(InvalidValueError, match=f"does not say which weights.*{why}"):
        PAC().check_network(network)
