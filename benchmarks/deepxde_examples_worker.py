"""One of DeepXDE's example scripts, and its last trained model through PAC, warm start and L2-SP.

It runs in the script's folder, and changes DeepXDE and the script: in a process and a copy that
`benchmarks/deepxde_examples.py` makes for it, which lists what stands in for the script's lines.
"""

import os
import runpy
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ["DDE_BACKEND"], os.environ["MPLBACKEND"] = "pytorch", "Agg"
import common  # noqa: E402, F401  (puts the checkout on the path)
import deepxde as dde  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from pacpde.errors import InvalidValueError, TransferWarning  # noqa: E402
from pacpde.interop.deepxde import PAC, l2_sp, warm_start  # noqa: E402
from pacpde.networks.frozen import merged_state  # noqa: E402

STEPS, TRAININGS = 3, 6  # of a training, and of a script
SIZES = {"num_domain": 200, "num_boundary": 40, "num_initial": 40, "num_test": 200}
OPERATOR = {"num_function": 8, "num_test": 8, "batch_size": 4}
MOST = {  # class of data → its numbers at most
    **dict.fromkeys(("PDE", "TimePDE", "IDE", "FPDE", "TimeFPDE"), SIZES),
    **dict.fromkeys(("PDEOperator", "PDEOperatorCartesianProd"), OPERATOR),
}
TF = SimpleNamespace(
    sin=torch.sin, cos=torch.cos, exp=torch.exp, tanh=torch.tanh, transpose=torch.t,
    matmul=torch.matmul, math=SimpleNamespace(cos=torch.cos, sin=torch.sin),
    concat=lambda tensors, axis: torch.cat(tensors, axis),
    reduce_sum=lambda tensor, axis=None: tensor.sum() if axis is None else tensor.sum(axis),
)  # fmt: skip

# script → line → the line that its pytorch backend needs
LINES = {
    # other backends find the number of features by themselves
    "Lotka_Volterra.py": {"layer_size = [1] + [64]": "layer_size = [7] + [64]"},
}


class Enough(BaseException):
    """The script would go on training."""


class Checks:
    """Comparisons of tensors to the last bit."""

    def __init__(self) -> None:
        self.count = 0
        self.faults: list[str] = []

    def equal(self, what: str, one: Any, other: Any) -> None:
        self.count += 1
        if not np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True):
            self.faults.append(what)

    def states(self, what: str, one: dict[str, Any], other: dict[str, Any]) -> None:
        for name in one:
            self.equal(f"{what}: {name}", one[name], other[name])

    def outputs(self, what: str, one: Any, other: Any) -> None:
        ones, others = (own if isinstance(own, (list, tuple)) else [own] for own in (one, other))
        for a, b in zip(ones, others, strict=True):
            self.equal(f"{what}: outputs", a, b)


def shorter(trained: list[Any], stands_in: set[str]) -> None:
    """Few iterations and points, and no pictures; models are noted when they are trained."""
    train = dde.Model.train

    def few(self: Any, *args: Any, **settings: Any) -> Any:
        if len(trained) >= TRAININGS:
            stands_in.add(f"stopped after {TRAININGS} trainings")
            raise Enough
        iterations = settings.pop("epochs", settings.pop("iterations", args[0] if args else None))
        if iterations is not None:
            settings["iterations"] = min(iterations, STEPS)
        settings["verbose"] = 0
        result = train(self, *args[1:], **settings)
        trained.append(self)
        return result

    dde.Model.train = few
    dde.optimizers.set_LBFGS_options(maxiter=STEPS, maxfun=2 * STEPS)
    dde.optimizers.config.LBFGS_options |= {"iter_per_step": STEPS, "fun_per_step": 2 * STEPS}
    dde.optimizers.config.NNCG_options |= {"cgmaxiter": 3, "rank": 3, "mu": 1e-1}
    for name, most in MOST.items():
        limit(getattr(dde.data, name), most, stands_in)
    dde.saveplot = dde.utils.saveplot = lambda *args, **settings: None
    dde.backend.tf = TF  # as the scripts' comments say for the pytorch backend


def limit(data: type, most: dict[str, int], stands_in: set[str]) -> None:
    """Fewer points or functions in data of a class that are made later."""
    made: Callable[..., None] = data.__init__  # type: ignore[misc]
    names = made.__code__.co_varnames[1 : made.__code__.co_argcount]

    def small(self: Any, *args: Any, **settings: Any) -> None:
        given = dict(zip(names, args, strict=False)) | settings
        for name, number in most.items():
            if isinstance(given.get(name), int) and given[name] > number:
                given[name] = number
                stands_in.add("fewer points")
        made(self, **given)

    data.__init__ = small  # type: ignore[misc]


def transferred(source: Any, checks: Checks) -> None:
    """PAC under four optimisers, warm start and L2-SP, on the source's own data."""
    inputs = source.data.test()[0]
    inputs = tuple(own[:50] for own in inputs) if isinstance(inputs, tuple) else inputs[:50]
    weights, variables = source.loss_weights, source.external_trainable_variables
    external = {own: own.detach().clone() for own in variables}

    def train(model: Any, optimiser: str = "adam") -> Any:
        settings: dict[str, Any] = {"loss_weights": weights, "verbose": 0}
        settings["external_trainable_variables"] = variables or None
        own = {"AdamW": torch.optim.AdamW, "SGD": torch.optim.SGD}.get(optimiser)
        if own is None:
            lr = 1e-3 if optimiser == "adam" else None
            model.compile(optimiser, lr=lr, **settings)
        else:
            momentum = {"momentum": 0.9} if optimiser == "SGD" else {}
            moved = [*model.net.parameters(), *variables]
            model.compile(own(moved, lr=1e-5, weight_decay=0.1, **momentum), **settings)
        model.train(iterations=None if optimiser == "L-BFGS" else STEPS, verbose=0)
        return model

    before, own_outputs = merged_state(source.net), source.predict(inputs)
    pac = PAC(source)
    pac.prune(0.5, scope="tensor")
    allocated = train(pac.allocate())
    kept, seen = merged_state(allocated.net), allocated.predict(inputs)
    first = [own.clone() for own in allocated.external.values()]
    for name, mask in pac.mask.items():
        checks.equal(f"pruned weights are 0: {name}", kept[name][~mask], 0 * kept[name][~mask])
    for optimiser in ("adam", "L-BFGS", "AdamW", "SGD"):
        target = pac.calibrate(source.data, strength=1e-3)
        checks.outputs(
            f"{optimiser} starts from the allocated source", target.predict(inputs), seen
        )
        train(target, optimiser)
        now = merged_state(target.net)
        moved = any(bool((now[name] != kept[name]).any()) for name in now)
        if not moved:
            checks.faults.append(f"{optimiser} moved no weight")
        for name, mask in pac.mask.items():
            checks.equal(f"{optimiser} keeps {name}", now[name][mask], kept[name][mask])
        recalled = pac.recall()
        checks.states(f"recalled after {optimiser}", merged_state(recalled.net), kept)
        checks.outputs(f"recalled after {optimiser}", recalled.predict(inputs), seen)
        for number, value in enumerate(recalled.variables):
            checks.equal(f"external variable {number} after {optimiser}", value, first[number])
    for name, way in (("warm start", warm_start), ("l2_sp", l2_sp)):
        for own, value in external.items():
            with torch.no_grad():
                own.copy_(value)
        target = way(source, source.data)
        checks.states(f"{name} starts from the source", merged_state(target.net), before)
        checks.outputs(f"{name} starts from the source", target.predict(inputs), own_outputs)
        train(target)
        now = merged_state(target.net)
        if not any(bool((now[own] != before[own]).any()) for own in now):
            checks.faults.append(f"{name} moved no weight")
        checks.states(f"the source after {name}", merged_state(source.net), before)
    checks.outputs("the source at the end", source.predict(inputs), own_outputs)


def ended(error: BaseException) -> str:
    line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {line}"[:200]


def main(script: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    dde.config.set_random_seed(0)
    trained: list[Any] = []
    stands_in: set[str] = set()
    shorter(trained, stands_in)
    text = script.read_text(encoding="utf-8")
    if "deepxde.backend import tf" in text:
        stands_in.add("torch in place of tf")
    for line, other in LINES.get(script.name, {}).items():
        assert text.count(line) == 1
        script.write_text(text.replace(line, other), encoding="utf-8")
        stands_in.add(f"`{other}...`")
    clock, run = time.perf_counter(), {"script": f"{script.parent.name}/{script.name}"}
    sys.path.insert(0, str(script.parent))
    os.chdir(script.parent)
    sys.argv = [script.name]
    try:
        runpy.run_path(str(script), run_name="__main__")
    except Enough:
        pass
    except Exception as error:
        traceback.print_exc()
        if not trained:
            return run | {"status": "left out", "reason": ended(error)}
        run["script_ended"] = ended(error)
    if not trained:
        return run | {"status": "left out", "reason": "it trains no model"}
    trained_script, model = time.perf_counter() - clock, trained[-1]
    trained.clear()
    checks = Checks()
    run |= {
        "data": type(model.data).__name__, "network": type(model.net).__name__,
        "variables": len(model.external_trainable_variables), "stands_in": sorted(stands_in),
        "script_seconds": trained_script,
    }  # fmt: skip
    dde.Model.train = unlimited
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TransferWarning)
            transferred(model, checks)
    except InvalidValueError as error:
        return run | {"status": "refused", "reason": str(error)[:200], "checks": checks.count}
    except Exception as error:
        traceback.print_exc()
        return run | {"status": "failed", "reason": ended(error), "checks": checks.count}
    status = "failed" if checks.faults else "ran"
    seconds = time.perf_counter() - clock - trained_script
    return run | {
        "status": status, "checks": checks.count, "faults": checks.faults, "seconds": seconds
    }  # fmt: skip


unlimited = dde.Model.train


def warm_up() -> str:
    """Import what a first training imports; DeepXDE's version."""
    torch.set_num_threads(1)
    parameter = torch.nn.Parameter(torch.zeros(1))
    torch.optim.Adam([parameter])
    import matplotlib.pyplot  # noqa: F401
    import scipy.integrate  # noqa: F401

    return str(dde.__version__)
