"""Writes the tables of docs/engine.md from the records in benchmarks/results."""

import json

from burgers_vs_jinns import table as jinns_table
from common import RESULTS, ROOT, write_table
from cost import table as cost_table
from over_seeds import table as seeds_table

PAGE = ROOT / "docs" / "engine.md"


def main() -> None:
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("seeds_*.json"))]
    tables = [seeds_table(record["case"], record["runs"]) for record in found]
    write_table(PAGE, "seeds", "\n".join(tables))
    cost = RESULTS / "cost.json"
    if cost.exists():
        write_table(PAGE, "cost", cost_table(json.loads(cost.read_text())["cells"]))
    jinns = RESULTS / "burgers_vs_jinns.json"
    if jinns.exists():
        write_table(PAGE, "jinns", jinns_table(json.loads(jinns.read_text())["runs"]))


if __name__ == "__main__":
    main()
