"""`pacpde predict` takes points from files of many kinds, and writes as many."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import netcdf_file, savemat

from pacpde import load

T, X = np.linspace(0, 1, 4), np.linspace(0, 1, 5)
POINTS = np.array([[0.25, 0.5], [1.0, 0.125], [0.0, 0.75]])  # (t, x)


def written(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A file of these arrays, as others write it."""
    kind = path.suffix
    if kind == ".npz":
        np.savez(path, **arrays)
    elif kind == ".mat":
        savemat(path, arrays)
    elif kind == ".parquet":
        pd.DataFrame(arrays).to_parquet(path)
    elif kind == ".h5":
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    else:
        with netcdf_file(path, "w") as file:
            for name, axis in arrays.items():
                file.createDimension(name, len(axis))
                file.createVariable(name, "f8", (name,))[:] = axis


@pytest.mark.parametrize("kind", ["npz", "mat", "h5", "parquet"])
def test_points_of_files_of_others(
    kind: str, call: Callable[..., Any], source: Path, tmp_path: Path
) -> None:
    written(tmp_path / f"points.{kind}", {"time": POINTS[:, 0], "X": POINTS[:, 1]})
    ended = call("predict", source, f"points.{kind}", "--columns", "t=time", "-o", "out.csv")
    assert ended.status == 0
    values = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(values[:, :2], POINTS)
    np.testing.assert_array_equal(values[:, 2], load(source)(*POINTS.T))


@pytest.mark.parametrize("kind", ["npz", "mat", "h5", "nc"])
def test_one_array_an_axis_is_a_grid_and_its_values_are_graded(
    kind: str, call: Callable[..., Any], source: Path, tmp_path: Path
) -> None:
    exact = load(source)(*np.meshgrid(T, X, indexing="ij")) * 1.25
    exact[1, 1] = np.nan
    dims = {} if kind == "nc" else {"u": exact}
    written(tmp_path / f"points.{kind}", {"t": T, "x": X, **dims})
    ended = call("predict", source, f"points.{kind}", "-o", "out.h5", "--json", "-")
    assert ended.status == 0
    about = json.loads(ended.out)
    if dims:  # u against 1.25 u, where it was measured
        assert about["error"] == pytest.approx(0.2, rel=1e-12)
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["t"], T)
        assert file["u"].shape == (4, 5)
        assert [file["u"].dims[k][0].name for k in (0, 1)] == ["/t", "/x"]
        assert file.attrs["family"] == "heat"
        assert file.attrs["coefficient_alpha"] == 0.4


def test_a_file_for_each_ending(call: Callable[..., Any], source: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", t=POINTS[:, 0], x=POINTS[:, 1])
    expected = load(source)(*POINTS.T)
    for kind in ("nc", "h5", "parquet", "csv"):
        assert call("predict", source, "points.npz", "-o", f"out.{kind}").status == 0
        # what was written is read again by the same command, with an error of 0
        again = call("predict", source, f"out.{kind}", "-o", f"{kind}.csv", "--json", "-")
        assert json.loads(again.out)["error"] == 0
    with netcdf_file(tmp_path / "out.nc", mmap=False) as file:
        np.testing.assert_array_equal(file.variables["u"].data, expected)
        assert file.variables["u"].dimensions == ("point",)
        assert file.equation.decode() == "u_t = α u_xx on t∈[0,1], x∈[0,1]"
        assert file.coefficient_alpha == 0.4
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["u"], expected)
        assert file.attrs["outcome"] == load(source).outcome
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert list(table) == ["t", "x", "u"]
    np.testing.assert_array_equal(table.to_numpy(), np.column_stack([POINTS, expected]))
    # the same command again finds the same bytes, and refuses nothing
    first = (tmp_path / "out.nc").read_bytes()
    assert call("predict", source, "points.npz", "-o", "out.nc").status == 0
    assert (tmp_path / "out.nc").read_bytes() == first


def test_xarray_reads_the_grid_of_a_reference(
    call: Callable[..., Any], source: Path, tmp_path: Path
) -> None:
    xarray = pytest.importorskip("xarray")
    np.savez(tmp_path / "points.npz", t=T, x=X)
    assert call("predict", source, "points.npz", "-o", "out.nc").status == 0
    with xarray.open_dataset(tmp_path / "out.nc", engine="scipy") as data:
        assert data.u.dims == ("t", "x")
        expected = load(source).to_xarray({"t": T, "x": X})
        xarray.testing.assert_equal(data.load(), expected)
        assert {k: v for k, v in data.attrs.items() if k in expected.attrs} == expected.attrs


def test_a_prediction_is_data_of_a_transfer(
    call: Callable[..., Any], source: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "points.npz", t=T, x=X)
    assert call("predict", source, "points.npz", "-o", "out.nc").status == 0
    ended = call("transfer", source, "alpha=0.3", "--data", "out.nc", "--method", "warm_start",
                 "--steps", "1", "--reference", "none", "-o", "moved", "--json", "-")  # fmt: skip
    assert json.loads(ended.out)["labels"] == 20


def test_without_pyarrow_a_parquet_file_is_refused_before_anything_is_computed(
    call: Callable[..., Any], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "points.parquet", {"t": POINTS[:, 0], "x": POINTS[:, 1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for words in (("points.parquet",), ("missing.csv", "-o", "out.parquet")):
        ended = call("predict", source, *words)
        assert ended.status == 2
        assert "pacpde[studies]" in ended.err and ended.err.count("\n") == 1


@pytest.mark.parametrize("name", ["out.xlsx", "OUT.XLS", "out.mat", "out.json", "out.csv.gz"])
def test_no_file_of_another_kind_gets_text(
    name: str, call: Callable[..., Any], source: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "points.npz", t=POINTS[:, 0], x=POINTS[:, 1])
    ended = call("predict", source, "points.npz", "-o", name)
    assert ended.status == 2
    assert "file is written here: end the name with .csv for text" in ended.err
    assert not (tmp_path / name).exists()
    assert call("predict", source, "points.npz", "-o", "out.tsv").status == 0  # any other is CSV


@pytest.mark.parametrize(
    ("arrays", "hint"),
    [
        ({"t": POINTS[:, 0]}, "expected t, x: the axes, each once"),
        ({"t": POINTS[:, 0], "x": POINTS[:2, 1] + 1}, "lie outside the domain"),
        ({"t": np.array([0.1, np.nan]), "x": np.array([0.1, 0.2])}, "no number"),
    ],
)
def test_points_that_cannot_be_taken(
    arrays: dict[str, np.ndarray], hint: str, call: Callable[..., Any], source: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "points.npz", **arrays)
    ended = call("predict", source, "points.npz", "-o", "out.csv")
    assert ended.status == 2
    assert hint in ended.err and ended.err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()
