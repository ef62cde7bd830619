"""A study on two Dask workers of which a worker, the scheduler and the client are each killed once.

python benchmarks/study_killed.py [--seeds 25]

It ends with what an undisturbed run of the same study ends with, compared by hash, or fails.
"""

import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

from common import ROOT, Benchmark, Record, Run

from pacpde.files import key_of
from pacpde.studies.results_store import ResultsStore

STUDY = """
methods = ["warm_start", "scratch"]
seeds = {seeds}
settings = {{ width = 8, depth = 2, points = 100, steps = 12 }}
[[transfers]]
family = "heat"
source = {{ alpha = 0.4 }}
targets = [{{ alpha = 0.35 }}, {{ alpha = 0.3 }}, {{ alpha = 0.25 }}, {{ alpha = 0.2 }}]
"""
TIMES = ("seconds", "seconds_to", "reference_seconds")  # what no two runs share
Process = subprocess.Popen  # of bytes


class Cluster:
    """A scheduler, two workers and a client, each a process of its own."""

    def __init__(self, study: Path, out: Path, port: int) -> None:
        self.study, self.out, self.port = study, out, str(port)
        self.address = f"tcp://127.0.0.1:{port}"
        self.log = (out.parent / f"{out.name}.log").open("w")
        self.begin()

    def begin(self) -> None:
        """A scheduler with two workers."""
        self.scheduler = self._start("distributed.cli.dask_scheduler", "--host", "127.0.0.1",
                                     "--port", self.port, "--no-dashboard")  # fmt: skip
        self.workers = [self.worker(), self.worker()]

    def worker(self) -> Process:
        return self._start("distributed.cli.dask_worker", self.address, "--nthreads", "1",
                           "--no-dashboard", "--no-nanny")  # fmt: skip

    def client(self) -> Process:
        return self._start("pacpde.cli", "study", "run", str(self.study), "-o", str(self.out),
                           "--scheduler", self.address)  # fmt: skip

    def _start(self, *words: str) -> Process:
        command = [sys.executable, "-m", *words]
        return Process(command, cwd=ROOT, stdout=self.log, stderr=self.log)

    @property
    def cells(self) -> int:
        """Cells that are finished."""
        return len(ResultsStore(self.out).keys())

    def wait_for(self, client: Process, cells: int) -> None:
        """Until so many cells are finished."""
        while self.cells < cells:
            if client.poll() is not None:
                raise SystemExit(f"the client ended early, see {self.log.name}")
            time.sleep(0.1)

    def end(self) -> None:
        kill(*self.workers, self.scheduler)
        self.log.close()

    def rows(self) -> list[tuple[str, str]]:
        """The sorted (cell, hash of its row) of all rows, twice where a row is twice."""
        store = ResultsStore(self.out)
        rows = [row for part in store.parts() for row in store.read(part)]
        return sorted(
            (row["cell"], key_of({k: v for k, v in row.items() if k not in TIMES})) for row in rows
        )


def kill(*processes: Process) -> None:
    for process in processes:
        process.kill()
        process.wait()


def disturbed(cluster: Cluster, cells: int) -> list[str]:
    """The whole study with three kills on the way; what happened."""
    happened = []
    client = cluster.client()
    cluster.wait_for(client, cells // 5)
    kill(cluster.workers[0])
    cluster.workers[0] = cluster.worker()
    happened.append(f"a worker killed after {cluster.cells} cells")
    cluster.wait_for(client, 2 * cells // 5)
    kill(cluster.scheduler)
    finished = cluster.cells
    happened.append(f"the scheduler killed after {finished} cells: the client ended with status "
                    f"{client.wait()}")  # fmt: skip
    kill(*cluster.workers)
    cluster.begin()
    client = cluster.client()
    cluster.wait_for(client, 7 * cells // 10)
    kill(client)
    happened.append(f"the client killed after {cluster.cells} cells")
    status = cluster.client().wait()
    return [*happened, f"the same command again ended with status {status}"]


def undisturbed(cluster: Cluster, cells: int) -> list[str]:
    if cluster.client().wait() != 0:
        raise SystemExit(f"the undisturbed run failed, see {cluster.log.name}")
    return []


def main() -> None:
    parser = Benchmark(__doc__, "study_killed", seeds=25)
    parser.set_defaults(threads=1)
    parser.add_argument("--port", type=int, default=28_786)
    what = "a study whose worker, scheduler and client were each killed"
    parser.carry_out(what, runs, table, key="")


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """The same study twice."""
    ways: tuple[Callable[[Cluster, int], list[str]], ...] = (undisturbed, disturbed)
    record |= {"cells": 8 * options.seeds, "rows": {}, "told": [], "seconds": {}}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.toml"
        file.write_text(STUDY.format(seeds=options.seeds), encoding="utf-8")
        for way in ways:
            clock = time.perf_counter()
            cluster = Cluster(file, Path(folder) / way.__name__, options.port)
            try:
                record["told"] += way(cluster, record["cells"])
                rows.append(cluster.rows())
            finally:
                cluster.end()
            record["seconds"][way.__name__] = time.perf_counter() - clock
            record["rows"][way.__name__] = len(rows[-1])
    record["same_by_hash"] = rows[0] == rows[1]
    yield {}


def table(record: Record) -> str:
    """In words; a difference is a failure."""
    print(*record["told"], sep="\n")
    if not record["same_by_hash"] or set(record["rows"].values()) != {record["cells"]}:
        raise SystemExit(f"the rows differ: {record['rows']} of {record['cells']} cells")
    return f"{record['cells']} cells; rows: {record['rows']}; the same by hash: True"


if __name__ == "__main__":
    main()
