"""Jets against autograd, on a network written out by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.networks.jets import activate, check_channels, order, slopes, vjp
from pacpde.networks.mlp import MLP
from pacpde.physics.derivatives import AutogradDerivative, channel_names

AXES = ("t", "x", "y")
NAMES = channel_names({"tt", "tx", "ty", "xx", "xy", "yy"})


def by_hand(network: MLP, weights: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """The network [points, inputs] → [points, outputs], by the layout that `Layer` promises."""
    sizes = [network.inputs, *[network.width] * network.depth, network.outputs]
    start = 0
    for number, (m, n) in enumerate(pairwise(sizes)):
        matrix = weights[start : start + m * n].reshape(n, m)
        h = h @ matrix.T + weights[start + m * n : start + m * n + n]
        start += m * n + n
        if number < network.depth:
            h = getattr(torch, network.activation)(h)
    assert start == len(weights)
    return h


def identity_jet(points: torch.Tensor) -> torch.Tensor:
    """The jet of the coordinates themselves: one unit vector a first derivative."""
    jet = torch.zeros(len(NAMES), *points.shape, dtype=points.dtype)
    jet[0] = points
    for position, axis in enumerate(AXES):
        jet[NAMES.index(axis), :, position] = 1
    return jet


@pytest.mark.parametrize("activation", ["tanh", "sin"])
@pytest.mark.parametrize("depth", [1, 3])
def test_every_channel_equals_autograd(activation: str, depth: int) -> None:
    rng = np.random.default_rng(depth)
    network = MLP(3, 2, width=7, depth=depth, activation=activation)
    weights = torch.tensor(rng.normal(0, 0.7, network.size))  # biases too: `start` has them at 0
    points = torch.tensor(rng.uniform(-1, 1, (11, 3)))

    jet = network.forward(weights, identity_jet(points), NAMES)

    columns = [column.clone().requires_grad_(True) for column in points.unbind(-1)]
    fields = by_hand(network, weights, torch.stack(columns, -1)).unbind(-1)
    d = AutogradDerivative(fields, dict(zip(AXES, columns, strict=True)))
    assert len(NAMES) == 10
    for channel, name in enumerate(NAMES):
        for k, field in enumerate(fields):
            expected = d(field, name) if name else field
            assert expected.abs().max() > 1e-2  # no channel is compared with zeros
            # sums of a few hundred terms of size ~1 in float64
            torch.testing.assert_close(jet[channel, :, k], expected, rtol=1e-12, atol=1e-12)


def test_channels_may_come_in_any_subset() -> None:
    network = MLP(3, 1, width=5, depth=2)
    weights = torch.tensor(network.init_weights(np.random.default_rng(0)))
    points = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = network.forward(weights, identity_jet(points), NAMES)
    some = ("", "t", "x", "xx")
    at = [NAMES.index(name) for name in some]
    part = network.forward(weights, identity_jet(points)[at], some)
    torch.testing.assert_close(part, whole[at], rtol=0, atol=1e-14)


def test_third_derivatives_are_refused_with_advice() -> None:
    with pytest.raises(InvalidValueError, match=r"'xxx'.*system of lower order"):
        check_channels(("", "x", "xx", "xxx"))


def test_unknown_activations_list_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="tanh"):
        MLP(1, 1, activation="tanhh")
    with pytest.raises(UnknownNameError, match="choose from sin, tanh"):
        slopes("relu", torch.zeros(1, 1), 1)


@pytest.mark.parametrize("names", [NAMES, ("", "x", "xx"), ("", "t"), ("",)])
@pytest.mark.parametrize("activation", ["tanh", "sin"])
def test_the_vjp_is_autograd(activation: str, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(6)
    z = torch.tensor(rng.normal(size=(len(names), 4, 3)), requires_grad=True)
    given = torch.tensor(rng.normal(size=(2, len(names), 4, 3)))  # two kinds at once
    bent = slopes(activation, z[0], order(names) + 1)
    out = activate(bent, z, names)
    pulled = vjp([s.detach() for s in bent], z.detach(), names, given)
    for k in range(2):
        (expected,) = torch.autograd.grad(out, z, given[k], retain_graph=True)
        torch.testing.assert_close(pulled[k], expected, rtol=1e-12, atol=1e-12)


def test_a_batch_of_networks_is_each_of_them() -> None:
    network = MLP(3, 2, width=5, depth=2)
    rng = np.random.default_rng(8)
    weights = torch.tensor(rng.normal(size=(4, network.size)))
    points = torch.tensor(rng.uniform(-1, 1, (4, 6, 3)))
    jets = torch.stack([identity_jet(own) for own in points])
    made = network.forward(weights, jets, NAMES)
    for member in range(4):
        alone = network.forward(weights[member], jets[member], NAMES)
        torch.testing.assert_close(made[member], alone, rtol=1e-13, atol=1e-13)


def test_a_network_starts_as_glorot_says_and_repeats_its_seed() -> None:
    network = MLP(2, 1, width=100, depth=2)
    flat = network.init_weights(np.random.default_rng(3))
    hidden = flat[network.layers[1].weights]
    # 10⁴ draws of spread √(2/200): their deviation is known to 1/√(2·10⁴) = 0.7 %
    assert hidden.std() == pytest.approx(0.1, rel=0.03)
    assert all((flat[layer.biases] == 0).all() for layer in network.layers)
    assert (flat == network.init_weights(np.random.default_rng(3))).all()


@pytest.mark.parametrize("name", ["inputs", "outputs", "width", "depth"])
def test_sizes_below_one_are_refused(name: str) -> None:
    sizes = {"inputs": 1, "outputs": 1, "width": 1, "depth": 1, name: 0}
    with pytest.raises(InvalidValueError, match=f"{name} of a network is 0"):
        MLP(**sizes)
