"""Rows of a stored study for one of today, whose other cells `pacpde study run` then carries out.

A cell is named by the code that made it, so that any change carries all of them out anew. Where a
change concerns some methods alone, the rows of the others may go on under today's names: it is for
the caller to know, and some of them, carried out anew, should show the same digits.

    python benchmarks/carry_over.py benchmarks/results/methods benchmarks/studies/methods.toml \\
        runs/methods --but pac
    pacpde study run benchmarks/studies/methods.toml -o runs/methods --local 2
"""

import argparse
from pathlib import Path
from typing import Any

import common  # noqa: F401  pacpde of this checkout, installed or not

from pacpde.studies.results_store import ResultsStore
from pacpde.studies.study import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stored", type=Path, help="folder of the stored study")
    parser.add_argument("study", type=Path, help="study file of today")
    parser.add_argument("folder", type=Path, help="new folder, to be carried on")
    parser.add_argument("--but", nargs="+", required=True, help="methods to be carried out anew")
    arguments = parser.parse_args()
    if arguments.folder.exists():
        parser.error(f"{arguments.folder} is there already.")
    before, now = Study.from_folder(arguments.stored), Study.read(arguments.study)
    rows = {row["cell"]: row for row in ResultsStore(arguments.stored).of(before.names)}
    stored_name = dict(zip(map(_inputs, before.cells), before.names, strict=True))
    carried = 0
    store = ResultsStore(arguments.folder)
    for cell in now.cells:
        row = rows.get(stored_name.get(_inputs(cell), ""))
        if row and cell.method_name not in arguments.but:
            store.add(row | {"cell": cell.key})
            carried += 1
    store.flush()
    print(f"{carried} cells carried over to {arguments.folder}")


def _inputs(cell: Any) -> str:
    """All that tells a cell from others but the code."""
    settings = sorted(cell.training.settings.items())
    return f"{cell}; {cell.labels}, {cell.noise}, {cell.physics}; {settings}"


if __name__ == "__main__":
    main()
