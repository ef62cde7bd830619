"""References are computed once a problem, and again when anything that makes them changes."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from filelock import FileLock

from pacpde.datasets import cache, reference_for
from pacpde.errors import DataFileError, OutputError, SolverError
from pacpde.physics import families
from pacpde.plugins import load_plugin
from pacpde.problems import Burgers, Heat, HeatModes, Lorenz

PLUGIN = """
from dataclasses import dataclass
from pacpde.physics import Axis, Evolution, coefficient

@dataclass(frozen=True)
class Decay(Evolution):
    name = "test_decay"
    axes = (Axis("t", 0.0, 1.0),)
    rate: float = coefficient(1.0, lower=0.1, upper=10.0, meaning="rate")

    def rhs(self, u, d):
        return -self.rate * u

    def initial(self):
        return 1.0
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The problems that were really solved."""
    problems: list[str] = []

    def counting(problem, *options):
        problems.append(str(problem))
        return solve(problem, *options)

    solve = cache.solve_or_exact
    monkeypatch.setattr(cache, "solve_or_exact", counting)
    return problems


def test_the_second_time_it_is_read(solved: list[str], folder: Path) -> None:
    one, two = reference_for(Heat(), tolerance=1e-6), reference_for(Heat(), tolerance=1e-6)
    assert len(solved) == 1
    assert np.array_equal(one.values, two.values) and one.tolerances == two.tolerances
    assert np.array_equal(one(0.123, 0.456), two(0.123, 0.456))
    assert len(list(folder.glob("heat-*.h5"))) == 1


def test_what_determines_it_makes_it_anew(solved: list[str]) -> None:
    changed = [Heat(), Heat(alpha=0.5), Heat(until=0.5), HeatModes()]
    for problem in changed * 2:
        reference_for(problem, tolerance=1e-4)
    assert len(solved) == len(changed)
    reference_for(Heat(), tolerance=1e-5)
    assert len(solved) == len(changed) + 1


def test_a_broken_file_is_made_anew_and_said(solved: list[str], folder: Path) -> None:
    reference_for(Heat(), tolerance=1e-4)
    (file,) = folder.glob("*.h5")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    told: list[str] = []
    reference_for(Heat(), tolerance=1e-4, progress=told.append)
    assert len(solved) == 2 and "made anew" in told[0]
    reference_for(Heat(), tolerance=1e-4)
    assert len(solved) == 2


def test_without_a_place_it_still_solves(
    solved: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path / "file" / "cache"))
    told: list[str] = []
    assert reference_for(Heat(), tolerance=1e-4, progress=told.append).certified_error <= 1e-4
    assert "no cache at" in told[0] and len(solved) == 1


def test_editing_a_plugin_makes_its_references_anew(solved: list[str], tmp_path: Path) -> None:
    ends = []
    for text in (PLUGIN, PLUGIN, PLUGIN.replace("return -self.rate", "return -2 * self.rate")):
        file = tmp_path / "decay.py"
        file.write_text(text)
        for name in [name for name in sys.modules if name.startswith("pacpde_plugin_decay")]:
            del sys.modules[name]
        load_plugin(file)
        ends.append(reference_for(families.get("test_decay")()).values[0, -1])
    assert len(solved) == 2
    # the default tolerance is 1e-10, in the mean over a field of size 1
    assert np.abs(ends - np.exp([-1, -1, -2])).max() < 1e-9


def test_physics_changed_behind_the_source_changes_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = cache.cache_key(Burgers(), 1e-6)
    assert before == cache.cache_key(Burgers(), 1e-6)
    monkeypatch.setattr(Burgers, "rhs", lambda self, u, d: u * d(u, "x") + self.nu * d(u, "xx"))
    assert cache.cache_key(Burgers(), 1e-6) != before


def test_processes_at_once_end_with_one_file(folder: Path) -> None:
    code = (
        "from pacpde.datasets import reference_for; from pacpde.problems import Heat;"
        "print(reference_for(Heat(), tolerance=1e-6)(0.5, 0.5)[0])"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    values = {process.communicate(timeout=100)[0] for process in running}
    assert len(values) == 1 and all(process.returncode == 0 for process in running)
    assert len([path for path in folder.iterdir() if path.suffix == ".h5"]) == 1


def test_who_waits_for_another_process_says_so(folder: Path) -> None:
    told, key = [], cache.cache_key(Heat(), 1e-4)
    folder.mkdir()
    lock = FileLock(folder / f"heat-{key}.lock")
    lock.acquire()

    def tell(message: str) -> None:
        told.append(message)
        if "another process computes" in message:
            lock.release()

    assert reference_for(Heat(), tolerance=1e-4, progress=tell).certified_error <= 1e-4
    assert told[0] == "another process computes this reference: waiting for it"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_locks_are_refused_the_cache_goes_on(
    solved: list[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refusing(self, *args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache.FileLock, "acquire", refusing)
    told: list[str] = []
    reference_for(Heat(), tolerance=1e-4, progress=told.append)
    reference_for(Heat(), tolerance=1e-4)
    assert len(solved) == 1 and "no lock at" in told[0]


def test_hdf5_needs_no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    real = h5py.File

    def noting(*args, **kwargs):
        asked.append(kwargs.get("locking"))
        return real(*args, **kwargs)

    monkeypatch.setattr(h5py, "File", noting)
    reference_for(Heat(), tolerance=1e-4)
    reference_for(Heat(), tolerance=1e-4)
    assert asked and not any(asked)


def test_what_is_there_is_read_without_a_lock(
    solved: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference_for(Heat(), tolerance=1e-4)
    monkeypatch.setattr(cache, "FileLock", None)  # as where the lock is another user's
    reference_for(Heat(), tolerance=1e-4)
    assert len(solved) == 1


def test_another_users_entry_is_made_anew_once(
    solved: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference_for(Heat(), tolerance=1e-4)
    (theirs,) = folder.glob("*.h5")

    def reading(path, *args):
        if Path(path) == theirs:
            raise DataFileError(f"{path} cannot be read (Permission denied).")
        return read(path, *args)

    def writing(reference, path, *args, **kwargs):
        if Path(path) == theirs:
            raise OutputError(f"cannot write {path} (Operation not permitted)")
        return write(reference, path, *args, **kwargs)

    read, write = cache.load, cache.write
    monkeypatch.setattr(cache, "load", reading)
    monkeypatch.setattr(cache, "write", writing)
    for _ in range(3):
        reference_for(Heat(), tolerance=1e-4)
    assert len(solved) == 2 and len(list(folder.glob("*.h5"))) == 2


def test_what_killed_writes_left_is_collected_after_a_day(folder: Path) -> None:
    folder.mkdir()
    names = [".heat-1.h5.123-0a1b2c3d.tmp", ".heat-2.h5.124-0a1b2c3d.tmp", "thesis.tmp"]
    old, new, own = (folder / name for name in names)
    for file in (old, new, own):
        file.touch()
    for file in (old, own):
        os.utime(file, (0, 0))
    reference_for(Heat(), tolerance=1e-4)
    assert not old.exists() and new.exists() and own.exists()


def test_a_looser_certificate_serves_where_it_is_accepted(solved: list[str]) -> None:
    problem = Lorenz(rho=28.0)
    found = reference_for(problem, tolerance=1e-12, loosest=1e-6)
    assert 1e-12 < found.certified_error < 1e-6
    with pytest.raises(SolverError, match=r"not certified to 1e-12: the best .* finest"):
        reference_for(problem, tolerance=1e-12)
    assert len(solved) == 1
