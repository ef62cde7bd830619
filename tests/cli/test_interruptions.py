"""One Ctrl-C: status 130 and one sentence, whatever the command is doing."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacpde.cli.interruptions import SENTENCE, handled_interruptions
from tests.cli.conftest import Called

ROOT = Path(__file__).resolve().parents[2]
LONG = ("--width", "8", "--depth", "2", "--points", "300", "--steps", "100000")
STUDY = """
methods = ["warm_start"]
seeds = 4
settings = { width = 8, depth = 2, points = 300, steps = 100_000 }
[[transfers]]
family = "heat"
targets = [{ alpha = 0.2 }]
"""
COMPARE = ("compare", "heat", "--source", "alpha=0.4", "--target", "alpha=0.2", "-o", "out")
COMMANDS = {
    "train": ("train", "heat", *LONG, "-o", "out"),
    "compare": (*COMPARE, *LONG),
    "together": (*COMPARE, *LONG, "--seeds", "0,1,2", "--together"),
    "study": ("study", "run", "study.toml", "-o", "out"),
    "workers": ("study", "run", "study.toml", "-o", "out", "--local", "2"),
}
READY = {"workers": "out/study.json"}  # what shows that fits are under way; else a line on stderr


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Python's own handler, also where the tests run in the background and ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def started(words: tuple[str, ...], folder: Path) -> subprocess.Popen[str]:
    """The command as a terminal starts it, in a process group of its own."""
    (folder / "study.toml").write_text(STUDY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "pacpde", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell that starts the tests in the background has them, and their children, ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def interrupted(process: subprocess.Popen[str], before: str = "") -> Called:
    """How it ends after the signal that a terminal sends to the whole group."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Called(process.returncode, out, before + err)


def check(ended: Called) -> None:
    assert ended.status == 130, ended.err
    assert ended.err.splitlines()[-1] == SENTENCE
    assert ended.err.count("pacpde: ") == 1
    assert "Traceback" not in ended.err and "Error" not in ended.err, ended.err
    assert ended.out == ""


def test_while_the_package_is_imported(tmp_path: Path) -> None:
    process = started(COMMANDS["train"], tmp_path)
    maps = Path(f"/proc/{process.pid}/maps")
    until(lambda: "libtorch" in maps.read_text())
    ended = interrupted(process)
    check(ended)
    assert ended.err == SENTENCE + "\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "together", "workers"])
def test_while_fits_run(command: str, tmp_path: Path) -> None:
    process = started(COMMANDS[command], tmp_path)
    assert process.stderr is not None
    before = ""
    if command in READY:
        until((tmp_path / READY[command]).exists)
    else:
        while "step" not in before:
            before += process.stderr.readline()
    check(interrupted(process, before))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_at_any_moment(command: str, tmp_path: Path) -> None:
    rng = random.Random(command)
    for number in range(24):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = started(COMMANDS[command], folder)
        time.sleep(rng.uniform(0.2, 8.0))
        check(interrupted(process))


def test_in_this_process_a_call_returns_and_leaves_python_s_own_handler(
    call: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook

    def pressed(*args: object, **kwargs: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("pacpde.datasets.reference_for", pressed)
    check(call("solve", "heat", "-o", "x.h5"))
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before


def test_one_that_code_turned_into_another_error_is_an_interruption(
    call: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    def turned(*args: object, **kwargs: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise ImportError("a module that catches everything") from error

    monkeypatch.setattr("pacpde.datasets.reference_for", turned)
    check(call("solve", "heat", "-o", "x.h5"))


def test_one_that_python_cannot_pass_on_is_raised_again() -> None:
    class Interrupting:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), handled_interruptions(own_process=False):
        Interrupting()
        time.sleep(1)


def test_a_handler_of_the_caller_stays_in_force() -> None:
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with handled_interruptions(own_process=True):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


def test_outside_the_main_thread_nothing_is_set() -> None:
    before, found = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with handled_interruptions(own_process=False):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_a_process_ends_though_a_thread_still_computes() -> None:
    script = (
        "import threading, time\n"
        "from pacpde.cli.interruptions import leave\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "leave(130)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, timeout=30)
    assert ended.returncode == 130


def test_one_inside_code_from_a_text_ends_with_the_status_too(tmp_path: Path) -> None:
    """As where a module with a dataclass is imported."""
    (tmp_path / "command.py").write_text(
        "from contextlib import suppress\n"
        "from pacpde.cli.interruptions import leave\n"
        "with suppress(KeyboardInterrupt):\n"
        "    exec('raise KeyboardInterrupt')\n"
        "raise SystemExit(leave(130))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "command"]
    assert subprocess.run(command, cwd=tmp_path, env=environment, timeout=30).returncode == 130


def test_what_workers_left_is_removed_without_a_remark() -> None:
    script = (
        "import multiprocessing, os\n"
        "from pacpde.studies.executors import _without_interruptions\n"
        "with _without_interruptions():\n"
        "    left = multiprocessing.get_context('spawn').Semaphore()\n"
        "os._exit(130)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (130, b"")
