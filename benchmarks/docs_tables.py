"""Writes the tables of README.md and of the pages in docs from the records in benchmarks/results.

python benchmarks/docs_tables.py
make demo && python benchmarks/docs_tables.py --demo runs/demo    # with a new demo
"""

import argparse
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import approaches
import batch
import burgers_vs_deepxde
import certificates
import cost
import deepxde_examples
import deepxde_transfer
import families
import few_labels
import few_labels_friedman
import fuzz
import gallery
import grounds_summary
import identification
import kills
import ladders
import library
import methods_table
import mutants
import optimisers
import over_seeds
import peers
import phases
import public_files
import published_targets
import random_problems
import readme_tables
import tailored
import ten_targets
import transfers
from common import RESULTS, ROOT, Record, markdown, read_record, write_table

from pacpde.reference.exact import gives_exact

README, EVIDENCE = ROOT / "README.md", ROOT / "docs" / "evidence"
PAGES = (
    "fits", "transfers", "methods", "identification", "references", "families", "library",
    "deepxde_examples", "grounds", "few_labels", "readers", "interruptions",
    "mutants",
)  # fmt: skip
(
    FITS, TRANSFERS, METHODS, IDENTIFICATION, REFERENCES, FAMILIES, LIBRARY, EXAMPLES, GROUNDS,
    FEW_LABELS, READERS, INTERRUPTIONS, MUTANTS,
) = (EVIDENCE / f"{name}.md" for name in PAGES)  # fmt: skip


def seeds_tables() -> str:
    """A table a record."""
    names = sorted(path.stem for path in RESULTS.glob("seeds_*.json"))
    return "\n".join(over_seeds.table(read_record(name)) for name in names)


def families_list() -> str:
    """The equation that the docstring of each family opens with."""
    rows = []
    for family in gallery.shipped():
        equation = (family.__doc__ or "").splitlines()[0].replace("|", r"\|").rstrip(".")
        exact = "yes" if gives_exact(family()) else ""
        rows.append([f"`{family.name}`", equation, ", ".join(family.declared()), exact])
    return markdown(["family", "equation", "coefficients", "exact"], rows)


# page, name of the table in it, record, and how it becomes a table
TABLES: tuple[tuple[Path, str, str, Callable[[Record], str]], ...] = (
    (FITS, "deepxde", "burgers_vs_deepxde", burgers_vs_deepxde.seconds_table),
    (TRANSFERS, "published targets", "published_targets", published_targets.table),
    (TRANSFERS, "published Kovasznay", "published_kovasznay", published_targets.table),
    (TRANSFERS, "ladders", "ladders", ladders.table),
    (FITS, "batch", "batch", batch.table),
    (FITS, "batch on a GPU", "batch_gpu", batch.table),
    (FITS, "random problems", "random_problems", random_problems.table),
    (FITS, "from nothing", "from_nothing", families.fits_table),
    (FITS, "small tolerance", "small_tolerance", families.seeds_table),
    (FITS, "tolerance of 1e-7", "tolerance_1e-7", families.seeds_table),
    (FITS, "tolerance of 1e-6", "tolerance_1e-6", families.seeds_table),
    (FITS, "tolerance of 1e-5", "tolerance_1e-5", families.seeds_table),
    (FAMILIES, "families", "families", families.table),
    (FAMILIES, "recipes", "families_without_recipes", families.recipes_table),
    (LIBRARY, "library", "library", library.table),
    (FEW_LABELS, "few labels", "few_labels", few_labels.table),
    (FEW_LABELS, "friedman", "few_labels_friedman", few_labels_friedman.table),
    (FITS, "optimisers", "optimisers", optimisers.table),
    (FITS, "phases", "phases", phases.table),
    (TRANSFERS, "transfers", "transfers", transfers.table),
    (FITS, "cost", "cost", cost.table),
    (FITS, "cost of large fits", "cost_large", cost.table),
    (FITS, "peers", "peers", peers.table),
    (TRANSFERS, "approaches", "approaches", approaches.table),
    (TRANSFERS, "goal", "approaches", approaches.goal_table),
    (TRANSFERS, "attempts", "approaches", approaches.attempts_table),
    (METHODS, "tailored", "tailored", tailored.table),
    (TRANSFERS, "ten targets", "ten_targets", ten_targets.table),
    (REFERENCES, "certificates", "certificates", certificates.table),
    (REFERENCES, "hard certificates", "certificates_hard", certificates.table),
    (READERS, "readers", "fuzz", fuzz.table),
    (INTERRUPTIONS, "kills", "kills", kills.table),
    (MUTANTS, "mutants", "mutants", mutants.table),
    (MUTANTS, "survivors", "mutants", mutants.survivors_table),
    (REFERENCES, "public files", "public_files", public_files.table),
    (EXAMPLES, "deepxde examples", "deepxde_examples", deepxde_examples.table),
    (IDENTIFICATION, "identification", "identification", identification.table),
    *(
        (GROUNDS, name, "grounds", partial(grounds_summary.summary, grounds=grounds))
        for name, grounds in {
            "regression": ("friedman", "generated", "diabetes"),
            "classification": ("digits",),
            "ode": ("ode",),
            "pde": ("pde",),
        }.items()
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--demo", type=Path, help="folder of the demo, whose records are taken")
    folder = parser.parse_args().demo
    if folder is not None:
        shutil.copy(folder / "records.json", RESULTS / "demo.json")
        shutil.copy(folder / "maps.png", ROOT / "docs" / "demo_maps.png")
    for page, name, record, table in TABLES:
        write_table(page, name, table(read_record(record)))
    for name, table in readme_tables.TABLES:
        write_table(README, name, table())
    write_table(FITS, "seeds", seeds_tables())
    write_table(ROOT / "docs" / "families.md", "families", families_list())
    write_table(ROOT / "docs" / "gallery.md", "gallery", gallery.page())
    write_table(TRANSFERS, "transfers of DeepXDE", deepxde_transfer.table())
    write_table(METHODS, "methods", methods_table.table(RESULTS / "methods"))


if __name__ == "__main__":
    main()
