"""The notebooks run from a fresh kernel, and both halves of each pair say the same."""

import os
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIMIT = 60  # seconds a notebook may take in its short mode


class ThisInterpreter(KernelManager):
    """A kernel of the interpreter that runs the tests, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, language="python", display_name="this interpreter")


def test_every_notebook_is_a_pair() -> None:
    scripts = sorted((ROOT / "notebooks").glob("*.py"))
    assert NOTEBOOKS and [n.stem for n in NOTEBOOKS] == [s.stem for s in scripts]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_in_its_short_mode(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACPDE_SHORT", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    monkeypatch.setenv("PYTHONPATH", path)
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        km=ThisInterpreter(),
        timeout=LIMIT,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    outputs = [output for cell in content.cells for output in cell.get("outputs", [])]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert pictures, "no picture was drawn"
    assert not [o for o in outputs if o.get("name") == "stderr"], "something was warned of"
    assert list(tmp_path.iterdir()) == [], "files were left behind"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_pair_says_the_same(notebook: Path) -> None:
    script = jupytext.read(notebook.with_suffix(".py"))
    content = nbformat.read(notebook, as_version=4)

    def said(cells: list[nbformat.NotebookNode]) -> list[tuple[str, str]]:
        return [(cell.cell_type, cell.source) for cell in cells]

    assert said(content.cells) == said(script.cells), "run `make notebooks`"
    assert not any(cell.get("outputs") for cell in content.cells), "outputs are not committed"
