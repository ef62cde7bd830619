"""Damaged and hostile files under every reader: only the package's own errors may come out.

Each reader gets a file that it accepts, changed at random: bits, pieces cut out, doubled or moved
in, numbers made extreme, words of the format in odd places. JSON of sealed folders is changed by
its structure and sealed again, arrays of .npz are packed again with right checksums, so that the
changes reach what stands behind the checks. A case is a fault where anything but a `PacpdeError`
is raised, where it takes more than 10 s or more memory than 8 GiB, or where the process dies.

Cases are drawn by a generator that the seed, the reader and the number of the case set: a fault is
made again by the same call. Readers run in a process each; the record has counts and faults.

    python benchmarks/fuzz.py --cases 20000
    python benchmarks/fuzz.py --only csv study --cases 200000
"""

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from common import Benchmark, Record, Run, earlier_runs, markdown, without_faults
from fuzz_changes import Draw
from fuzz_targets import TARGETS

from pacpde.errors import PacpdeError

SECONDS, MEMORY = 10, 8 * 2**30  # of a case at most
COUNTS = ("cases", "read", "refused", "fault")


class TooLongError(BaseException):
    """A case took more than its seconds; no reader catches this."""


class Reading:
    """The cases of one reader, in a folder that is made anew for each."""

    def __init__(self, name: str, folder: Path) -> None:
        self.target, self.folder = TARGETS[name], folder
        (folder / "seeds").mkdir(parents=True)
        self.seeds = self.target.make(folder / "seeds")
        files = [file for file in (folder / "seeds").rglob("*") if file.is_file()]
        self.others = [file.read_bytes() for file in sorted(files)]
        self.outcomes: Counter[str] = Counter()
        self.faults: dict[str, dict[str, Any]] = {}
        for path in self.seeds:
            self.target.read(path)  # it accepts what is not changed

    def case(self, number: int, rng: Draw) -> None:
        """One changed file, read."""
        seed = self.seeds[number % len(self.seeds)]
        place = self.folder / "case" / seed.name
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.mkdir()
        shutil.copytree(seed, place) if seed.is_dir() else shutil.copyfile(seed, place)
        self.target.change(place, rng, self.others)
        self.read(place, number)

    def read(self, place: Path, number: int) -> None:
        signal.alarm(SECONDS)
        try:
            self.target.read(place)
            self.outcomes["read"] += 1
        except PacpdeError as refusal:
            self.outcomes["refused"] += 1
            if not str(refusal).strip():
                self._fault(number, refusal)
        except TooLongError as fault:
            self._fault(number, fault)
        except Exception as fault:
            self._fault(number, fault)
        finally:
            signal.alarm(0)

    def _fault(self, number: int, fault: BaseException) -> None:
        frames = traceback.extract_tb(fault.__traceback__)
        read = [one for one in frames if one.filename != __file__] or list(frames)
        own = [one for one in read if "pacpde" in one.filename] or read
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
        key = f"{type(fault).__name__} at {where}"
        self.outcomes["fault"] += 1
        self.faults.setdefault(key, {"case": number, "message": str(fault)[:300], "count": 0})
        self.faults[key]["count"] += 1


def work(name: str, cases: int, seed: int, folder: Path, pipe: Any) -> None:
    """All cases of a reader; tells how far it is, then what came out."""
    signal.signal(signal.SIGALRM, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    reading, start = Reading(name, folder), time.process_time()
    for number in range(cases):
        if number % 1000 == 0:
            pipe.send(number)
        (folder / "number").write_text(str(number))
        reading.case(number, np.random.default_rng([seed, *name.encode(), number]))
    seconds = time.process_time() - start
    pipe.send({**reading.outcomes, "faults": reading.faults, "seconds": seconds})
    pipe.close()


def _too_long(number: int, frame: Any) -> None:
    raise TooLongError(f"more than {SECONDS} s")


def run_of(name: str, cases: int, seed: int, keep: Path | None) -> Run:
    """One reader, in a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz_", dir=_memory()))
    context = get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(name, cases, seed, folder / "work", there))
    process.start()
    there.close()
    result: dict[str, Any] | None = None
    with suppress(EOFError):
        while not isinstance(message := here.recv(), dict):
            print(f"{name}: {message} of {cases}", file=sys.stderr)
        result = message
    process.join()
    if result is None:
        number = int((folder / "work" / "number").read_text() or 0)
        fault = {"case": number, "message": f"exit status {process.exitcode}", "count": 1}
        result = {"fault": 1, "faults": {"the process died": fault}, "ended_at": number}
    if keep is not None and result["faults"]:
        shutil.copytree(folder / "work", keep / name, dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return {"target": name, "what": TARGETS[name].what, "seed": seed, "cases": cases, **result}


def _memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every reader that is asked for; earlier runs of the others stay."""
    names = options.only or list(TARGETS)
    record["runs"] = [
        run for run in earlier_runs(options.output, record) if run["target"] not in names
    ]
    for name in names:
        yield run_of(name, options.cases, options.seed, options.keep)


def table(record: Record) -> str:
    """Counts of every reader."""
    order = list(TARGETS)
    all_runs = sorted(record["runs"], key=lambda run: order.index(run["target"]))
    rows = [[run["what"], *(f"{run.get(key, 0):,}" for key in COUNTS)] for run in all_runs]
    total = [f"{sum(run.get(key, 0) for run in all_runs):,}" for key in COUNTS]
    found = [
        f"{run['target']}: {kind}: {about['message']} (case {about['case']}, seed {run['seed']})"
        for run in all_runs
        for kind, about in run["faults"].items()
    ]
    head = ["what is read", "cases", "still read", "refused", "faults"]
    return without_faults(markdown(head, [*rows, ["all", *total]]), found)


def main() -> None:
    parser = Benchmark(__doc__ or "", "fuzz")
    parser.add_argument("--cases", type=int, default=20_000, help="of each reader")
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), metavar="READER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for what a reader with faults read")
    what = "Damaged and hostile files under every reader"
    parser.carry_out(what, runs, table, identity=lambda run: run["target"])


if __name__ == "__main__":
    main()
