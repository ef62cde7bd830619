"""Writes the demo's records into README.md as a table, and keeps them and the picture.

make demo && python benchmarks/readme_table.py runs/demo
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- demo table -->\n", "<!-- end of demo table -->"
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


def main() -> None:
    """Read the records, rewrite the part of README.md between the markers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of `pacpde compare`")
    folder = parser.parse_args().folder
    records = json.loads((folder / "records.json").read_text())["records"]
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(START)
    _, after = rest.split(END)
    source = f"\nThe source took {records[0]['seconds']['source']:.0f} s.\n"
    table = HEAD + "".join(row(record) for record in records) + source
    readme.write_text(before + START + table + END + after)
    shutil.copy(folder / "records.json", ROOT / "benchmarks" / "results" / "demo.json")
    shutil.copy(folder / "maps.png", ROOT / "docs" / "demo_maps.png")


if __name__ == "__main__":
    main()
