"""A network says what the entries of its weight vector are."""

import pytest
import torch
from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.networks.layout import WeightLayout
from pacpde.networks.mlp import MLP

NETWORK = MLP(2, 3, 5, 2)


def test_the_groups_of_a_dense_network_are_its_slices() -> None:
    layout, vector = NETWORK.layout, torch.arange(NETWORK.size)
    biases = torch.cat([vector[layer.biases] for layer in NETWORK.layers])
    assert layout.size == NETWORK.size
    assert torch.equal(vector[layout.where(lambda group: group.is_bias)], biases)
    head = vector[layout.where(lambda group: group.is_head)]
    assert torch.equal(head, vector[NETWORK.layers[-1].weights.start :])
    for own, expected in zip(layout.matrices(vector), NETWORK.matrices(vector), strict=True):
        assert torch.equal(own[0], expected[0]) and torch.equal(own[1], expected[1])
    assert torch.equal(layout.join(layout.split(vector)), vector)
    assert layout.widths == [5, 5]


def test_a_module_is_described_by_its_parameters() -> None:
    module = nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten(), nn.Linear(8, 2))
    layout = WeightLayout.of({name: own.shape for name, own in module.named_parameters()})
    assert [group.layer for group in layout.groups] == ["0", "0", "2", "2"]
    assert [group.is_bias for group in layout.groups] == [False, True, False, True]
    assert [group.is_head for group in layout.groups] == [False, False, True, True]
    parameters = dict(module.named_parameters())
    parts = layout.split(layout.join(parameters))
    assert all(torch.equal(own, parameters[name]) for name, own in parts.items())
    with pytest.raises(InvalidValueError, match="chain of dense layers"):
        _ = layout.chain
