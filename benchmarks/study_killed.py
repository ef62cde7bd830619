"""A study on two Dask workers of which a worker, the scheduler and the client are each killed once.

python benchmarks/study_killed.py [--seeds 25]

It ends with what an undisturbed run of the same study ends with, compared by hash, or fails. It
waits for what happens and not for a time, so that it only takes longer on a busy machine. It gives
up where no cell is finished in half an hour.
"""

import socket
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

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
STALLED = 1800.0  # seconds without a finished cell
Process = subprocess.Popen  # of bytes


class Cluster:
    """A scheduler, two workers and a client, each a process of its own."""

    def __init__(self, study: Path, out: Path) -> None:
        self.study, self.out = study, out
        self.log = (out.parent / f"{out.name}.log").open("w")
        self.begin()

    def begin(self) -> None:
        """A scheduler at a port that nobody else has; once it listens, two workers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            host, port = free.getsockname()
        self.address, self.workers = f"tcp://{host}:{port}", []
        self.scheduler = self._start("distributed.cli.dask_scheduler", "--host", host,
                                     "--port", str(port), "--no-dashboard")  # fmt: skip
        self.wait_until(lambda: listens(host, port), self.scheduler)
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
        self.wait_until(lambda: self.cells >= cells, client)

    def status(self, client: Process) -> int:
        """With which a client ends."""
        self.wait_until(lambda: client.poll() is not None)
        return client.wait()

    def wait_until(self, holds: Callable[[], bool], process: Process | None = None) -> None:
        """Until it holds; refuses a process that ended before, and a study that stands still."""
        clock, cells = time.monotonic(), -1
        while not holds():
            if process is not None and process.poll() is not None and not holds():
                self.give_up("a process ended early")
            if (finished := self.cells) > cells:
                clock, cells = time.monotonic(), finished
            if time.monotonic() - clock > STALLED:
                self.give_up(f"no cell was finished in {STALLED:g} s")
            time.sleep(0.2)

    def give_up(self, why: str) -> NoReturn:
        log = Path(self.log.name).read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"{why}; the end of what the processes said:\n{log[-3000:]}")

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


def listens(host: str, port: int) -> bool:
    """Whether something answers at a port."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


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
                    f"{cluster.status(client)}")  # fmt: skip
    kill(*cluster.workers)
    cluster.begin()
    client = cluster.client()
    cluster.wait_for(client, 7 * cells // 10)
    kill(client)
    happened.append(f"the client killed after {cluster.cells} cells")
    status = cluster.status(cluster.client())
    return [*happened, f"the same command again ended with status {status}"]


def undisturbed(cluster: Cluster, cells: int) -> list[str]:
    status = cluster.status(cluster.client())
    if status != 0:
        cluster.give_up(f"the undisturbed run ended with status {status}")
    return []


def main() -> None:
    parser = Benchmark(__doc__, "study_killed", seeds=25)
    parser.set_defaults(threads=1)
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
            cluster = Cluster(file, Path(folder) / way.__name__)
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
