"""Files and folders exist whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pacpde import files
from pacpde.errors import OutputError
from pacpde.files import atomic_folder, atomic_write, check_file, check_folder, check_writable


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "file"
    for text in ("one", "two"):
        with atomic_write(target) as temporary:
            temporary.write_text(text)
            assert not target.exists() or target.read_text() == "one"
        assert target.read_text() == text
    assert names(target.parent) == ["file"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "old"


def fill(folder: Path, text: str) -> None:
    with atomic_folder(folder) as temporary:
        (temporary / "about.json").write_text(text)
        (temporary / "weights").write_text(text)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    for text in ("one", "two", "three"):
        fill(tmp_path / "run", text)
        assert (tmp_path / "run" / "weights").read_text() == text
    assert names(tmp_path) == ["run"]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    fill(tmp_path / "run", "old")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "run") as temporary:
        (temporary / "weights").write_text("half")
        _ = 1 / 0
    assert names(tmp_path) == ["run"] and (tmp_path / "run" / "weights").read_text() == "old"


def test_a_users_own_folder_is_not_replaced(tmp_path: Path) -> None:
    own = tmp_path / "home"
    own.mkdir()
    fill(own, "an empty folder may be filled")
    (own / "about.json").unlink()
    (own / "thesis.tex").write_text("years")
    with pytest.raises(OutputError, match="holds other files"):
        fill(own, "new")
    assert names(own) == ["thesis.tex", "weights"] and names(tmp_path) == ["home"]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_folder(tmp_path / "file", "about.json")


def test_check_writable_leaves_nothing(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a" / "b" / "c.h5") == tmp_path / "a" / "b" / "c.h5"
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "c.h5", Path("/proc/none/c.h5")):
        with pytest.raises(OutputError, match="cannot write"):
            check_writable(path)
    assert check_writable(tmp_path) == tmp_path
    with pytest.raises(OutputError, match="no regular file"):
        check_file(tmp_path)
    assert names(tmp_path) == ["file"]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    code = (
        "import os, signal, sys; from pacpde.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], timeout=100)
    assert killed.returncode == -9
    assert (tmp_path / "file").read_text() == "old"


def test_a_folder_that_another_process_has_just_made_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def second(one: Path, other: Path) -> None:
        monkeypatch.setattr(files.os, "rename", rename)
        fill(tmp_path / "run", "the first")
        rename(one, other)

    monkeypatch.setattr(files.os, "rename", second)
    fill(tmp_path / "run", "the second")
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "weights").read_text() == "the second"
