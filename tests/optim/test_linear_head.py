"""The least-squares problem of one head, in features that are computed once."""

from typing import Any

import numpy as np
import pytest
import torch

from pacpde.networks import MLP, Network, TimeWindows
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.linear_head import LinearHead
from pacpde.networks.network_sum import corrected
from pacpde.optim import GaussNewton
from pacpde.optim.least_squares import LeastSquares
from pacpde.physics import Problem
from pacpde.problems import Burgers, KdV, LotkaVolterra
from pacpde.residuals.terms import PhysicsTerm


def problem_of(network: Network, family: Problem, head: slice, **settings: Any) -> LeastSquares:
    rng = np.random.default_rng(0)
    weights = torch.from_numpy(rng.normal(0, 0.5, network.size))
    mask = torch.zeros_like(weights, dtype=torch.bool)
    mask[head] = True
    points = torch.from_numpy(family.domain.sample(60, rng))
    ansatz = PhysicsAnsatz(family, **settings)
    return LeastSquares(network, weights, mask, [PhysicsTerm.at(family, ansatz, points)])


def of_windows() -> LeastSquares:
    network = TimeWindows(5, 1, count=3, width=7, depth=1)
    head, place = network.inner.head, network.window(1).start
    return problem_of(network, KdV(), slice(head.start + place, head.stop + place), harmonics=2)


def of_a_sum() -> LeastSquares:
    network = corrected(MLP(2, 1, width=5, depth=2), 6)
    correction, place = network.parts[1], network.part_slices[1].start
    head = slice(correction.head.start + place, correction.head.stop + place)
    return problem_of(network, Burgers(nu=0.1), head, odd=True)


def of_two_fields() -> LeastSquares:
    network = MLP(1, 2, width=6, depth=1)
    return problem_of(network, LotkaVolterra(), network.head)


@pytest.mark.parametrize("make", [of_windows, of_a_sum, of_two_fields])
def test_it_has_the_residuals_and_the_jacobian_of_the_network(make: Any) -> None:
    whole = make()
    own = whole.with_linear_head()
    assert isinstance(own.network, LinearHead)
    assert torch.equal(own.x0, whole.x0)
    x = whole.x0 + 0.3
    r, jacobian = whole.linearise(x)
    own_r, own_jacobian = own.linearise(x)
    # the same sums in another order
    torch.testing.assert_close(own_r, r, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(own_jacobian.dense(), jacobian.dense(), rtol=1e-10, atol=1e-10)
    again, in_factors = own.within(1000).linearise(x)
    assert in_factors.matrix is None
    torch.testing.assert_close(
        in_factors.transposed_times(again), jacobian.transposed_times(r), rtol=1e-10, atol=1e-10
    )
    torch.testing.assert_close(in_factors.times(x).norm(), jacobian.times(x).norm())
    assert own.loss(x) == pytest.approx(whole.loss(x), rel=1e-12)


def test_where_other_weights_move_nothing_changes() -> None:
    problem = of_two_fields()
    mask = problem.trainable_mask.clone()
    mask[0] = True
    other = LeastSquares(problem.network, problem.weights, mask, problem.terms)
    assert other.with_linear_head() is other
    assert problem.within(1000).with_linear_head().network is problem.network  # no memory for them


def test_steps_are_those_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = of_windows()
    fast = GaussNewton().run(problem, problem.x0, 2)
    monkeypatch.setattr(LeastSquares, "with_linear_head", lambda self: self)
    slow = GaussNewton().run(problem, problem.x0, 2)
    assert fast.steps == slow.steps == 2
    assert fast.loss == pytest.approx(slow.loss, rel=1e-6)
