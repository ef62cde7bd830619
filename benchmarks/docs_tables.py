"""Writes the tables of the pages in docs from benchmarks/results."""

import json

from approaches import attempts_table, goal_table
from approaches import table as approaches_table
from batch import table as batch_table
from burgers_vs_jinns import table as jinns_table
from common import RESULTS, ROOT, write_table
from cost import table as cost_table
from deepxde_transfer import table as deepxde_table
from identification import table as identification_table
from methods_table import table as methods_table
from optimisers import table as optimisers_table
from over_seeds import table as seeds_table
from phases import table as phases_table
from random_problems import table as random_table
from tailored import table as tailored_table
from ten_targets import table as ten_table
from transfers import table as transfers_table

ENGINE, METHODS = ROOT / "docs" / "engine.md", ROOT / "docs" / "methods.md"


def main() -> None:
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("seeds_*.json"))]
    tables = [seeds_table(record["case"], record["runs"]) for record in found]
    write_table(ENGINE, "seeds", "\n".join(tables))
    for page, name, file, table in (
        (ENGINE, "batch", "batch", batch_table),
        (ENGINE, "batch on a GPU", "batch_gpu", batch_table),
        (ENGINE, "random problems", "random_problems", lambda record: random_table(record["rows"])),
        (ENGINE, "optimisers", "optimisers", optimisers_table),
        (ENGINE, "phases", "phases", phases_table),
        (ENGINE, "transfers", "transfers", transfers_table),
        (ENGINE, "cost", "cost", lambda record: cost_table(record["cells"])),
        (ENGINE, "jinns", "burgers_vs_jinns", lambda record: jinns_table(record["runs"])),
        (METHODS, "approaches", "approaches", lambda record: approaches_table(record["runs"])),
        (METHODS, "goal", "approaches", lambda record: goal_table(record["runs"])),
        (METHODS, "attempts", "approaches", lambda record: attempts_table(record["runs"])),
        (METHODS, "tailored", "tailored", lambda record: tailored_table(record["runs"])),
        (METHODS, "ten targets", "ten_targets", ten_table),
        (
            METHODS,
            "identification",
            "identification",
            lambda record: identification_table(record["runs"]),
        ),
    ):
        path = RESULTS / f"{file}.json"
        if path.exists():
            write_table(page, name, table(json.loads(path.read_text())))
    if list(RESULTS.glob("deepxde_transfer_*.json")):
        write_table(ROOT / "docs" / "deepxde.md", "transfers of DeepXDE", deepxde_table())
    if (RESULTS / "methods").exists():
        write_table(METHODS, "methods", methods_table(RESULTS / "methods"))


if __name__ == "__main__":
    main()
