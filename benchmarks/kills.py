"""Commands that are killed, that run at once, on a full disk and in a read-only folder.

Every command that writes something runs in a folder of its own. What it leaves there without any
hardship is what is expected.

*Killed*: by SIGKILL mostly, by SIGTERM and Ctrl-C else. Half of the moments are uniform over the
length of an unkilled run. The others are placed: the process kills itself just before its n-th act
on a file (opening, renaming, linking, removing one, making a folder), n uniform over those of an
unkilled run. *At once*: four processes carry out the same command in the same folder. *Full disk*:
there is room for a random share of what the command writes. *Read-only*: the file system is.

Afterwards
1. every file that is there, but for hidden temporary ones, is whole,
2. what the user had in the folder is as it was,
3. a process that was not killed ended as the undisturbed one, or said why not in a sentence,
4. the same command again, without a further option, ends with the same status and leaves the same
   files with the same content, to the bit but for times and dates.
Anything else is a fault. Temporary files that a kill leaves are counted; they are hidden, nobody
reads them, and a later command collects them.

Importing torch takes longer than these commands. So a process that has imported everything forks
the processes that run a command; what happens during the imports is not tested here. Commands with
workers are started as usual, and must leave no worker behind. Full and read-only disks need the
right to mount one, and Linux.

    python benchmarks/kills.py --kills 16 --rounds 1
    python benchmarks/kills.py --only train report --kills 30 --seed 1
"""

import hashlib
import importlib
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import pyarrow.parquet as pq
from common import ROOT, Benchmark, Record, Run, earlier_runs, markdown, without_faults
from safetensors.numpy import load as load_tensors
from study_killed import STUDY, TIMES

import pacpde.cli
from pacpde.files import LEFTOVER
from pacpde.networks import checkpoint

SIGNALS = (*8 * (signal.SIGKILL,), signal.SIGTERM, signal.SIGINT)  # as often as they stand here
LONGEST = 120.0  # seconds of a command
SHORT = 1.5  # seconds of a command that is killed as often as --kills says
ACTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod",
        "ctypes.dlsym")  # fmt: skip
# keys of JSON that no two runs share: times, and hashes of what holds times
UNSHARED = {*TIMES, "checksum", "rate", "break_even"}
TIMED = ("error_vs_seconds.png",)  # pictures that show seconds
CACHE, THESIS = "cache", "thesis.tex"
AT_ONCE = 4  # processes
PAGE = 4096  # bytes, of which a disk in memory gives whole ones
AMPLE = 1 << 28  # bytes of such a disk on which there is room
# what a process says that stands back behind another one
STOOD_BACK = ("another run of pacpde is at work", "is already there")
SMALL = ("--width", "8", "--depth", "2", "--points", "60", "--steps", "20")
NOISY = "t,x,u\n" + "".join(
    f"{t},{x},{math.exp(-0.45 * math.pi**2 * t) * math.sin(math.pi * x)}\n"
    for t in (0.05, 0.1, 0.2) for x in (0.2, 0.4, 0.7)
)  # fmt: skip
FAMILY = """
from dataclasses import dataclass
from pacpde.physics import Axis, Evolution, coefficient

@dataclass(frozen=True)
class Decay(Evolution):
    \"\"\"u_t = -rate u on t in [0, 1]; u = 1 at t = 0.\"\"\"

    name = "killed_decay"
    axes = (Axis("t", 0.0, 1.0),)
    rate: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="rate")

    def rhs(self, u, d):
        return -self.rate * u

    def initial(self):
        return 1.0
"""
FEW = STUDY.format(seeds=1).replace(", { alpha = 0.25 }, { alpha = 0.2 }", "")
TRIED = FEW.replace(
    "[[transfers]]",
    '[options]\nwarm_start = { continuation = ["direct", "adaptive"] }\n[[transfers]]',
)


@dataclass(frozen=True)
class Command:
    """A command, and what stands in its folder before.

    Attributes:
        words: of the command line.
        needs: names of prepared files and folders that it reads.
        changes: those of them that it writes to.
        workers: it starts processes of its own, so that it is not forked.
    """

    words: str
    needs: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    workers: bool = False


SOURCE = f"train heat alpha=0.4 {' '.join(SMALL)} -o source"
REFIT = "--points 60 --steps 20"
COMPARE = f"compare heat --source alpha=0.4 --target alpha=0.3 {' '.join(SMALL)} -o out"
LIBRARY = (
    "library build heat --over alpha=0.2:0.8 --tolerance 1e-4 --width 8 --depth 2 --points 60 "
    "--steps 20 --most 3"
)
COMMANDS = {
    "solve": Command("solve heat alpha=0.4 --labels 9 -o heat.h5 --json out.json"),
    "train": Command(SOURCE.replace("-o source", "-o out --json out.json")),
    "transfer": Command(
        f"transfer source alpha=0.3 {REFIT} -o out --json out.json", ("source",)
    ),
    "transfer over a ladder": Command(
        f"transfer source alpha=0.2 --ladder 0.3 {REFIT} -o out --json out.json", ("source",)
    ),
    "predict": Command("predict source points.csv -o out.csv --json out.json",
                       ("source", "points.csv")),
    "predict to netCDF": Command("predict source points.csv -o out.nc", ("source", "points.csv")),
    "compare": Command(f"{COMPARE} --methods warm_start,pac --json out.json"),
    "compare --together": Command(f"{COMPARE} --methods warm_start --seeds 0,1 --together"),
    "identify": Command(f"identify source points.csv {REFIT} -o out --json out.json",
                        ("source", "points.csv")),
    "rerun": Command("rerun record.json --json out.json", ("record.json",)),
    "report": Command("report study -o out.html --plots plots --json out.json", ("study",)),
    "study run": Command("study run study.toml -o out --json out.json", ("study.toml",)),
    "study run --local 2": Command("study run study.toml -o out --local 2", ("study.toml",),
                                   workers=True),
    "study choose": Command("study choose tried -o tuned.toml --json out.json", ("tried",)),
    "study status": Command("study status study --json out.json", ("study",)),
    "library build": Command(f"{LIBRARY} -o out --json out.json"),
    "library solve": Command("library solve library alpha=0.33 -o out --json out.json",
                             ("library",)),
    "library add": Command("library add library alpha=0.33,0.37 --json out.json", ("library",),
                           ("library",)),
    "library add --source": Command("library add library --source joining --json out.json",
                                    ("library", "joining"), ("library",)),
    "library page": Command("library page library -o out.html --json out.json", ("library",)),
    "check": Command("check decay.py --no-fit --json out.json", ("decay.py",)),
    "families": Command("families --json out.json"),
}  # fmt: skip
# what makes the prepared folders, in this order
PREPARED = (
    SOURCE,
    "train heat alpha=0.77 --width 8 --depth 2 --points 60 --steps 20 -o joining",
    f"transfer source alpha=0.3 {REFIT} -o target --json record.json",
    f"{LIBRARY} -o library",
    "study run study.toml -o study",
    "study run tried.toml -o tried",
)
FILES = {
    "points.csv": NOISY, "study.toml": FEW, "tried.toml": TRIED,
    "decay.py": FAMILY,
}  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """When a command is killed, and how.

    Attributes:
        number: of the signal.
        seconds: after the start; None for a placed kill.
        act: before which act on a file, counted from 1.
    """

    number: int
    seconds: float | None = None
    act: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: exit status; below zero, of the signal that ended it.
        acts: on files of its folder.
    """

    status: int
    said: str
    seconds: float
    acts: int = 0


def inside(folder: str, arguments: Sequence[Any]) -> bool:
    """Whether an act, by its audit event, is on a file of a folder, or a change of two names."""
    if "renameat2" in arguments:
        return True
    if not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
        return False
    return os.path.abspath(os.fsdecode(arguments[0])).startswith(folder)


def as_command(
    folder: Path, words: Sequence[str], moment: Moment | None, said: Path, told: Path
) -> NoReturn:
    """The process that a command is: it never returns."""
    os.setsid()
    os.chdir(folder)
    place, count = f"{folder}/", 0
    with said.open("wb") as opened:
        os.dup2(opened.fileno(), 1)
        os.dup2(opened.fileno(), 2)
    os.environ["PACPDE_CACHE"] = str(folder / CACHE)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["pacpde", *words]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in ACTS and inside(place, arguments):
            count += 1
            if moment is not None and count == moment.act:
                os.kill(os.getpid(), moment.number)

    sys.addaudithook(watch)
    status = pacpde.cli.main()
    sys.stdout.flush()
    names = [name for name in sys.modules if not name.startswith("__")]
    told.write_text(json.dumps({"acts": count, "modules": names}), encoding="utf-8")
    os._exit(status)


class Process:
    """A command under way: a fork of this process, or one that is started as usual.

    Args:
        aside: what it says and tells goes to files of this name.
    """

    def __init__(
        self, folder: Path, command: Command, aside: Path, moment: Moment | None = None
    ) -> None:
        self.moment, self.clock = moment, time.monotonic()
        self.said, self.told = aside.with_suffix(".said"), aside.with_suffix(".told")
        self.told.unlink(missing_ok=True)
        words = command.words.split()
        self.forked = not command.workers
        if self.forked:
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    as_command(folder, words, moment, self.said, self.told)
                except KeyboardInterrupt:  # before the command has begun
                    os._exit(130)
                finally:
                    os._exit(99)
        else:
            self.pid = self._start(folder, words)

    def _start(self, folder: Path, words: Sequence[str]) -> int:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PACPDE_CACHE": str(folder / CACHE)}
        with self.said.open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "pacpde", *words], cwd=folder, env=environment, stdout=said,
                stderr=said, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            ).pid  # fmt: skip

    def ended(self) -> Ended:
        """Once it has; it is killed at its moment."""
        status = self._status()
        seconds = time.monotonic() - self.clock
        told = json.loads(self.told.read_bytes()) if self.told.exists() else {}
        for name in told.get("modules", ()):
            if name not in sys.modules:  # for the next fork
                with suppress(Exception):
                    importlib.import_module(name)
        left = "" if self.forked or self._alone() else "\nFAULT a worker was left"
        said = self.said.read_text(encoding="utf-8", errors="replace") + left
        return Ended(status, said, seconds, told.get("acts", 0))

    def _status(self) -> int:
        due = math.inf if self.moment is None else self.moment.seconds or math.inf
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            passed = time.monotonic() - self.clock
            if passed >= due and self.moment is not None:
                due, group = math.inf, self.moment.number == signal.SIGINT and not self.forked
                (os.killpg if group else os.kill)(self.pid, self.moment.number)
            if passed > LONGEST:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.002)

    def _alone(self) -> bool:
        """Whether every process that it started ended too; what did not is killed."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.1)
        os.killpg(self.pid, signal.SIGKILL)
        return False


def files_of(folder: Path) -> dict[str, Path]:
    """Name → file, of all files that are not hidden temporary ones, or the cache's."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        left = any(LEFTOVER.search(part) for part in name.parts)
        if path.is_file() and not left and name.parts[0] != CACHE:
            found[str(name)] = path
    return found


def leftovers(folder: Path) -> list[str]:
    """Temporary files and folders."""
    names = [path.relative_to(folder) for path in folder.rglob("*.tmp")]
    return [str(n) for n in names if LEFTOVER.search(n.name)]


def without_times(content: Any) -> Any:
    """JSON without what no two runs share."""
    if isinstance(content, dict):
        return {k: without_times(v) for k, v in content.items() if k not in UNSHARED}
    if isinstance(content, list):
        return [without_times(value) for value in content]
    return content


def read(path: Path) -> Any:
    """What a file holds, but for times; raises where it is not whole."""
    content, ending = path.read_bytes(), path.suffix
    if path.name == ".pacpde.json":
        return sorted(json.loads(content)["files"])
    if ending == ".json":
        return without_times(json.loads(content))
    if ending == ".parquet":
        rows = pq.read_table(io.BytesIO(content)).to_pylist(maps_as_pydicts="strict")
        return [without_times(row) for row in rows]
    if ending == ".safetensors":
        return {
            k: hashlib.sha256(v.tobytes()).hexdigest() for k, v in load_tensors(content).items()
        }
    if ending == ".h5":
        with h5py.File(path) as file:
            held: dict[str, Any] = {}
            file.visititems(lambda name, one: held.setdefault(name, _of_hdf5(one)))
            return held
    if ending in (".png", ".pdf"):
        closing = b"IEND\xaeB`\x82" if ending == ".png" else b"%%EOF"
        if not content.rstrip().endswith(closing):
            raise ValueError("cut off")
        return "a picture" if path.name in TIMED else hashlib.sha256(content).hexdigest()
    if ending == ".html" and not content.rstrip().endswith(b"</html>"):
        raise ValueError("cut off")
    return hashlib.sha256(content).hexdigest()


def _of_hdf5(one: Any) -> str:
    return hashlib.sha256(one[()].tobytes()).hexdigest() if hasattr(one, "dtype") else "a group"


def contents(folder: Path) -> dict[str, Any]:
    """What a folder holds, but for times; the parts of a study's records as one."""
    held: dict[str, Any] = {}
    rows: dict[str, list[Any]] = {}
    for name, path in files_of(folder).items():
        if path.suffix == ".parquet":
            rows.setdefault(str(Path(name).parent), []).extend(read(path))
        else:
            held[name] = read(path)
    for name, parts in rows.items():
        held[name] = sorted(json.dumps(row, sort_keys=True) for row in parts)
    return held


def difference(one: Any, other: Any, at: str = "") -> str:
    """Where two contents differ first, "" where they do not."""
    if isinstance(one, dict) and isinstance(other, dict):
        if set(one) != set(other):
            return f"{at}: {sorted(set(one) ^ set(other))[:4]} are in one alone"
        found = (difference(one[k], other[k], f"{at}/{k}") for k in one)
        return next(filter(None, found), "")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = (
            difference(a, b, f"{at}/{k}") for k, (a, b) in enumerate(zip(one, other, strict=True))
        )
        return next(filter(None, found), "")
    return "" if one == other else f"{at}: {str(one)[:80]} and {str(other)[:80]}"


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A disk in memory at a folder."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={AMPLE}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, option: str) -> None:
    """Set its size, or whether it is read-only."""
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


def bytes_of(folder: Path) -> int:
    """That its files take on a disk in memory."""
    sizes = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(-(-size // PAGE) * PAGE for size in sizes)


class Workshop:
    """Prepared inputs, and folders in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prepared = folder, folder / "prepared"
        self.prepared.mkdir()
        for name, text in FILES.items():
            (self.prepared / name).write_text(text, encoding="utf-8")
        for words in PREPARED:
            self.undisturbed(self.prepared, Command(words))

    def start(
        self, folder: Path, command: Command, moment: Moment | None = None, number: int = 0
    ) -> Process:
        return Process(folder, command, self.folder / f"process-{number}", moment)

    def undisturbed(self, folder: Path, command: Command) -> Ended:
        ended = self.start(folder, command).ended()
        if ended.status not in (0, 1) or "nternal error" in ended.said:
            raise SystemExit(f"{command.words}: status {ended.status}, {ended.said}")
        return ended

    def fill(self, command: Command, folder: Path) -> Path:
        """Put into a folder what the command needs, and something of the user's."""
        folder.mkdir(exist_ok=True)
        (folder / THESIS).write_text("years of work\n")
        for need in command.needs:
            place = self.prepared / need
            copy: Callable[..., Any] = shutil.copytree if place.is_dir() else shutil.copy
            copy(place, folder / need)
        return folder

    def fresh(self, command: Command, name: str) -> Path:
        """A new folder with that."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.fill(command, self.folder / name)


class FaultError(Exception):
    """What may not be; the text says what it is."""


class Trial:
    """A command, what it leaves behind undisturbed, and runs under hardships.

    These raise a FaultError.
    """

    def __init__(self, workshop: Workshop, name: str) -> None:
        self.shop, self.command = workshop, COMMANDS[name]
        self.counts: Counter[str] = Counter()
        for _ in range(1 if self.command.workers else 2):  # the second has everything imported
            folder = workshop.fresh(self.command, "undisturbed")
            before = bytes_of(folder)
            self.calm = workshop.undisturbed(folder, self.command)
        self.expected, self.bytes = contents(folder), bytes_of(folder) - before

    def killed(self, rng: np.random.Generator, number: int) -> None:
        """Even ones at a moment, odd ones at an act."""
        how = SIGNALS[rng.integers(len(SIGNALS))]
        if self.command.workers or number % 2 == 0:
            moment = Moment(how, seconds=float(rng.uniform(0, self.calm.seconds)))
        else:
            moment = Moment(how, act=int(rng.integers(1, self.calm.acts + 1)))
        self.killed_at(moment)

    def killed_at(self, moment: Moment) -> None:
        how, folder = signal.Signals(moment.number), self.shop.fresh(self.command, "killed")
        before = contents(folder)
        ended = self.shop.start(folder, self.command, moment).ended()
        if ended.status == self.calm.status:
            self.counts["ended before"] += 1
        else:
            self.counts.update(["killed", "at random" if moment.act is None else "at an act",
                                how.name])  # fmt: skip
        allowed = {self.calm.status, 130 if how == signal.SIGINT else -how}
        if ended.status not in allowed or "Traceback" in ended.said or "FAULT" in ended.said:
            raise FaultError(f"killed: status {ended.status}, {ended.said[-300:]}")
        self._check_whole(folder, before)
        self.counts["temporary"] += bool(leftovers(folder))
        self._again(folder)

    def at_once(self, rng: np.random.Generator, number: int) -> None:
        folder = self.shop.fresh(self.command, "at_once")
        before = contents(folder)
        processes = [self.shop.start(folder, self.command, None, k) for k in range(AT_ONCE)]
        self.counts["at once"] += 1
        for process in processes:
            ended = process.ended()
            if ended.status != self.calm.status:
                self._check_said(ended, STOOD_BACK)
                self.counts["stood back"] += 1
        self._check_whole(folder, before)
        wrong = difference(self.expected, contents(folder))
        if wrong:
            raise FaultError(f"at once: {wrong}")

    def full(self, rng: np.random.Generator, number: int) -> None:
        folder = self.shop.folder / "full"
        with disk(folder):
            self.shop.fill(self.command, folder)
            before = contents(folder)
            size = bytes_of(folder) + PAGE * int(rng.uniform(0, self.bytes) / PAGE)
            remount(folder, f"size={size}")
            ended = self.shop.start(folder, self.command).ended()
            if ended.status != self.calm.status:
                self._check_said(ended, ("No space left on device",))
                self.counts["full"] += 1
            self._check_whole(folder, before)
            remount(folder, f"size={AMPLE}")
            self._again(folder)

    def read_only(self, rng: np.random.Generator, number: int) -> None:
        folder = self.shop.folder / "read_only"
        with disk(folder):
            self.shop.fill(self.command, folder)
            before = contents(folder)
            remount(folder, "ro")
            ended = self.shop.start(folder, self.command).ended()
            self.counts["read-only"] += 1
            self._check_said(ended, ("ead-only",))
            if difference(before, contents(folder)):
                raise FaultError("read-only: something changed")
            remount(folder, "rw")
            self._again(folder)

    def _check_said(self, ended: Ended, sentences: tuple[str, ...]) -> None:
        """That a process which failed said why, in its last line and in a sentence."""
        last = ended.said.strip().splitlines()[-1:] or [""]
        good = last[0].startswith("pacpde: ") and any(one in last[0] for one in sentences)
        if ended.status not in (1, 2) or "Traceback" in ended.said or not good:
            raise FaultError(f"status {ended.status}, {ended.said[-400:]}")

    def _check_whole(self, folder: Path, before: Mapping[str, Any]) -> None:
        """That no file is cut off, and none of the user's changed."""
        held = {}
        for name, path in files_of(folder).items():
            try:
                if path.name == checkpoint.ABOUT:
                    checkpoint.check_whole(path.parent)
                held[name] = read(path)
            except Exception as error:
                raise FaultError(f"half a file {name}: {error!r}") from error
        for name, content in before.items():
            records = name not in held and not (folder / name).is_dir()
            if records or (name in held and name.split("/")[0] not in self.command.changes
                           and held[name] != content):  # fmt: skip
                raise FaultError(f"the user's {name} changed")

    def _again(self, folder: Path) -> None:
        """The same command again, undisturbed."""
        whole = not difference(self.expected, contents(folder))
        again = self.shop.start(folder, self.command).ended()
        refused = whole and again.status == 2 and "is already there" in again.said
        if not refused and (again.status != self.calm.status or "nternal error" in again.said):
            raise FaultError(f"again: status {again.status}, {again.said[-300:]}")
        try:
            wrong = difference(self.expected, contents(folder))
        except Exception as error:
            raise FaultError(f"again: half a file: {error!r}") from error
        if wrong:
            raise FaultError(f"again: {wrong}")


HARDSHIPS = ("killed", "at_once", "full", "read_only")


def run_of(workshop: Workshop, name: str, kills: int, rounds: int, seed: int) -> Run:
    """A command under every hardship; one that takes long is killed less often."""
    trial = Trial(workshop, name)
    least = kills // 6 if trial.command.workers else kills // 4
    several = max(1, least, round(kills * min(1.0, SHORT / trial.calm.seconds)))
    mounts = rounds if os.geteuid() == 0 and not trial.command.workers else 0
    numbers = dict(zip(HARDSHIPS, (several, rounds, mounts, min(1, mounts)), strict=True))
    faults: dict[str, dict[str, Any]] = {}
    for hardship, count in numbers.items():
        for number in range(count):
            rng = np.random.default_rng([seed, *name.encode(), *hardship.encode(), number])
            try:
                getattr(trial, hardship)(rng, number)
            except FaultError as error:
                print(f"FAULT {name} {hardship} {number}: {error}", file=sys.stderr, flush=True)
                key = f"{hardship}: {re.sub(r'[0-9a-f]*[0-9][0-9a-f]*', '#', str(error)[:60])}"
                faults.setdefault(key, {"number": number, "message": str(error)[:400], "count": 0})
                faults[key]["count"] += 1
    return {
        "command": name, "words": trial.command.words, "seed": seed, "seconds": trial.calm.seconds,
        "acts": trial.calm.acts, "bytes": trial.bytes, **trial.counts, "faults": faults,
    }  # fmt: skip


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every command that is asked for; earlier runs of the others stay."""
    names = options.only or list(COMMANDS)
    record["runs"] = [
        run for run in earlier_runs(options.output, record) if run["command"] not in names
    ]
    with tempfile.TemporaryDirectory(prefix="kills_") as folder:
        workshop = Workshop(Path(folder))
        for name in names:
            yield run_of(workshop, name, options.kills, options.rounds, options.seed)


def table(record: Record) -> str:
    """Counts of every command."""
    order = list(COMMANDS)
    all_runs = sorted(record["runs"], key=lambda run: order.index(run["command"]))
    columns = {
        "killed": "kills", "at random": "at random", "at an act": "at an act on a file",
        "temporary": "left a temporary file", "at once": "four at once",
        "full": "ended by a full disk", "read-only": "read-only",
    }  # fmt: skip
    rows = []
    for run in all_runs:
        counts = [str(run.get(key, 0)) for key in columns]
        rows.append([f"`{run['command']}`", *counts, str(sum_of(run["faults"]))])
    sums = [str(sum(run.get(key, 0) for run in all_runs)) for key in columns]
    rows.append(["all", *sums, str(sum(sum_of(run["faults"]) for run in all_runs))])
    found = [
        f"{run['command']}: {about['message']} (number {about['number']}, seed {run['seed']})"
        for run in all_runs
        for about in run["faults"].values()
    ]
    return without_faults(markdown(["command", *columns.values(), "faults"], rows), found)


def sum_of(faults: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(about["count"] for about in faults.values())


def main() -> None:
    parser = Benchmark(__doc__ or "", "kills")
    parser.add_argument(
        "--kills", type=int, default=16, help="of a short command, up to 4 times those of long ones"
    )
    parser.add_argument("--rounds", type=int, default=1, help="of each other hardship")
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(threads=1)
    parser.carry_out("Commands that are killed, at once, on a full disk and read-only", runs, table,
                     identity=lambda run: run["command"])  # fmt: skip


if __name__ == "__main__":
    main()
