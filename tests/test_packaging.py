"""The wheel holds the whole tree, the import rows hold, and importing pacpde leaves no trace."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pacpde

ROOT = Path(__file__).resolve().parents[1]
SETUP_FILES = ("setup.cfg", "pyproject.toml", "LICENSE", "README.md")

# Prints every global that importing a module could have changed.
STATE_AROUND_IMPORT = """
import random, sys
import numpy as np
import torch

def state():
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "seed": torch.initial_seed(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state()),
        "errors": np.geterr(),
        "random": random.getstate(),
    }

before = state()
__import__(sys.argv[1])
after = state()
print(*(name for name in before if before[name] != after[name]))
print(*(name for name in ("deepxde", "sklearn", "xarray") if name in sys.modules))
"""


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what is shipped, link included, so that builds leave the checkout alone."""
    copy = tmp_path / "tree"
    copy.mkdir()
    for name in SETUP_FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for name in ("pacpde", "problems"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
    return copy


def modules(root: Path) -> set[str]:
    """Paths of the .py files below a directory, relative to it."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*.py")}


def test_wheel_holds_the_tree_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    built = run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), cwd=tree)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry_points = next(n for n in archive.namelist() if n.endswith("entry_points.txt"))
        assert "pacpde = pacpde.cli:main" in archive.read(entry_points).decode()

    package = {f"pacpde/{name}" for name in modules(ROOT / "pacpde")}
    families = {f"pacpde/problems/{name}" for name in modules(ROOT / "problems")}
    pages = {f"pacpde/report/{name}.html" for name in ("page", "library_page", "head")}
    others = {"pacpde/py.typed", "pacpde/report/numbers.js"}
    assert shipped == package | families | pages | others


def test_problems_is_a_relative_link() -> None:
    link = ROOT / "pacpde" / "problems"
    assert link.is_symlink() and link.readlink() == Path("../problems")


@pytest.mark.parametrize("upward", ["", "import pacpde.physics\n", "import deepxde\n"])
def test_import_rows_hold_and_an_import_upwards_breaks_them(tree: Path, upward: str) -> None:
    with (tree / "pacpde" / "errors.py").open("a") as file:
        file.write(upward)
    linted = run("-c", "from importlinter.cli import lint_imports_command as c; c()", cwd=tree)
    assert linted.returncode == (1 if upward else 0), linted.stdout + linted.stderr
    assert ("BROKEN" if upward else "0 broken") in linted.stdout


@pytest.mark.parametrize(
    "module", ["pacpde", "pacpde.problems", "pacpde.methods", "pacpde.cli.commands"]
)
def test_import_changes_no_global_and_leaves_deepxde_out(module: str) -> None:
    imported = run("-c", STATE_AROUND_IMPORT, module)
    assert imported.returncode == 0, imported.stderr
    changed, unwanted = imported.stdout.split("\n")[:2]
    assert changed == ""
    assert unwanted == ""


def test_every_name_of_the_package_can_be_imported() -> None:
    import ast

    import pacpde
    from pacpde.methods import methods

    assert {name for name in dir(pacpde) if not name.startswith("__")} == set(pacpde.__all__)
    assert len(set(pacpde.__all__)) == len(pacpde.__all__)
    for name in pacpde.__all__:
        assert getattr(pacpde, name) is not None
    seen_by_type_checkers = {
        (line.module, alias.name)
        for line in ast.walk(ast.parse(Path(pacpde.__file__).read_text()))
        if isinstance(line, ast.ImportFrom) and str(line.module).startswith("pacpde.")
        for alias in line.names
    }
    assert seen_by_type_checkers == {
        (f"pacpde.{module}", name) for name, module in pacpde._MODULE_OF.items()
    }
    for method in methods:  # but for those of plug-ins
        if method.__module__.startswith("pacpde."):
            assert getattr(pacpde, method.__name__) is method


def test_the_citation_names_the_version_and_the_licence() -> None:
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {pacpde.__version__}" in lines and "license: MIT" in lines
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT")
