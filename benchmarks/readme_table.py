"""Writes the tables of README.md from records.

python benchmarks/readme_table.py              # from the records in benchmarks/results
make demo && python benchmarks/readme_table.py runs/demo    # keeping a new demo's first
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, markdown, write_table

PAGE = ROOT / "README.md"
HEAD = (
    "method", "target error", "zero-shot", "source before", "source after", "free of all weights",
    "seconds on the target", "on the source again", "outcome",
)  # fmt: skip


def row(record: dict[str, Any]) -> list[str]:
    """One record as a line of the table."""
    errors, seconds = record["source_error"], record["seconds"]
    after = errors["recalled"] if errors["recalled"] is not None else errors["unmasked"]
    kept = "recalled" if errors["recalled"] is not None else "forgotten"
    before = "–" if errors["trained"] is None else f"{errors['trained']:.1e}"
    again = (seconds["prune"] or 0) + (seconds["allocate"] or 0)
    return [
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


def demo_table() -> str:
    """The demo's methods side by side."""
    records = json.loads((RESULTS / "demo.json").read_text())["records"]
    source = f"\nThe source took {records[0]['seconds']['source']:.0f} s.\n"
    return markdown(HEAD, [row(record) for record in records]) + source


def deepxde_table() -> str:
    """Seconds to an error, a line a package."""
    found = json.loads((RESULTS / "burgers_vs_deepxde.json").read_text())
    rows = []
    for run in found["runs"]:
        to = [
            f"{seconds:.1f}" if seconds is not None else "never"
            for seconds in run["seconds_to"].values()
        ]
        name = "pacpde" if run["name"] == "pacpde" else f"DeepXDE, {run['dtype']}"
        rows.append([name, *to, f"{run['seconds']:.0f} s", f"{run['best_error']:.1e}"])
    return markdown(["", "seconds to 1e-2", "seconds to 1e-3", "in all", "best error"], rows)


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
    write_table(PAGE, "demo", demo_table())
    write_table(PAGE, "deepxde", deepxde_table())


if __name__ == "__main__":
    main()
