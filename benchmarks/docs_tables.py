"""Writes the tables of docs/engine.md from the records in benchmarks/results."""

import json

from batch import table as batch_table
from burgers_vs_jinns import table as jinns_table
from common import RESULTS, ROOT, write_table
from cost import table as cost_table
from optimisers import table as optimisers_table
from over_seeds import table as seeds_table
from phases import table as phases_table
from transfers import table as transfers_table

PAGE = ROOT / "docs" / "engine.md"


def main() -> None:
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("seeds_*.json"))]
    tables = [seeds_table(record["case"], record["runs"]) for record in found]
    write_table(PAGE, "seeds", "\n".join(tables))
    for name, file, table in (
        ("batch", "batch", batch_table),
        ("optimisers", "optimisers", optimisers_table),
        ("phases", "phases", phases_table),
        ("transfers", "transfers", transfers_table),
        ("cost", "cost", lambda record: cost_table(record["cells"])),
        ("jinns", "burgers_vs_jinns", lambda record: jinns_table(record["runs"])),
    ):
        path = RESULTS / f"{file}.json"
        if path.exists():
            write_table(PAGE, name, table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
