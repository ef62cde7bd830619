"""What PAC keeps is kept to the last bit: networks × optimisers × what a training run does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch
from torch import nn

from pacpde.interop.deepxde import PAC, Model, data
from pacpde.networks.frozen import merged_state
from pacpde.problems import Heat

X = np.random.default_rng(0).uniform(size=(40, 2)).astype(np.float32)
SIZES = {"num_domain": 40, "num_boundary": 8, "num_initial": 8}


class Residual(dde.nn.NN):
    """Blocks of two layers around a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 8), nn.Linear(8, 1)
        self.inner = nn.ModuleList([nn.Linear(8, 8) for _ in range(2)])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.first(inputs))
        x = x + torch.tanh(self.inner[1](torch.tanh(self.inner[0](x))))
        return self.last(x)


class MultiScale(dde.nn.NN):
    """Random Fourier features of two scales before shared layers."""

    def __init__(self) -> None:
        super().__init__()
        for scale in (1, 5):
            self.register_buffer(f"b{scale}", torch.randn(2, 4) * scale)
        self.shared, self.last = nn.Linear(8, 8), nn.Linear(16, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x = self._input_transform(inputs) if self._input_transform is not None else inputs
        found = []
        for b in (self.b1, self.b5):
            angles = x @ b
            found.append(torch.tanh(self.shared(torch.cat([angles.sin(), angles.cos()], 1))))
        return self.last(torch.cat(found, 1))


def with_transforms() -> Any:
    net = dde.nn.FNN([3, 8, 8, 1], "tanh", "Glorot normal")
    net.apply_feature_transform(lambda x: torch.cat([x, x[:, :1] ** 2], 1))
    net.apply_output_transform(lambda x, u: torch.sin(np.pi * x[:, :1]) + x[:, 1:] * u)
    return net


NETWORKS: dict[str, Callable[[], Any]] = {
    "fnn": lambda: dde.nn.FNN([2, 8, 8, 1], "tanh", "Glorot normal"),
    "transforms": with_transforms,
    "pfnn": lambda: dde.nn.PFNN([2, [6], [6], 1], "tanh", "Glorot normal"),
    "residual": Residual,
    "multi-scale": MultiScale,
}


def own_optimiser(model: Any) -> Any:
    return torch.optim.AdamW(model.net.parameters(), lr=1e-2, weight_decay=0.1)


OPTIMISERS: dict[str, Callable[[Any], None]] = {
    "adam": lambda model: model.compile("adam", lr=1e-2, verbose=0),
    "L-BFGS": lambda model: model.compile("L-BFGS", verbose=0),
    "NNCG": lambda model: model.compile("NNCG", verbose=0),
    "own": lambda model: model.compile(own_optimiser(model), verbose=0),
}


def callbacks(model: Any, folder: Path) -> None:
    kept = str(folder / "best")
    looked = [
        dde.callbacks.EarlyStopping(patience=100),
        dde.callbacks.ModelCheckpoint(kept, save_better_only=True, period=1),
        dde.callbacks.FirstDerivative(X, component_x=0),
    ]
    model.train(iterations=3, display_every=1, callbacks=looked, verbose=0)


def resampler(model: Any, folder: Path) -> None:
    again = dde.callbacks.PDEPointResampler(period=1, bc_points=True)
    model.train(iterations=3, display_every=1, callbacks=[again], verbose=0)


def restore(model: Any, folder: Path) -> None:
    model.train(iterations=2, display_every=1, verbose=0)
    kept = model.save(str(folder / "kept"), verbose=0)
    there = merged_state(model.net)
    model.train(iterations=2, display_every=1, verbose=0)
    assert any(
        not torch.equal(value, there[name]) for name, value in merged_state(model.net).items()
    )
    model.restore(kept, verbose=0)
    assert all(torch.equal(value, there[name]) for name, value in merged_state(model.net).items())
    model.train(iterations=1, display_every=1, verbose=0)


@pytest.fixture(autouse=True)
def short() -> None:
    dde.optimizers.set_LBFGS_options(maxiter=4)
    dde.optimizers.config.LBFGS_options |= {"iter_per_step": 2, "fun_per_step": 4}
    dde.optimizers.config.NNCG_options |= {"cgmaxiter": 3, "rank": 3, "mu": 1e-1}


def trained(make: Callable[[], Any]) -> Any:
    model = dde.Model(data(Heat(), reference=False, **SIZES), make())
    model.compile("adam", lr=1e-2, verbose=0)
    model.train(iterations=5, verbose=0)
    return model


@pytest.mark.parametrize("run", [callbacks, resampler, restore])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_kept_weights_keep_every_bit(
    network: str, optimiser: str, run: Callable[[Any, Path], None], tmp_path: Path
) -> None:
    source = trained(NETWORKS[network])
    before = merged_state(source.net)
    pac = PAC(source)
    pac.prune(0.6)
    allocated = pac.allocate()
    OPTIMISERS["adam"](allocated)
    allocated.train(iterations=3, verbose=0)
    kept, seen = merged_state(allocated.net), allocated.predict(X)
    for name, mask in pac.mask.items():
        assert not kept[name][~mask].any()

    target = pac.calibrate(data(Heat(alpha=0.3), reference=False, **SIZES), strength=1e-3)
    OPTIMISERS[optimiser](target)
    run(target, tmp_path)

    after = merged_state(target.net)
    for name, mask in pac.mask.items():
        assert torch.equal(after[name][mask], kept[name][mask])
    assert any(bool(after[name][~mask].any()) for name, mask in pac.mask.items())
    recalled = pac.recall()
    assert np.array_equal(recalled.predict(X), seen)
    assert not np.array_equal(target.predict(X), seen)
    assert all(torch.equal(value, before[name]) for name, value in merged_state(source.net).items())


def test_a_mask_of_ones_own_is_taken() -> None:
    source = trained(NETWORKS["fnn"])
    pac = PAC(source)
    mask = {
        name: torch.ones_like(value, dtype=torch.bool)
        for name, value in merged_state(source.net).items()
    }
    mask["linears.1.weight"][:, 3:] = False
    pac.prune(mask=mask)
    allocated = pac.allocate()
    assert isinstance(allocated, Model)
    assert sum(p.numel() for p in allocated.net.parameters()) == sum(
        map(int, map(torch.sum, mask.values()))
    )


@pytest.mark.parametrize(
    ("scope", "biases"),
    [("global", "prune"), ("tensor", "keep"), ("layer", "keep"), ("global", "free")],
)
def test_the_largest_are_kept(scope: str, biases: str) -> None:
    source = trained(NETWORKS["fnn"])
    with torch.no_grad():
        for parameter in source.net.parameters():
            parameter += 0.01 * torch.sign(parameter)
    pac = PAC(source)
    pac.prune(0.75, scope=scope, biases=biases)
    values = merged_state(source.net)
    matrices = [name for name in values if name.endswith("weight")]
    for name in values:
        if name.endswith("bias") and biases != "prune":
            assert bool(pac.mask[name].all()) == (biases == "keep")
    groups = [matrices] if scope == "global" else [[name] for name in matrices]
    for group in groups:
        sizes = torch.cat([values[name].abs().flatten() for name in group])
        kept = torch.cat([pac.mask[name].flatten() for name in group])
        assert sizes[kept].min() >= sizes[~kept].max()
        if biases != "prune":
            assert int(kept.sum()) == round(0.25 * len(sizes))
