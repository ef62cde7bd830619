"""A small source surrogate, and the command line called in this process."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pacpde.cli import main

SMALL = ["--width", "10", "--depth", "2", "--points", "200", "--steps", "20"]


@dataclass(frozen=True)
class Called:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """References of these tests stay out of the user's cache."""
    before = os.environ.get("PACPDE_CACHE")
    os.environ["PACPDE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["PACPDE_CACHE"]
    else:
        os.environ["PACPDE_CACHE"] = before


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Called]:
    """Runs `pacpde ...` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Called:
        capsys.readouterr()
        status = main([str(word) for word in words])
        return Called(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A heat surrogate, α = 0.4."""
    folder = tmp_path_factory.mktemp("trained") / "source"
    assert main(["train", "heat", "alpha=0.4", *SMALL, "-o", str(folder)]) == 0
    return folder
