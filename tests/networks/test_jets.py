"""Jets against autograd, on a network written out by hand."""

from collections.abc import Sequence
from itertools import combinations_with_replacement, pairwise

import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.networks.jets import (
    activate,
    chain_rule,
    check_channels,
    order,
    product_rule,
    slopes,
    vjp,
)
from pacpde.networks.mlp import MLP
from pacpde.physics.derivatives import AutogradDerivative, channel_names

AXES = ("t", "x", "y")


def every(order: int, axes: str = "txy") -> tuple[str, ...]:
    """All derivatives up to an order."""
    return channel_names({"".join(own) for own in combinations_with_replacement(axes, order)})


NAMES = every(2)
# orders above 2, in one, two and three axes, with and without gaps
HIGHER = [
    ("", "x", "xx", "xxx"),
    every(4, "x"),
    channel_names({"t", "xxxx"}),
    channel_names({"txx", "xxxx"}),
    channel_names({"xxyy", "xxxx", "yyyy"}),
    every(3),
    every(4),
]
CLOSE = 1e-12  # relative to a channel: sums of a few hundred terms in float64


def close(found: torch.Tensor, expected: torch.Tensor, share: float = CLOSE) -> None:
    """Compare with a share of the largest value; no comparison with zeros."""
    size = float(expected.detach().abs().max())
    assert size > 1e-2
    torch.testing.assert_close(found, expected, rtol=0, atol=share * size)


def by_hand(network: MLP, weights: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """The network [points, inputs] → [points, outputs], by the layout that `Layer` promises."""
    sizes = [network.inputs, *network.widths, network.outputs]
    start = 0
    for number, (m, n) in enumerate(pairwise(sizes)):
        matrix = weights[start : start + m * n].reshape(n, m)
        h = h @ matrix.T + weights[start + m * n : start + m * n + n]
        start += m * n + n
        if number < network.depth:
            h = getattr(torch, network.activation)(h)
    assert start == len(weights)
    return h


def identity_jet(points: torch.Tensor, names: Sequence[str] = NAMES) -> torch.Tensor:
    """The jet of the coordinates themselves: one unit vector a first derivative."""
    jet = torch.zeros(len(names), *points.shape, dtype=points.dtype)
    jet[0] = points
    for position, axis in enumerate(AXES):
        if axis in names:
            jet[names.index(axis), :, position] = 1
    return jet


@pytest.mark.parametrize("names", [NAMES, *HIGHER], ids=lambda names: f"{len(names)}-{names[-1]}")
@pytest.mark.parametrize("activation", ["tanh", "sin"])
@pytest.mark.parametrize("depth", [1, 3])
def test_every_channel_equals_autograd(activation: str, depth: int, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(depth)
    network = MLP(3, 2, width=7, depth=depth, activation=activation)
    weights = torch.tensor(rng.normal(0, 0.7, network.size))  # biases too: `start` has them at 0
    points = torch.tensor(rng.uniform(-1, 1, (11, 3)))

    jet = network.forward(weights, identity_jet(points, names), names)

    columns = [column.clone().requires_grad_(True) for column in points.unbind(-1)]
    fields = by_hand(network, weights, torch.stack(columns, -1)).unbind(-1)
    d = AutogradDerivative(fields, dict(zip(AXES, columns, strict=True)))
    for channel, name in enumerate(names):
        for k, field in enumerate(fields):
            close(jet[channel, :, k], d(field, name) if name else field)


def test_all_derivatives_to_fourth_order_are_tested() -> None:
    assert len(NAMES) == 10 and len(every(4)) == 35  # (3 + 4 over 4)
    assert {"txxy", "ttxy", "xxyy", "tttt"} <= set(every(4))


def test_channels_may_come_in_any_subset() -> None:
    network = MLP(3, 1, width=5, depth=2)
    weights = torch.tensor(network.init_weights(np.random.default_rng(0)))
    points = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = network.forward(weights, identity_jet(points), NAMES)
    some = ("", "t", "x", "xx")
    at = [NAMES.index(name) for name in some]
    part = network.forward(weights, identity_jet(points)[at], some)
    torch.testing.assert_close(part, whole[at], rtol=0, atol=1e-14)


def test_fifth_derivatives_are_refused_with_advice() -> None:
    check_channels(every(4, "x"))
    with pytest.raises(InvalidValueError, match=r"'xxxxx'.*fourth order.*system of lower order"):
        check_channels(every(5, "x"))


def test_unknown_activations_list_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="tanh"):
        MLP(1, 1, activation="tanhh")
    with pytest.raises(UnknownNameError, match=r"choose from gelu, .*sin, .*tanh"):
        slopes("step", torch.zeros(1, 1), 1)


def test_the_chain_rule_counts_partitions() -> None:
    """Bell polynomials, and their number of all partitions: 1, 2, 5, 15, 52, ..."""
    assert chain_rule("xxxx") == (
        (1, ("xxxx",)),
        (4, ("x", "xxx")),
        (3, ("xx", "xx")),
        (6, ("x", "x", "xx")),
        (1, ("x", "x", "x", "x")),
    )
    assert set(chain_rule("yxx")) == {  # sorted as the axes are, whatever their names
        (1, ("yxx",)),
        (1, ("y", "xx")),
        (2, ("x", "yx")),
        (1, ("y", "x", "x")),
    }
    for name, number in {"x": 1, "xy": 2, "txx": 5, "txyy": 15}.items():
        assert sum(count for count, _ in chain_rule(name)) == number


def test_the_product_rule_counts_subsets() -> None:
    assert {(4, "x", "xxx"), (6, "xx", "xx"), (1, "", "xxxx")} <= set(product_rule("xxxx"))
    assert {(2, "y", "xxy"), (4, "xy", "xy"), (1, "xxyy", "")} <= set(product_rule("xxyy"))
    assert sum(count for count, _, _ in product_rule("txyy")) == 16


def test_second_order_is_rounded_as_it_always_was() -> None:
    """Fits of one seed have the same bits in every version."""
    names = ("", "t", "x", "tx", "xx")
    z = torch.tensor(np.random.default_rng(7).normal(size=(5, 40, 9)))
    value, t, x, tx, xx = z
    s = slopes("tanh", value, 3)
    f, g = torch.tanh(value), 1 - torch.tanh(value) * torch.tanh(value)
    curved = -2 * f * g
    expected = [f, g * t, g * x, g * tx + curved * t * x, g * xx + curved * x * x]
    assert torch.equal(activate(s, z, names), torch.stack(expected))

    gradient = torch.tensor(np.random.default_rng(8).normal(size=(1, 5, 40, 9)))
    _, _, along_x, _, along_xx = gradient[0]
    third = g * (4 - 6 * g)
    found = vjp(s, z[[0, 2, 4]], ("", "x", "xx"), gradient[:, [0, 2, 4]])[0]
    inner = (gradient[0, 0] * g).addcmul(curved * along_x, x).addcmul(curved * along_xx, xx)
    in_x = (along_x * g).addcmul(curved * along_xx, x).addcmul(curved * along_xx, x)
    expected = [inner.addcmul(third * along_xx, x * x), in_x, along_xx * g]
    assert torch.equal(found, torch.stack(expected))


@pytest.mark.parametrize("names", [NAMES, ("", "x", "xx"), ("", "t"), ("",), *HIGHER])
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
        close(pulled[k], expected)


@pytest.mark.parametrize("names", [NAMES, every(4)], ids=["second order", "fourth order"])
def test_a_batch_of_networks_is_each_of_them(names: tuple[str, ...]) -> None:
    network = MLP(3, 2, width=5, depth=2)
    rng = np.random.default_rng(8)
    weights = torch.tensor(rng.normal(size=(4, network.size)))
    points = torch.tensor(rng.uniform(-1, 1, (4, 6, 3)))
    jets = torch.stack([identity_jet(own, names) for own in points])
    made = network.forward(weights, jets, names)
    for member in range(4):
        alone = network.forward(weights[member], jets[member], names)
        for own, other in zip(made[member], alone, strict=True):
            close(own, other, 1e-13)


EQUATIONS = {
    "u_xxxx, u_txx": (channel_names({"txx", "xxxx"}), ("txx", "xxxx")),
    "all to fourth order": (every(4), ("ttxx", "txxy")),
    "third order in x": (channel_names({"t", "xxx"}), ("t", "xxx")),
}


@pytest.mark.parametrize("stack", [(), (3,)], ids=["alone", "stack"])
@pytest.mark.parametrize("activation", ["tanh", "sin"])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_the_rows_of_the_jacobian_equal_jacrev(
    equation: str, activation: str, stack: tuple[int, ...]
) -> None:
    """Of two nonlinear residuals of two outputs, each from jets of several derivatives."""
    names, (one, two) = EQUATIONS[equation]
    first, second = names.index(one), names.index(two)
    network = MLP(3, 2, width=6, depth=2, activation=activation)
    rng = np.random.default_rng(4)
    weights = torch.tensor(rng.normal(0, 0.7, (*stack, network.size)))
    points = torch.tensor(rng.uniform(-1, 1, (*stack, 5, 3)))
    flat = points.reshape(-1, 5, 3)
    jet = torch.stack([identity_jet(own, names) for own in flat])
    jet = jet.reshape(*stack, *jet.shape[1:])

    def rows(outputs: torch.Tensor) -> torch.Tensor:
        """[..., channels, points, outputs] → [components, ..., points]."""
        u, v = outputs.unbind(-1)
        return torch.stack(
            [
                u[..., first, :] + v[..., 0, :] * u[..., second, :],
                v[..., second, :] - u[..., 1, :] * v[..., first, :] ** 2,
            ]
        )

    outputs, factors = network.linearise(weights, jet, names, 1)
    leaf = outputs.detach().requires_grad_(True)
    slopes = [torch.autograd.grad(row.sum(), leaf, retain_graph=True)[0] for row in rows(leaf)]
    found = factors(torch.stack(slopes))  # [2·points] rows
    matrix = weights.new_empty(*stack, network.size, found.rows)
    for columns, layer in zip(
        network.columns(None, network.size, weights.device), network.layers, strict=True
    ):
        found.write(columns, matrix[..., layer.parameters, :])
    direction = torch.tensor(rng.normal(size=(*stack, network.size)))
    y = torch.tensor(rng.normal(size=(*stack, found.rows)))
    total = torch.zeros_like(weights)
    found.add_transposed(y, total)

    for member in np.ndindex(stack):

        def residual(w: torch.Tensor, member: tuple[int, ...] = member) -> torch.Tensor:
            return rows(network.forward(w, jet[member], names)).flatten()

        expected = torch.func.jacrev(residual)(weights[member])
        assert (expected.abs().amax(0) > 0).sum() >= network.size - 1  # the bias of u has no part
        # entries are sums of products of fourth derivatives
        close(matrix[member].mT, expected, 1e-11)
        close(found.times(direction)[member], expected @ direction[member], 1e-11)
        close(total[member], y[member] @ expected, 1e-11)


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
