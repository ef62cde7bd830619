"""What a study costs beside its fits: thousands of cells that do nothing, on local Dask workers.

python benchmarks/study_overhead.py [--cells 10000] [--workers 2]
"""

import resource
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from common import Benchmark, Record, Run

from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.surrogate import Surrogate
from pacpde.studies.executors import cluster
from pacpde.studies.rows import failed_row
from pacpde.studies.run_study import run_study
from pacpde.studies.study import Study

STUDY = """
methods = ["warm_start"]
[[transfers]]
family = "heat"
source = {{ alpha = 0.4 }}
targets = [{{ alpha = 0.3 }}]
labels = [{labels}]
"""


def train(training: Any) -> Surrogate:
    """A network that is not trained."""
    ansatz = PhysicsAnsatz(training.problem)
    network = network_for(ansatz, 2, 1, "tanh")
    return Surrogate(network, ansatz, torch.zeros(network.size, dtype=torch.float64))


def carry_out(cell: Any, source: Any) -> Any:
    """A row, and nothing done for it."""
    return {
        **failed_row(cell, ""),
        "fault": None,
        "outcome": "converged",
        "target_error": 1.0,
    }, None


def main() -> None:
    parser = Benchmark(__doc__, "study_overhead")
    parser.set_defaults(threads=1)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.carry_out("a study of cells that do nothing", runs, table, key="")


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """The one study."""
    memory: list[tuple[int, float]] = []

    def progress(status: Any) -> None:
        if status.done % 1000 == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            memory.append((status.done, round(peak / 2**20, 3)))

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.toml"
        labels = ", ".join(map(str, range(options.cells)))
        file.write_text(STUDY.format(labels=labels), encoding="utf-8")
        clock = time.perf_counter()
        study = Study.read(file)
        reading = time.perf_counter() - clock
        with cluster(local=options.workers) as workers:
            clock = time.perf_counter()
            status = run_study(study, Path(folder) / "out", workers, callback=progress, train=train,
                             carry_out=carry_out)  # fmt: skip
            seconds = time.perf_counter() - clock
    record |= {
        "cells": status.done,
        "workers": options.workers,
        "seconds_to_read": reading,
        "seconds": seconds,
        "milliseconds_a_cell": 1000 * seconds / max(1, status.done),
        "gib": memory,
    }
    yield {}


def table(record: Record) -> str:
    """In words; memory is this process's highest so far."""
    some = record["gib"][:: max(1, len(record["gib"]) // 5)]
    return (
        f"{record['cells']} cells: read in {record['seconds_to_read']:.1f} s, "
        f"{record['milliseconds_a_cell']:.1f} ms a cell; GiB so far: {some}"
    )


if __name__ == "__main__":
    main()
