"""Writes the tables of README.md from records.

python benchmarks/readme_table.py              # from the records in benchmarks/results
make demo && python benchmarks/readme_table.py runs/demo    # keeping a new demo's first
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
HEAD = (
    "| method | target error | zero-shot | source before | source after | free of all weights "
    "| seconds on the target | on the source again | outcome |\n" + "| --- " * 9 + "|\n"
)


def row(record: dict[str, Any]) -> str:
    """One record as a line of the table."""
    errors, seconds = record["source_error"], record["seconds"]
    after = errors["recalled"] if errors["recalled"] is not None else errors["unmasked"]
    kept = "recalled" if errors["recalled"] is not None else "forgotten"
    before = "–" if errors["trained"] is None else f"{errors['trained']:.1e}"
    again = (seconds["prune"] or 0) + (seconds["allocate"] or 0)
    cells = [
        record["method"],
        f"{record['target_error']:.1e}",
        f"{record['zero_shot_error']:.1e}",
        before,
        f"{after:.1e} ({kept})",
        f"{record['free_parameters']} of {record['total_parameters']}",
        f"{seconds['calibrate']:.0f}",
        f"{again:.0f}" if again else "–",
        record["outcome"],
    ]
    return "| " + " | ".join(cells) + " |\n"


def demo_table() -> str:
    """The demo's methods side by side."""
    records = json.loads((RESULTS / "demo.json").read_text())["records"]
    source = f"\nThe source took {records[0]['seconds']['source']:.0f} s.\n"
    return HEAD + "".join(row(record) for record in records) + source


def deepxde_table() -> str:
    """Seconds to an error, a line a package."""
    found = json.loads((RESULTS / "burgers_vs_deepxde.json").read_text())
    lines = ["| | seconds to 1e-2 | seconds to 1e-3 | in all | best error |", "| --- " * 5 + "|"]
    for run in found["runs"]:
        to = [
            f"{seconds:.1f}" if seconds is not None else "never"
            for seconds in run["seconds_to"].values()
        ]
        name = "pacpde" if run["name"] == "pacpde" else f"DeepXDE, {run['dtype']}"
        cells = [name, *to, f"{run['seconds']:.0f} s", f"{run['best_error']:.1e}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write(name: str, table: str) -> None:
    """Put a table between its markers."""
    readme = ROOT / "README.md"
    start, end = f"<!-- {name} table -->\n", f"<!-- end of {name} table -->"
    before, rest = readme.read_text().split(start)
    _, after = rest.split(end)
    readme.write_text(before + start + table + end + after)


def main() -> None:
    """Keep the records of a new demo, if one is given, and rewrite the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="folder of `pacpde compare`")
    folder = parser.parse_args().folder
    if folder is not None:
        shutil.copy(folder / "records.json", RESULTS / "demo.json")
        shutil.copy(folder / "maps.png", ROOT / "docs" / "demo_maps.png")
    write("demo", demo_table())
    write("deepxde", deepxde_table())


if __name__ == "__main__":
    main()
