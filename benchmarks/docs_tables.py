"""Writes the tables of docs/engine.md from the records in benchmarks/results."""

import json

from burgers_vs_jinns import table as jinns_table
from common import RESULTS, ROOT
from cost import table as cost_table
from over_seeds import table as seeds_table

PAGE = ROOT / "docs" / "engine.md"


def main() -> None:
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("seeds_*.json"))]
    tables = [seeds_table(record["case"], record["runs"]) for record in found]
    write("seeds", "\n".join(tables))
    cost = RESULTS / "cost.json"
    if cost.exists():
        write("cost", cost_table(json.loads(cost.read_text())["cells"]))
    jinns = RESULTS / "burgers_vs_jinns.json"
    if jinns.exists():
        write("jinns", jinns_table(json.loads(jinns.read_text())["runs"]))


def write(name: str, table: str) -> None:
    """Put a table between its markers."""
    start, end = f"<!-- {name} table -->\n", f"<!-- end of {name} table -->"
    before, rest = PAGE.read_text().split(start)
    _, after = rest.split(end)
    PAGE.write_text(before + start + table + end + after)


if __name__ == "__main__":
    main()
