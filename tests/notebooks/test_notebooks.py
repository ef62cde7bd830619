"""The notebooks run from a fresh kernel, and their stored outputs are those of their pair."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIMIT = 60  # seconds a cell may take in the short mode of a notebook
LARGEST = 300_000  # bytes of a file with its outputs
ALL = 2_000_000  # bytes of all of them
QUICK = {"coefficient_from_csv", "own_equation", "quick_start", "regression_friedman"}


@pytest.fixture(scope="module")
def executor() -> ModuleType:
    """What `make notebooks` executes them by."""
    spec = importlib.util.spec_from_file_location("executor", ROOT / "benchmarks" / "notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_notebook_is_a_pair() -> None:
    scripts = sorted((ROOT / "notebooks").glob("*.py"))
    assert NOTEBOOKS and [n.stem for n in NOTEBOOKS] == [s.stem for s in scripts]


def test_their_page_lists_all_of_them() -> None:
    page = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+)\.ipynb\)", page)) == {n.stem for n in NOTEBOOKS}


def test_together_they_are_small() -> None:
    assert sum(notebook.stat().st_size for notebook in NOTEBOOKS) < ALL


def test_each_ends_with_what_it_does_not_show() -> None:
    for notebook in NOTEBOOKS:
        *_, last = nbformat.read(notebook, as_version=4).cells
        assert last.cell_type == "markdown", notebook.stem
        assert re.search("does not show|can not say|How far this goes", last.source), notebook.stem


@pytest.mark.parametrize(
    "notebook",
    [
        pytest.param(one, id=one.stem, marks=() if one.stem in QUICK else pytest.mark.slow)
        for one in NOTEBOOKS
    ],
)
def test_it_runs_in_its_short_mode(
    notebook: Path, executor: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACPDE_SHORT", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    content = nbformat.read(notebook, as_version=4)
    executor.execute(content, tmp_path, seconds=LIMIT)
    outputs = [output for cell in content.cells for output in cell.get("outputs", [])]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert pictures, "no picture was drawn"
    assert not [o for o in outputs if o.get("name") == "stderr"], "something was warned of"
    assert list(tmp_path.iterdir()) == [], "files were left behind"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_outputs_are_there_and_belong_to_its_pair(notebook: Path) -> None:
    script = jupytext.read(notebook.with_suffix(".py"))
    content = nbformat.read(notebook, as_version=4)

    def sources(cells: list[nbformat.NotebookNode]) -> list[tuple[str, str]]:
        return [(cell.cell_type, cell.source) for cell in cells]

    assert sources(content.cells) == sources(script.cells), "stale: run `make notebooks`"
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    numbers = [cell.execution_count for cell in code]
    assert numbers == [*range(1, len(code) + 1)], "not executed: run `make notebooks`"
    kinds = [output.output_type for cell in code for output in cell.outputs]
    assert "display_data" in kinds or "execute_result" in kinds, "pictures are missing"
    assert "stream" in kinds and "error" not in kinds
    assert notebook.stat().st_size < LARGEST
