"""Stages of modules and states of fits, for changed files: files, readers and changes."""

import math
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from fuzz_changes import Draw, changed_structure, changed_values

from pacpde.training.callbacks import FitState
from pacpde.training.resume import ResumeState


def resume(folder: Path) -> list[Path]:
    ResumeState(folder, "key").write("fit", {"weights": torch.ones(3)}, {"step": 1})
    return [folder / "fit.safetensors"]


def network() -> torch.nn.Module:
    """A small module with buffers."""
    torch.manual_seed(0)
    layers = (torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.BatchNorm1d(4))
    return torch.nn.Sequential(*layers, torch.nn.Linear(4, 1)).double()


def of_module(folder: Path) -> list[Path]:
    """Of a torch module: the source, with what `allocate` gave, and with what `calibrate` gave."""
    from pacpde.interop.modules import PAC

    pac = PAC(network(), torch.linspace(0, 1, 12, dtype=torch.float64).reshape(6, 2))
    return [*saved_stages(pac, folder, pac.calibrate)]


def saved_stages(pac: Any, folder: Path, calibrate: Callable[..., object]) -> Iterator[Path]:
    for stage in ("source", "allocated", "calibrated"):
        if stage == "allocated":
            pac.prune(0.5, scope="tensor")
            allocated = pac.allocate()
            with torch.no_grad():  # stands for training
                for own in getattr(allocated, "net", allocated).parameters():
                    own += 0.1
        elif stage == "calibrated":
            calibrate(strength=0.1)
        pac.save(folder / stage)
        yield folder / stage


def read_module(path: Path) -> object:
    """The stages of a torch module, and the source recalled of them."""
    from pacpde.interop.modules import PAC

    again = PAC.load(path, network())
    return again.allocated and again.recall()


@cache
def deepxde_model() -> Any:
    """A model of an equation with a parameter that is trained."""
    import pacpde.interop.deepxde  # noqa: F401  (before DeepXDE: torch keeps its defaults)

    dde = sys.modules["deepxde"]
    speed = dde.Variable(1.0)

    def equation(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        return dde.grad.jacobian(u, x) - speed * u

    data = dde.data.PDE(dde.geometry.Interval(0, 1), equation, [], num_domain=8, num_boundary=2)
    model = dde.Model(data, dde.nn.FNN([1, 4, 1], "tanh", "Glorot uniform"))
    model.compile("adam", 1e-3, external_trainable_variables=[speed], verbose=0)
    return model


def of_model(folder: Path) -> list[Path]:
    from pacpde.interop.deepxde import PAC

    model = deepxde_model()
    pac = PAC(model)
    return [*saved_stages(pac, folder, partial(pac.calibrate, model.data))]


def read_model(path: Path) -> object:
    """The stages of a DeepXDE model, and the source recalled of them."""
    from pacpde.interop.deepxde import PAC

    model = deepxde_model()
    again = PAC.load(path, model, model.data)
    return again.allocated and again.recall()


def fit_state() -> FitState:
    """A fit that begins, of three weights."""
    weights = torch.zeros(3, dtype=torch.float64)
    return FitState("fit", 9, [], weights, weights, lambda: None)  # type: ignore[arg-type, return-value]


def resume_whole(folder: Path) -> list[Path]:
    state = fit_state()
    state.history.append({"stage": "fit", "step": 1, "held_out": 0.5})
    state.optimiser_state = {"damping": torch.ones(())}
    state.steps, state.refresh, state.seconds, state.held_out = 1, 1, 0.1, 0.5
    ResumeState(folder, "key").on_refresh(state)
    return [folder / "fit.safetensors"]


def resumed(path: Path) -> object:
    """A fit that goes on from a state, which must be one of its own kind."""
    state, new = fit_state(), fit_state()
    ResumeState(path.parent, "key").on_start(state)
    for own in (state.weights, state.best):
        assert (own.shape, own.dtype) == (new.weights.shape, new.weights.dtype)
    assert state.phase >= 0 and state.refresh >= 0 and math.isfinite(state.seconds + 1.0)
    assert all(entry.get("held_out") is not entry for entry in state.history)
    return bool(state.done), state.steps + 1, state.held_out < 1


def resume_changed(path: Path, rng: Draw, others: list[bytes]) -> None:
    """Change the JSON or the tensors of a state, and seal it again."""
    state = ResumeState(path.parent, f"key {fit_state().key}")
    found = state.read("fit")
    assert found is not None
    tensors, about = found
    if rng.random() < 0.5:
        state.write("fit", changed_values(tensors, rng), about)
    else:
        state.write("fit", tensors, changed_structure(about, rng))
