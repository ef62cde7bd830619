"""A study on two Dask workers of which a worker, the scheduler and the client are each killed once.

python benchmarks/study_killed.py [--seeds 25]

It ends with what an undisturbed run of the same study ends with, compared by hash, or fails.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, machine, write_record

STUDY = """
methods = ["warm_start", "scratch"]
seeds = {seeds}
[settings]
width = 8
depth = 2
points = 100
steps = 12
[[transfers]]
family = "heat"
source = {{ alpha = 0.4 }}
targets = [{{ alpha = 0.35 }}, {{ alpha = 0.3 }}, {{ alpha = 0.25 }}, {{ alpha = 0.2 }}]
"""
TIMES = ("seconds", "seconds_to", "reference_seconds")  # what no two runs share


class Disturbed:
    """A scheduler, two workers and a client, each a process of its own."""

    def __init__(self, study: Path, out: Path, port: int) -> None:
        self.study, self.out, self.address = study, out, f"tcp://127.0.0.1:{port}"
        self.port, self.log = port, (out.parent / f"{out.name}.log").open("w")
        self.gather()

    def gather(self) -> None:
        """A scheduler with two workers."""
        self.head = self.start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port",
                               str(self.port), "--no-dashboard")  # fmt: skip
        self.hands = [self.worker(), self.worker()]

    def worker(self) -> "subprocess.Popen[bytes]":
        return self.start("distributed.cli.dask_worker", self.address, "--nthreads", "1",
                          "--no-dashboard", "--no-nanny")  # fmt: skip

    def client(self) -> "subprocess.Popen[bytes]":
        return self.start("pacpde.cli", "study", "run", str(self.study), "-o", str(self.out),
                          "--scheduler", self.address)  # fmt: skip

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", *words], cwd=ROOT, stdout=self.log, stderr=self.log
        )

    def until(self, client: Any, cells: int) -> None:
        """Wait for so many finished cells."""
        from pacpde.studies.results_store import ResultsStore

        while len(ResultsStore(self.out).keys()) < cells:
            if client.poll() is not None:
                raise SystemExit(f"the client ended early, see {self.log.name}")
            time.sleep(0.1)

    def end(self) -> None:
        for process in (*self.hands, self.head):
            process.kill()
            process.wait()
        self.log.close()


def killed(process: Any) -> None:
    process.kill()
    process.wait()


def disturb(run: Disturbed, cells: int) -> list[str]:
    """The whole study with three kills on the way; what happened."""
    told = []
    client = run.client()
    run.until(client, cells // 5)
    killed(run.hands[0])
    run.hands[0] = run.worker()
    told.append(f"a worker killed after {_done(run)} cells")
    run.until(client, 2 * cells // 5)
    killed(run.head)
    told.append(f"the scheduler killed after {_done(run)} cells: the client ended with status "
                f"{client.wait()}")  # fmt: skip
    for hand in run.hands:
        killed(hand)
    run.gather()
    client = run.client()
    run.until(client, 7 * cells // 10)
    killed(client)
    told.append(f"the client killed after {_done(run)} cells")
    last = run.client().wait()
    told.append(f"the same command again ended with status {last}")
    return told


def undisturbed(run: Disturbed) -> None:
    if run.client().wait() != 0:
        raise SystemExit(f"the undisturbed run failed, see {run.log.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=25, help="cells are eight times as many")
    parser.add_argument("--port", type=int, default=28_786)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "study_killed.json")
    options = parser.parse_args()
    from pacpde.runtime import versions

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        file = place / "study.toml"
        file.write_text(STUDY.format(seeds=options.seeds))
        cells = 8 * options.seeds
        kept, seconds = {}, {}
        told: list[str] = []
        for name, way in (
            ("undisturbed", undisturbed),
            ("disturbed", lambda run: told.extend(disturb(run, cells))),
        ):
            kept[name], seconds[name] = _carried_out(way, file, place / name, options.port)
    same = kept["undisturbed"] == kept["disturbed"]
    record = {
        "what": "a study whose worker, scheduler and client were each killed",
        "cells": cells,
        "rows": {name: len(found) for name, found in kept.items()},
        "same_by_hash": same,
        "told": told,
        "seconds": seconds,
        "machine": machine(1),
        "versions": versions(),
    }
    write_record(record, options.output)
    print(*told, sep="\n")
    print(f"{cells} cells; rows: {record['rows']}; the same by hash: {same}")
    if not same or any(len(found) != cells for found in kept.values()):
        raise SystemExit(1)


def _carried_out(
    way: Callable[[Disturbed], object], file: Path, out: Path, port: int
) -> tuple[list[tuple[str, str]], float]:
    """The sorted (cell, hash of its row) of all rows in the files, twice where a row is twice."""
    from pacpde.files import key_of
    from pacpde.studies.results_store import ResultsStore

    clock = time.perf_counter()
    run = Disturbed(file, out, port)
    try:
        way(run)
    finally:
        run.end()
    rows = [row for part in ResultsStore(out).parts() for row in ResultsStore.read(part)]
    hashes = [
        (row["cell"], key_of({k: v for k, v in row.items() if k not in TIMES})) for row in rows
    ]
    return sorted(hashes), time.perf_counter() - clock


def _done(run: Disturbed) -> int:
    from pacpde.studies.results_store import ResultsStore

    return len(ResultsStore(run.out).keys())


if __name__ == "__main__":
    main()
