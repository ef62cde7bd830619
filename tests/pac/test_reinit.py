"""Masks of whole neurons, and the neurons that a mask leaves idle."""

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit
from pacpde.networks.mlp import MLP
from pacpde.pac import SOURCE, prune, score_mask
from pacpde.pac.reinit import REINIT_MODES, reinit_dead_neurons
from pacpde.problems import Heat

NETWORK = MLP(2, 1, 6, 3)


def rising() -> torch.Tensor:
    return torch.linspace(0.01, 1.0, NETWORK.size, dtype=torch.float64)


def test_a_neuron_mask_keeps_a_smaller_dense_network() -> None:
    three, four = MLP(2, 1, 3, 3).size, MLP(2, 1, 4, 3).size
    most = {three: (3, 3, 3), 40: (3, 3, 3), 45: (4, 3, 3), 50: (4, 3, 4), four: (4, 4, 4)}
    for kept, widths in most.items():
        mask = score_mask(NETWORK, rising(), 1 - kept / NETWORK.size, scope="neuron")
        assert int(mask.sum()) == kept  # to the weight
        unreachable = NETWORK.neurons.unreachable(mask)
        assert tuple(int((~layer).sum()) for layer in unreachable) == widths
        for dead, layer, before in zip(
            unreachable, NETWORK.layers, [None, *unreachable], strict=False
        ):
            rows = (~dead).nonzero()[:, 0].tolist()
            assert rows == [2, 3, 4, 5][-len(rows) :]  # scores rise with the row
            matrix = mask[layer.weights].reshape(layer.outputs, layer.inputs)
            columns = slice(None) if before is None else ~before
            assert matrix[rows][:, columns].all() and mask[layer.biases][rows].all()
            if before is not None:
                assert not matrix[rows][:, before].any()  # no other leads to them


def test_what_makes_up_the_number_takes_few_neurons() -> None:
    """Weights into early neurons, of which there are few each, would take them all."""
    network, early = MLP(1, 1, 12, 3), torch.zeros(MLP(1, 1, 12, 3).size, dtype=torch.float64)
    early[network.layers[0].weights] = early[network.layers[0].biases] = 1.0
    for sparsity in (0.3, 0.5, 0.65, 0.8):
        mask = score_mask(network, early, sparsity, scope="neuron")
        assert int(mask.sum()) == round((1 - sparsity) * network.size)
        counts = []
        for dead, (weight, bias) in zip(
            network.neurons.unreachable(mask), network.matrices(mask), strict=False
        ):
            counts.append(int((weight.any(1) | bias)[dead].sum()))
        assert counts[:2] == [0, 0] and counts[2] <= 3


def test_what_was_pruned_before_is_not_taken_up_again() -> None:
    first = score_mask(NETWORK, rising(), 0.4, scope="neuron")
    scores = torch.where(first, -rising(), -torch.inf)  # as if a round had turned all round
    second = score_mask(NETWORK, scores, 0.8, scope="neuron")
    assert second.any() and not (second & ~first).any()


def test_dead_neurons_are_those_from_which_no_chain_leads_to_an_output() -> None:
    mask = torch.ones(NETWORK.size, dtype=torch.bool)
    assert not any(layer.any() for layer in NETWORK.neurons.unreachable(mask))
    head, last = NETWORK.layers[3], NETWORK.layers[2]
    mask[head.weights.start + 1] = False  # neuron 1 of the last hidden layer leads to no output
    for row in (0, 2, 3, 4, 5):  # and only it hears neuron 4 of the one before
        mask[last.weights.start + row * 6 + 4] = False
    first, second, third = NETWORK.neurons.unreachable(mask)
    assert not first.any()
    assert second.tolist() == [False] * 4 + [True, False]
    assert third.tolist() == [False, True] + [False] * 4


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=8, depth=2, points=60, steps=6)


@pytest.mark.parametrize("scope", ["global", "neuron"])
@pytest.mark.parametrize("mode", REINIT_MODES)
def test_other_weights_into_dead_neurons_change_nothing_but_slopes(
    source: Surrogate, scope: str, mode: str
) -> None:
    pruned = prune(source, 0.8, scope=scope)
    reset = reinit_dead_neurons(pruned, pruned.retained[SOURCE].mask, 0, mode=mode)
    t, x = np.linspace(0, 1, 30), np.linspace(0, 1, 30)
    np.testing.assert_allclose(reset(t, x), pruned(t, x), rtol=1e-13, atol=1e-15)
    assert np.array_equal(reset.recall()(t, x), pruned.recall()(t, x))
    unreachable = source.network.neurons.unreachable(pruned.retained[SOURCE].mask)
    assert any(layer.any() for layer in unreachable)
    for dead, (weight, _) in zip(unreachable, source.network.matrices(reset.weights), strict=False):
        # all inputs reach it, so that the slopes in the weights that leave it are not 0
        assert weight[dead].all()


def test_a_dead_neuron_may_begin_as_a_copy_of_another(source: Surrogate) -> None:
    pruned = prune(source, 0.8, scope="neuron")
    mask = pruned.retained[SOURCE].mask
    reset = reinit_dead_neurons(pruned, mask, 0, 0.0, mode="copy")
    network = source.network
    rows = zip(
        network.neurons.unreachable(mask), network.matrices(reset.weights), network.matrices(mask),
        strict=False,
    )  # fmt: skip
    for dead, (weight, bias), (kept, kept_bias) in rows:
        used = (~dead).nonzero()[:, 0]
        for number, place in enumerate(dead.nonzero()[:, 0]):
            like = used[number % len(used)]
            free = ~kept[place]
            assert torch.equal(weight[place][free], weight[like][free])
            assert kept_bias[place] or bias[place] == bias[like]
