"""Every public function works as the first call of a process, in threads and after a fork."""

import json
import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import pacpde
from pacpde import Surrogate
from pacpde.problems import Heat
from tests.interrupted import calls_of

SMALL = "width=4, depth=1, points=20, steps=2"

# What a user writes first; `folder` is an empty one.
FIRST_CALLS = {
    "fit": f"pacpde.fit(problem(), {SMALL})",
    "fit_many": f"pacpde.fit_many([problem(), problem()], seeds=[0, 1], workers=2, {SMALL})",
    "transfer": "pacpde.transfer(source(), problem(), settings={'steps': 2, 'points': 20})",
    "method": (
        "pacpde.transfer(source(), problem(), method=pacpde.WarmStart(continuation='direct'), "
        "settings={'steps': 2, 'points': 20})"
    ),
    "transfer_many": (
        "pacpde.transfer_many([source()] * 2, [problem(), problem()], method='warm_start', "
        "workers=2, settings={'steps': 2, 'points': 20})"
    ),
    "transfer_in_turn": (
        "pacpde.transfer_in_turn(source(), [problem()], settings={'steps': 2, 'points': 20})"
    ),
    "nearest": "pacpde.nearest([source()], problem())",
    "identify": "pacpde.identify(source(), *measured(), steps=2, points=20)",
    "identify_by_scipy": "pacpde.identify_by_scipy(problem(), *measured())",
    "fit_table": "pacpde.fit_table([[0.1], [0.5], [0.9]], [1, 2, 3], width=4, depth=1, steps=2)",
    "transfer_table": (
        "t = [[0.1], [0.5], [0.9]], [1, 2, 3]; pacpde.transfer_table(pacpde.fit_table(*t, width=4, "
        "depth=1, steps=2), *t, source_table=t, method='warm_start', settings={'steps': 2})"
    ),
    "fit_classes, measure_classes, transfer_classes": (
        "x, c = [[0.1], [0.5], [0.9], [1.0]], ['a', 'b', 'b', 'a']; "
        "s = pacpde.fit_classes(x, c, width=4, depth=1, steps=2); "
        "pacpde.measure_classes(s, x, c); pacpde.transfer_classes(s, x, c, source_table=(x, c), "
        "method='warm_start', settings={'steps': 2})"
    ),
    "torch module": (
        "from torch import nn; m = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)); "
        "pacpde.fit(problem(), network=pacpde.TorchModule(m), steps=2, points=20)"
    ),
    "save and load": "pacpde.save(source(), folder); pacpde.load(folder)",
    "Surrogate": "source()(0.5, 0.5)",
    "Runtime": "pacpde.Runtime(dtype='float32')",
    "Problem": "problem().with_coefficients(alpha=0.2)",
    "families": "from pacpde.physics import families; families.get('burgers')()",
    "methods": "from pacpde.methods import methods; assert 'pac' in methods.names()",
    "reference": "from pacpde.reference import solve; solve(problem(), tolerance=1e-4)",
    "datasets": (
        "from pacpde import datasets as d; r = d.reference_for(problem(), tolerance=1e-4); "
        "d.write(r, folder / 'a.h5', d.draw_labels(r, 3)); d.load(folder / 'a.h5')"
    ),
    "compare": (
        f"pacpde.compare(problem(), problem(alpha=0.6), ['warm_start'], settings=dict({SMALL}))"
    ),
    "plugin": (
        "from pacpde.plugins import load_plugin; f = folder / 'mine.py'; f.write_text("
        "'from pacpde.problems import Heat\\nclass Mine(Heat):\\n    name = \"first_mine\"\\n'); "
        "load_plugin(f)"
    ),
    "command line": "from pacpde.cli import main; assert main(['families']) == 0",
}

IN_THREADS = """
import threading
from pacpde.physics import families
from pacpde.methods import methods
from pacpde.optim.base import optimisers

found, start = [], threading.Barrier(8)

def look(registry):
    start.wait()
    found.append((registry.kind, len(registry.names())))

rooms = (families, methods, optimisers, methods) * 2
threads = [threading.Thread(target=look, args=(room,)) for room in rooms]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(set(found)) == 3 and len(found) == 8, found
"""

PLUGIN_IN_THREADS = """
import threading
from pacpde.plugins import load_plugin
from pacpde.physics import families

file = folder / "slow.py"
file.write_text(
    "import time\\ntime.sleep(0.3)\\nfrom pacpde.problems import Heat\\n"
    "class Mine(Heat):\\n    name = 'slow_mine'\\n"
)
found, start = [], threading.Barrier(4)

def look():
    start.wait()
    load_plugin(file)
    found.append(families.get("slow_mine").__name__)

threads = [threading.Thread(target=look) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert found == ["Mine"] * 4, found
"""
BROKEN_PLUGIN = """
from pacpde.errors import PacpdeError
from pacpde.plugins import load_plugin

file = folder / "broken.py"  # its recipe is checked, which looks up the optimisers
file.write_text(
    "from pacpde.problems import Heat\\n"
    "class Mine(Heat):\\n    name = 'first_broken'\\n    recipe = {'widht': 3}\\n"
)
try:
    load_plugin(file)
except PacpdeError:
    pacpde.fit(problem(), width=4, depth=1, points=20, steps=1)
else:
    raise AssertionError("it was taken")
"""
CALLS = FIRST_CALLS | {
    "broken plugin": BROKEN_PLUGIN,
    "registries in threads": IN_THREADS,
    "plugin in threads": PLUGIN_IN_THREADS,
}

# Forks a child for each call: nothing of pacpde is imported there before it but `import pacpde`.
ONE_AFTER_THE_OTHER = """
import json, os, sys, tempfile, traceback
from pathlib import Path
import h5py, rich.table, scipy.integrate, scipy.optimize, scipy.stats, typer  # slow to import
import pacpde
assert not pacpde.methods.methods._discovered

def problem(alpha=0.4):
    from pacpde.problems import Heat
    return Heat(alpha=alpha)

def source():  # without a fit, which would be the first call
    import numpy as np, torch
    from pacpde.networks.ansatz import PhysicsAnsatz
    from pacpde.networks.mlp import MLP
    network = MLP(2, 1, 4, 1)
    weights = torch.tensor(network.init_weights(np.random.default_rng(0)))
    return pacpde.Surrogate(network, PhysicsAnsatz(problem()), weights)

def measured():
    import numpy as np
    points = np.random.default_rng(0).uniform(0.1, 0.9, (30, 2))
    return points, problem(0.5).exact(*points.T).T

for name, call in json.loads(sys.argv[1]).items():
    pid = os.fork()
    if pid == 0:
        with tempfile.TemporaryDirectory() as place:
            folder, status = Path(place) / "new", 0
            if "save" not in name:
                folder.mkdir()
            try:
                exec(call, globals())
            except BaseException:
                traceback.print_exc()
                status = 1
        sys.stdout.flush()
        os._exit(status)
    if os.waitpid(pid, 0)[1]:
        print("FAILED:", name)
"""


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | environment,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_every_public_function_works_as_the_first_call_of_a_process() -> None:
    ended = run(ONE_AFTER_THE_OTHER, json.dumps(CALLS), OMP_NUM_THREADS="1")
    assert ended.returncode == 0 and "FAILED" not in ended.stdout, ended.stdout + ended.stderr


def test_no_public_function_is_left_out() -> None:
    import pacpde

    listed = " ".join(FIRST_CALLS)
    functions = [n for n in pacpde.__all__ if not isinstance(getattr(pacpde, n), type)]
    assert len(functions) > 10 and [name for name in functions if name not in listed] == []


OTHER_WAYS = """
import asyncio, faulthandler, os, threading
from functools import partial
import torch
import pacpde
from pacpde.problems import Heat

faulthandler.dump_traceback_later(100, exit=True)
torch.set_num_threads(2)
fit = partial(pacpde.fit, Heat(alpha=0.3), width=4, depth=1, points=20, steps=2)
here = fit()
torch.rand(500, 500) @ torch.rand(500, 500)  # OpenMP's threads have begun
torch.rand(200_000).tanh()

def same(name, found):
    assert torch.equal(found.weights, here.weights), name
    print(name, "ok", flush=True)

found = []
thread = threading.Thread(target=lambda: found.append(fit()))
thread.start(); thread.join()
same("thread", found[0])
same("asyncio", asyncio.run(asyncio.to_thread(fit)))
def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)  # what is raised before it ends the child with another status
    assert os.waitpid(pid, 0)[1] == 0

def refused():
    try:
        here(0.5, 0.5)
    except pacpde.errors.SolverError as error:
        assert "torch.set_num_threads(1)" in str(error)
    else:
        raise AssertionError("no refusal")

def one_thread():
    torch.set_num_threads(1)
    fit()
    here(torch.linspace(0, 1, 50_000), 0.5)
    torch.rand(500, 500) @ torch.rand(500, 500)

child(refused)
child(one_thread)
"""


@pytest.mark.timeout(240)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fit_has_the_same_bits_in_threads_and_a_fork_is_refused_or_works() -> None:
    """A fork of a process that has computed with several threads would wait for ever."""
    ended = run(OTHER_WAYS, OMP_NUM_THREADS="2")
    assert ended.returncode == 0, ended.stdout + ended.stderr


# Calls side by side in one process, and in processes to which arguments and results are sent.
SIDE_BY_SIDE = """
import asyncio, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
import torch
import pacpde
from pacpde.problems import Heat

SETTINGS = {"points": 20, "steps": 2}

def fit():
    return pacpde.fit(Heat(alpha=0.4), width=4, depth=1, **SETTINGS)

def transfer(source):
    found = pacpde.transfer(source, Heat(alpha=0.3), reference=None, settings=SETTINGS)
    return found.surrogate

def solve(library):
    return library.solve(Heat(alpha=0.35))

def bits(found):
    return [one.weights.numpy().tobytes() for one in found]

def in_threads(works):
    with ThreadPoolExecutor(4) as pool:
        return [one.result() for one in [pool.submit(work) for work in works]]

def in_asyncio(works):
    async def gathered():
        return await asyncio.gather(*(asyncio.to_thread(work) for work in works))
    return asyncio.run(gathered())

def in_processes(how, works):
    with ProcessPoolExecutor(1, multiprocessing.get_context(how)) as pool:
        return list(pool.map(alone, works))

def in_joblib(works):
    joblib = __import__("joblib")
    return joblib.Parallel(2)(joblib.delayed(alone)(work) for work in works)

def alone(work):
    torch.set_num_threads(1)
    return work()

WAYS = {
    "threads": in_threads, "asyncio": in_asyncio, "fork": partial(in_processes, "fork"),
    "spawn": partial(in_processes, "spawn"), "joblib": in_joblib,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    source = fit()
    library = pacpde.Library([source], ranges={"alpha": (0.3, 0.5)})
    library.anchor([Heat(alpha=alpha) for alpha in (0.3, 0.4, 0.5)])
    works = [fit, partial(transfer, source), partial(solve, library)]
    here = bits([work() for work in works])
    for name in sys.argv[1:]:
        times = 2 if name in ("threads", "asyncio") else 1
        assert bits(WAYS[name](works * times)) == here * times, name
        print(name, "ok", flush=True)
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "ways",
    [
        ("threads", "asyncio", *(("fork",) if hasattr(os, "fork") else ()), "spawn"),
        pytest.param(("joblib",), marks=pytest.mark.slow),
    ],
)
def test_calls_side_by_side_have_the_same_bits(ways: tuple[str, ...], tmp_path: Path) -> None:
    """`fit`, `transfer` and `Library.solve`; a library that has solved can be sent."""
    for name in ways:
        if name == "joblib":
            pytest.importorskip("joblib")
    script = tmp_path / "script.py"  # which a spawned process imports
    script.write_text(SIDE_BY_SIDE)
    ended = subprocess.run(
        [sys.executable, script, *ways], capture_output=True, text=True, timeout=230,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.split() == [word for name in ways for word in (name, "ok")]


def settings_of_the_process() -> dict[str, object]:
    """What an interrupted call may not leave changed."""
    return {
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "random": (random.getstate(), torch.get_rng_state().tolist()),
        "numpy": (str(np.random.get_state()), np.geterr()),  # noqa: NPY002
        "Ctrl-C": signal.getsignal(signal.SIGINT),
        "warnings": len(warnings.filters),
    }


SMALLEST = {"points": 20, "steps": 2}
INTERRUPTED: dict[str, Callable[[Surrogate], Surrogate]] = {
    "fit": lambda source: pacpde.fit(Heat(alpha=0.3), width=4, depth=1, **SMALLEST),
    "fit_many": lambda source: pacpde.fit_many(
        [Heat(alpha=0.3), Heat(alpha=0.5)], seeds=[0, 1], width=4, depth=1, **SMALLEST
    )[1],
    "transfer": lambda source: (
        pacpde.transfer(source, Heat(alpha=0.3), reference=None, settings=SMALLEST).surrogate
    ),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupted_call_leaves_everything_as_it_was(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a cell of a notebook that is interrupted; the next call has the same bits."""
    source = pacpde.fit(Heat(alpha=0.4), width=4, depth=1, **SMALLEST)
    work, before = partial(INTERRUPTED[name], source), settings_of_the_process()
    expected = work().weights
    assert settings_of_the_process() == before
    calls = min(calls_of(work) for _ in range(2))  # some are only those of the first time
    assert calls > 200
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: ignored.append(about.exc_type))
    for share in (0.1, 0.4, 0.7):
        with pytest.raises(KeyboardInterrupt):
            # where Python closes a generator it ignores what is raised, and says so
            for later in range(20):
                calls_of(work, int(share * calls) + later)
                assert ignored.pop() is KeyboardInterrupt
        assert settings_of_the_process() == before
    assert torch.equal(work().weights, expected)
