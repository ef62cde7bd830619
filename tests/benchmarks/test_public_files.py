"""Floors of public files: one whose error is known, one not judged, one that is not there."""

from argparse import Namespace
from math import pi
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pacpde.problems import Heat

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import public_files as module  # type: ignore[import-not-found]

    return module


def heat_file(folder: Path, error: float) -> None:
    """A solution of the heat equation in the .npz of a checkout, too large by its error."""
    t, x = np.linspace(0, 1, 11), np.linspace(0, 1, 21)
    u = np.exp(-Heat().alpha * pi**2 * t)[:, None] * np.sin(pi * x)
    path = folder / "someone+networks" / "data" / "heat.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, t=t, x=x, usol=(1 + error) * u.T)


def test_a_files_error_is_measured_at_its_own_points(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heat_file(tmp_path, 3e-5)
    files = (
        benchmark.PublicFile("someone/networks", "data/heat.npz", Heat(), benchmark.USOL),
        benchmark.PublicFile("someone/networks", "data/none.npz", Heat()),
        benchmark.PublicFile("someone/networks", "data/heat.npz", None, why="not judged: a reason"),
    )
    monkeypatch.setattr(benchmark, "FILES", files)
    record = {"runs": list(benchmark.runs(Namespace(folder=tmp_path), {}))}
    judged, not_judged = record["runs"]
    assert judged["error"] == pytest.approx(3e-5, rel=1e-9) and judged["by"] == "exact"
    assert judged["grid"] == [11, 21] and judged["largest_at"] == {"t": 0.0, "x": 0.5}
    text = benchmark.table(record)
    assert "| 3.0e-05 | 3.0e-05 | exact |" in text and text.endswith("not judged: a reason.\n")
    assert not_judged["sentence"] == "not judged: a reason"


def test_problems_of_files_are_those_of_the_published_equations(benchmark: ModuleType) -> None:
    clamped = benchmark.AllenCahnClamped()
    assert clamped.initial(np.array([-1.0, 0.5])) == pytest.approx([-1.0, 0.0], abs=1e-15)
    named = {(file.repository, file.path) for file in benchmark.FILES}
    assert len(named) == len(benchmark.FILES)
