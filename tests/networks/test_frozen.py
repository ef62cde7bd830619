"""Weights that are frozen: the same function, fewer parameters, and no way to move them."""

import pickle
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.networks.frozen import check_freezable, frozen_module, merged_state, plain_copy

X = torch.linspace(-1, 1, 14, dtype=torch.float64).reshape(7, 2)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def masks(module: nn.Module) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    free = {
        name: torch.rand(value.shape, generator=generator) < 0.5
        for name, value in merged_state(module).items()
    }
    free["2.bias"][:] = False  # one parameter without a free entry
    return free


def stepped(module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = (module(X) ** 2).mean()
        value.backward()
        return value

    for _ in range(3):
        optimiser.step(loss)


def agree(one: Mapping[str, Any], other: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    return all(torch.equal(one[name][where[name]], other[name][where[name]]) for name in one)


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "SGD", "LBFGS"])
def test_what_is_held_keeps_every_bit_and_the_rest_moves(kind: str) -> None:
    source = net()
    before, free = merged_state(source), masks(source)
    module = frozen_module(source, before, free)
    assert torch.equal(module(X), source(X))
    assert sum(p.numel() for p in module.parameters()) == sum(int(m.sum()) for m in free.values())
    settings = {} if kind == "LBFGS" else {"lr": 0.1, "weight_decay": 0.1}
    module.requires_grad_(False).requires_grad_(True)
    stepped(module, getattr(torch.optim, kind)(module.parameters(), **settings))
    after = merged_state(module)
    assert agree(after, before, {name: ~mask for name, mask in free.items()})
    assert not any(torch.equal(after[n][m], before[n][m]) for n, m in free.items() if m.any())
    assert agree(merged_state(source), before, {n: torch.ones_like(m) for n, m in free.items()})


def test_a_plain_copy_is_the_same_function_and_leaves_the_held_one_alone() -> None:
    source = net()
    module = frozen_module(source, merged_state(source), masks(source))
    stepped(module, torch.optim.SGD(module.parameters(), lr=0.1))
    copy = plain_copy(module)
    assert torch.equal(copy(X), module(X))
    assert list(copy.state_dict()) == list(source.state_dict())
    again = frozen_module(copy, merged_state(copy), masks(copy))  # and so on, in a loop
    assert torch.equal(again(X), copy(X))


def test_only_a_checkpoint_of_the_same_held_weights_is_restored() -> None:
    source = net()
    free = masks(source)
    module = frozen_module(source, merged_state(source), free)
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    stepped(module, torch.optim.SGD(module.parameters(), lr=0.1))
    module.load_state_dict(kept)
    assert torch.equal(module(X), source(X))
    before = merged_state(module)
    with pytest.raises(InvalidValueError, match="none of whose weights are held"):
        module.load_state_dict(source.state_dict())
    doubled = frozen_module(source, {name: 2 * value for name, value in before.items()}, free)
    with pytest.raises(InvalidValueError, match="holds other weights"):
        module.load_state_dict(doubled.state_dict())
    other = frozen_module(source, before, {name: ~mask for name, mask in free.items()})
    with pytest.raises(InvalidValueError, match="holds other weights"):
        module.load_state_dict(other.state_dict())
    assert agree(merged_state(module), before, {n: torch.ones_like(m) for n, m in free.items()})


def test_what_cannot_be_held_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="no shape yet"):
        check_freezable(nn.LazyLinear(3))
    with pytest.raises(InvalidValueError, match="is compiled"):
        check_freezable(torch.compile(net()))
    with pytest.raises(InvalidValueError, match="is compiled"):
        check_freezable(torch.jit.script(net()))
    tied = net()
    tied.append(nn.Linear(1, 1))
    tied[3].bias = tied[2].bias
    with pytest.raises(InvalidValueError, match="in several places"):
        check_freezable(tied)
    with pytest.raises(InvalidValueError, match="parametrized weights already"):
        check_freezable(nn.utils.parametrizations.weight_norm(nn.Linear(2, 1)))
    with pytest.raises(InvalidValueError, match="no parameters"):
        check_freezable(nn.Tanh())


class _Old:
    """What older versions stored: without the parameters that are trained."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> Any:
        return self.parts


def test_networks_that_older_versions_stored_are_read() -> None:
    """They name the module in which the function that makes them again once stood."""
    source = net()
    module = frozen_module(source, merged_state(source), masks(source))
    rebuild, (plain, stored, _) = module.__reduce_ex__(2)
    old = pickle.dumps(_Old(rebuild, (plain, stored)), 0)
    assert old.count(b"pacpde.networks.frozen") == 1
    old = pickle.loads(old.replace(b"pacpde.networks.frozen", b"pacpde.interop.held"))
    assert torch.equal(old(X), module(X))
    assert [own.shape for own in old.parameters()] == [own.shape for own in module.parameters()]
