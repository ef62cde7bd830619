"""Adam against its paper, and what its state does."""

import numpy as np
import pytest
import torch

from pacpde.networks.constraints import PlainAnsatz, network_for
from pacpde.objective.blocks import LabelBlock
from pacpde.optim.first_order import Adam
from pacpde.optim.free import LeastSquares


@pytest.fixture
def problem() -> LeastSquares:
    """A regression of 20 points on 17 weights."""
    rng = np.random.default_rng(4)
    inputs, outputs = rng.normal(size=(20, 2)), rng.normal(3, 2, size=(20, 1))
    ansatz = PlainAnsatz.of(inputs, outputs)
    network = network_for(ansatz, 4, 1, "tanh")
    weights = torch.tensor(rng.normal(0, 1, network.size))
    block = LabelBlock.at(ansatz, torch.tensor(inputs), torch.tensor(outputs))
    return LeastSquares(network, weights, torch.ones(network.size, dtype=torch.bool), [block])


def by_the_paper(problem: LeastSquares, steps: int, lr: float) -> np.ndarray:
    """Kingma & Ba, algorithm 1, from the start of the problem."""
    x = problem.start.numpy()
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, steps + 1):
        g = problem.loss_and_gradient(torch.tensor(x))[1].numpy()
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


def test_it_is_the_algorithm_of_the_paper(problem: LeastSquares) -> None:
    made = Adam(lr=0.01).run(problem, problem.start, 30)
    expected = by_the_paper(problem, 30, 0.01)
    np.testing.assert_allclose(made.x.numpy(), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(made.state["iterate"], made.x)


def test_overshooting_returns_the_best_and_remembers_the_last(problem: LeastSquares) -> None:
    """Steps of 1 from a point near the minimum lead away from it."""
    near = Adam(lr=0.02).run(problem, problem.start, 400).x
    wild = Adam(lr=1.0)
    made = wild.run(problem, near, 3)
    assert torch.equal(made.x, near)
    assert problem.loss(made.state["iterate"]) > 2 * made.loss
    again = wild.run(problem, made.x, 40, made.state)
    whole = wild.run(problem, near, 43)
    assert torch.equal(again.state["iterate"], whole.state["iterate"])
    assert again.loss == whole.loss <= made.loss


def test_another_point_than_the_one_it_returned_is_started_from(problem: LeastSquares) -> None:
    made = Adam().run(problem, problem.start, 10)
    elsewhere = problem.start + 0.5
    moved = Adam().run(problem, elsewhere, 1, made.state)
    # one step is at most lr·(1 − β₁)/√(1 − β₂) = 3.2 lr a weight (section 2.1)
    assert float((moved.state["iterate"] - elsewhere).abs().max()) < 3.2e-3
    assert float(moved.state["step"]) == 11
