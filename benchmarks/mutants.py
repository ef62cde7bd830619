"""Faults put into the numerical core, and how many of them the tests find.

A random sample of mutants a package (mutations.py), each alone, under the tests that run its
lines. Those tests are known from one run under coverage, which is a tool of its own:

    pip install coverage
    python benchmarks/mutants.py --measure
    python benchmarks/mutants.py --size 60 --seed 1

A mutant in the body of a function replaces its code in a forked process where pacpde and the tests
are imported already; one that the import runs is tried in a process that imports anew. The tests of
a mutant run from the quickest one, until one fails, for at most --budget seconds as measured. A
mutant that takes five times as long counts as found, one that no test runs as not found. Findings
go to a file of lines; a second call goes on where the first one ended.
"""

import argparse
import gc
import json
import math
import os
import random
import resource
import sys
import time
import types
from collections.abc import Callable, Container, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from itertools import zip_longest
from pathlib import Path
from signal import SIGKILL, SIGXCPU
from typing import Any

import pytest
from common import RESULTS, ROOT, Record, markdown, new_record, write_record
from mutations import Mutant, mutants, mutated

METHODS = ("allocation", "moved_windows", "pac", "refined_result")
PACKAGES: dict[str, tuple[str, ...]] = {
    "physics": ("pacpde/physics",),
    "networks": ("pacpde/networks",),
    "residuals": ("pacpde/residuals",),
    "optim": ("pacpde/optim",),
    "pac": ("pacpde/pac", *(f"pacpde/methods/{name}.py" for name in METHODS)),
}
TESTS: tuple[str, ...] = (
    "tests/physics", "tests/networks", "tests/residuals", "tests/optim", "tests/pac",
    "tests/training", "tests/problems", "tests/contracts", "tests/methods",
    "tests/reference/test_exact.py", "tests/test_gradients.py", "tests/test_processes.py",
    "tests/interop/test_modules.py", "tests/interop/test_tailoring.py",
    "tests/docs/test_examples.py",
)  # fmt: skip
WORK = ROOT / "runs" / "mutants"
MEASURED, FOUND = WORK / "measured.json", WORK / "found.jsonl"
OUTPUT = RESULTS / "mutants.json"
Measured = dict[str, Any]
MEMORY = 16 * 2**30  # of a mutant at most
FOUND_BY_NONE = ("survived", "no test")
ENDINGS = ("killed", "timeout", "died", *FOUND_BY_NONE)
HARMLESS = ("equivalent", "speed", "message")  # kinds of mutants that change no number
COUNTS = ("mutants", "tried", *ENDINGS)


def files_of(package: str) -> list[str]:
    """Of the core, as named in the repository."""
    paths: list[Path] = []
    for place in PACKAGES[package]:
        whole = ROOT / place
        paths += sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]
    return [str(path.relative_to(ROOT)) for path in paths]


# ---- which tests run which lines


class Coverage:
    """Lines a test, and a fixture that several tests share."""

    def __init__(self, output: Path) -> None:
        self.output, self.seconds, self.failed = output, {}, set()  # type: ignore[var-annotated]
        self.contexts: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        import coverage  # type: ignore[import-not-found]

        every = [str(ROOT / file) for package in PACKAGES for file in files_of(package)]
        self.tool = coverage.Coverage(data_file=None, include=every, config_file=False)
        self.tool.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        with self._context(item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[Any]:
        if fixturedef.scope == "function":
            return (yield)
        with self._context(_key(fixturedef, request.param_index)):
            return (yield)

    def _context(self, name: str) -> "_Within":
        return _Within(self, name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.tool.stop()
        data = self.tool.get_data()
        lines = {
            str(Path(file).relative_to(ROOT)): {
                line: names for line, names in data.contexts_by_lineno(file).items() if any(names)
            }
            for file in data.measured_files()
        }
        shared = {
            item.nodeid: keys for item in session.items if (keys := _shared(item, self.seconds))
        }
        known = {
            "lines": lines, "seconds": self.seconds, "shared": shared, "failed": sorted(self.failed)
        }  # fmt: skip
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.output.write_text(json.dumps(known), encoding="utf-8")


class _Within:
    """Lines and seconds go to a name, and then to the one before again."""

    def __init__(self, plugin: Coverage, name: str) -> None:
        self.plugin, self.name = plugin, name

    def __enter__(self) -> None:
        self.plugin.contexts.append(self.name)
        self.plugin.tool.switch_context(self.name)
        self.began = time.process_time()

    def __exit__(self, *_: object) -> None:
        took, own = time.process_time() - self.began, self.plugin
        own.contexts.pop()
        own.tool.switch_context(own.contexts[-1] if own.contexts else "")
        own.seconds[self.name] = round(own.seconds.get(self.name, 0) + took, 3)
        if own.contexts:  # not of the test that came first
            before = own.contexts[-1]
            own.seconds[before] = round(own.seconds.get(before, 0) - took, 3)


def _key(fixturedef: Any, index: int) -> str:
    return f"fixture {fixturedef.baseid}::{fixturedef.argname}[{index}]"


def _shared(item: Any, known: Container[str]) -> list[str]:
    """Names of the shared fixtures of a test."""
    indices = item.callspec.indices if hasattr(item, "callspec") else {}
    every = item._fixtureinfo.name2fixturedefs
    keys = [_key(d, indices.get(n, 0)) for n, defs in every.items() for d in defs]
    return [key for key in keys if key in known]


def tests_of(mutant: Mutant, measured: Measured) -> list[tuple[str, float]]:
    """Tests that run its lines, with their seconds: those that are named as its file is, those of
    its package, others; the quickest first.
    """
    lines = measured["lines"].get(mutant.file, {})
    if mutant.function:
        first, last = mutant.lines
        names = {name for line in range(first, last + 1) for name in lines.get(str(line), ())}
        names = names or set(lines.get(str(mutant.statement), ()))
    else:
        names = {name for found in lines.values() for name in found}
    seconds, shared = measured["seconds"], measured["shared"]
    failed = set(measured["failed"])
    tests = {name for name in names if not name.startswith("fixture ") and name}
    tests |= {test for test, keys in shared.items() if names.intersection(keys)}
    known = [
        (test, seconds.get(test, 0) + sum(seconds[key] for key in shared.get(test, ())))
        for test in tests - failed
    ]
    path = Path(mutant.file)
    own, named = f"tests/{path.parent.name}/", f"/test_{path.stem}"

    def order(pair: tuple[str, float]) -> tuple[Any, ...]:
        return named not in pair[0], not pair[0].startswith(own), pair[1], pair[0]

    return sorted(known, key=order)


def within(tests: Sequence[tuple[str, float]], budget: float) -> list[tuple[str, float]]:
    """The first ones, together within so many seconds; at least one."""
    total, chosen = 0.0, []
    for test, seconds in tests:
        total += seconds
        if chosen and total > budget:
            break
        chosen.append((test, seconds))
    return chosen


# ---- a mutant under its tests


class Verdict:
    """Which test failed first; nothing is printed."""

    def __init__(self) -> None:
        self.failed: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.failed is None:
            self.failed = f"import of {report.nodeid}"


class Server:
    """Pytest with all tests collected; each mutant in a fork."""

    def __init__(self, work: Callable[["Server"], None]) -> None:
        self.work, self.verdict = work, Verdict()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.functions = living()
        session.config.pluginmanager.register(self.verdict)
        gc.collect()
        gc.freeze()
        self.work(self)
        return True

    def run(self, mutant: Mutant, tests: Sequence[tuple[str, float]]) -> str | None:
        """In the fork: the first test that fails."""
        if not put_in(mutant, self.functions):
            return cold(mutant, [name for name, _ in tests])
        items = [(self.items[name], seconds) for name, seconds in tests]
        for (item, seconds), (following, _) in zip(items, [*items[1:], (None, 0)], strict=True):
            limit_seconds(allowed(seconds))
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.verdict.failed is not None:
                return self.verdict.failed
        return None


def living() -> list[types.FunctionType]:
    """All functions of this process."""
    return [each for each in gc.get_objects() if type(each) is types.FunctionType]


def put_in(mutant: Mutant, functions: Sequence[types.FunctionType]) -> bool:
    """Give functions that live the code of the mutant; False where that is not possible."""
    if not mutant.function:
        return False
    changed = {_place(code): code for code in _codes(mutated(ROOT, mutant))}
    path = str(ROOT / mutant.file)
    found = False
    for function in functions:
        old = function.__code__
        new = changed.get(_place(old)) if old.co_filename == path else None
        if new is None or new == old:
            continue
        if new.co_freevars != old.co_freevars:
            return False
        function.__code__, found = new, True
    return found


def _place(code: types.CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield part
            yield from _codes(part)


class Changed(MetaPathFinder, Loader):
    """Imports one file as the mutant."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.module = mutant.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.module:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = self
        return spec

    def exec_module(self, module: types.ModuleType) -> None:
        exec(mutated(ROOT, self.mutant), module.__dict__)


def cold(mutant: Mutant, tests: Sequence[str]) -> str | None:
    """The first test that fails where pacpde is imported anew."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("pacpde", "tests", "conftest")]:
        del sys.modules[name]
    sys.meta_path.insert(0, Changed(mutant))
    verdict = Verdict()
    code = pytest.main([*QUIET, "-x", *tests], plugins=[verdict])
    if code not in (0, 1) and verdict.failed is None:
        return f"pytest ended with {int(code)}"
    return verdict.failed


PLAIN = ("-p", "no:cacheprovider", "--basetemp", str(WORK / "tmp"), "--rootdir", str(ROOT))
QUIET = ("-p", "no:terminalreporter", *PLAIN)


def allowed(seconds: float) -> float:
    """Seconds of the processor for what takes so many without a change."""
    return 5 * seconds + 5


def limit_seconds(seconds: float) -> None:
    """From now on; then this process is stopped."""
    limit = math.ceil(seconds + time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def in_fork(work: Callable[[], str | None], seconds: float) -> tuple[str, str | None]:
    """How it ended, and the test that found it. By the clock it may take ten times the seconds."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.setsid()
            limit_seconds(seconds)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            try:
                answer = {"failed": work()}
            except BaseException as error:
                answer = {"failed": f"{type(error).__name__} outside of a test"}
            os.write(writing, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + 10 * seconds
    ended = 0
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    if not ended:
        os.killpg(child, SIGKILL)
        os.waitpid(child, 0)
    content = b"".join(iter(lambda: os.read(reading, 65536), b""))
    os.close(reading)
    if not content:
        stopped = not ended or os.waitstatus_to_exitcode(status) in (-SIGXCPU, -SIGKILL)
        return ("timeout" if stopped else "died"), None
    failed = json.loads(content)["failed"]
    return ("survived", None) if failed is None else ("killed", failed)


def try_out(server: Server | None, mutant: Mutant, measured: Measured, budget: float) -> Record:
    every = tests_of(mutant, measured)
    tests = within(every, budget)
    about = {
        "id": mutant.name, "file": mutant.file, "operator": mutant.operator,
        "tests": len(tests), "of": len(every),
    }  # fmt: skip
    if not tests:
        return {**about, "result": "no test"}
    names = [name for name, _ in tests]
    began = time.monotonic()
    run = (lambda: server.run(mutant, tests)) if server else (lambda: cold(mutant, names))
    result, by = in_fork(run, allowed(sum(seconds for _, seconds in tests)) + 15)
    took = round(time.monotonic() - began, 1)
    return {**about, "result": result, "seconds": took} | ({"by": by} if by else {})


# ---- the sample and its score


def sample(size: int, seed: int, packages: Sequence[str]) -> Iterator[tuple[str, Mutant]]:
    """So many of each package, in turn; the same ones for the same seed and source."""
    chosen = []
    for package in packages:
        every = [mutant for file in files_of(package) for mutant in mutants(ROOT, file)]
        drawn = random.Random(f"{seed} {package}").sample(every, min(size, len(every)))
        chosen.append([(package, mutant) for mutant in drawn])
    for one_of_each in zip_longest(*chosen):
        yield from (pair for pair in one_of_each if pair)


def interval(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Of a share k/n, 95 %, by Wilson."""
    middle = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return middle - half, middle + half


def measure(tests: Sequence[str]) -> None:
    """Run tests once under coverage, in a process of its own; some join those that are known."""
    known = json.loads(MEASURED.read_text(encoding="utf-8")) if tests else {}
    child = os.fork()
    if not child:
        given = tests or TESTS
        code = pytest.main(["-q", "--tb=line", *PLAIN, *given], plugins=[Coverage(MEASURED)])
        os._exit(int(code))
    os.waitpid(child, 0)
    if known:
        found = json.loads(MEASURED.read_text(encoding="utf-8"))
        MEASURED.write_text(json.dumps(both(known, found)), encoding="utf-8")


def both(known: Measured, found: Measured) -> Measured:
    """What is known of tests, with newer findings for some of them."""
    lines: dict[str, dict[str, list[str]]] = {}
    for part in (known, found):
        for file, own in part["lines"].items():
            for line, names in own.items():
                before = lines.setdefault(file, {}).get(line, [])
                lines[file][line] = [*dict.fromkeys([*before, *names])]
    again = {*found["seconds"]}
    failed = [name for name in known["failed"] if name not in again] + found["failed"]
    return {
        "lines": lines,
        "seconds": known["seconds"] | found["seconds"],
        "shared": known["shared"] | found["shared"],
        "failed": failed,
    }


def run(chosen: Sequence[tuple[str, Mutant]], output: Path, budget: float, anew: bool) -> None:
    """Those that are not in the file yet, to its end."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    done = {found["id"] for found in read_lines(output)}
    left = [(package, mutant) for package, mutant in chosen if mutant.name not in done]

    def each(server: Server | None, part: Sequence[tuple[str, Mutant]]) -> None:
        for package, mutant in part:
            found = {"package": package, **try_out(server, mutant, measured, budget)}
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")

    output.parent.mkdir(parents=True, exist_ok=True)
    if anew:
        each(None, left)
        return
    child = os.fork()
    if not child:
        server = Server(lambda server: each(server, left))
        code = pytest.main([*QUIET, *TESTS], plugins=[server])
        os._exit(int(code))
    os.waitpid(child, 0)


def read_lines(path: Path) -> list[Record]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def record_of(label: str, found: Sequence[Record], reasons: dict[str, list[str]]) -> Record:
    """A sample: counts a package, and the mutants that no test found with a kind and a reason.

    Of two findings on one mutant the last one counts; mutants that are none any more are left out.
    """
    packages, survivors = {}, []
    for package in PACKAGES:
        names = {mutant.name for file in files_of(package) for mutant in mutants(ROOT, file)}
        tried = {each["id"]: each for each in found if each["id"] in names}
        results = [each["result"] for each in tried.values()]
        if results:
            counts = {result: results.count(result) for result in ENDINGS}
            packages[package] = {"mutants": len(names), "tried": len(results), **counts}
        survivors += [
            {"package": package, "mutant": name, "result": each["result"]}
            | dict(zip(("kind", "why"), reasons.get(name, ()), strict=False))
            for name, each in tried.items()
            if each["result"] in FOUND_BY_NONE
        ]
    return {"sample": label, "packages": packages, "survivors": survivors}


def found_by_tests(counts: Record) -> int:
    return counts["tried"] - sum(counts[result] for result in FOUND_BY_NONE)


def whole(packages: dict[str, Record]) -> tuple[float, float]:
    """Share of the core's mutants that the tests find, and half its 95 % interval: each package
    counts by its number of mutants.
    """
    every = sum(counts["mutants"] for counts in packages.values())
    share = variance = 0.0
    for counts in packages.values():
        weight, n = counts["mutants"] / every, counts["tried"]
        own = found_by_tests(counts) / n
        middle = sum(interval(found_by_tests(counts), n)) / 2  # not 0 or 1
        share, variance = share + weight * own, variance + weight**2 * middle * (1 - middle) / n
    return share, 1.96 * math.sqrt(variance)


def table(record: Record) -> str:
    rows = []
    for run in record["runs"]:
        every, left = run["packages"], run["survivors"]
        for package, counts in every.items():
            k, n = found_by_tests(counts), counts["tried"]
            own = [each for each in left if each["package"] == package]
            rows.append(_row(run["sample"], package, counts, (k / n, *interval(k, n)), own))
        sums = {key: sum(counts[key] for counts in every.values()) for key in COUNTS}
        share, half = whole(every)
        rows.append(_row(run["sample"], "all", sums, (share, share - half, share + half), left))
    head = [
        "sample",
        "package",
        "faults",
        "tried",
        "found",
        "score",
        "95 %",
        "without effect",
        "of the others",
    ]
    return markdown(head, rows)


def _row(
    sample: str, package: str, counts: Record, score: Sequence[float], left: Sequence[Record]
) -> list[str]:
    share, low, high = map(_percent, score)
    harmless = sum(each.get("kind") in HARMLESS for each in left)
    known = any("kind" in each for each in left)
    k, n = found_by_tests(counts), counts["tried"]
    return [
        sample, package, f"{counts['mutants']:,}", f"{counts['tried']}",
        f"{k}", share, f"{low} to {high}",
        *((f"{harmless}", _percent(k / (n - harmless))) if known else ("", "")),
    ]  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def survivors_table(record: Record) -> str:
    """Of the samples after the tests were mended."""
    rows = {
        each["mutant"]: [
            f"`{each['mutant']}`".replace("|", r"\|"), each["kind"], each.get("why", "")
        ]
        for run in record["runs"]
        for each in run["survivors"]
        if "kind" in each
    }  # fmt: skip
    return markdown(["mutant", "kind", "why no test finds it"], sorted(rows.values()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", nargs="*", metavar="TESTS", help="which tests run which lines")
    parser.add_argument("--size", type=int, default=60, help="mutants a package")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of tests a mutant")
    parser.add_argument("--anew", action="store_true", help="import anew for every mutant")
    parser.add_argument("--again", type=Path, help="those that no test found in this file of lines")
    parser.add_argument("--found", type=Path, nargs="+", default=[FOUND], help="file of lines")
    parser.add_argument("--record", metavar="SAMPLE", help="put the findings into the record")
    parser.add_argument("--reasons", type=Path, help="JSON: kind and why a mutant is not found")
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure)
    elif options.record:
        record(options.record, options.found, options.reasons)
    else:
        if options.again:
            left = {e["id"] for e in read_lines(options.again) if e["result"] in FOUND_BY_NONE}
            whole = sample(10**9, options.seed, options.only)
            chosen = [pair for pair in whole if pair[1].name in left]
        else:
            chosen = list(sample(options.size, options.seed, options.only))
        run(chosen, options.found[0], options.budget, options.anew)


def record(label: str, files: Sequence[Path], reasons: Path | None) -> None:
    """Of a sample with the same label the new one stays."""
    found = [each for file in files for each in read_lines(file)]
    known = json.loads(reasons.read_text(encoding="utf-8")) if reasons else {}
    new = new_record("mutants of the numerical core that the tests find", 1)
    old = json.loads(OUTPUT.read_text(encoding="utf-8"))["runs"] if OUTPUT.exists() else []
    runs = [run for run in old if run["sample"] != label]
    new["runs"] = [*runs, record_of(label, found, known)]
    write_record(new, OUTPUT)
    print(table(new))


if __name__ == "__main__":
    main()
