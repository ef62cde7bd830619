"""What the benchmarks share: the command line, records, tables."""

import json
import os
import platform
import re
import subprocess
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))  # from a checkout, installed or not

import torch  # noqa: E402

from pacpde.files import atomic_write  # noqa: E402
from pacpde.runtime import versions  # noqa: E402

Run = dict[str, Any]
Record = dict[str, Any]
PAIR = re.compile(r"\[\s+(\d[\d.e+-]*),\s+(\d[\d.e+-]*)\s+\]")  # of numbers, in indented JSON


class Benchmark(ArgumentParser):
    """The command line of a benchmark; further options by `add_argument`.

    Args:
        doc: of its module.
        file: name of its record in benchmarks/results.
        seeds: default of `--seeds`; None for a benchmark without it.
        quick: settings of fits that show whether it runs; a quick run is not recorded.
    """

    def __init__(
        self,
        doc: str,
        file: str,
        *,
        seeds: int | None = None,
        quick: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(description=doc, formatter_class=RawDescriptionHelpFormatter)
        self.file, self.quick = RESULTS / f"{file}.json", quick or {}
        self.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
        self.add_argument("-o", "--output", type=Path, help=f"default results/{self.file.name}")
        if seeds:
            self.add_argument("--seeds", type=int, default=seeds)
        self.add_argument(
            "--quick", action="store_true", help="a few steps; not recorded" if quick else SUPPRESS
        )
        self.add_argument(
            "--join",
            type=Path,
            nargs="+",
            metavar="FILE",
            help="make one record of several; of runs that several hold the last one's are taken",
        )

    def parse_args(self, *arguments: Any) -> Namespace:  # type: ignore[override]
        """With `settings` of fits, and `source_settings` with a `network`; set in quick runs."""
        options = super().parse_args(*arguments)
        options.settings = dict(self.quick) if options.quick else {}
        options.network = {"width": 6, "depth": 1} if options.quick else {}
        options.source_settings = options.network | options.settings
        options.output = options.output or (None if options.quick else self.file)
        torch.set_num_threads(options.threads)
        return options

    def carry_out(
        self,
        what: str,
        runs: Callable[[Namespace, Record], Iterable[Run]],
        table: Callable[[Record], str],
        key: str = "runs",
        identity: Callable[[Run], Hashable] | None = None,
        **about: Any,
    ) -> None:
        """Make the record and print its table.

        Args:
            what: is measured.
            runs: yields a run after the other; each goes into the record, which is then written.
            key: of the runs in the record; "" if they put themselves into it.
            identity: what a run is of; `--join` drops others of the same. None: all are different.
            about: keys of the record before its runs.
        """
        options = self.parse_args()
        if options.join:
            record = joined(options.join, key, identity)
            write_record(record, options.output)
        else:
            record = new_record(what, options.threads, key, **about)
            write_each(record, runs(options, record), options.output, key)
        print(table(record))


def new_record(what: str, threads: int, key: str = "runs", **about: Any) -> Record:
    """A record without runs."""
    known = {"what": what, "machine": machine(threads), "versions": versions(), **about}
    return known | ({key: []} if key else {})


def write_each(record: Record, runs: Iterable[Run], output: Path | None, key: str = "runs") -> None:
    """Carry out the runs that go into a record, and write it after each."""
    for run in runs:
        if key:
            record[key].append(run)
        print(*(f"{key}={value}" for key, value in run.items() if key != "curve"), flush=True)
        write_record(record, output)


def machine(threads: int) -> dict[str, Any]:
    """What the seconds depend on; no names of hosts or people."""
    details = Path("/proc/cpuinfo")
    text = details.read_text(encoding="utf-8") if details.exists() else ""
    named = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "cpu": named[1] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        **gpu,
    }


def load_average() -> float:
    """Of the last minute: other work makes seconds longer."""
    return round(os.getloadavg()[0], 2)


def joined(
    files: Sequence[Path], key: str = "runs", identity: Callable[[Run], Hashable] | None = None
) -> Record:
    """Records of some runs each, as one, of the first one's machine and versions.

    Runs that were made on another machine, or by other versions, say so: in "on" the name of a
    machine that the first record has, else in keys of their own.

    Args:
        identity: of runs with an equal one the last is taken, at the place of the first.
    """
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    runs = [_of_part(run, part, parts[0]) for part in parts for run in part[key]]
    if identity is not None:
        runs = list({identity(run): run for run in runs}.values())
    return {**parts[0], key: runs}


def _of_part(run: Run, part: Record, whole: Record) -> Run:
    home = (
        part[run["on"]] if "on" in run else {name: part[name] for name in ("machine", "versions")}
    )
    run = {name: value for name, value in run.items() if name != "on"}
    other = {name: value for name, value in home.items() if value != whole[name]}
    named = next((name for name, value in whole.items() if other and value == home), None)
    return {**run, "on": named} if named else {**other, **run}


def without_faults(table: str, faults: Sequence[str]) -> str:
    """The table to print; faults end with exit status 1, and stand before it."""
    if faults:
        raise SystemExit("\n".join([*(f"FAULT {fault}" for fault in faults), table]))
    return table


def read_record(name: str) -> Record:
    """A record of benchmarks/results."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def earlier_record(output: Path | None) -> Record:
    """What an earlier run wrote there; empty where none did."""
    if output is None or not output.exists():
        return {}
    return json.loads(output.read_text(encoding="utf-8"))


def earlier_runs(output: Path | None, record: Record, key: str = "runs") -> list[Run]:
    """Its runs, to go on with in a new record; those of another machine or versions say so."""
    part = earlier_record(output)
    return [_of_part(run, part, record) for run in part.get(key, [])]


def write_record(record: Mapping[str, Any], path: Path | None) -> None:
    """As JSON, numbers to six digits and a pair of a curve a line; replaced at once."""
    if path is None:
        return
    text = PAIR.sub(r"[\1, \2]", json.dumps(_rounded(record), indent=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        Path(temporary).write_text(text + "\n", encoding="utf-8")
    print(f"written: {path}", file=sys.stderr)


def _rounded(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return float(f"{content:.6g}") if isinstance(content, float) else content


def in_process(
    script: str, *arguments: object, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """A script of this folder in a process of its own; options are those of `subprocess.run`."""
    python = options.pop("python", sys.executable)
    command = [python, ROOT / "benchmarks" / script, *map(str, arguments)]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, **options)


def write_table(page: Path, name: str, table: str) -> None:
    """Put a table between its markers in a page."""
    start, end = f"<!-- {name} table -->\n", f"<!-- end of {name} table -->"
    before, rest = page.read_text(encoding="utf-8").split(start)
    _, after = rest.split(end)
    page.write_text(before + start + table + end + after, encoding="utf-8")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def number(value: float | None) -> str:
    """For a table, as in 1.2e-03; – for None."""
    return "–" if value is None else f"{value:.1e}"
