"""What does not fit on the disk is refused in a sentence; the old file stays, and nothing else."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from pacpde import Library, Surrogate, fit, save
from pacpde.datasets import draw_labels, write
from pacpde.errors import OutputError
from pacpde.plots import save as save_figure
from pacpde.problems import Heat
from pacpde.reference import solve
from pacpde.studies import records
from pacpde.training.resume import ResumeState
from tests.cli.conftest import call  # noqa: F401  a fixture

ROOM = 500  # bytes that a file may have
RANGES = {"alpha": (0.3, 0.5)}


@contextmanager
def full_disk() -> Iterator[None]:
    """The system refuses longer files, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return fit(Heat(alpha=0.4), width=8, depth=2, points=60, steps=4)


def reference_file(place: Path, surrogate: Surrogate) -> None:
    reference = solve(surrogate.problem, tolerance=1e-4)
    write(reference, place, draw_labels(reference, 3))


def picture(place: Path, surrogate: Surrogate) -> None:
    save_figure(Figure(), place, kind="png")


def state(place: Path, surrogate: Surrogate) -> None:
    ResumeState(place, "key").write("fit", {"weights": torch.ones(200)}, {})


WRITERS: dict[str, Callable[[Path, Surrogate], object]] = {
    "reference": reference_file,
    "surrogate": lambda place, surrogate: save(surrogate, place),
    "library": lambda place, surrogate: Library([surrogate], ranges=RANGES).save(place),
    "picture": picture,
    "JSON": lambda place, surrogate: records.write_json({"a": "b" * 600}, place, overwrite=True),
    "state": state,
}


def held(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", WRITERS)
def test_the_old_file_stays(name: str, surrogate: Surrogate, tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OutputError, match="cannot write") as refused:
        WRITERS[name](tmp_path / "out", surrogate)
    assert "(File too large)" in str(refused.value) and "\n" not in str(refused.value)
    assert held(tmp_path) == {}
    WRITERS[name](tmp_path / "out", surrogate)
    before = held(tmp_path)
    assert before
    with full_disk(), pytest.raises(OutputError, match="File too large"):
        WRITERS[name](tmp_path / "out", surrogate)
    assert held(tmp_path) == before


@pytest.mark.parametrize("kind", ["csv", "nc", "h5", "parquet"])
def test_predictions(kind: str, surrogate: Surrogate, call: Callable, tmp_path: Path) -> None:  # noqa: F811
    save(surrogate, "source")
    rows = [f"{k / 99},0.5" for k in range(99)]
    Path("points.csv").write_text("\n".join(["t,x", *rows]))
    before = held(tmp_path)
    with full_disk():
        ended = call("predict", "source", "points.csv", "-o", f"out.{kind}")
    assert ended.status == 2 and ended.err.count("\n") == 1
    assert f"out.{kind} (File too large)" in ended.err
    assert held(tmp_path) == before
