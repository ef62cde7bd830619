"""A network says what the entries of its weight vector are."""

import pytest
import torch
from torch import nn

from pacpde.networks.layout import WeightLayout, module_layout
from pacpde.networks.mlp import MLP
from pacpde.pac import score_mask

NETWORK = MLP(2, 3, 5, 2)


def test_the_groups_of_a_dense_network_are_its_slices() -> None:
    layout, vector = NETWORK.layout, torch.arange(NETWORK.size)
    biases = torch.cat([vector[layer.biases] for layer in NETWORK.layers])
    assert layout.size == NETWORK.size
    assert torch.equal(vector[layout.where(lambda group: group.is_bias)], biases)
    head = vector[layout.where(lambda group: group.is_head)]
    assert torch.equal(head, vector[NETWORK.layers[-1].weights.start :])
    parts = layout.split(vector)
    for number, (weight, bias) in enumerate(NETWORK.matrices(vector)):
        assert torch.equal(parts[f"layers.{number}.weight"], weight)
        assert torch.equal(parts[f"layers.{number}.bias"], bias)
    assert torch.equal(layout.join(layout.split(vector)), vector)


def test_a_module_is_described_by_its_parameters() -> None:
    module = nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten(), nn.Linear(8, 2))
    layout = module_layout(module)
    assert [group.layer for group in layout.groups] == ["0", "0", "2", "2"]
    assert [group.is_bias for group in layout.groups] == [False, True, False, True]
    assert [group.is_head for group in layout.groups] == [False, False, True, True]
    parameters = dict(module.named_parameters())
    parts = layout.split(layout.join(parameters))
    assert all(torch.equal(own, parameters[name]) for name, own in parts.items())


@pytest.mark.parametrize(("scope", "shares"), [("layer", [10, 10]), ("tensor", [8, 2, 9, 2])])
def test_masks_are_written_once_for_every_network(scope: str, shares: list[int]) -> None:
    """A half of each layer, or of each tensor, whatever the network is."""

    class Described:
        layout = WeightLayout.of(
            {"a.weight": (4, 4), "a.bias": (4,), "b.weight": (3, 6), "b.bias": (3,)}
        )

    scores = torch.linspace(0, 1, Described.layout.size)
    parts = Described.layout.split(score_mask(Described(), scores, 0.5, scope))
    found = [int(own.sum()) for own in parts.values()]
    if scope == "layer":
        found = [found[0] + found[1], found[2] + found[3]]
    assert found == shares
    rows = Described.layout.split(score_mask(Described(), scores, 0.5, "neuron"))["a.weight"]
    assert rows.sum(1).tolist() == [0, 0, 4, 4]  # whole neurons of the hidden layer
