"""The Python of every guide runs as a reader would run it: from top to bottom, in a new process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pacpde.cli import main

ROOT = Path(__file__).resolve().parents[1]
SOURCE = """
from math import pi
from pacpde import fit
from pacpde.problems import Burgers
SMALL = {"points": 60, "steps": 2}
source = fit(Burgers(nu=0.01 / pi), settings={"width": 8, "depth": 2, **SMALL})
"""
MEASURED = """
import numpy as np
points = np.random.default_rng(0).uniform((0, -1), (1, 1), (20, 2))
values = source(*points.T)[:, None]
"""
BEFORE = {  # page → what its reader has already
    "identification.md": SOURCE + MEASURED,
    "methods.md": SOURCE,
}
SMALLER = {  # page → what makes its fits small
    "deepxde.md": {
        "ADAM, LBFGS = 15_000, 15_000": "ADAM, LBFGS = 2, 2",
        "STEPS = 5_000": "STEPS = 4",
        "num_domain=2540, num_boundary=80, num_initial=160": "num_domain=40, num_boundary=8, "
        "num_initial=8",
        'method="pac", sparsity=0.5)': 'sparsity=0.5, settings={"points": 60, "steps": 2}, '
        "reference=None)",
    },
    "engine.md": {"network=": "points=60, steps=2, network="},
    "equations.md": {
        "fit(Brusselator(b=1.5), seed=0)": "fit(Brusselator(b=1.5), width=10, depth=2, points=100, "
        "steps=15)",
        'method="pac", seed=0)': 'method="pac", settings={"points": 100, "steps": 15})\n'
        'assert result.outcome == "converged" and result.target_error < 1e-3',
        "fit(Stirred(a=1.0), seed=0)": "fit(Stirred(a=1.0), width=8, depth=2, points=80, steps=5)",
    },
    "identification.md": {'unknown=["nu"])': 'unknown=["nu"], settings=SMALL)'},
    "README.md": {
        "fit(Burgers(nu=0.01 / pi), seed=0)": "fit(Burgers(nu=0.01 / pi), seed=0, width=5, "
        "depth=1, points=60, steps=2)",
        "method=PAC(), seed=0)": 'method=PAC(), seed=0, settings={"points": 60, "steps": 2}, '
        "reference=None)",
    },
    "library.md": {'"steps": 30}': '"steps": 30, "width": 12, "depth": 2}'},
    "networks.md": {
        "fit(Heat(alpha=0.4), network=Residual())": "fit(Heat(alpha=0.4), network=Residual(), "
        "points=60, steps=2)",
        "method=method)": 'method=method, settings={"points": 60, "steps": 2}, reference=None)',
        'network="residual:width=12")': 'network="residual:width=12", points=60, steps=2)',
    },
    "tutorial.md": {
        "fit(Burgers(nu=0.03), seed=0)": "fit(Burgers(nu=0.03), width=8, depth=2, points=60, "
        "steps=2)",
        "method=PAC(), seed=0)": 'method=PAC(), settings={"points": 60, "steps": 2})',
    },
    "methods.md": {
        "Burgers(nu=0.005)])": "Burgers(nu=0.005)], settings=SMALL, reference=None)",
        "ladder=[0.002, 0.0014])": "ladder=[0.002, 0.0014], settings=SMALL, reference=None)",
        # rungs of so few steps are not solved, and PAC keeps none of them
        'result.recall("rung 1")': 'result.recall("source")',
    },
}
OF_A_CLUSTER = "dask_jobqueue"  # blocks with it are read, not run
STUDY = """
methods = ["warm_start"]
settings = { width = 5, depth = 1, points = 60, steps = 3 }
[[transfers]]
family = "heat"
targets = [{ alpha = 0.3 }]
"""


def python_blocks(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {page.name: page for page in GUIDES if python_blocks(page)}
SLOW = {"deepxde.md"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in PAGES]
)
def test_its_python_runs_in_a_new_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path / "cache"))
    if name == "studies.md":
        Path("study.toml").write_text(STUDY)
        assert main(["study", "run", "study.toml", "-o", "runs/study"]) == 0
    blocks = python_blocks(PAGES[name])
    for block in blocks:
        compile(block, name, "exec")
    code = BEFORE.get(name, "") + "".join(b for b in blocks if OF_A_CLUSTER not in b)
    for whole, small in SMALLER.get(name, {}).items():
        assert whole in code, whole
        code = code.replace(whole, small)
    Path("page.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DDE_BACKEND": "pytorch"}
    ended = subprocess.run(
        [sys.executable, "page.py"], env=environment, capture_output=True, text=True, timeout=540
    )
    assert ended.returncode == 0, ended.stderr
