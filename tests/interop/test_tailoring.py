"""TransTailor on torch modules: what it removes is gone, and what stays is the same function."""

import pytest
import torch
from torch import nn

from pacpde.errors import InvalidValueError
from pacpde.interop.modules.tailoring import (
    Scale,
    _importance,
    _shrunk,
    _with_scales,
    count_flops,
    tailor,
)


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 2), nn.Tanh(),
        nn.Flatten(), nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 1),
    ).double()  # fmt: skip


IMAGES = torch.rand(64, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_filters_that_reach_nothing_can_go() -> None:
    model = _with_scales(net())
    _, second, third, last = (m for m in model if hasattr(m, "weight"))
    with torch.no_grad():
        second.weight[:, [0, 4]] = 0  # two filters of the first convolution
        third.weight[:, 8:12] = 0  # the third of the second, flattened to four numbers
        last.weight[:, 5] = 0
    kept = [torch.ones(width, dtype=torch.bool) for width in (6, 5, 8)]
    kept[0][[0, 4]] = kept[1][2] = kept[2][5] = False
    small = _shrunk(model, kept)
    torch.testing.assert_close(small(IMAGES), model(IMAGES))
    assert [m.weight.shape[0] for m in small if hasattr(m, "weight")] == [4, 4, 7, 1]
    assert count_flops(small, IMAGES[:1]) < count_flops(model, IMAGES[:1])


def test_flops_are_those_of_the_formula() -> None:
    convolutions = 2 * 6 * 9 * 36 + 2 * 5 * 6 * 4 * 4
    assert count_flops(net(), IMAGES[:1]) == convolutions + 2 * 20 * 8 + 2 * 8


def test_importance_is_the_slope_of_each_samples_loss() -> None:
    """Against one backward pass a sample."""
    model = _with_scales(net())
    truth = IMAGES.mean((1, 2, 3))

    def losses(m: nn.Module) -> torch.Tensor:
        return (m(IMAGES)[:, 0] - truth) ** 2

    found = _importance(model, losses, lambda p: torch.optim.SGD(p, 0.0), 1)
    scale = next(m for m in model if isinstance(m, Scale))
    expected = torch.zeros(6, dtype=torch.float64)
    for sample in range(64):
        scale.factor = torch.ones(6, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(losses(model)[sample], scale.factor)
        expected += slope.abs() / 64
    torch.testing.assert_close(found[0], expected)


def test_a_narrow_target_is_solved_by_a_smaller_network() -> None:
    """The mean of an image wants no eight neurons."""
    truth = 3 * (IMAGES.mean((1, 2, 3)) - 0.5)
    train, rest = slice(0, 48), slice(48, 64)

    def losses(model: nn.Module) -> torch.Tensor:
        return (model(IMAGES[train])[:, 0] - truth[train]) ** 2

    def held_out(model: nn.Module) -> float:
        with torch.no_grad():
            return float(((model(IMAGES[rest])[:, 0] - truth[rest]) ** 2).mean())

    source = net()
    before = [parameter.clone() for parameter in source.parameters()]
    made = tailor(
        source, losses, held_out, IMAGES[:1], flops=0.25, tau=2.0, rounds=2, steps=120,
        optimiser=lambda parameters: torch.optim.Adam(parameters, 1e-2),
    )  # fmt: skip
    assert made.flops <= 0.75**2 * made.rounds[0][0] and len(made.rounds) == 3
    assert made.parameters < sum(p.numel() for p in source.parameters())
    first = made.rounds[0][1]
    assert held_out(made.model) <= 3 * first and first < 0.3 * held_out(source)
    assert all(torch.equal(a, b) for a, b in zip(before, source.parameters(), strict=True))
    # the smaller network is the function of the larger one whose removed filters are masked
    assert made.masked is not None
    assert count_flops(made.masked, IMAGES[:1]) == made.rounds[0][0]
    assert count_flops(made.model, IMAGES[:1]) == made.flops
    torch.testing.assert_close(made.model(IMAGES), made.masked(IMAGES), rtol=0, atol=1e-12)
    masked = [m.factor for m in made.masked if isinstance(m, Scale)]
    assert [int((own != 0).sum()) for own in masked] == [len(own) for own in made.kept]
    assert [len(own) for own in masked] == [6, 5, 8] and len(torch.cat(made.kept)) < 19
    factors = [m.factor for m in made.model if isinstance(m, Scale)]
    assert all(float(factor.mean()) == pytest.approx(1) for factor in factors)  # β over its mean
    assert any(float(factor.std(correction=0)) > 0 for factor in factors)  # stays in the network


def test_what_cannot_be_tailored_is_refused() -> None:
    def nothing(model: nn.Module) -> torch.Tensor:
        return torch.zeros(1)

    for model, why in (
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)), "BatchNorm1d"),
        (nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), nn.Conv2d(2, 1, 1)), "groups"),
        (nn.Sequential(nn.Linear(2, 1)), "no hidden layer"),
    ):
        with pytest.raises(InvalidValueError, match=why):
            tailor(model, nothing, lambda m: 0.0, torch.zeros(1, 2))


def test_what_fits_no_example_is_refused_in_a_sentence() -> None:
    twice = nn.Linear(3, 3)
    parametrized = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    layers = nn.LayerNorm(3, elementwise_affine=False)
    for model, why in (
        (nn.Linear(2, 1), "expected a torch.nn.Sequential"),
        (nn.Sequential(nn.Linear(2, 3), twice, nn.Tanh(), twice), "uses its layer 3 twice"),
        (nn.Sequential(parametrized, nn.Linear(3, 1)), "module 0 has parametrized weights"),
        (
            nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 1)),
            r"which is shaped \(1, 2\)",
        ),
        (nn.Sequential(nn.Linear(2, 3), layers, nn.Linear(3, 1)), "a fixed number of channels"),
    ):
        with pytest.raises(InvalidValueError, match=why):
            tailor(
                model, lambda m: (m(torch.ones(4, 2)) ** 2)[:, 0], lambda m: 0.0,
                torch.zeros(1, 2), steps=1, factor_steps=1, rounds=1,
            )  # fmt: skip


def test_held_out_losses_are_of_a_network_that_draws_no_random_numbers() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1))
    model.requires_grad_(False)  # frozen by whoever used it before
    modes = []

    def losses(m: nn.Module) -> torch.Tensor:
        return (m(torch.ones(4, 2)) ** 2)[:, 0]

    def held_out(m: nn.Module) -> float:
        modes.append(m.training)
        with torch.no_grad():
            return float(losses(m).mean())

    with torch.no_grad():
        made = tailor(
            model, losses, held_out, torch.zeros(1, 2), flops=0.3, tau=1e9, rounds=1, steps=2
        )
    assert modes == [False, False] and made.model.training
    assert made.flops < made.rounds[0][0]
