"""The examples of all docstrings run, with small fits, and print what they say."""

import doctest
import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pacpde
from pacpde import Library, fit, physics, problems, save, transfer
from pacpde.datasets import write
from pacpde.physics import elementary
from pacpde.problems import Heat
from pacpde.reference import solve
from pacpde.residuals import PhysicsTask

SMALL: dict[str, Any] = {"points": 60, "steps": 4}
TINY = {"width": 8, "depth": 1, **SMALL}
FAMILY = '''
from dataclasses import dataclass
from pacpde.physics import Axis, Evolution, coefficient

@dataclass(frozen=True)
class MyFamily(Evolution):
    """u_t = -ku on t∈[0,1] from 1."""
    name = "my_family"
    axes = (Axis("t", 0.0, 1.0),)
    k: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="rate")
    def rhs(self, u, d):
        return -self.k * u
    def initial(self):
        return 1.0
'''


class MyModule(nn.Module):
    """A module of a user, that no file can make again."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def small_fit(problem: Any, **given: Any) -> Any:
    return fit(problem, **TINY | {k: v for k, v in given.items() if k != "settings"})


def small_transfer(source: Any, target: Any, **given: Any) -> Any:
    settings = SMALL if given.get("physics", True) else {"points": 60}  # labels choose the steps
    return transfer(source, target, reference=None, settings=settings, **given)


class SmallLibrary(Library):
    @classmethod
    def build(cls, family: Any, ranges: Any, **given: Any) -> Library:
        return Library.build(family, ranges, most=2, candidates=5, settings=TINY, **given)


@cache
def source() -> Any:
    return fit(Heat(alpha=0.4), settings={**TINY, "depth": 2, "points": 150, "steps": 30})


@cache
def library() -> Any:
    others = [transfer(source(), Heat(alpha=a), method="warm_start", settings=SMALL, reference=None)
              for a in (0.2, 0.8)]  # fmt: skip
    return Library([source(), *(other.surrogate for other in others)])


def deepxde_model() -> Any:
    import deepxde

    from pacpde.interop.deepxde import data

    made = data(Heat(alpha=0.4), num_domain=50, reference=False)
    model = deepxde.Model(made, deepxde.nn.FNN([2, 6, 1], "tanh", "Glorot normal"))
    model.compile("adam", lr=1e-3)
    return model


def table(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).random(shape)


def labels() -> Any:
    return np.where(table(40, 3)[:, 0] > 0.5, "cat", "dog")


def sklearn_name(name: str) -> Any:
    return getattr(importlib.import_module("sklearn.model_selection"), name)


# name → what a reader of an example has under it; made where an example reads the name
WORLD: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("X", "X_new", "X_source", "before", "inputs"), lambda: table(40, 3)),
    **dict.fromkeys(("classes", "labels"), labels),
    **dict.fromkeys(("y", "y_new", "y_source"), lambda: (table(40) > 0.5).astype(int)),
    **dict.fromkeys(("source", "surrogate"), source),
    "Library": lambda: SmallLibrary,
    "GridSearchCV": lambda: sklearn_name("GridSearchCV"),
    "cross_val_score": lambda: sklearn_name("cross_val_score"),
    "dataclass": lambda: dataclass,
    "families": lambda: physics.families,
    "fit": lambda: small_fit,
    "library": library,
    "model": deepxde_model,
    "PhysicsTask": lambda: PhysicsTask,
    "points": lambda: table(20, 2),
    "transfer": lambda: small_transfer,
    "values": lambda: Heat(alpha=0.3).exact(*table(20, 2).T)[0],
    "x": lambda: np.linspace(0, 1, 5),
}
EXAMPLES = {
    test.name: test
    for name in ["pacpde", *(m.name for m in pkgutil.walk_packages(pacpde.__path__, "pacpde."))]
    if not name.endswith("__main__")
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if test.examples
}


SLOW = "pacpde.methods.library."  # the guide of libraries makes the same calls


def reads(code: str, name: str) -> bool:
    """Whether code reads a name that it does not set."""
    sets = re.search(rf"^{name} = ", code, re.MULTILINE)
    return sets is None and re.search(rf"\b{name}\b", code) is not None


class Checker(doctest.OutputChecker):
    """An example that says no output may have any."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path / "cache"))
    Path("my_family.py").write_text(FAMILY, encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n.startswith(SLOW) else ()) for n in EXAMPLES],
)
def test_it_runs_and_prints_what_it_says(name: str) -> None:
    test = EXAMPLES[name]
    text = "".join(example.source for example in test.examples)
    if "data/heat.h5" in text:
        write(solve(Heat()), "data/heat.h5")
    if "MyModule" in text:
        save(fit(Heat(), network=MyModule(), settings=SMALL), "runs/source")
    known = {n: getattr(pacpde, n) for n in pacpde.__all__}
    for module in (elementary, physics, problems):
        known |= {n: getattr(module, n) for n in module.__all__}
    made = {n: make() for n, make in WORLD.items() if reads(text, n)}
    test.globs = (
        {"np": np, "torch": torch, "nn": nn, "Path": Path, "MyModule": MyModule}
        | known
        | test.globs
        | made
    )
    test.globs["__name__"] = "example"
    failed: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    # not verbose by the `-v` of pytest, which would count as a failure
    runner = doctest.DocTestRunner(Checker(), verbose=False, optionflags=flags)
    runner.run(test, out=failed.append, clear_globs=True)
    assert not failed, "".join(failed)
    assert not any(example.options.get(doctest.SKIP) for example in test.examples)


def test_the_example_of_an_interruption_keeps_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands in the guide, with its imports."""
    monkeypatch.setattr(pacpde, "fit", small_fit)
    guide = (Path(__file__).parents[2] / "docs" / "questions.md").read_text()
    question = guide.split("## How do I go on after an interruption?")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", question, re.DOTALL)
    exec(code, {})
    assert len(list(Path("runs/resume").glob("*.safetensors"))) == 1
