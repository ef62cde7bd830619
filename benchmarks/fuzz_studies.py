"""Folders of studies, for changed files: what they hold, how it is read, and how it changes."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

from fuzz_changes import Draw, changed, changed_structure
from pyarrow import ArrowException, BufferOutputStream, Table
from pyarrow.parquet import write_table

from pacpde.files import short_hash
from pacpde.networks.sealed import UNLIKE
from pacpde.studies.folder import Outline
from pacpde.studies.records import check, record_of, sealed, stored
from pacpde.studies.results_store import SCHEMA, ResultsStore
from pacpde.studies.variants import Variant


def record_file(folder: Path) -> list[Path]:
    path = folder / "records.json"
    shutil.copy(Path(__file__).with_name("results") / "demo.json", path)
    return [path]


def study(folder: Path) -> list[Path]:
    names = ("distances.toml", "methods.toml")
    return [Path(shutil.copy(Path(__file__).parent / "studies" / name, folder)) for name in names]


def rows_written(folder: Path) -> list[Path]:
    place = folder / "study"
    results = ResultsStore(place)
    for number, record in enumerate(stored(record_file(folder)[0])[:3]):
        results.add({**record, "cell": f"cell {number}", "variant": "pac", "fault": None})
    results.flush()
    return [place]


def rows_of(place: Path) -> object:
    """The records of a study, as `pacpde study run --json` gives them."""
    results = ResultsStore(place)
    return results.keys(), [check(record_of(row)) for row in results.rows()]


def rows_changed(place: Path, rng: Draw, others: list[bytes]) -> None:
    """Change the rows or the bytes of a part, and name it by its new checksum."""
    (part,) = ResultsStore(place).parts()
    content = changed(part.read_bytes(), rng, others)
    if rng.random() < 0.7:
        rows = changed_structure(ResultsStore.read(part), rng)
        with suppress(ArrowException, *UNLIKE):  # no table
            whole = BufferOutputStream()
            write_table(Table.from_pylist(rows, SCHEMA if rng.random() < 0.8 else None), whole)
            content = whole.getvalue().to_pybytes()
    part.unlink()
    part.with_name(f"part-000001-{short_hash(content)}.parquet").write_bytes(content)


def folder_of(folder: Path) -> list[Path]:
    place = folder / "study"
    variants = [Variant("heat", "pac", {"sparsity": 0.5}), Variant("heat", "scratch", {})]
    text = study(folder)[0].read_bytes()
    about = Outline(["one", "two"], variants, "").as_json("cpu", {"study.toml": text})
    place.mkdir()
    (place / "study.toml").write_bytes(text)
    (place / "study.json").write_text(json.dumps(about), encoding="utf-8")
    return [place]


def read_folder(place: Path) -> object:
    """The outline of a study, with the short names of its variants."""
    outline = Outline.from_folder(place)
    return outline and outline.with_short_variants([{"cell": name} for name in outline.names])


def folder_changed(place: Path, rng: Draw, others: list[bytes]) -> None:
    """Change the description of a study by its structure, and seal it again."""
    about = json.loads((place / "study.json").read_text(encoding="utf-8"))
    for _ in range(int(rng.integers(1, 3))):
        about = changed_structure(about, rng)
    if isinstance(about, dict) and rng.random() < 0.9:
        about.pop("checksum", None)
        # as it is read back: keys are text then, and numbers may be others
        about = sealed(json.loads(json.dumps(about)))
    (place / "study.json").write_text(json.dumps(about), encoding="utf-8")
