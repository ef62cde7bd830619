"""What a study costs beside its fits: thousands of cells that do nothing, on local Dask workers.

python benchmarks/study_overhead.py [--cells 10000] [--workers 2]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, machine, write_record

STUDY = """
methods = ["warm_start"]
[[transfers]]
family = "heat"
source = {{ alpha = 0.4 }}
targets = [{{ alpha = 0.3 }}]
labels = [{labels}]
"""


def train(training: Any) -> Any:
    """A network that is not trained."""
    import torch

    from pacpde.networks.ansatz import PhysicsAnsatz, network_for
    from pacpde.networks.surrogate import Surrogate

    ansatz = PhysicsAnsatz(training.problem)
    network = network_for(ansatz, 2, 1, "tanh")
    return Surrogate(network, ansatz, torch.zeros(network.size, dtype=torch.float64))


def carry_out(cell: Any, source: Any) -> Any:
    """A row, and nothing done for it."""
    from pacpde.studies.rows import failed_row

    return {
        **failed_row(cell, ""),
        "fault": None,
        "outcome": "converged",
        "target_error": 1.0,
    }, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "study_overhead.json")
    options = parser.parse_args()
    from pacpde.runtime import versions
    from pacpde.studies.executors import cluster
    from pacpde.studies.run_study import run_study
    from pacpde.studies.study import Study

    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "study.toml"
        file.write_text(STUDY.format(labels=", ".join(map(str, range(options.cells)))))
        clock = time.perf_counter()
        study = Study.read(file)
        reading = time.perf_counter() - clock
        memory: list[tuple[int, float]] = []

        def callback(now: Any) -> None:
            if now.done % 1000 == 0:
                memory.append((now.done, _gib()))

        with cluster(local=options.workers) as workers:
            clock = time.perf_counter()
            made = run_study(study, Path(place) / "out", workers, callback=callback, train=train,
                           carry_out=carry_out)  # fmt: skip
            seconds = time.perf_counter() - clock
    record = {
        "what": "a study of cells that do nothing",
        "cells": made.done,
        "workers": options.workers,
        "machine": machine(1),
        "versions": versions(),
        "seconds_to_read": reading,
        "seconds": seconds,
        "milliseconds_a_cell": 1000 * seconds / max(1, made.done),
        "gib": memory,
    }
    write_record(record, options.output)
    print({key: record[key] for key in ("cells", "seconds_to_read", "milliseconds_a_cell")})
    print("GiB of this process, at most so far:", memory[:: max(1, len(memory) // 5)])


def _gib() -> float:
    """Resident memory of this process at its highest so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


if __name__ == "__main__":
    main()
