"""What is read under changed files: each reader, with files that it accepts and how they change."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fuzz_stages as stages
import fuzz_studies as studies
import h5py
import numpy as np
import scipy.io
from fuzz_changes import (
    Draw,
    bytes_of,
    packed,
    sealed,
    sealed_file,
    sealed_tensors,
    structure,
)

import pacpde
from pacpde import Library, fit
from pacpde.datasets.columns import read_columns
from pacpde.datasets.generate import draw_labels
from pacpde.datasets.generate import write as write_dataset
from pacpde.datasets.load import load as load_dataset
from pacpde.datasets.named_values import NamedValues
from pacpde.datasets.samples import read_samples
from pacpde.datasets.tables import read_table
from pacpde.expressions import evaluate
from pacpde.problems import Heat
from pacpde.reference import solve
from pacpde.studies.records import stored
from pacpde.studies.study_file import StudyFile, read_tuned
from pacpde.training.resume import ResumeState


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        what: it reads.
        make: files or folders that it accepts, in a folder.
        read: one of them.
        change: makes another file of it, in its place.
    """

    what: str
    make: Callable[[Path], list[Path]]
    read: Callable[[Path], object]
    change: Callable[[Path, Draw, list[bytes]], None]


def grid() -> dict[str, np.ndarray]:
    """A solution of the heat equation on a small grid."""
    t, x = np.linspace(0, 1, 6), np.linspace(0, 1, 7)
    return {"t": t, "x": x, "u": np.exp(-t)[:, None] * np.sin(np.pi * x)}


def table_text(folder: Path) -> list[Path]:
    content = grid()
    rows = [
        f"{t!r},{x!r},{u!r}"
        for t, line in zip(content["t"].tolist(), content["u"].tolist(), strict=True)
        for x, u in zip(content["x"].tolist(), line, strict=True)
    ]
    comma, semicolon = folder / "a.csv", folder / "b.csv"
    comma.write_text("\n".join(["t,x,u", *rows]) + "\n", encoding="utf-8")
    semicolon.write_text("# x\nt;x;u\n" + rows[9].replace(",", ";") + "\n", encoding="utf-8")
    return [comma, semicolon]


def npz(folder: Path) -> list[Path]:
    np.savez(folder / "a.npz", **grid())  # type: ignore[arg-type]
    return [folder / "a.npz"]


def matlab(folder: Path) -> list[Path]:
    scipy.io.savemat(folder / "a.mat", grid())
    scipy.io.savemat(folder / "b.mat", grid(), do_compression=True, oned_as="column")
    return [folder / "a.mat", folder / "b.mat"]


def hdf5(folder: Path) -> list[Path]:
    with h5py.File(folder / "a.h5", "w") as file:
        file.update(grid())
    return [folder / "a.h5"]


def matlab_4(folder: Path) -> list[Path]:
    scipy.io.savemat(folder / "a.mat", {**grid(), "name": "text"}, format="4")
    return [folder / "a.mat"]


def netcdf_3(folder: Path) -> list[Path]:
    """What is written here, and the older kind with a dimension that may grow."""
    content, path = named(), folder / "b.nc"
    (folder / "a.nc").write_bytes(content.as_bytes(".nc"))
    with scipy.io.netcdf_file(path, "w", version=1) as file:
        for name, size in content.sizes.items():
            file.createDimension(name, None if name == "t" else size)
        for name, (dims, values) in content.arrays.items():
            file.createVariable(name, "f4", dims)[:] = values
        file.variables["u"].units = b"K"
    return [folder / "a.nc", path]


def netcdf_4(folder: Path) -> list[Path]:
    """HDF5 as the netCDF library writes it: compressed pieces, dimensions as scales."""
    path = folder / "a.nc"
    path.write_bytes(named().as_bytes(".h5"))
    with h5py.File(path, "r+") as file:
        file.attrs["_NCProperties"] = np.bytes_(b"version=2,netcdf=4.9.2,hdf5=1.14.2")
        for number, name in enumerate("tx"):
            file[name].attrs["_Netcdf4Dimid"] = np.int32(number)
        values, scales = file["u"][()], [file[name] for name in "tx"]
        del file["u"]
        own = file.create_dataset(
            "u", data=values, chunks=(3, 7), compression="gzip", shuffle=True, fletcher32=True
        )
        for number, scale in enumerate(scales):
            own.dims[number].attach_scale(scale)
        own.attrs["_FillValue"] = np.array([9.96921e36])
    return [path]


def named() -> NamedValues:
    content = grid()
    return NamedValues({**{n: ((n,), content[n]) for n in "tx"}, "u": (("t", "x"), content["u"])})


def parquet(folder: Path) -> list[Path]:
    """What is written here, plain, and in small pieces with checksums."""
    from pyarrow import BufferReader
    from pyarrow.parquet import read_table as read_parquet
    from pyarrow.parquet import write_table

    paths = [folder / f"{name}.parquet" for name in "abc"]
    paths[0].write_bytes(named().as_bytes(".parquet"))
    table = read_parquet(BufferReader(paths[0].read_bytes()))
    write_table(table, paths[1], use_dictionary=False, compression="none")
    write_table(table, paths[2], row_group_size=20, compression="zstd",
                write_page_checksum=True, data_page_version="2.0")  # fmt: skip
    return paths


def dataset(folder: Path) -> list[Path]:
    reference = solve(Heat(), tolerance=1e-4)
    write_dataset(reference, folder / "heat.h5", draw_labels(reference, 5))
    return [folder / "heat.h5"]


def surrogate(folder: Path) -> list[Path]:
    pacpde.save(fit(Heat(), width=4, depth=1, points=20, steps=1, refinements=0), folder / "one")
    return [folder / "one"]


def library(folder: Path) -> list[Path]:
    settings = {"width": 6, "depth": 1, "points": 40, "steps": 20}
    own = Library.build(Heat, {"alpha": (0.1, 0.2)}, tolerance=1.0, most=2, settings=settings)
    own.save(folder / "library")
    return [folder / "library"]


def tuned(folder: Path) -> list[Path]:
    path = folder / "tuned.toml"
    path.write_text("[heat.pac]\nsparsity = 0.5\n[heat.l2_sp]\nstrength = 1e-3\n", "utf-8")
    return [path]


def expressions(folder: Path) -> list[Path]:
    texts = ("0.01/pi", "-(2 + 3)*4e-2**2", "1_000", "e", "((1))")
    paths = [folder / f"{k}.txt" for k in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def samples(path: Path) -> object:
    """Labels of the heat equation in a file."""
    return read_samples(path, Heat())


TARGETS = {
    "expression": Target(
        "a coefficient",
        expressions,
        lambda path: evaluate(path.read_text("utf-8", errors="surrogateescape")),
        bytes_of,
    ),
    "csv": Target("text with a table", table_text, samples, bytes_of),
    "columns": Target("columns of text", table_text, read_columns, bytes_of),
    "reference": Target(
        "a reference on a grid",
        lambda folder: table_text(folder)[:1],
        lambda path: read_table(path, Heat()),
        bytes_of,
    ),
    "npz": Target("NumPy arrays, packed again", npz, samples, packed),
    "npz_bytes": Target("NumPy arrays, as bytes", npz, samples, bytes_of),
    "mat": Target("MATLAB arrays", matlab, samples, bytes_of),
    "mat_4": Target("MATLAB arrays of Level 4", matlab_4, samples, bytes_of),
    "netcdf_3": Target("netCDF 3", netcdf_3, samples, bytes_of),
    "netcdf_4": Target("netCDF 4", netcdf_4, samples, bytes_of),
    "parquet": Target("Parquet", parquet, samples, bytes_of),
    "hdf5": Target("HDF5 of others", hdf5, samples, bytes_of),
    "dataset": Target("a file of pacpde solve", dataset, load_dataset, bytes_of),
    "surrogate": Target(
        "a surrogate, sealed again",
        surrogate,
        pacpde.load,
        sealed("surrogate.json", "weights.safetensors"),
    ),
    "surrogate_bytes": Target("a surrogate, as bytes", surrogate, pacpde.load, bytes_of),
    "surrogate_tensors": Target(
        "a surrogate, its tensors sealed again",
        surrogate,
        pacpde.load,
        sealed_tensors("surrogate.json", "weights.safetensors"),
    ),
    "library": Target(
        "a library, sealed again",
        library,
        Library.load,
        sealed("library.json", "library.safetensors"),
    ),
    "library_tensors": Target(
        "a library, its tensors sealed again",
        library,
        Library.load,
        sealed_tensors("library.json", "library.safetensors"),
    ),
    "stages": Target(
        "stages of a torch module, sealed again", stages.of_module, stages.read_module, sealed_file
    ),
    "stages_bytes": Target(
        "stages of a torch module, as bytes", stages.of_module, stages.read_module, bytes_of
    ),
    "deepxde_stages": Target(
        "stages of a DeepXDE model, sealed again",
        stages.of_model,
        stages.read_model,
        sealed_file,
    ),
    "records": Target("records", studies.record_file, stored, structure),
    "study": Target("a study", studies.study, lambda path: StudyFile(path).counts(), bytes_of),
    "study_folder": Target(
        "the description of a study, sealed again",
        studies.folder_of,
        studies.read_folder,
        studies.folder_changed,
    ),
    "study_rows": Target(
        "the rows of a study, sealed again",
        studies.rows_written,
        studies.rows_of,
        studies.rows_changed,
    ),
    "tuned": Target("tuned options", tuned, read_tuned, bytes_of),
    "resume": Target(
        "the state of a fit",
        stages.resume,
        lambda path: ResumeState(path.parent, "key").read("fit"),
        bytes_of,
    ),
    "resume_sealed": Target(
        "the state of a fit, sealed again",
        stages.resume_whole,
        stages.resumed,
        stages.resume_changed,
    ),
}
