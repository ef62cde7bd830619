"""The layer-wise Jacobian against central differences and against `torch.func.jacrev`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.networks.constraints import Ansatz, PhysicsAnsatz, PlainAnsatz, network_for
from pacpde.networks.mlp import MLP
from pacpde.objective.blocks import Block, LabelBlock, PhysicsBlock
from pacpde.objective.jacobian import linearise, residuals
from pacpde.physics import Problem
from pacpde.problems import Burgers, BurgersPeriodic, Heat2D, Lorenz

Case = tuple[MLP, torch.Tensor, Sequence[Block]]


def random_weights(network: MLP) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(2).normal(0, 0.6, network.size))


def case(problem: Problem, *, labels: bool = False, odd: bool = False, kind: str = "tanh") -> Case:
    """Physics at 6 points, and labels at 4 others, of a small random network."""
    ansatz = PhysicsAnsatz(problem, odd=odd)
    network = network_for(ansatz, 5, 2, kind)
    rng = np.random.default_rng(1)
    unit = rng.uniform(size=(10, len(problem.axes)))
    points = torch.tensor(problem.domain.from_unit(unit))
    blocks: list[Block] = [PhysicsBlock.at(problem, ansatz, points[:6], weight=2.0)]
    if labels:
        values = torch.tensor(rng.normal(size=(4, len(problem.fields))))
        blocks.append(LabelBlock.at(ansatz, points[6:], values, weight=3.0))
    return network, random_weights(network), blocks


def table() -> Case:
    """Labels alone, of a table with three inputs and two outputs."""
    rng = np.random.default_rng(1)
    inputs, outputs = rng.normal(size=(8, 3)), rng.normal(5, 2, size=(8, 2))
    ansatz: Ansatz = PlainAnsatz.of(inputs, outputs)
    network = network_for(ansatz, 4, 1, "sin")
    block = LabelBlock.at(ansatz, torch.tensor(inputs), torch.tensor(outputs))
    return network, random_weights(network), [block]


CASES: dict[str, Any] = {
    "one field": lambda: case(Burgers(nu=0.1)),
    "sin": lambda: case(Burgers(nu=0.1), kind="sin"),
    "three fields": lambda: case(Lorenz()),
    "three axes": lambda: case(Heat2D()),
    "odd images": lambda: case(Burgers(nu=0.1), odd=True),
    "odd and periodic": lambda: case(BurgersPeriodic(nu=0.1), odd=True),
    "physics and labels": lambda: case(Lorenz(), labels=True),
    "odd physics and labels": lambda: case(Burgers(nu=0.1), labels=True, odd=True),
    "table": table,
}


@pytest.fixture(params=CASES)
def made(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def test_residuals_are_those_of_the_plain_forward_pass(made: Case) -> None:
    network, weights, blocks = made
    r, _ = linearise(network, weights, blocks)
    assert torch.equal(r, residuals(network, weights, blocks))


def test_equals_jacrev(made: Case) -> None:
    network, weights, blocks = made
    _, jacobian = linearise(network, weights, blocks)
    expected = torch.func.jacrev(lambda w: residuals(network, w, blocks))(weights)
    # every weight matters, so every column is tested; only an odd ansatz cancels the output bias
    without_effect = (expected.abs().amax(0) == 0).nonzero()[:, 0].tolist()
    assert without_effect == ([network.size - 1] if blocks[0].batch.images == 2 else [])
    # the same sums in another order
    torch.testing.assert_close(jacobian, expected, rtol=1e-12, atol=1e-12)


def test_equals_central_differences(made: Case) -> None:
    network, weights, blocks = made
    _, jacobian = linearise(network, weights, blocks)
    step = 1e-5
    columns = []
    for j in range(network.size):
        shift = torch.zeros_like(weights)
        shift[j] = step
        up = residuals(network, weights + shift, blocks)
        down = residuals(network, weights - shift, blocks)
        columns.append((up - down) / (2 * step))
    # error: step²·r''' / 6 ~ 1e-10 times third derivatives of up to 10³, and 1e-16 r / step
    error = (jacobian - torch.stack(columns, -1)).abs().max()
    assert error < 1e-7 * jacobian.abs().max()


def test_free_columns_are_those_of_the_whole(made: Case) -> None:
    network, weights, blocks = made
    _, whole = linearise(network, weights, blocks)
    free = torch.arange(network.size)[np.random.default_rng(3).random(network.size) < 0.4]
    r, part = linearise(network, weights, blocks, free)
    assert 0 < len(free) < network.size
    assert torch.equal(part, whole[:, free])
    assert torch.equal(r, residuals(network, weights, blocks))


def test_nothing_is_left_attached_to_the_graph(made: Case) -> None:
    network, weights, blocks = made
    r, jacobian = linearise(network, weights, blocks)
    assert not r.requires_grad and not jacobian.requires_grad and not weights.requires_grad
