"""Any torch module under its user's own loop: what is kept is kept to the last bit."""

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pacpde.errors import InvalidValueError, TransferWarning, UnknownNameError
from pacpde.interop.modules import (
    PAC,
    bss,
    freeze,
    l2_sp,
    last_layer,
    lora,
    packnet,
    piggyback,
    unfreeze,
    warm_start,
)
from pacpde.networks.frozen import merged_state
from pacpde.networks.layout import module_layout
from pacpde.pac.mask import filter_mask

RANDOM = torch.Generator().manual_seed(3)
X = torch.rand(32, 4, dtype=torch.float64, generator=RANDOM)
IMAGES = torch.rand(16, 1, 8, 8, dtype=torch.float64, generator=RANDOM)
SERIES = torch.rand(16, 5, 4, dtype=torch.float64, generator=RANDOM)


class Residual(nn.Module):
    """Blocks around a skip, with a normalisation and dropout; its layers are named out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Linear(12, 2), nn.Linear(4, 12)
        self.blocks = nn.ModuleList([nn.Linear(12, 12) for _ in range(2)])
        self.norm, self.dropout = nn.LayerNorm(12), nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.first(x))
        for block in self.blocks:
            x = x + self.dropout(torch.tanh(block(self.norm(x))))
        return self.last(x)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.inner(x)[0][:, -1])


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.inner(x, x, x)[0].mean(1))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 5, 2), nn.Tanh(), nn.Flatten(), nn.Linear(20, 3),
    )  # fmt: skip


NETWORKS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
    "residual": (Residual, X),
    "convolutional": (convolutional, IMAGES),
    "recurrent": (Recurrent, SERIES),
    "attentive": (Attentive, SERIES),
}
OPTIMISERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, 1e-2, weight_decay=0.1),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, 1e-2, weight_decay=0.1),
    "SGD": lambda parameters: torch.optim.SGD(
        parameters, 1e-2, momentum=0.9, weight_decay=0.1, nesterov=True
    ),
    "L-BFGS": lambda parameters: torch.optim.LBFGS(parameters, 0.1, max_iter=3),
}


def made(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    make, inputs = NETWORKS[name]
    return make().double(), inputs


def train(
    module: nn.Module, x: torch.Tensor, optimiser: str = "Adam", steps: int = 4, **options: Any
) -> nn.Module:
    """A user's loop, which shuffles batches and switches gradients as users do."""
    penalty = options.get("penalty", lambda: 0.0)
    truth = options.get("truth", x.flatten(1).mean(1, keepdim=True))
    module.train().requires_grad_(True)
    own = OPTIMISERS[optimiser](module.parameters())
    for step in range(steps):
        batch = slice(None) if optimiser == "L-BFGS" else slice(8 * (step % 2), 8 * (step % 2) + 8)

        def closure(batch: slice = batch) -> torch.Tensor:
            own.zero_grad()
            loss = ((module(x[batch]) - truth[batch]) ** 2).mean() + penalty()
            loss.backward()
            return loss

        own.step(closure)
    return module.eval()


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights and buffers by the names of the plain module."""
    plain = unfreeze(module)
    return {name: own.detach().clone() for name, own in plain.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_source_is_recalled_to_the_last_bit(network: str, optimiser: str) -> None:
    source, x = made(network)
    train(source, x)
    before = state(source)
    pac = PAC(source, x)
    pac.prune(0.6, scope="tensor")
    allocated = train(pac.allocate(), x, optimiser)
    kept, seen = state(allocated), allocated(x)
    for name, mask in pac.mask.items():
        assert not kept[name][~mask].any()
    target = pac.calibrate(strength=1e-3)
    assert torch.equal(target.eval()(x), seen)
    train(target, x, optimiser, truth=torch.ones(len(x), 1).double(), penalty=pac.penalty)
    after = state(target)
    for name, mask in pac.mask.items():
        assert torch.equal(after[name][mask], kept[name][mask])
    assert any(bool(after[name][~mask].any()) for name, mask in pac.mask.items())
    assert not torch.equal(target(x), seen)
    recalled = pac.recall().eval()
    assert torch.equal(recalled(x), seen) and same(state(recalled), kept)
    assert type(recalled) is type(source) and same(state(source), before)
    assert all(own.requires_grad for own in recalled.parameters())


def test_running_statistics_are_those_of_the_stage() -> None:
    source, x = made("convolutional")
    pac = PAC(train(source, x), x)
    pac.prune(0.5)
    allocated = train(pac.allocate(), x)
    first = {name: own.clone() for name, own in allocated[1].named_buffers()}
    target = train(pac.calibrate(), x)
    recalled = pac.recall()
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(getattr(recalled[1], name), first[name])
        assert not torch.equal(getattr(target[1], name), first[name])


def test_lambda_is_that_of_the_sum_of_squares() -> None:
    source, x = made("residual")
    pac = PAC(source, x)
    pac.prune(0.5)
    train(pac.allocate(), x)
    target = train(pac.calibrate(strength=0.25), x)
    freed = torch.cat([state(target)[name][~mask] for name, mask in pac.mask.items()])
    assert float(pac.penalty()) == pytest.approx(0.25 * float((freed**2).sum()), rel=1e-12)
    assert float((freed**2).sum()) > 0


@pytest.mark.parametrize("scope", ["neuron", "filter"])
def test_whole_filters_are_kept(scope: str) -> None:
    source, x = made("convolutional")
    pac = PAC(source, x)
    pac.prune(0.5, scope=scope)
    mask, values = pac.mask, merged_state(source)
    for layer, filters in (("0", 6), ("4", 5)):
        rows = mask[f"{layer}.weight"].flatten(1)
        assert torch.equal(rows.all(1), rows.any(1))
        assert torch.equal(mask[f"{layer}.bias"], rows.all(1))
        kept, sizes = rows.all(1), values[f"{layer}.weight"].abs().flatten(1).mean(1)
        assert int(kept.sum()) == round(0.5 * filters)
        assert sizes[kept].min() > sizes[~kept].max()
    assert mask["1.weight"].all() and mask["1.bias"].all() and mask["7.bias"].all()
    assert int(mask["7.weight"].sum()) == 30
    freed = filter_mask(module_layout(source), torch.rand(len(pac.layout.join(mask))), 0.5, "free")
    split = module_layout(source).split(freed)
    assert not any(split[name].any() for name in ("0.bias", "1.weight", "7.bias"))
    allocated = train(pac.allocate(), x)
    seen = allocated(x)
    train(pac.calibrate(), x)
    assert torch.equal(pac.recall().eval()(x), seen)


def test_the_head_is_what_is_evaluated_last() -> None:
    source, x = made("residual")  # its last layer is named first
    pac = PAC(source, x)
    assert {group.name for group in pac.layout.groups if group.is_head} == {
        "last.weight", "last.bias",
    }  # fmt: skip
    pac.prune(0.5, head="keep", biases="free")
    assert pac.mask["last.weight"].all() and pac.mask["last.bias"].all()
    trainable = [n for n, p in last_layer(source, example=x).named_parameters() if p.numel()]
    assert trainable == ["last.weight", "last.bias"]


def test_frozen_layers_cannot_be_moved() -> None:
    source, x = made("convolutional")
    before = state(source)
    for frozen in (freeze(source, ["0", source[1]]), freeze(source, (source[0], "1"))):
        train(frozen, x, "SGD")
        after = state(frozen)
        held = {
            name for name in before if name[0] in "01" and name.split(".")[1] in ("weight", "bias")
        }
        assert len(held) == 4 and all(torch.equal(after[n], before[n]) for n in held)
        others = [name for name, _ in source.named_parameters() if name not in held]
        assert not any(torch.equal(after[name], before[name]) for name in others)
        assert [n for n, p in frozen.named_parameters() if p.numel()] == others
    one = freeze(source, "7.bias")
    assert sum(p.numel() for p in one.parameters()) + 3 == sum(
        p.numel() for p in source.parameters()
    )
    more = freeze(one, "7.weight")  # what is frozen stays so
    assert sum(p.numel() for p in more.parameters()) + 63 == sum(
        p.numel() for p in source.parameters()
    )
    assert same(state(source), before)


def test_frozen_entries_of_a_mask_cannot_be_moved() -> None:
    source, x = made("residual")
    before = state(source)
    mask = {"first.weight": torch.rand(12, 4, generator=RANDOM) < 0.5}
    frozen = train(freeze(source, mask=mask), x, "AdamW")
    after, held = state(frozen), mask["first.weight"]
    assert torch.equal(after["first.weight"][held], before["first.weight"][held])
    assert (after["first.weight"] != before["first.weight"])[~held].all()
    assert not torch.equal(after["blocks.0.weight"], before["blocks.0.weight"])
    for again in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        train(again, x)
        assert torch.equal(state(again)["first.weight"][held], before["first.weight"][held])
        assert not same(state(again), after) and same(state(frozen), after)
    plain = unfreeze(frozen)
    assert type(plain) is Residual and torch.equal(plain(x), frozen(x))
    inside = nn.Sequential(frozen, nn.Linear(2, 1).double()).eval()
    assert type(unfreeze(inside)[0]) is Residual
    assert torch.equal(unfreeze(inside)(x), inside(x))


def test_what_cannot_be_frozen_is_refused() -> None:
    source, _ = made("residual")
    stranger: Any = nn.Linear(2, 2)
    with pytest.raises(UnknownNameError, match=r"firs.*first"):
        freeze(source, "firs")
    with pytest.raises(UnknownNameError, match=r"first\.wieght.*first\.weight"):
        freeze(source, mask={"first.wieght": torch.ones(12, 4, dtype=torch.bool)})
    with pytest.raises(InvalidValueError, match="is no part of the module"):
        freeze(source, stranger)
    with pytest.raises(InvalidValueError, match=r"shape \(4, 12\), expected torch.bool of shape"):
        freeze(source, mask={"first.weight": torch.ones(4, 12, dtype=torch.bool)})
    with pytest.raises(InvalidValueError, match="one of them"):
        freeze(source)
    with pytest.raises(InvalidValueError, match="functions of others"):
        freeze(lora(source), "first")
    with pytest.raises(InvalidValueError, match=r"expected a torch.nn.Module"):
        freeze("first", "first")  # type: ignore[arg-type]


def test_what_cannot_be_recalled_is_refused() -> None:
    class Stored(nn.Module):
        """Uses a copy of its weights that it took before."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 1).double()
            self.stored = self.inner.weight.detach()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.stored.T

    class Writing(nn.Module):
        """Scales its weights whenever it is evaluated."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 1).double()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.inner.weight.data = self.inner.weight.data.sign()
            return self.inner(x)

    class Drawing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 1).double()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x + torch.randn_like(x))

    number = {"size": 1.0}

    class Reading(Drawing):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return number["size"] * self.inner(x)

    for module, why in (
        (Stored(), "does not follow its parameters"),
        (Writing(), "does not follow its parameters"),
        (Drawing(), "answers differently when it is asked twice"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 1).double()), "parametrized weights"),
        (nn.Tanh(), "no parameters"),
    ):
        with pytest.raises(InvalidValueError, match=why):
            PAC(module, X)
    owner = nn.Linear(4, 4).double()

    class Borrowing(Drawing):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x @ owner.weight)

    pac = PAC(nn.Sequential(Borrowing()), X)  # another module's weights
    pac.prune(0.5)
    with torch.no_grad():
        owner.weight *= 2
    with pytest.raises(InvalidValueError, match="does not give what it gave"):
        pac.allocate()
    pac = PAC(Reading(), X)
    pac.prune(0.5)
    seen = train(pac.allocate(), X)(X)
    target = pac.calibrate()
    number["size"] = 2.0
    with pytest.raises(InvalidValueError, match="does not give what it gave"):
        pac.recall()
    number["size"] = 1.0
    assert torch.equal(pac.recall()(X), seen)
    target.double()  # changes nothing
    assert torch.equal(pac.recall()(X), seen)
    target.half()
    with pytest.raises(InvalidValueError, match="moved to a lower precision"):
        pac.recall()
    diverged = nn.Linear(4, 1)
    with torch.no_grad():
        diverged.weight[0, 1] = torch.inf
    for way in (PAC, warm_start, l2_sp, bss, last_layer, lora, piggyback):
        with pytest.raises(InvalidValueError, match="no finite numbers"):
            way(diverged)
    with pytest.raises(InvalidValueError, match="cannot be evaluated at its example"):
        PAC(nn.Linear(3, 1).double(), X)


def test_steps_in_another_order_are_refused_or_told() -> None:
    pac = PAC(made("residual")[0], X)
    for step in (pac.allocate, pac.calibrate, pac.penalty, pac.recall):
        with pytest.raises(InvalidValueError, match="comes after"):
            step()
    weights = merged_state(made("residual")[0])
    everything = {name: torch.ones_like(own, dtype=torch.bool) for name, own in weights.items()}
    with pytest.raises(InvalidValueError, match="cuts every path"):
        pac.prune(
            mask={name: own if name == "norm.bias" else ~own for name, own in everything.items()}
        )
    pac.prune(0.5)
    pac.allocate()
    with pytest.warns(TransferWarning, match="is not trained") as told:
        pac.calibrate()
    assert told[0].filename == __file__
    train(pac.allocate(), X)
    with pytest.raises(InvalidValueError, match="allocated already"):
        pac.allocate()


def test_a_mask_of_ones_own_stands_alone() -> None:
    source, _ = made("residual")
    pac = PAC(source, X)
    mask = {
        name: torch.arange(own.numel()).view_as(own) % 2 == 0
        for name, own in merged_state(source).items()
    }
    options: dict[str, Any] = {
        "sparsity": 0.8, "scope": "global", "biases": "prune", "head": "prune"
    }  # fmt: skip
    for name, value in options.items():  # a default that is written is no default any more
        with pytest.raises(InvalidValueError, match=f"mask and {name} are given"):
            pac.prune(mask=mask, **{name: value})
    with pytest.raises(InvalidValueError, match="mask and sparsity, head are given"):
        pac.prune(0.9, head="keep", mask=mask)
    pac.prune(mask=mask)
    assert same(dict(pac.mask), mask)
    pac = PAC(source)  # without an example no path is looked for
    pac.prune()
    default = pac.mask
    pac.prune(**options)
    assert same(dict(pac.mask), dict(default))
    assert sum(int(own.sum()) for own in default.values()) == round(
        0.2 * sum(own.numel() for own in default.values())
    )
    with pytest.raises(InvalidValueError) as told:
        pac.prune(mask={name: own for name, own in mask.items() if name != "norm.weight"})
    assert str(told.value).startswith("the mask has no norm.weight: give a mask of every")
    with pytest.raises(InvalidValueError, match=r"has no (\S+, ){3}\S+ and 6 more: .* True where"):
        pac.prune(mask={})
    with pytest.raises(UnknownNameError, match=r"norm\.wieght.*norm\.weight"):
        pac.prune(mask=mask | {"norm.wieght": mask["norm.weight"]})


def test_freed_scales_are_named_as_what_cuts_the_network() -> None:
    torch.manual_seed(0)
    source = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 1))
    pac = PAC(source.double(), X)
    with pytest.raises(InvalidValueError) as told:
        pac.prune(0.2, biases="free")
    assert "the scales 1.weight are all freed" in str(told.value)
    assert "smaller sparsity" not in str(told.value)
    pac.prune(0.2, biases="keep")  # which the sentence says
    with pytest.raises(InvalidValueError, match=r"1\.weight are all freed.*smaller sparsity"):
        pac.prune(0.99, biases="free")  # the scales alone are not enough
    with pytest.raises(InvalidValueError, match="constant: keep more weights"):
        pac.prune(0.99, biases="keep")


def test_running_statistics_of_a_frozen_layer_stop_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    source = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 1)).double()
    frozen = freeze(source, layers=["1"])
    frozen.train()
    norm: Any = frozen[1]
    before = norm.running_mean.clone()
    frozen(X)
    assert not torch.equal(norm.running_mean, before)  # as docs/modules.md says
    before = norm.running_mean.clone()
    norm.eval()
    frozen(X)
    assert torch.equal(norm.running_mean, before)


def test_stages_that_are_no_numbers_are_refused() -> None:
    class Normed(nn.Module):
        """Rows of weights over their norm."""

        def __init__(self) -> None:
            super().__init__()
            self.weight, self.last = nn.Parameter(torch.rand(6, 4)), nn.Linear(6, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(x @ (self.weight / self.weight.norm(dim=1, keepdim=True)).T)

    pac = PAC(Normed(), X.float())
    head = [group.name for group in pac.layout.groups if group.is_head]
    assert head == ["last.weight", "last.bias"]  # though the whole module ends after it
    with pytest.raises(InvalidValueError, match=r"with the freed weights at 0 .* no finite"):
        pac.prune(0.5, scope="filter", head="keep")
    pac = PAC(made("residual")[0], X)
    pac.prune(0.5)
    allocated = pac.allocate()
    with torch.no_grad():
        next(own for own in allocated.parameters() if own.numel())[0] = torch.nan
    with pytest.raises(InvalidValueError, match=r"its training diverged\. Call pac"):
        pac.calibrate()


def test_packnet_has_a_threshold_a_layer_and_keeps_biases() -> None:
    masks = packnet(made("residual")[0], X, sparsity=0.75).mask
    assert all(own.all() for name, own in masks.items() if own.dim() == 1)
    assert int(masks["blocks.0.weight"].sum()) == 36 and int(masks["first.weight"].sum()) == 12


def test_an_example_may_have_several_arguments_or_whole_numbers() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.inner = nn.Embedding(7, 4), nn.Linear(8, 1)

        def forward(self, x: torch.Tensor, number: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"found": self.inner(torch.cat([x, self.words(number)], 1))}

    module, numbers = Two().double(), torch.arange(32) % 7
    pac = PAC(module, (X, numbers))
    pac.prune(0.5, scope="tensor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TransferWarning)
        pac.allocate()
        pac.calibrate()
    expected = pac.allocated(X, numbers)["found"]  # type: ignore[misc]
    assert torch.equal(pac.recall()(X, numbers)["found"], expected)
    plain = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 1))
    PAC(plain, numbers).prune(0.5, scope="tensor")
    with pytest.raises(InvalidValueError, match="expected inputs of the module"):
        PAC(plain, [1, 2])


def test_penalties_are_those_of_the_formulas() -> None:
    source, x = made("residual")
    before = state(source)
    target, penalty = l2_sp(source, alpha=0.3)
    assert float(penalty()) == 0
    train(target, x, penalty=penalty)
    moved = sum(float(((state(target)[name] - before[name]) ** 2).sum()) for name in before)
    assert float(penalty()) == pytest.approx(0.15 * moved, rel=1e-12) and moved > 0
    target, penalty = bss(source, example=x, shrink=0.5, smallest=2)
    with pytest.raises(InvalidValueError, match="not evaluated yet"):
        penalty()
    target.eval()(x)
    found: list[torch.Tensor] = []
    source.last.register_forward_hook(lambda _, inputs, outputs: found.append(inputs[0]))
    source.eval()(x)
    values = torch.linalg.eigvalsh(found[0].T @ found[0])
    # 12 features: eigenvalues of the Gram matrix are known to eps of the largest
    expected = 0.5 * float(values[:2].sum().detach())
    assert float(penalty()) == pytest.approx(expected, abs=1e-12 * float(values[-1]))
    penalty().backward()
    assert bool(target.first.weight.grad.any()) and target.last.weight.grad is None
    assert same(state(warm_start(source)), before) and same(state(source), before)


@pytest.mark.parametrize("network", NETWORKS)
def test_lora_adds_a_low_rank_change_to_weights_that_stay(network: str) -> None:
    source, x = made(network)
    before = state(source)
    module = lora(source, rank=2, seed=1)
    assert torch.equal(module.eval()(x), source.eval()(x))
    assert same(state(module), before)
    frozen = {name: own.clone() for name, own in module.named_buffers() if name.endswith("values")}
    train(module, x, "SGD")
    assert all(torch.equal(own, frozen[name]) for name, own in module.named_buffers()
               if name in frozen)  # fmt: skip
    plain = unfreeze(module).eval()
    torch.testing.assert_close(plain(x), module(x), rtol=0, atol=0)
    changed = 0
    for name, own in plain.named_parameters():
        if own.dim() > 1:
            change = (own - before[name]).flatten(1)
            assert int(torch.linalg.matrix_rank(change, atol=1e-12)) <= 2
            changed += int(bool(change.any()))
    assert changed and not torch.equal(plain(x), source(x))
    again = copy.deepcopy(module)
    assert torch.equal(again(x), module(x))
    assert [p.shape for p in again.parameters()] == [p.shape for p in module.parameters()]
    stored = io.BytesIO()
    torch.save(module.state_dict(), stored)
    fresh = lora(source, rank=2)
    fresh.load_state_dict(torch.load(io.BytesIO(stored.getvalue())))
    assert torch.equal(fresh.eval()(x), module(x))
    biases = [n for n, p in lora(source, tune_biases=False).named_parameters() if p.numel()]
    assert all(".parametrizations." in f".{name}" for name in biases)


def test_piggyback_leaves_weights_out_and_moves_none() -> None:
    source, x = made("convolutional")
    before = state(source)
    module = piggyback(source, threshold=0.0, initial_score=0.01)
    assert torch.equal(module.eval()(x), source.eval()(x))
    assert {n.rpartition(".")[2] for n, p in module.named_parameters() if p.numel()} == {"original"}
    train(module, x, "AdamW", steps=20)
    after = state(module)
    left = [(after[n] == 0) | (after[n] == before[n]) for n, _ in source.named_parameters()]
    assert all(bool(own.all()) for own in left)
    assert any(bool((after[n] == 0).any()) for n, _ in source.named_parameters())
    # the slope in a score is the weight times that in the effective weight
    scores = module[7].parametrizations.weight.original
    scores.grad = None
    module(x).sum().backward()
    plain = unfreeze(module).eval()
    plain(x).sum().backward()
    torch.testing.assert_close(scores.grad, plain[7].weight.grad * before["7.weight"])
    with pytest.raises(InvalidValueError, match="above the threshold"):
        piggyback(source, threshold=1.0)


def test_a_mask_that_frees_what_one_output_divides_by_is_refused() -> None:
    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.top, self.size = nn.Linear(4, 2), nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            both = self.top(x)
            return torch.cat([both[:, :1], both[:, 1:] / self.size], 1)

    net = Shares().double()
    mask = {name: torch.ones_like(own, dtype=torch.bool) for name, own in net.named_parameters()}
    mask["size"][:] = False
    with pytest.raises(InvalidValueError, match="no finite numbers, as where it divides"):
        PAC(net, X).prune(mask=mask)
