"""Rows of a kept study for one of today, whose other cells `pacpde study run` then carries out.

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kept", type=Path, help="folder of the kept study")
    parser.add_argument("study", type=Path, help="study file of today")
    parser.add_argument("folder", type=Path, help="new folder, to be carried on")
    parser.add_argument("--but", nargs="+", required=True, help="methods to be carried out anew")
    arguments = parser.parse_args()
    rows = carried_over(arguments.kept, arguments.study, arguments.but)
    from pacpde.studies.results_store import ResultsStore

    if arguments.folder.exists():
        parser.error(f"{arguments.folder} is there already.")
    store = ResultsStore(arguments.folder)
    for row in rows:
        store.add(row)
    store.flush()
    print(f"{len(rows)} cells carried over to {arguments.folder}")


def carried_over(kept: Path, file: Path, but: list[str]) -> list[dict[str, Any]]:
    """The rows of all other methods, each under the name of its cell in the study of today."""
    from pacpde.studies.results_store import ResultsStore
    from pacpde.studies.study import Study

    before, now = Study.from_folder(kept), Study.read(file)
    known = {row["cell"]: row for row in ResultsStore(kept).of(before.names)}
    found = dict(zip(map(_inputs, before.cells), before.names, strict=True))
    names = {cell.key: found.get(_inputs(cell)) for cell in now.cells if cell.method not in but}
    return [known[old] | {"cell": new} for new, old in names.items() if old in known]


def _inputs(cell: Any) -> str:
    """All that tells a cell from others but the code."""
    settings = sorted(cell.training.settings.items())
    return f"{cell}; {cell.labels}, {cell.noise}, {cell.physics}; {settings}"


if __name__ == "__main__":
    main()
