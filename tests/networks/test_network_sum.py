"""A sum of networks: outputs, jets and Jacobian against its parts and autograd, its file, a fit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pacpde import fit, load, save, transfer
from pacpde.errors import InvalidValueError
from pacpde.networks.mlp import MLP
from pacpde.networks.network_sum import NetworkSum
from pacpde.networks.time_windows import TimeWindows
from pacpde.optim.least_squares import LeastSquares
from pacpde.physics.derivatives import channel_names
from pacpde.problems import Burgers, Heat
from pacpde.residuals.factors import residuals
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from tests.networks.test_jets import by_hand, close, identity_jet

NETWORK = NetworkSum(3, 2, members=(((6, 4), "tanh"), ((5,), "sin"), ((3, 3), "tanh")))
NAMES = channel_names({"txx", "xxyy"})


def random_weights(network: NetworkSum, *stack: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(5).normal(0, 0.7, (*stack, network.size)))


def test_the_outputs_are_the_sum_of_those_of_the_members() -> None:
    weights = random_weights(NETWORK)
    points = torch.tensor(np.random.default_rng(6).uniform(-1, 1, (9, 3)))
    jet = NETWORK.forward(weights, identity_jet(points, NAMES), NAMES)
    expected = sum(
        by_hand(part, weights[place], points)
        for part, place in zip(NETWORK.parts, NETWORK.part_slices, strict=True)
    )
    close(jet[0], expected, 1e-14)
    hidden = NETWORK.hidden(weights, identity_jet(points, NAMES), NAMES)
    heads = [part.matrices(weights[place])[-1] for part, place in
             zip(NETWORK.parts, NETWORK.part_slices, strict=True)]  # fmt: skip
    linear = hidden @ torch.cat([weight for weight, _ in heads], -1).mT
    linear[0] += sum(bias for _, bias in heads)
    close(jet, linear, 1e-12)


@pytest.mark.parametrize("memory_bytes", [2**30, 20_000], ids=["written out", "in factors"])
@pytest.mark.parametrize("odd", [False, True])
def test_the_jacobian_equals_jacrev(odd: bool, memory_bytes: int) -> None:
    task, rng = PhysicsTask(Burgers(nu=0.3)), np.random.default_rng(1)
    network = NetworkSum(2, 1, members=(((5, 4), "tanh"), ((6,), "tanh")))
    weights = torch.tensor(network.init_weights(rng))
    terms = task.terms(network, weights, SamplingSpec(80, odd=odd), rng)
    free = torch.ones(network.size, dtype=torch.bool)
    free[::3] = False
    problem = LeastSquares(network, weights, free, terms).within(memory_bytes)
    r, jacobian = problem.linearise(problem.x0)
    assert (jacobian.matrix is None) == (memory_bytes == 20_000)
    expected = torch.func.jacrev(lambda w: residuals(network, w, problem.terms))(weights)[:, free]
    close(jacobian.dense(), expected, 1e-11)
    v, y = torch.tensor(rng.normal(size=int(free.sum()))), torch.tensor(rng.normal(size=len(r)))
    close(jacobian.times(v), expected @ v, 1e-11)
    close(jacobian.transposed_times(y), y @ expected, 1e-11)


def test_a_stack_of_weights_gives_what_each_gives() -> None:
    weights = random_weights(NETWORK, 2)
    jets = identity_jet(torch.tensor(np.random.default_rng(6).uniform(-1, 1, (7, 3))), NAMES)
    together = NETWORK.forward(weights, torch.stack([jets, jets]), NAMES)
    for own, one in zip(weights, together, strict=True):
        close(one, NETWORK.forward(own, jets, NAMES), 1e-14)


def test_its_members_are_dense_networks_or_sums() -> None:
    joined = NetworkSum.of([MLP(3, 2, 7, 2), NETWORK])
    assert joined.members == (((7, 7), "tanh"), *NETWORK.members)
    with pytest.raises(InvalidValueError, match="the source is of the class TimeWindows"):
        NetworkSum.of([TimeWindows(3, 2)], "the source")
    with pytest.raises(InvalidValueError, match="expected widths and the activation of each"):
        NetworkSum(2, 1, members=(5, "tanh"))  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="expected widths and the activation of each"):
        NetworkSum(2, 1, members=())


def test_a_fit_of_it_is_stored_and_transferred(tmp_path: Path) -> None:
    network = NetworkSum(2, 1, members=(((8, 8), "tanh"), ((6,), "tanh")))
    settings = {"points": 150, "steps": 25, "restarts": 0}
    source = fit(Heat(alpha=0.4), network=network, settings=settings)
    t, x = np.linspace(0, 1, 11)[:, None], np.linspace(0, 1, 21)
    exact = Heat(alpha=0.4).exact(*np.broadcast_arrays(t, x))
    assert np.linalg.norm(source(t, x) - exact) < 1e-4 * np.linalg.norm(exact)
    save(source, tmp_path / "source")
    stored = load(tmp_path / "source")
    assert stored.network == network and np.array_equal(stored(t, x), source(t, x))
    moved = transfer(stored, Heat(alpha=0.3), method="pac", settings=settings, reference=None)
    exact = Heat(alpha=0.3).exact(*np.broadcast_arrays(t, x))
    assert np.linalg.norm(moved.surrogate(t, x) - exact) < 1e-3 * np.linalg.norm(exact)
    allocated = moved.method_result.snapshots["allocated"]
    assert np.array_equal(moved.recall()(t, x), allocated(t, x))
