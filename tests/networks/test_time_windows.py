"""A network of time windows: jets and Jacobian against autograd, continuity, independence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit, load, save
from pacpde.errors import InvalidValueError
from pacpde.networks import PhysicsAnsatz, TimeWindows
from pacpde.networks.mlp import MLP
from pacpde.optim.least_squares import LeastSquares
from pacpde.physics.derivatives import AutogradDerivative, channel_names
from pacpde.problems import Burgers, Poisson1D, Wave
from pacpde.residuals.factors import residuals
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from tests.networks.test_jets import AXES, by_hand, close, identity_jet

COUNT = 4  # windows [−1, −1/2], [−1/2, 0], [0, 1/2], [1/2, 1]
NETWORK = TimeWindows(3, 2, count=COUNT, width=6, depth=2)
# all that an equation of first order in time may read
NAMES = channel_names({"txx", "txy", "xxxx", "xxyy"})
BORDERS = torch.linspace(-1, 1, COUNT + 1, dtype=torch.float64)


def random_weights(*stack: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(5).normal(0, 0.7, (*stack, NETWORK.size)))


def random_points(*shape: int) -> torch.Tensor:
    """Points [..., 3], the first of them at the borders of the windows."""
    points = torch.tensor(np.random.default_rng(6).uniform(-1, 1, (*shape, 3)))
    points[..., : len(BORDERS), 0] = BORDERS
    return points


def written_out(weights: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """The outputs [points, 2] by the formula of the class, each point by itself.

    At a border it is that of the window which begins there.
    """
    inner, rows = MLP(3, 2, 6, 2), []
    for point in points:
        number = min(int((float(point[0].detach()) + 1) * COUNT / 2), COUNT - 1)
        s = COUNT * (point[0] - BORDERS[number]) - 1
        inside = by_hand(
            inner, weights[NETWORK.window(number)], torch.cat([s[None], point[1:]])[None]
        )[0]
        if number:
            end = torch.cat([torch.ones_like(s)[None], point[1:]])[None]
            before = by_hand(inner, weights[NETWORK.window(number - 1)], end)[0]
            r = (s + 1) / 2
            inside = (1 - r) * before + r * inside
        rows.append(inside)
    return torch.stack(rows)


def test_every_channel_equals_autograd_also_at_the_borders() -> None:
    weights, points = random_weights(), random_points(12)
    jet = NETWORK.forward(weights, identity_jet(points, NAMES), NAMES)
    columns = [column.clone().requires_grad_(True) for column in points.unbind(-1)]
    fields = written_out(weights, torch.stack(columns, -1)).unbind(-1)
    d = AutogradDerivative(fields, dict(zip(AXES, columns, strict=True)))
    for channel, name in enumerate(NAMES):
        for k, field in enumerate(fields):
            close(jet[channel, :, k], d(field, name) if name else field, 1e-11)


@pytest.mark.parametrize("memory_bytes", [2**30, 20_000], ids=["written out", "in factors"])
@pytest.mark.parametrize("odd", [False, True])
def test_the_jacobian_equals_jacrev(odd: bool, memory_bytes: int) -> None:
    """Of the weights of two windows, at points in all of them."""
    task, rng = PhysicsTask(Burgers(nu=0.3)), np.random.default_rng(1)
    network = TimeWindows(2, 1, count=3, width=5, depth=2)
    weights = torch.tensor(network.init_weights(rng))
    terms = task.terms(network, weights, SamplingSpec(80, odd=odd), rng)
    free = torch.zeros(network.size, dtype=torch.bool)
    free[network.window(0)] = free[network.window(2)] = True
    free[::7] = False
    problem = LeastSquares(network, weights, free, terms).within(memory_bytes)
    r, jacobian = problem.linearise(problem.x0)
    assert (jacobian.matrix is None) == (memory_bytes == 20_000)
    expected = torch.func.jacrev(lambda w: residuals(network, w, problem.terms))(weights)
    expected = expected[:, free]
    assert (expected != 0).any(0).sum() > 0.9 * free.sum()
    close(jacobian.dense(), expected, 1e-11)
    v, y = torch.tensor(rng.normal(size=int(free.sum()))), torch.tensor(rng.normal(size=len(r)))
    close(jacobian.times(v), expected @ v, 1e-11)
    close(jacobian.transposed_times(y), y @ expected, 1e-11)


def test_a_stack_is_each_of_its_networks() -> None:
    """With points of different windows in it."""
    weights, points = random_weights(3), random_points(3, 9)
    points[1, :, 0] = 0.9  # all in the last window
    jets = torch.stack([identity_jet(own, NAMES) for own in points])
    outputs, factors = NETWORK.linearise(weights, jets, NAMES, 1)
    slopes = torch.tensor(np.random.default_rng(7).normal(size=(2, *outputs.shape)))
    together = factors(slopes)
    columns = NETWORK.columns(None, NETWORK.size, weights.device)
    for member in range(3):
        alone, own = NETWORK.linearise(weights[member], jets[member], NAMES, 1)
        close(outputs[member], alone, 1e-13)
        apart, chosen = own(slopes[:, member]), together.select(torch.tensor([member]))
        for group in columns:
            one = weights.new_empty(group.count, apart.rows)
            other = weights.new_empty(1, group.count, apart.rows)
            apart.write(group, one)
            chosen.write(group, other)
            torch.testing.assert_close(one, other[0], rtol=0, atol=1e-10)


def test_it_is_continuous_and_sees_no_later_window() -> None:
    weights = random_weights()
    points = random_points(len(BORDERS))[1:-1]
    before, after = points.clone(), points.clone()
    before[:, 0] -= 1e-13
    after[:, 0] += 1e-13

    def values(points: torch.Tensor, weights: torch.Tensor = weights) -> torch.Tensor:
        return NETWORK.forward(weights, points[None], ("",))[0]

    assert float((values(before) - values(after)).abs().max()) < 1e-11
    # just before the border between windows 1 and 2, no weight of 2 or 3 has a part
    other = weights.clone()
    other[NETWORK.window(2)] += 1
    other[NETWORK.window(3)] += 1
    early = random_points(50)
    early = early[early[:, 0] < 0]
    assert torch.equal(values(early), values(early, other))
    assert not torch.equal(values(-early), values(-early, other))


def test_it_is_stored_and_named(tmp_path: Path) -> None:
    network = TimeWindows(2, 1, count=3, width=(5, 4), depth=2, activation="sin")
    weights = torch.tensor(network.init_weights(np.random.default_rng(2)))
    surrogate = Surrogate(network, PhysicsAnsatz(Burgers()), weights)
    save(surrogate, tmp_path / "made")
    again = load(tmp_path / "made")
    assert again.network == network
    t, x = np.linspace(0, 1, 9), np.linspace(-1, 1, 9)
    assert np.array_equal(surrogate(t, x), again(t, x))
    names = [group.name for group in network.layout.groups]
    assert names[6] == "windows.1.layers.0.weight" and len(names) == 18
    assert int(network.layout.where(lambda group: group.is_head).sum()) == 3 * (4 + 1)


@pytest.mark.parametrize("problem", [Wave(), Poisson1D()], ids=str)
def test_it_is_refused_where_continuity_is_too_little(problem: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"no equation of first order in time.*dense"):
        fit(problem, network="time_windows:count=3,width=4,depth=1")


def test_one_window_is_a_dense_network() -> None:
    with pytest.raises(InvalidValueError, match="count of time windows is 1"):
        TimeWindows(2, 1, count=1)
