"""HDF5 files: what they hold, that they come back to the last bit, and what is refused."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pacpde.datasets import Labels, draw_labels, load, write
from pacpde.datasets.schema import UNSEALED, sealed
from pacpde.errors import DataFileError, InvalidValueError, OutputError
from pacpde.physics import families
from pacpde.problems import Burgers, Heat2D, Lorenz
from pacpde.reference import Reference, solve


@pytest.fixture(scope="module")
def reference() -> Reference:
    return solve(Burgers(nu=0.05, until=0.5), tolerance=1e-6)


@pytest.fixture
def file(reference: Reference, tmp_path: Path) -> Path:
    path = tmp_path / "burgers.h5"
    write(reference, path, draw_labels(reference, 25, seed=3, noise=0.01))
    return path


def reseal(file: Path) -> None:
    """Give a file that a test changed a checksum that matches again."""
    with h5py.File(file, "r+") as opened:
        opened.attrs["checksum"] = np.bytes_(UNSEALED)
    file.write_bytes(sealed(file.read_bytes()))


def test_schema_1(file: Path, reference: Reference) -> None:
    with h5py.File(file, "r") as opened:
        assert opened.attrs["schema"] == 1
        assert opened.attrs["family"] == "burgers"
        assert json.loads(opened.attrs["coefficients"]) == {"nu": 0.05}
        assert opened.attrs["until"] == 0.5
        assert 0 < opened.attrs["certified_error"] <= 1e-6
        assert "Radau" in opened.attrs["solver"]
        assert {"target", "rtol", "atol", "grid"} <= set(json.loads(opened.attrs["tolerances"]))
        assert {"python", "scipy", "numpy"} <= set(json.loads(opened.attrs["versions"]))
        assert list(opened["axes"]) == ["t", "x"]
        u = opened["fields/u"]
        assert u.shape == (101, 513)
        assert [dimension.label for dimension in u.dims] == ["t", "x"]
        assert np.array_equal(u.dims[1][0], np.linspace(-1, 1, 513))
        assert np.array_equal(u, reference.fields["u"])
        assert opened["labels"].attrs["seed"] == 3 and opened["labels"].attrs["noise"] == 0.01
        assert opened["labels/points"].shape == (25, 2)


@pytest.mark.parametrize(
    "problem",
    [
        Burgers(nu=0.1),
        Heat2D(),
        Lorenz(until=0.5),
        families.get("poisson")(),
        families.get("poisson_1d")(),
    ],
    ids=str,
)
def test_a_file_comes_back_to_the_last_bit(problem, tmp_path: Path) -> None:
    made = solve(problem, tolerance=1e-6)
    write(made, tmp_path / "new" / "file.h5")
    dataset = load(tmp_path / "new" / "file.h5")
    read = dataset.reference
    assert dataset.labels is None
    for field in dataclasses.fields(made):
        if field.name not in ("axes", "fields", "dense"):
            assert getattr(read, field.name) == getattr(made, field.name), field.name
    assert list(read.axes) == list(made.axes) and list(read.fields) == list(made.fields)
    assert np.array_equal(read.values, made.values)
    middle = [0.3 * grid[0] + 0.7 * grid[-1] for grid in made.axes.values()]
    assert np.array_equal(read(*middle), made(*middle))


def test_labels_come_back(file: Path, reference: Reference) -> None:
    labels = load(file).labels
    assert labels is not None and (labels.seed, labels.noise) == (3, 0.01)
    again = draw_labels(reference, 25, seed=3, noise=0.01)
    assert np.array_equal(labels.points, again.points)
    assert np.array_equal(labels.values, again.values)


def test_labels_are_the_reference_plus_noise_of_the_level_asked(reference: Reference) -> None:
    clean = draw_labels(reference, 4000, seed=1)
    noisy = draw_labels(reference, 4000, seed=1, noise=0.1)
    assert np.array_equal(clean.points, noisy.points)
    assert np.array_equal(clean.values, reference(*clean.points.T).T)
    errors = (noisy.values - clean.values) / reference.values.std()
    # the standard deviation of 4000 normal numbers is known to 1/√8000 = 1.1 %; four of these
    assert errors.std() == pytest.approx(0.1, rel=0.045)
    assert abs(errors.mean()) < 4 * 0.1 / 4000**0.5
    other = draw_labels(reference, 4000, seed=2)
    assert not np.array_equal(clean.points, other.points)
    assert reference.problem.domain.contains(clean.points).all()


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"count": -1}, {"count": 2.5}, {"count": True}, {"noise": -0.1},
     {"noise": float("nan")}, {"seed": -1}],
)  # fmt: skip
def test_bad_labels_are_refused(reference: Reference, wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError, match=r"labels is|noise is|seed is"):
        draw_labels(reference, **{"count": 5, **wrong})


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_truncated_files_are_refused(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataFileError):
        load(file)


def test_any_changed_byte_is_seen(file: Path) -> None:
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    for place in [0, 9, *rng.integers(len(content), size=60)]:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        with pytest.raises(DataFileError):
            load(file)
    file.write_bytes(content)
    load(file)


@pytest.mark.parametrize("content", [b"", b"t,x,u\n0,0,0\n", b"\x89HDF\r\n\x1a\n" + bytes(5000)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.h5").write_bytes(content)
    with pytest.raises(DataFileError, match="pacpde solve"):
        load(tmp_path / "other.h5")
    for path in (tmp_path, tmp_path / "missing.h5"):
        with pytest.raises(DataFileError, match=r"is no file|is a folder"):
            load(path)


def test_an_edited_number_is_seen(file: Path) -> None:
    with h5py.File(file, "r+") as opened:
        opened["fields/u"][50, 100] += 1e-15
    with pytest.raises(DataFileError, match="does not match its checksum"):
        load(file)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("schema", 2, "has the schema 2, this version reads 1"),
        ("family", "navier_stokes", "unknown family 'navier_stokes'"),
        ("coefficients", '{"nu": -1}', "not allowed: burgers: nu is -1"),
        ("coefficients", '{"mu": 0.1}', "unknown coefficient of burgers 'mu'"),
        ("coefficients", "{", "no complete schema-1 file"),
    ],
)
def test_sealed_nonsense_is_named(file: Path, name: str, value: object, message: str) -> None:
    with h5py.File(file, "r+") as opened:
        opened.attrs[name] = value
    reseal(file)
    with pytest.raises(DataFileError, match=message):
        load(file)


def test_a_missing_part_is_named(file: Path) -> None:
    with h5py.File(file, "r+") as opened:
        del opened["fields/u"]
    reseal(file)
    with pytest.raises(DataFileError, match="no complete schema-1 file"):
        load(file)


def test_a_file_of_another_problem_is_refused(file: Path) -> None:
    load(file, Burgers(nu=0.05, until=0.5))
    with pytest.raises(DataFileError, match=r"holds burgers\(nu=0.05, until=0.5\), expected"):
        load(file, Burgers(nu=0.06, until=0.5))


def test_where_nothing_can_be_written_nothing_is_left(reference: Reference, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "out.h5", tmp_path, Path("/proc/none/out.h5")):
        with pytest.raises(OutputError):
            write(reference, path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_keeps_the_old_file(
    reference: Reference, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shutil.copy(file, file.with_suffix(".old")).read_bytes()
    broken = Labels(np.zeros((2, 2)), np.array([object()]), 0, 0.0)
    with pytest.raises(TypeError):
        write(reference, file, broken)
    assert file.read_bytes() == before
    assert not list(file.parent.glob(".*"))


def link_fields(opened: h5py.File, other: Path) -> None:
    opened.move("fields", "mine")
    opened["fields"] = h5py.ExternalLink(str(other), "/fields")


def link_one_field(opened: h5py.File, other: Path) -> None:
    del opened["fields/u"]
    opened["fields/u"] = h5py.ExternalLink(str(other), "/fields/u")


def link_softly(opened: h5py.File, other: Path) -> None:
    opened.move("dense/values", "dense/mine")
    opened["dense/values"] = h5py.SoftLink("/dense/mine")


def store_outside(opened: h5py.File, other: Path) -> None:
    shape = opened["fields/u"].shape
    del opened["fields/u"]
    size = 8 * int(np.prod(shape))
    opened["fields"].create_dataset("u", shape, "f8", external=[(str(other), 0, size)])


def store_virtually(opened: h5py.File, other: Path) -> None:
    shape = opened["fields/u"].shape
    del opened["fields/u"]
    layout = h5py.VirtualLayout(shape, "f8")
    layout[:] = h5py.VirtualSource(str(other), "fields/u", shape)
    opened["fields"].create_virtual_dataset("u", layout)


def compress(opened: h5py.File, other: Path) -> None:
    shape = opened["fields/u"].shape
    del opened["fields/u"]
    opened["fields"].create_dataset("u", data=np.zeros(shape), compression="gzip")


def turn_to_text(opened: h5py.File, other: Path) -> None:
    count = len(opened["axes/t"])
    del opened["axes/t"]
    opened["axes"].create_dataset("t", data=[b"a"] * count)


@pytest.mark.parametrize(
    "change",
    [
        link_fields,
        link_one_field,
        link_softly,
        store_outside,
        store_virtually,
        compress,
        turn_to_text,
    ],
)
def test_numbers_that_the_checksum_does_not_cover_are_refused(
    file: Path, tmp_path: Path, change: Callable[[h5py.File, Path], None]
) -> None:
    other = tmp_path / "other.h5"
    shutil.copy(file, other)
    with h5py.File(file, "r+") as opened:
        change(opened, other)
    reseal(file)
    with pytest.raises(DataFileError, match="no complete schema-1 file"):
        load(file)
