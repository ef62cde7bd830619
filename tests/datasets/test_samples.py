"""Files and tables of other people, as points and values."""

import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import coo_array

from pacpde.datasets.named_arrays import named_arrays
from pacpde.datasets.named_values import NamedValues
from pacpde.datasets.samples import read_samples
from pacpde.errors import DataFileError, InvalidValueError, UnknownNameError
from pacpde.problems import Burgers, Heat, LotkaVolterra

T, X = np.linspace(0, 1, 4), np.linspace(-1, 1, 5)
U = T[:, None] + 10 * X  # [t, x]
COLUMNS = {"t": "time", "u": "usol"}


def of_grid(samples: Any) -> None:
    """Whether points and values are those of the grid, whatever their order."""
    rows = np.hstack([samples.points, samples.values])
    assert len(rows) == len(np.unique(rows, axis=0)) == T.size * X.size
    assert set(rows[:, 0]) == set(T) and set(rows[:, 1]) == set(X)
    assert np.array_equal(rows[:, 2], rows[:, 0] + 10 * rows[:, 1])


def matlab_7_3(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As MATLAB writes it: axes reversed, behind 512 bytes of text."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
        file["#refs#/a"] = np.zeros(3)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["npz", "mat", "mat 7.3", "h5", "group.h5", "mapping"])
def test_a_grid_in_either_order(kind: str, turned: bool, tmp_path: Path) -> None:
    arrays = {"time": T[:, None], "x": X[None], "usol": U.T if turned else U, "more": np.zeros(3)}
    path = tmp_path / f"file.{kind.split()[0]}"
    if kind == "npz":
        np.savez(path, **arrays, names=np.array(["a", "b"]), junk=np.array([{}, 1], dtype=object))
    elif kind == "mat":
        savemat(path, {**arrays, "about": {"a": 1}, "name": "text"})
    elif kind == "mat 7.3":
        matlab_7_3(path, arrays)
    elif kind != "mapping":
        with h5py.File(path, "w") as file:
            inside = file.create_group("run") if kind == "group.h5" else file
            for name, array in arrays.items():
                inside[name] = array
            file["text"] = "of another kind"
    at = "run/" if kind == "group.h5" else ""
    found = read_samples(
        arrays if kind == "mapping" else path,
        Burgers(),
        {name: at + there for name, there in COLUMNS.items()},
    )
    of_grid(found)
    assert any("u has the dimensions " + ("x × t" if turned else "t × x") in n for n in found.notes)


def test_a_mesh_of_coordinates_and_columns() -> None:
    t, x = np.meshgrid(T, X)
    of_grid(read_samples({"t": t, "x": x, "u": U.T}, Burgers()))
    table = pd.DataFrame({"T [s]": t.ravel(), "X": x.ravel(), "u (m/s)": U.T.ravel()})
    of_grid(read_samples(table, Burgers()))
    of_grid(read_samples(table.rename(columns={"T [s]": "t"}).set_index(["t", "X"]), Burgers()))
    of_grid(read_samples(table.to_records(index=False), Burgers()))


def test_a_square_grid_is_refused_unless_its_order_is_said() -> None:
    square = {"t": T, "x": X[:4], "u": U[:, :4].T}
    with pytest.raises(InvalidValueError, match=r"\(4, 4\), and its axes may be in any order.*t:x"):
        read_samples(square, Burgers())
    found = read_samples(square, Burgers(), {"u": "u:x:t"})
    assert np.array_equal(found.values[:, 0], found.points[:, 0] + 10 * found.points[:, 1])


def test_axes_of_an_open_grid_are_a_grid() -> None:
    """As many times as places: t [4, 1] and x [1, 4] are 16 points, t [4, 1] and x [4, 1] are 4."""
    t, x = np.ix_(T, X[:4])
    found = read_samples({"t": t, "x": x}, Burgers(), values_needed=False)
    expected = np.stack(np.meshgrid(T, X[:4], indexing="ij"), -1).reshape(16, 2)
    assert np.array_equal(found.points, expected)
    turned = read_samples({"t": t.T, "x": x.T}, Burgers(), values_needed=False)
    assert sorted(map(tuple, turned.points)) == sorted(map(tuple, expected))
    columns = read_samples({"t": t, "x": x.T}, Burgers(), values_needed=False)
    assert np.array_equal(columns.points, np.stack([T, X[:4]], -1))
    assert len(read_samples({"t": t, "x": x, "u": T}, Burgers()).points) == 4


def test_dimensions_of_netcdf_say_the_order(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "square.nc", "w") as file:
        for name, values in (("t", T), ("x", X[:4])):
            file[name] = values
            file[name].make_scale(name)
        file["u"] = U[:, :4].T
        file["u"].dims[0].attach_scale(file["x"])
        file["u"].dims[1].attach_scale(file["t"])
    found = read_samples(tmp_path / "square.nc", Burgers())
    assert np.array_equal(found.values[:, 0], found.points[:, 0] + 10 * found.points[:, 1])


def test_xarray() -> None:
    xarray = pytest.importorskip("xarray")
    data = xarray.DataArray(U[:, :4].T, {"x": X[:4], "t": T}, ("x", "t"))
    for each in (data, data.rename("u"), data.to_dataset(name="u")):
        found = read_samples(each, Burgers())
        assert np.array_equal(found.values[:, 0], found.points[:, 0] + 10 * found.points[:, 1])
    scattered = xarray.Dataset({n: ("row", v) for n, v in (("t", T), ("x", X[:4]), ("u", T))})
    assert read_samples(scattered, Burgers()).values[:, 0].tolist() == T.tolist()


def test_components_and_fields_that_are_missing(tmp_path: Path) -> None:
    """As DeepXDE's Lorenz.npz: t [n, 1] and y [n, fields]."""
    y = np.stack([T, -T], -1)
    np.savez(tmp_path / "orbit.npz", t=T[:, None], y=y)
    names = list(LotkaVolterra().fields)
    found = read_samples(
        tmp_path / "orbit.npz", LotkaVolterra(), {names[0]: "y:1", names[1]: "y:0"}
    )
    assert found.values.tolist() == y[:, ::-1].tolist()
    one = read_samples({"t": T, names[1]: T}, LotkaVolterra())
    assert np.isnan(one.values[:, 0]).all() and one.values[:, 1].tolist() == T.tolist()
    assert f"has no {names[0]}: not measured" in one.notes[0]


def test_text_in_columns_that_are_not_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("\ufeffTime;by;X;Velocity [m/s]\n0,5;Ada;0;1\n1;Bo;0,5;\n")
    found = read_samples(path, Burgers(), {"t": "Time", "u": "Velocity [m/s]"})
    assert found.points.tolist() == [[0.5, 0], [1, 0.5]] and found.source.where(1) == "line 3"
    assert np.array_equal(found.values, [[1], [np.nan]], equal_nan=True)
    short = read_samples(path, Burgers(), {"t": "time", "u": "velocity"})
    assert np.array_equal(short.points, found.points)
    assert any(note.startswith("u is Velocity [m/s] of") for note in short.notes)
    with pytest.raises(DataFileError, match="line 2: by is 'Ada', expected a number"):
        read_samples(path, Burgers(), {"t": "Time", "u": "by"})


def test_a_short_name_of_a_column_is_that_of_one_column() -> None:
    table = {"t": T, "x": T, "Y (m)": np.stack([T, -T], -1), "v [m/s]": T, "V (km/h)": 3.6 * T}
    found = read_samples(table, Burgers(), {"u": "y:1"})
    assert found.values[:, 0].tolist() == (-T).tolist()
    kilometres = read_samples(table, Burgers(), {"u": "V (km/h)"})
    assert kilometres.values[:, 0].tolist() == (3.6 * T).tolist()
    with pytest.raises(InvalidValueError, match=r"has v \[m/s\], V \(km/h\) for 'v': write one"):
        read_samples(table, Burgers(), {"u": "v"})
    with pytest.raises(InvalidValueError, match=r"has no 'v \[cm/s\]'"):  # another unit
        read_samples(table, Burgers(), {"u": "v [cm/s]"})


REFUSED = {
    "no field": ({"t": T, "x": T, "v": T}, None, "has the columns t, x, v, expected t, x, u"),
    "no axis": ({"t": T, "u": T}, None, r"expected t, x, u: .*--columns x=NAME"),
    "no such column": ({"t": T, "x": T, "u": T}, {"u": "w"}, "has no 'w', it has t, x, u"),
    "two that fit": ({"t": T, "T": T, "X": T, "x ": T, "u": T}, None, "X, x  for x: say which"),
    "one for two": ({"t": T, "x": T, "u": T}, {"u": "x"}, "x is named twice"),
    "lengths": ({"t": T, "x": X, "u": T}, None, r"shapes t \(4,\), x \(5,\), u \(4,\): expected"),
    "text": ({"t": T, "x": T, "u": ["a"] * 4}, None, "values of u in the mapping are no real"),
    "nowhere": ({"t": T, "x": T * np.nan, "u": T}, None, "4 points have a coordinate .* row 1"),
    "nothing": ({"t": [], "x": [], "u": []}, None, "has a header and no point"),
    "component": ({"t": T, "x": T, "u": T}, {"u": "u:1"}, r"shape \(4,\): expected a component"),
    "order": ({"t": T, "x": X, "u": U}, {"u": "u:t:y"}, "as in u:t:x, or a component, as u:0"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(name: str) -> None:
    table, columns, words = REFUSED[name]
    with pytest.raises(InvalidValueError, match=words):
        read_samples(table, Burgers(), columns)


def test_an_axis_that_there_is_not() -> None:
    with pytest.raises(UnknownNameError, match="axis or field in columns 'y': choose from t, u, x"):
        read_samples({"t": T, "x": T, "u": T}, Burgers(), {"y": "t"})


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataFileError, match=r"none\.npz cannot be read \(No such file"):
        named_arrays(tmp_path / "none.npz")
    for begins in (b"PK\x03\x04", b"MATLAB 5.0", b"MATLAB 7.3", b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "broken").write_bytes(begins + bytes(range(200)))
        with pytest.raises(DataFileError, match=r"broken cannot be read .* is it whole"):
            named_arrays(tmp_path / "broken")
    (tmp_path / "twice.csv").write_text("t,t,x\n1,2,3\n")
    with pytest.raises(DataFileError, match="has the column t twice"):
        named_arrays(tmp_path / "twice.csv")
    with pytest.raises(InvalidValueError, match="the table is int, expected a file"):
        named_arrays(3)


@pytest.mark.parametrize("kind", ["npz", "mat", "h5"])
def test_a_file_that_unpacks_to_more_than_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, zeros = tmp_path / f"file.{kind}", np.zeros(2**17)
    if kind == "npz":
        np.savez_compressed(path, u=zeros)
    elif kind == "mat":
        savemat(path, {"u": zeros}, do_compression=True)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("u", data=zeros, compression="gzip")
    monkeypatch.setattr("pacpde.datasets.named_arrays.DATA", 2**19)
    with pytest.raises(DataFileError, match="holds 1 MiB of numbers, more than the 0 MiB"):
        named_arrays(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"\x09\x00\x00\x00\x50\x01": "\x08\x00\x00\x00\x50\x01"}, "of the type 8"),
        ({"\x06\x00\x00\x00": "\x06\x08\x00\x00"}, "lacks its numbers"),
    ],
)
def test_a_matlab_file_that_would_end_the_process_is_refused(
    change: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.mat"
    savemat(path, {"u": np.arange(42.0).reshape(6, 7)})
    content = path.read_bytes()
    ((old, new),) = change.items()
    assert content.count(old.encode("latin-1")) >= 1
    at = content.rindex(old.encode("latin-1"))
    if len(old) == 4:
        at = content.index(old.encode("latin-1"), 140)  # the flags of the array
    path.write_bytes(content[:at] + new.encode("latin-1") + content[at + len(old) :])
    with pytest.raises(DataFileError, match=message):
        named_arrays(path)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["f8", "f4", "i4", "i2", "u2", "u1"])
def test_matlab_files_of_level_4(order: str, kind: str, tmp_path: Path) -> None:
    values = np.arange(12.0).reshape(3, 4)
    content = level_4("t", np.arange(3.0)[:, None], order) + level_4("u", values, order, kind)
    (tmp_path / "file").write_bytes(content)
    found = named_arrays(tmp_path / "file")
    assert found.arrays["u"].tolist() == values.tolist() and found.arrays["u"].dtype == kind
    assert found.arrays["t"].tolist() == [[0.0], [1.0], [2.0]]
    assert {name: own.tolist() for name, own in found.arrays.items()} == {
        name: own.tolist() for name, own in loadmat(tmp_path / "file", mat_dtype=True).items()
    }


def level_4(name: str, values: np.ndarray, order: str = "<", kind: str = "f8") -> bytes:
    """An array as `save -v4` writes it."""
    code = 1000 * "<>".index(order) + 10 * ["f8", "f4", "i4", "i2", "u2", "u1"].index(kind)
    header = struct.pack(f"{order}5i", code, *values.shape, 0, len(name) + 1)
    return header + f"{name}\0".encode() + values.astype(order + kind).tobytes(order="F")


def test_what_scipy_writes_of_level_4(tmp_path: Path) -> None:
    t, x, u = np.linspace(0, 1, 3), np.linspace(0, 1, 4), np.arange(12.0).reshape(3, 4)
    content = {"t": t, "x": x, "u": u, "z": 1j * u, "name": "text", "sparse": coo_array(u)}
    savemat(tmp_path / "file.mat", content, format="4")
    assert list(named_arrays(tmp_path / "file.mat").arrays) == ["t", "x", "u"]
    samples = read_samples(tmp_path / "file.mat", Heat())
    assert np.array_equal(samples.values.reshape(3, 4), u)
    assert np.array_equal(samples.points.reshape(3, 4, 2)[..., 1], np.broadcast_to(x, (3, 4)))


@pytest.mark.parametrize("size", [-3, 2**31 - 1, 0])
def test_a_matlab_file_of_level_4_with_other_sizes_is_refused(size: int, tmp_path: Path) -> None:
    first, second = (level_4(name, np.ones((2, 1))) for name in ("t", "abc"))
    changed = second[:4] + struct.pack("<i", size) + second[8:]
    (tmp_path / "file.mat").write_bytes(first + changed)  # -3: scipy begins it anew for ever
    with pytest.raises(DataFileError, match=r"there is no array at byte|is cut off"):
        named_arrays(tmp_path / "file.mat")


def test_a_matlab_file_may_have_names_in_utf8(tmp_path: Path) -> None:
    path = tmp_path / "file.mat"
    savemat(path, {"speed": np.arange(3.0)})
    # the name is an element of 5 bytes of the type 1; MATLAB may write 16 there
    content = path.read_bytes().replace(b"\x01\0\0\0\x05\0\0\0speed", b"\x10\0\0\0\x05\0\0\0speed")
    path.write_bytes(content)
    assert content.count(b"\x10\0\0\0\x05") == 1
    assert named_arrays(path).arrays["speed"].ravel().tolist() == [0.0, 1.0, 2.0]


def test_dimensions_of_hdf5_of_another_class(tmp_path: Path) -> None:
    """Whose names have the length of HDF5's own: HDF5 2.0 ends the process there."""
    dims = {"t": ("t",), "x": ("x",), "u": ("t", "x")}
    values = NamedValues(
        {name: (own, {"t": T, "x": X, "u": U}[name]) for name, own in dims.items()}
    )
    content = values.as_bytes(".h5")
    (tmp_path / "own.h5").write_bytes(content)
    (tmp_path / "other.h5").write_bytes(content.replace(b"DIMENSION_SCALE", b"DIMENSION_SPACE"))
    assert named_arrays(tmp_path / "own.h5").dims == dims
    assert named_arrays(tmp_path / "other.h5").dims == {"u": ("t", "x")}


def test_a_name_of_hdf5_that_is_no_utf8_is_another_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file[b"u\xff"] = np.zeros(3)
        file["t"] = np.arange(3.0)
    assert list(named_arrays(tmp_path / "file.h5").arrays) == ["t", "u\ufffd"]


def test_a_text_without_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("# \n", encoding="utf-8")
    with pytest.raises(DataFileError, match=r"has the columns \(none\), expected t, x, u"):
        read_samples(tmp_path / "file.csv", Burgers())
