"""Torch modules as networks: jets and Jacobians to rounding, what is refused, files."""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pacpde import (
    MLP,
    ModuleNetwork,
    Surrogate,
    TorchModule,
    compare,
    fit,
    fit_many,
    fit_table,
    load,
    save,
)
from pacpde.errors import DataFileError, InvalidValueError
from pacpde.networks import PhysicsAnsatz
from pacpde.networks.module_factors import ModuleFactors, _by_separate_weights
from pacpde.networks.nested_jets import LayerNormByParts, jets_by_gradients
from pacpde.networks.protocol import networks
from pacpde.plugins import load_plugin
from pacpde.problems import Heat
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.studies.rerun import rerun
from pacpde.training.schedule import Phase
from tests.networks.user_modules import (
    Fourier,
    LeftProduct,
    Masked,
    Normalised,
    Raised,
    Residual,
    ResidualNetwork,
    convolutional,
    same_size,
)

FILE = Path(__file__).with_name("user_modules.py")
NAMES = ("", "t", "x", "tt", "tx", "xx", "ttx", "txx", "xxx", "ttxx", "xxxx")
SECOND = ("", "t", "x", "xx")
ANY: Any = None


def chain(*widths: int, between: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    layers = [part for own in pairwise(widths) for part in (nn.Linear(*own), between())]
    return nn.Sequential(*layers[:-1])


def with_statistics(module: nn.Module) -> nn.Module:
    """Running statistics that are no longer those of the start."""
    module.train()
    with torch.no_grad():
        module(torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 3)
    return module


MODULES: dict[str, Callable[[], TorchModule]] = {
    "chain": lambda: TorchModule(chain(2, 9, 7, 1)),
    "residual": lambda: TorchModule(Residual()),
    "normalised": lambda: TorchModule(Normalised()),
    "fourier": lambda: TorchModule(Fourier(), input_shape=(2,)),
    "in its place": lambda: TorchModule(Masked(), input_shape=(2,)),
    "raised": lambda: TorchModule(Raised(), input_shape=(2,)),
    "left product": lambda: TorchModule(LeftProduct(), input_shape=(2,)),
    "same size": lambda: TorchModule(same_size(), input_shape=(1, 6, 5)),
    "convolutional": lambda: TorchModule(with_statistics(convolutional()), input_shape=(1, 8, 8)),
}


def weights_of(network: TorchModule) -> torch.Tensor:
    rng = np.random.default_rng(1)
    made = network.init_weights(rng)
    return torch.from_numpy(made + 0.1 * rng.standard_normal(len(made)))


def random_jet(network: TorchModule, names: Sequence[str], points: int = 5) -> torch.Tensor:
    shape = len(names), points, network.inputs
    return torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, shape))


def test_the_jets_of_a_dense_network_are_those_of_the_same_torch_module() -> None:
    dense, network = MLP(2, 1, (9, 7), 2), TorchModule(chain(2, 9, 7, 1))
    weights, jet = (
        torch.from_numpy(dense.init_weights(np.random.default_rng(0))),
        random_jet(network, NAMES),
    )
    assert [group.shape for group in dense.layout.groups] == [
        group.shape for group in network.layout.groups
    ]
    made, expected = network.forward(weights, jet, NAMES), dense.forward(weights, jet, NAMES)
    assert network.ways.by_calls[NAMES]
    assert float((made - expected).abs().max()) <= 1e-12 * float(expected.abs().max())
    both = torch.stack([weights, 2 * weights])  # a stack
    stacked = network.forward(both, jet, NAMES)
    assert torch.equal(stacked[0], made) and stacked.shape == (2, *made.shape)


@pytest.mark.parametrize("name", ["residual", "normalised", "fourier", "raised", "in its place"])
def test_jets_are_repeated_derivatives_of_autograd(name: str) -> None:
    network = MODULES[name]()
    weights, names = weights_of(network), NAMES[:9] if name == "normalised" else NAMES
    x = random_jet(network, ("",))[0].requires_grad_()
    jet = torch.zeros(len(names), *x.shape, dtype=x.dtype)
    jet[0] = x.detach()
    jet[names.index("t"), :, 0] = jet[names.index("x"), :, 1] = 1
    made = network.forward(weights, jet, names)
    assert network.ways.by_calls[names] == (name != "in its place")
    plain = network.forward(weights, x.detach()[None], ("",))[0]  # by torch's own layers
    torch.testing.assert_close(made[0], plain, rtol=1e-12, atol=1e-12)
    for output in range(network.outputs):
        with LayerNormByParts():  # of which torch's own third derivatives are wrong
            known = {"": network.forward(weights, x[None], ("",))[0, :, output]}
        for which in names[1:]:
            lower = known[which[:-1]]
            slope = torch.autograd.grad(lower.sum(), x, create_graph=True)[0]
            known[which] = slope[:, "tx".index(which[-1])]
        for row, which in zip(made[..., output], names, strict=True):
            expected = known[which].detach()
            # five nested derivatives lose some digits
            assert float((row - expected).abs().max()) <= 1e-12 * max(
                1, float(expected.abs().max())
            )


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("name", MODULES)
def test_the_jacobian_is_that_of_autograd(name: str, images: int) -> None:
    network = MODULES[name]()
    names = ("",) if name == "convolutional" and images == 1 else SECOND
    weights, jet = weights_of(network), random_jet(network, names, 6)
    outputs, factors_of = network.linearise(weights, jet, names, images)
    rng = np.random.default_rng(3)
    slopes = torch.from_numpy(rng.normal(size=(2, *outputs.shape)))
    leaf = weights.clone().requires_grad_()
    rows = (network.forward(leaf, jet, names) * slopes).sum((1, 3))
    rows = rows.unflatten(-1, (images, -1)).sum(1).flatten()
    expected = torch.stack([torch.autograd.grad(row, leaf, retain_graph=True)[0] for row in rows])
    size = float(expected.abs().max())
    assert network.ways.by_uses[names] == (name not in ("in its place", "left product", "raised"))
    factors = factors_of(slopes)
    assert factors.rows == len(rows) and torch.allclose(
        outputs, network.forward(weights, jet, names)
    )

    def written(indices: torch.Tensor | None, limit: int) -> torch.Tensor:
        columns = network.columns(indices, limit, weights.device)
        target = torch.full((sum(own.count for own in columns), len(rows)), torch.nan).double()
        start = 0
        for own in columns:
            factors.write(own, target[start : start + own.count])
            start += own.count
        return target.mT

    chosen = torch.arange(1, network.size, 3)
    for made, wanted in (
        (written(None, 10_000), expected),
        (written(chosen, 7), expected[:, chosen]),
    ):
        assert float((made - wanted).abs().max()) <= 1e-12 * size
    separate: Any = factors
    each = torch.stack(list(_by_separate_weights(separate, None)))
    each = each.unflatten(1, (images, -1)).sum(1).flatten(0, 1)
    assert float((each - expected).abs().max()) <= 1e-12 * size
    direction, y = torch.randn(network.size).double(), torch.randn(len(rows)).double()
    assert torch.allclose(factors.times(direction), expected @ direction, rtol=1e-10, atol=1e-10)
    total = torch.ones(network.size).double()
    factors.add_transposed(y, total)
    assert torch.allclose(total, 1 + expected.mT @ y, rtol=1e-10, atol=1e-10)
    part = factors.subset(slice(1, 3))
    assert part.points == 2 and isinstance(part, ModuleFactors)
    assert torch.allclose(
        part.times(direction), (expected @ direction).unflatten(0, (2, -1))[:, 1:3].flatten()
    )


def test_a_users_residual_network_solves_heat() -> None:
    source = fit(Heat(alpha=0.4), network=Residual(), points=150, steps=20)
    t, x = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))
    exact = np.exp(-0.4 * np.pi**2 * t) * np.sin(np.pi * x)
    assert np.linalg.norm(source(t, x) - exact) < 1e-3 * np.linalg.norm(exact)
    assert source.network == TorchModule(Residual())
    assert source.provenance["settings"]["network"]["class"].endswith("user_modules.Residual")


def test_random_weights_are_the_modules_own_and_change_no_global_state() -> None:
    module, state = Residual(), torch.get_rng_state()
    before = copy.deepcopy(module.state_dict())
    network = TorchModule(module)
    one, same, other = (network.init_weights(np.random.default_rng(k)) for k in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(own, before[name]) for name, own in module.state_dict().items())
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    parts = network.layout.split(torch.from_numpy(one))
    # the layers draw anew, within their bound; the gains start as in the module
    assert float(parts["blocks.0.weight"].abs().max()) <= 1 / 4
    assert not torch.equal(parts["blocks.0.weight"].float(), module.blocks[0].weight)
    assert torch.equal(parts["gains"].float(), module.gains)
    given = TorchModule(module, given_weights=True).init_weights(np.random.default_rng(0))
    values = TorchModule(module, given_weights=True).layout.split(torch.from_numpy(given))
    assert all(torch.equal(values[name].float(), own) for name, own in module.named_parameters())
    kind = ResidualNetwork(2, 1)
    assert not np.array_equal(*(kind.init_weights(np.random.default_rng(k)) for k in (0, 1)))
    assert torch.equal(torch.get_rng_state(), state)


def test_layout_names_biases_and_the_last_layer() -> None:
    network = TorchModule(Residual())
    heads = [group.name for group in network.layout.groups if group.is_head]
    assert heads == ["last.weight", "last.bias"]  # which is not registered last
    assert network.head == slice(2, 2 + 17)  # behind the gains
    biases = {group.name for group in network.layout.groups if group.is_bias}
    assert biases == {"last.bias", "first.bias", "blocks.0.bias", "blocks.1.bias", "gains"}
    # 2·W·x for every dense layer
    assert network.flops == 2 * (2 * 16 + 2 * 16 * 16 + 16)


def test_constants_stay_what_they_were() -> None:
    module = Fourier()
    module.body[0].weight.requires_grad_(False)
    network = TorchModule(module, input_shape=2)
    assert [group.name for group in network.layout.groups] == [
        "body.0.bias", "body.2.weight", "body.2.bias"
    ]  # fmt: skip
    weights, x = weights_of(network), random_jet(network, ("",))
    before = network.forward(weights, x, ("",))
    with torch.no_grad():
        module.frequencies.zero_()
        module.body[0].weight.zero_()
    assert torch.equal(network.forward(weights, x, ("",)), before)
    assert torch.equal(pickle.loads(pickle.dumps(network)).forward(weights, x, ("",)), before)


def test_many_fits_share_one_module() -> None:
    """Each thread has a copy of it, in which weights are put."""
    network = TorchModule(chain(2, 5, 1))
    problems = [Heat(alpha=0.3), Heat(alpha=0.35)]
    phases = (Phase(2, 2, SamplingSpec(40)),)

    class Short:
        def cold_start(self, task: Task) -> Sequence[Phase]:
            return phases

        after_pruning = warm_start = cold_start

    given: dict[str, Any] = {"network": network, "schedule": Short()}
    made = fit_many(problems, workers=2, **given)
    alone = fit_many(problems[:1], workers=1, **given)[0]
    stacked = fit_many(problems, workers=1, stacked=True, **given)
    for one in (alone, stacked[0]):
        # sums in another order, which the steps make larger
        assert torch.allclose(one.weights, made[0].weights, rtol=1e-6, atol=1e-8)


class Noisy(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + torch.rand_like(x))


class Counting(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 1)
        self.register_buffer("calls", torch.zeros(()))

    calls: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(x)


class Mixing(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean(0))


class Choosing(nn.Linear):
    """It chooses by the values of its inputs, which no vmap follows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        y = y if float(x.detach().sum()) > 1e9 else torch.sin(y)
        return y * torch.exp(self.weight).sum()


class Detached(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(super().forward(x)) * (1 + x[:, 1:].detach())


class Rooted(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.sqrt())


class Rounded(nn.Linear):
    """Its derivatives are those of the identity in place of the rounding."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.tanh(super().forward(x))
        return y + ((8 * y).round() / 8 - y).detach()


ELSEWHERE = nn.Parameter(torch.ones(1))


class Outside(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * ELSEWHERE.double()


def without_gradients() -> nn.Module:
    return nn.Linear(2, 1).requires_grad_(False)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "number": (lambda: TorchModule(ANY or 3), "the module is 3, expected a torch.nn.Module"),
    "class": (lambda: TorchModule(ANY or nn.Linear), "expected a torch.nn.Module"),
    "no dense layer": (lambda: TorchModule(convolutional()),
        r"none of its dense layers: write TorchModule\(module, input_shape=2\)"),
    "shape": (lambda: TorchModule(nn.Linear(2, 1), input_shape=ANY or "2"), "input_shape is '2'"),
    "another shape": (lambda: TorchModule(convolutional(), input_shape=(1, 4, 4)),
        r"cannot be evaluated in float64 at 5 points of shape \(1, 4, 4\) .*give input_shape"),
    "images out": (lambda: TorchModule(nn.Conv2d(1, 1, 3), input_shape=(1, 8, 8)),
        r"gives \(5, 1, 6, 6\) at 5 points .*expected a tensor \[points, outputs\]"),
    "a tuple": (lambda: TorchModule(nn.LSTM(2, 3), input_shape=2), r"(?s)gives .*expected a tens"),
    "random": (lambda: TorchModule(Noisy(2, 1)), "Noisy cannot be a network: .*random numbers"),
    "moving": (lambda: TorchModule(Counting()), "cannot be a network: .*buffer that moves"),
    "points together": (lambda: TorchModule(Mixing(2, 1)),
        "Mixing gives a point other outputs alone than among other points"),
    "no running statistics": (
        lambda: TorchModule(nn.Sequential(
            nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1))),
        "cannot be evaluated|other outputs alone"),
    "outside": (lambda: TorchModule(Outside(2, 1)), "uses a parameter that is not among its own"),
    "lazy": (lambda: TorchModule(nn.LazyLinear(1), input_shape=2), "has no shapes yet .*weight"),
    "nothing to fit": (lambda: TorchModule(without_gradients()), "no parameters that require"),
    "complex": (lambda: TorchModule(nn.Linear(2, 1, dtype=torch.complex64)), "of torch.complex64"),
    "inputs": (lambda: fit(Heat(), network=TorchModule(nn.Linear(3, 1))), "has inputs=3"),
    "module": (lambda: fit(Heat(), network=nn.Linear(3, 1)),
        r"Linear cannot be evaluated in float64 at 5 points of shape \(2,\) .*one tensor \[5, 2\]"),
    "outputs": (lambda: fit(Heat(), network=nn.Linear(2, 3)), "inputs=2 and outputs=3"),
    "not differentiable": (
        lambda: fit(Heat(), network=Attention(), points=20, steps=1),
        "cannot be differentiated in its inputs .RuntimeError.*tables need no such"),
    "detached": (lambda: fit(Heat(), network=Detached(2, 1), points=20, steps=1),
        "Detached has other derivatives than its outputs change by: it cuts off gradients"),
    "NaN": (lambda: fit(Heat(), network=Rooted(2, 1), points=20, steps=1),
        "Rooted gives NaN or infinite numbers.*does it divide by its input, or take a root"),
    "rounded": (lambda: fit(Heat(), network=Rounded(2, 1), points=20, steps=1),
        "Rounded has other derivatives than its outputs change by"),
    "no Jacobian": (lambda: fit(Heat(), network=Choosing(2, 1), points=20, steps=1),
        'cannot be computed, .*optimiser="adam:lr=1e-3"'),
    "wrong in torch": (
        lambda: fit(Heat(), network=nn.Sequential(
            nn.Linear(2, 8), nn.Unflatten(1, (2, 4)), nn.InstanceNorm1d(2), nn.Flatten(),
            nn.Linear(8, 1)), points=20, steps=1),
        "other derivatives forward than backward"),
    "text": (lambda: fit(Heat(), network="module"), r"write network=TorchModule\(...\)"),
}  # fmt: skip


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into, self.last = nn.Linear(1, 4), nn.Linear(8, 1)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.into(x[..., None])
        return self.last(self.attention(h, h, h, need_weights=False)[0].flatten(1))


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_network_is_refused_in_a_sentence(case: str) -> None:
    call, words = REFUSED[case]
    with pytest.raises(InvalidValueError, match=words):
        call()


def test_gradients_are_enough_for_a_first_order_optimiser() -> None:
    made = fit(
        Heat(), network=Choosing(2, 1), optimiser="adam:lr=1e-2", points=20, steps=20, restarts=0
    )
    assert made.history[-1]["held_out"] < 0.9 * made.history[0]["held_out"]


def surrogate_of(network: ModuleNetwork) -> Surrogate:
    weights = torch.from_numpy(network.init_weights(np.random.default_rng(3)))
    return Surrogate(network, PhysicsAnsatz(Heat(alpha=0.3)), weights)


def test_a_chain_of_torchs_layers_comes_back_from_a_file(tmp_path: Path) -> None:
    module = nn.Sequential(
        nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Tanh(),
        nn.Sequential(nn.Linear(6, 4), nn.Softplus(2.0)), nn.LayerNorm(4), nn.Dropout(0.3),
        nn.Linear(4, 1, bias=False),
    )  # fmt: skip
    module(torch.rand(9, 2))  # its running statistics move
    made = surrogate_of(TorchModule(module))
    save(made, tmp_path / "made")
    again = load(tmp_path / "made")
    assert again.network == made.network and again.network.settings == made.network.settings
    assert np.array_equal(again(0.3, 0.4), made(0.3, 0.4))
    other = TorchModule(chain(2, 6, 1))
    assert other != made.network
    with pytest.raises(DataFileError, match=r"that is given, .* is not the one of the surrogate"):
        load(tmp_path / "made", network=other)


def test_another_module_is_stored_and_read_with_the_module(tmp_path: Path) -> None:
    module = Residual()
    made = surrogate_of(TorchModule(module))
    save(made, tmp_path / "made")
    with pytest.raises(
        DataFileError,
        match=r"class tests\.networks\.user_modules\.Residual, .*network=TorchModule\(R",
    ):
        load(tmp_path / "made")
    again = load(tmp_path / "made", network=TorchModule(Residual()))
    assert np.array_equal(again.derivative("xx")(0.3, 0.4), made.derivative("xx")(0.3, 0.4))
    assert load(tmp_path / "made", network=ANY or module).network == made.network
    wrong = Residual()
    wrong.blocks[0].forward = lambda x: x  # type: ignore[method-assign]
    with pytest.raises(DataFileError, match="gives other outputs"):
        load(tmp_path / "made", network=TorchModule(wrong))
    with pytest.raises(InvalidValueError, match="network is 3"):
        load(tmp_path / "made", network=ANY or 3)


def test_constants_of_a_module_that_is_code_are_the_users_to_restore(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Fourier()
    made = surrogate_of(TorchModule(module, input_shape=2))
    save(made, tmp_path / "made")
    other = Fourier()  # of other frequencies
    with pytest.raises(DataFileError, match=r"constants \(frequencies\).*by load_state_dict"):
        load(tmp_path / "made", network=TorchModule(other, input_shape=2))
    other.load_state_dict(module.state_dict())
    again = load(tmp_path / "made", network=TorchModule(other, input_shape=2))
    assert again(0.3, 0.4) == made(0.3, 0.4)


def test_a_column_of_codes_is_refused_in_a_sentence() -> None:
    class Coded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.last = nn.Embedding(4, 3), nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.cat([self.inner(x[:, 0].long()), x[:, 1:]], 1))

    rng = np.random.default_rng(0)
    table = np.stack([rng.integers(0, 4, 40), rng.random(40)], 1)
    with pytest.raises(InvalidValueError, match=r"Coded cannot .*IndexError.*standardised columns"):
        fit_table(table, table[:, 0], network=Coded(), steps=1)


def test_a_kind_of_network_comes_back_in_a_fresh_process(tmp_path: Path) -> None:
    load_plugin(FILE)
    made = surrogate_of(
        networks.get("residual").from_settings({"inputs": 2, "outputs": 1, "width": 7})
    )
    save(made, tmp_path / "made")
    code = f"""
from pacpde import load
from pacpde.plugins import load_plugin
load_plugin({str(FILE)!r})
print(repr(float(load({str(tmp_path / "made")!r})(0.3, 0.4))))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(said.stdout) == float(made(0.3, 0.4))


def test_a_record_says_whether_its_module_can_be_made_again() -> None:
    short: dict[str, Any] = {"points": 30, "steps": 1, "restarts": 0}
    records = []
    for module in (chain(2, 4, 1), Residual(width=4)):
        made = compare(
            Heat(alpha=0.4), Heat(alpha=0.35), ["warm_start"],
            settings={"network": module, **short}, reference=None,
        )  # fmt: skip
        records.append(json.loads(json.dumps(made.records)))
    assert [one.differing for one in rerun(records[0])] == [[]]
    with pytest.raises(DataFileError, match=r"class .*Residual, and no code is made from data"):
        rerun(records[1])
    settings = TorchModule(chain(2, 4, 1), given_weights=True).settings
    with pytest.raises(DataFileError, match="began from the module's own weights"):
        TorchModule.from_settings(settings)


def test_a_derivative_that_is_constant_has_none_of_its_own() -> None:
    """Of 2x − 3t and 5: the second derivatives are exactly 0."""
    names = ("", "t", "x", "tx", "xx")
    x = torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, (5, 2)))
    jet = torch.zeros(len(names), *x.shape, dtype=x.dtype)
    jet[0], jet[1, :, 0], jet[2, :, 1] = x, 1, 1

    def plane(at: torch.Tensor) -> torch.Tensor:
        return torch.stack([2 * at[:, 1] - 3 * at[:, 0], 0 * at[:, 0] + 5], 1)

    made = jets_by_gradients(plane, jet, names)
    assert torch.allclose(made[0], plane(x), rtol=1e-15)
    slopes = made.new_tensor([[-3.0, 0.0], [2.0, 0.0]])
    assert torch.equal(made[1:3], slopes[:, None].expand(2, *x.shape))
    assert torch.equal(made[3:], torch.zeros_like(made[3:]))
    constant = jets_by_gradients(lambda at: torch.full((5, 2), 7.0).double(), jet, names)
    assert constant.shape == made.shape
    assert (constant[0] == 7).all() and not constant[1:].any()


def test_the_jacobian_of_a_stack_times_a_vector_is_that_of_each() -> None:
    network = MODULES["chain"]()
    weights = torch.stack([weights_of(network), 2 * weights_of(network)])
    jets = torch.stack([random_jet(network, SECOND), random_jet(network, SECOND).flip(-2)])
    outputs, factors = network.linearise(weights, jets, SECOND, 1)
    slopes = torch.from_numpy(np.random.default_rng(3).normal(size=(2, *outputs.shape)))
    direction = torch.from_numpy(np.random.default_rng(4).normal(size=weights.shape))
    made = factors(slopes).times(direction)
    for k in range(2):
        _, own = network.linearise(weights[k], jets[k], SECOND, 1)
        assert torch.allclose(made[k], own(slopes[:, k]).times(direction[k]), rtol=1e-10)
