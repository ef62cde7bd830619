"""A network of another kind: the required part is enough for a fit, the rest is refused clearly."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pacpde import save, transfer
from pacpde.errors import InvalidValueError
from pacpde.methods.base import train_from_scratch
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Network
from pacpde.networks.reparametrised import LowRank
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
from pacpde.pac import score_mask
from pacpde.problems import Burgers, Heat
from pacpde.residuals.factors import residuals
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.training.config import TrainingConfig
from tests.networks.user_networks import GainedMLP, SineSeries


@pytest.mark.parametrize("memory_bytes", [2**30, 20_000], ids=["written out", "in factors"])
@pytest.mark.parametrize("odd", [False, True])
def test_the_required_part_is_enough_for_second_order_steps(memory_bytes: int, odd: bool) -> None:
    task, rng = PhysicsTask(Burgers(nu=0.3)), np.random.default_rng(1)
    network = SineSeries(2)
    weights = torch.tensor(network.init_weights(rng))
    terms = task.terms(network, weights, SamplingSpec(200, odd=odd), rng)
    free = torch.arange(network.size) % 6 > 0
    problem = LeastSquares(network, weights, free, terms).within(memory_bytes)
    _, jacobian = problem.linearise(problem.x0)
    expected = torch.func.jacrev(lambda w: residuals(network, w, problem.terms))(weights)
    # the same sums in another order
    torch.testing.assert_close(jacobian.dense(), expected[:, free], rtol=1e-10, atol=1e-10)
    made = LevenbergMarquardt().run(problem, problem.x0, 20)
    assert made.loss < 1e-2 * problem.loss(problem.x0)  # 50 fixed sines leave about 1e-3
    assert torch.equal(problem.insert(made.x)[~free], weights[~free])


def test_what_a_network_lacks_is_refused_in_a_sentence() -> None:
    network = SineSeries(2)
    scores = torch.rand(network.size)
    kept = score_mask(network, scores, 0.5)
    assert int(kept.sum()) == network.size // 2
    with pytest.raises(
        InvalidValueError, match=r"SineSeries has no hidden neurons.*another method"
    ):
        score_mask(network, scores, 0.5, scope="neuron")
    with pytest.raises(InvalidValueError, match=r"SineSeries has no dense layers.*dense network"):
        _ = network.layers
    with pytest.raises(InvalidValueError, match="SineSeries has no dense layers"):
        network.enlarged(extra_outputs=1)


def test_a_fit_of_it_can_be_transferred_and_is_not_saved(tmp_path: Path) -> None:
    """In a file it would come back as a dense network, or not at all."""
    task, config = PhysicsTask(Heat(alpha=0.4)), TrainingConfig(points=150, steps=10)
    source, made = train_from_scratch(task, SineSeries(2), config, seed=0)
    assert made.held_out < 0.05  # random sines
    result = transfer(source, Heat(alpha=0.3), method="warm_start", settings={"steps": 5})
    assert isinstance(result.surrogate.network, SineSeries)
    assert result.target_error < result.zero_shot_error / 10
    with pytest.raises(InvalidValueError, match=r"class SineSeries cannot be saved"):
        save(source, tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("inner", [SineSeries(2), GainedMLP(2, 1, 5, 2)], ids=["sines", "gained"])
def test_an_adapter_is_over_any_network(inner: Network) -> None:
    """Its outputs are the user's, and its Jacobian is theirs."""
    network = LowRank.of(inner, rank=1)
    rng = np.random.default_rng(0)
    v = torch.from_numpy(rng.normal(0, 0.5, network.size))
    task = PhysicsTask(Heat(alpha=0.4))
    terms = task.terms(network, v, SamplingSpec(9), rng)
    r, jacobian = linearise(network, v, terms)
    expected = torch.func.jacrev(lambda at: residuals(network, at, terms))(v)
    torch.testing.assert_close(jacobian.dense(), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(r, residuals(inner, network.effective(v), terms))


def test_equal_widths_are_one_width() -> None:
    assert MLP(2, 1, (5, 5), 2) == MLP(2, 1, 5, 2)
    assert MLP.from_settings({**MLP(2, 1, (5, 4), 2).settings, "width": [5, 4]}).widths == (5, 4)
