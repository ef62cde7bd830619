"""A lock holds where there are locks, and is no obstacle where a file system has none."""

import errno
import os
import time
from pathlib import Path

import pytest

from pacpde.errors import OutputError
from pacpde.files import ABANDONED, atomic_folder, atomic_write
from pacpde.locks import locked
from pacpde.studies import output_folder
from pacpde.studies.fit_store import FitStore


def test_a_second_holder_is_refused_at_once(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock", tmp_path),
        pytest.raises(OutputError, match="another run of pacpde is at work"),
        locked(tmp_path / "lock", tmp_path),
    ):
        pass
    with locked(tmp_path / "lock", tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_used_without(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pacpde.locks.fcntl.flock", refused)
    with locked(tmp_path / "lock", tmp_path), locked(tmp_path / "lock", tmp_path, remove=True):
        (tmp_path / "result").write_text("made")
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


@pytest.mark.parametrize("write", [atomic_write, atomic_folder])
def test_what_killed_writes_left_beside_an_output_is_collected(
    write: object, tmp_path: Path
) -> None:
    """A day later; what is younger may be another process's, and other names are the user's."""
    names = [".out.12-0123abcd.tmp", ".out.13-0123abcd.tmp", ".other.12-0123abcd.tmp", ".out.tmp"]
    for name in names:
        (tmp_path / name).write_text("half")
    old = time.time() - ABANDONED - 60
    for name in (names[0], *names[2:]):
        os.utime(tmp_path / name, (old, old))
    with write(tmp_path / "out") as temporary:  # type: ignore[operator]
        if write is atomic_write:
            temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], "out"}


def test_what_a_killed_write_left_goes_with_the_next_command_that_has_the_folder_alone(
    tmp_path: Path,
) -> None:
    """At once, as no other can be at work on it; what others write beside it stays."""
    mine = tmp_path / ".out.12-0123abcd.tmp"
    cells = FitStore(tmp_path / "out")
    half = tmp_path / "out" / ".cells" / "key" / ".surrogate.12-0123abcd.tmp"
    part = tmp_path / "out" / "records" / ".part-000001-f.parquet.12-0123abcd.tmp"
    others = [tmp_path / ".out.h5.12-0123abcd.tmp", tmp_path / "out" / ".x.12-0123abcd.tmp"]
    for folder in (mine, half):
        folder.mkdir(parents=True)
        (folder / "weights").write_text("half")
    for file in (part, *others):
        file.parent.mkdir(exist_ok=True)
        file.write_text("half")
    with output_folder.alone(tmp_path / "out"):
        assert not mine.exists()
    with cells.locked("records"):
        assert not half.exists() and not part.exists()
    assert all(file.read_text() == "half" for file in others)


def test_without_a_lock_nothing_of_others_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("pacpde.locks.fcntl.flock", refused)
    left = tmp_path / ".out.12-0123abcd.tmp"
    left.write_text("maybe of another process")
    with output_folder.alone(tmp_path / "out"):
        assert left.exists()
