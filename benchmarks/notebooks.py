"""Executes the notebooks and stores their outputs: `make notebooks`.

python benchmarks/notebooks.py [NAME ...]
"""

import argparse
import base64
import io
import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"


class ThisInterpreter(KernelManager):
    """A kernel of this interpreter, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, language="python", display_name="Python 3")


def execute(notebook: nbformat.NotebookNode, folder: Path, seconds: int | None = None) -> None:
    """Run all cells from a fresh kernel in a folder, with pacpde of this checkout.

    Args:
        seconds: that a cell may take; None is no limit.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client = NotebookClient(
        notebook,
        km=ThisInterpreter(),
        timeout=seconds,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=os.environ | {"PYTHONPATH": path})


def smaller(picture: str) -> str:
    """A PNG in base64 at most 900 pixels wide and of 256 colours, for the repository.

    The colours are chosen so that none is far off: lines keep theirs beside a map's many.
    """
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    image.thumbnail((900, 900), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3)
    small.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    scripts = sorted(NOTEBOOKS.glob("*.py"))
    parser.add_argument("names", nargs="*", default=[script.stem for script in scripts])
    for name in parser.parse_args().names:
        notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
        notebook.metadata.pop("jupytext", None)
        for number, cell in enumerate(notebook.cells):
            cell.id = f"cell-{number}"  # the same cells have the same names in every run
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller(output.data["image/png"])
        nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")
        print(f"written: notebooks/{name}.ipynb", flush=True)


if __name__ == "__main__":
    main()
