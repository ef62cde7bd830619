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

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import torch
from common import Benchmark, Record, Run, earlier_runs, markdown, without_faults

import pacpde
from pacpde import Library, fit
from pacpde.datasets.columns import read_columns
from pacpde.datasets.generate import draw_labels
from pacpde.datasets.generate import write as write_dataset
from pacpde.datasets.load import load as load_dataset
from pacpde.datasets.samples import read_samples
from pacpde.datasets.tables import read_table
from pacpde.errors import PacpdeError
from pacpde.expressions import evaluate
from pacpde.networks.sealed import checksum
from pacpde.problems import Heat
from pacpde.reference import solve
from pacpde.studies.records import stored
from pacpde.studies.study_file import StudyFile, read_tuned
from pacpde.training.resume import ResumeState

SECONDS, MEMORY = 10, 8 * 2**30  # of a case at most
WORDS = (
    b"nan", b"inf", b"-inf", b"1e999", b"-0", b"0x10", b"1e-400", b"9" * 400, b"\xff\xfe", b"\x00",
    b"\xef\xbb\xbf", b"\r", b"\n\n", b";", b",", b"\t", b'"', b"'", b"#", b"../", b"[", b"]", b"{",
    b"}", b"null", b"true", b"e", b"pi", b"**", b"(" * 60, "٣".encode(), "ν".encode(), b"=",
    b"'''",
)  # fmt: skip
COUNTS = ("cases", "read", "refused", "fault")
EXTREME: tuple[Any, ...] = (
    None, True, "", "x" * 5000, "../../etc", -1, 0, 1, 2**31, 2**63, 10**400, 1e308, -1e308, 5e-324,
    float("nan"), float("inf"), [], {}, [[]], {"": None}, [1, "a"], "nan",
)  # fmt: skip
Draw = np.random.Generator


class TooLongError(BaseException):
    """A case took more than its seconds; no reader catches this."""


def changed(content: bytes, rng: Draw, others: list[bytes]) -> bytes:
    """Bytes with one to four changes."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        size = len(data)
        at = int(rng.integers(0, size + 1))
        end = min(size, at + int(2 ** rng.uniform(0, 8)))
        kind = int(rng.integers(0, 8))
        if kind == 0 and size:
            data[min(at, size - 1)] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1 and size:
            data[min(at, size - 1)] = int(rng.integers(0, 256))
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = data[at:end] * int(rng.integers(1, 4))
        elif kind == 4:
            data[at:at] = WORDS[int(rng.integers(0, len(WORDS)))]
        elif kind == 5:
            data[at:end] = WORDS[int(rng.integers(0, len(WORDS)))]
        elif kind == 6:
            other = others[int(rng.integers(0, len(others)))]
            start = int(rng.integers(0, len(other) + 1))
            data[at:end] = other[start : start + int(2 ** rng.uniform(0, 8))]
        else:
            del data[at:]
    return bytes(data)


def changed_structure(value: Any, rng: Draw) -> Any:
    """A JSON value with one part replaced, left out or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = list(value)[int(rng.integers(0, len(value)))]
        if rng.random() < 0.1:
            return {name: own for name, own in value.items() if name != key}
        return {**value, key: changed_structure(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = int(rng.integers(0, len(value)))
        if rng.random() < 0.15:
            return [*value[:at], *value[at + 1 :]]
        if rng.random() < 0.15:
            return [*value, value[at]]
        return [*value[:at], changed_structure(value[at], rng), *value[at + 1 :]]
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and rng.random() < 0.4
    ):
        return value * float(rng.choice([-1, 0, 1e3, 1e-3, 1e300])) + float(rng.choice([0, 1, 0.5]))
    return EXTREME[int(rng.integers(0, len(EXTREME)))]


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        what: it reads.
        make: files or folders that it accepts, in a folder.
        read: one of them.
        change: makes another file of it, in its place.
    """

    what: str
    make: Callable[[Path], list[Path]]
    read: Callable[[Path], object]
    change: Callable[[Path, Draw, list[bytes]], None]


def bytes_of(path: Path, rng: Draw, others: list[bytes]) -> None:
    """Change a file, or one file of a folder."""
    file = path
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        file = inside[int(rng.integers(0, len(inside)))]
    file.write_bytes(changed(file.read_bytes(), rng, others))


def sealed(about: str, tensors: str) -> Callable[[Path, Draw, list[bytes]], None]:
    """Change the JSON of a folder, and seal it again."""

    def change(path: Path, rng: Draw, others: list[bytes]) -> None:
        content = json.loads((path / about).read_text(encoding="utf-8"))
        seal = content.pop("checksum")
        for _ in range(int(rng.integers(1, 3))):
            content = changed_structure(content, rng)
        if isinstance(content, dict):
            with suppress(ValueError, OverflowError):
                content = json.loads(json.dumps(content))
            seal = checksum(content, (path / tensors).read_bytes())
            content = {"checksum": seal, **content}
        (path / about).write_text(json.dumps(content), encoding="utf-8")

    return change


def structure(path: Path, rng: Draw, others: list[bytes]) -> None:
    """Change JSON by its structure, or as bytes."""
    if rng.random() < 0.3:
        bytes_of(path, rng, others)
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    for _ in range(int(rng.integers(1, 4))):
        content = changed_structure(content, rng)
    path.write_text(json.dumps(content), encoding="utf-8")


def packed(path: Path, rng: Draw, others: list[bytes]) -> None:
    """Change the arrays within a .npz, and pack them again with right checksums."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[int(rng.integers(0, len(members)))]
    content = members[name]
    if rng.random() < 0.5:  # the header, which says type and shape
        members[name] = changed(content[:128], rng, others) + content[128:]
    else:
        members[name] = changed(content, rng, list(members.values()))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        for key, value in members.items():
            archive.writestr(key, value)


def grid() -> dict[str, np.ndarray]:
    """A solution of the heat equation on a small grid."""
    t, x = np.linspace(0, 1, 6), np.linspace(0, 1, 7)
    return {"t": t, "x": x, "u": np.exp(-t)[:, None] * np.sin(np.pi * x)}


def table_text(folder: Path) -> list[Path]:
    content = grid()
    rows = [
        f"{t!r},{x!r},{u!r}"
        for t, line in zip(content["t"].tolist(), content["u"].tolist(), strict=True)
        for x, u in zip(content["x"].tolist(), line, strict=True)
    ]
    comma, semicolon = folder / "a.csv", folder / "b.csv"
    comma.write_text("\n".join(["t,x,u", *rows]) + "\n", encoding="utf-8")
    semicolon.write_text("# x\nt;x;u\n" + rows[9].replace(",", ";") + "\n", encoding="utf-8")
    return [comma, semicolon]


def npz(folder: Path) -> list[Path]:
    np.savez(folder / "a.npz", **grid())  # type: ignore[arg-type]
    return [folder / "a.npz"]


def matlab(folder: Path) -> list[Path]:
    scipy.io.savemat(folder / "a.mat", grid())
    scipy.io.savemat(folder / "b.mat", grid(), do_compression=True, oned_as="column")
    return [folder / "a.mat", folder / "b.mat"]


def hdf5(folder: Path) -> list[Path]:
    with h5py.File(folder / "a.h5", "w") as file:
        file.update(grid())
    return [folder / "a.h5"]


def dataset(folder: Path) -> list[Path]:
    reference = solve(Heat(), tolerance=1e-4)
    write_dataset(reference, folder / "heat.h5", draw_labels(reference, 5))
    return [folder / "heat.h5"]


def surrogate(folder: Path) -> list[Path]:
    pacpde.save(fit(Heat(), width=4, depth=1, points=20, steps=1, refinements=0), folder / "one")
    return [folder / "one"]


def library(folder: Path) -> list[Path]:
    settings = {"width": 6, "depth": 1, "points": 40, "steps": 20}
    own = Library.build(Heat, {"alpha": (0.1, 0.2)}, tolerance=1.0, most=2, settings=settings)
    own.save(folder / "library")
    return [folder / "library"]


def record_file(folder: Path) -> list[Path]:
    path = folder / "records.json"
    shutil.copy(Path(__file__).with_name("results") / "demo.json", path)
    return [path]


def study(folder: Path) -> list[Path]:
    names = ("distances.toml", "methods.toml")
    return [Path(shutil.copy(Path(__file__).parent / "studies" / name, folder)) for name in names]


def tuned(folder: Path) -> list[Path]:
    path = folder / "tuned.toml"
    path.write_text("[heat.pac]\nsparsity = 0.5\n[heat.l2_sp]\nstrength = 1e-3\n", "utf-8")
    return [path]


def expressions(folder: Path) -> list[Path]:
    texts = ("0.01/pi", "-(2 + 3)*4e-2**2", "1_000", "e", "((1))")
    paths = [folder / f"{k}.txt" for k in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def resume(folder: Path) -> list[Path]:
    ResumeState(folder, "key").write("fit", {"weights": torch.ones(3)}, {"step": 1})
    return [folder / "fit.safetensors"]


def samples(path: Path) -> object:
    """Labels of the heat equation in a file."""
    return read_samples(path, Heat())


TARGETS = {
    "expression": Target(
        "a coefficient",
        expressions,
        lambda path: evaluate(path.read_text("utf-8", errors="surrogateescape")),
        bytes_of,
    ),
    "csv": Target("text with a table", table_text, samples, bytes_of),
    "columns": Target("columns of text", table_text, read_columns, bytes_of),
    "reference": Target(
        "a reference on a grid",
        lambda folder: table_text(folder)[:1],
        lambda path: read_table(path, Heat()),
        bytes_of,
    ),
    "npz": Target("NumPy arrays, packed again", npz, samples, packed),
    "npz_bytes": Target("NumPy arrays, as bytes", npz, samples, bytes_of),
    "mat": Target("MATLAB arrays", matlab, samples, bytes_of),
    "hdf5": Target("HDF5 of others", hdf5, samples, bytes_of),
    "dataset": Target("a file of pacpde solve", dataset, load_dataset, bytes_of),
    "surrogate": Target(
        "a surrogate, sealed again",
        surrogate,
        pacpde.load,
        sealed("surrogate.json", "weights.safetensors"),
    ),
    "surrogate_bytes": Target("a surrogate, as bytes", surrogate, pacpde.load, bytes_of),
    "library": Target(
        "a library, sealed again",
        library,
        Library.load,
        sealed("library.json", "library.safetensors"),
    ),
    "records": Target("records", record_file, stored, structure),
    "study": Target("a study", study, lambda path: StudyFile(path).counts(), bytes_of),
    "tuned": Target("tuned options", tuned, read_tuned, bytes_of),
    "resume": Target(
        "the state of a fit",
        resume,
        lambda path: ResumeState(path.parent, "key").read("fit"),
        bytes_of,
    ),
}


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
