"""Adapters, masks and factors: their effective weights, and their Jacobians against autograd's."""

from typing import Any

import numpy as np
import pytest
import torch

from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.mlp import MLP
from pacpde.networks.reparametrised import LowRank, Masked, Reparametrised, Scaled
from pacpde.physics import Problem
from pacpde.problems import Burgers
from pacpde.residuals.factors import residuals
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.terms import PhysicsTerm

INNER = MLP(2, 1, 5, 2)
NETWORKS = [LowRank.of(INNER, rank=2), Masked.of(INNER, threshold=0.1), Scaled.of(INNER)]


def vector(network: Reparametrised) -> torch.Tensor:
    rng = np.random.default_rng(0)
    others = rng.normal(0, 1, network.n_extra)
    return torch.tensor(np.concatenate([network.inner.init_weights(rng), others]))


class FourthOrder(Burgers):
    """u_t = u_x u_txx − ν u_xxxx."""

    name = "fourth_order_of_the_tests"

    def rhs(self, u: Any, d: Any) -> Any:
        return d(u, "x") * d(u, "txx") - self.nu * d(u, "xxxx")


def term(problem: Problem) -> PhysicsTerm:
    points = torch.tensor(problem.domain.sample(7, np.random.default_rng(1)))
    return PhysicsTerm.at(problem, PhysicsAnsatz(problem), points)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
@pytest.mark.parametrize("chosen", ["all", "others", "some"])
@pytest.mark.parametrize("family", [Burgers, FourthOrder])
def test_the_jacobian_is_autograds(
    network: Reparametrised, chosen: str, family: type[Burgers]
) -> None:
    v, terms = vector(network), [term(family(nu=0.05))]
    expected = torch.func.jacrev(lambda at: residuals(network, at, terms))(v)
    free = {
        "all": None,
        "others": torch.arange(network.inner.size, network.size),
        "some": torch.arange(3, network.size, 4),
    }[chosen]
    r, jacobian = linearise(network, v, terms, free)
    wanted = expected if free is None else expected[:, free]
    torch.testing.assert_close(jacobian.dense(), wanted)
    torch.testing.assert_close(r, residuals(network, v, terms))
    assert jacobian.shape == (7, wanted.shape[1])


def test_adapters_of_zero_change_nothing() -> None:
    network = LowRank.of(INNER, rank=2)
    v = vector(network)
    for _, _, at_b in network.adapters:
        v[at_b] = 0
    assert torch.equal(network.effective(v), v[: INNER.size])


def test_a_low_rank_change_has_its_rank() -> None:
    network = LowRank.of(INNER, rank=2)
    v = vector(network)
    changed = network.effective(v) - v[: INNER.size]
    weight, bias = INNER.matrices(changed)[1]
    assert int(torch.linalg.matrix_rank(weight)) == 2 and not bias.any()


def test_a_mask_takes_whole_weights_away() -> None:
    network = Masked.of(INNER, threshold=0.1)
    v = vector(network)
    effective = network.effective(v)
    kept = effective == v[: INNER.size]
    assert bool((kept | (effective == 0)).all()) and 0 < int((~kept).sum()) < INNER.size
    for layer in INNER.layers:
        assert bool(kept[layer.biases].all())


def test_factors_scale_the_outputs_of_hidden_units() -> None:
    network = Scaled.of(INNER)
    v = vector(network)
    v[INNER.size :] = 1
    assert torch.equal(network.effective(v), v[: INNER.size])
    v[INNER.size + 2] = 0  # the third unit of the first layer
    weight, _ = INNER.matrices(network.effective(v))[1]
    assert not weight[:, 2].any() and weight[:, 1].all()
