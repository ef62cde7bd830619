"""Results: rows that are there once, or a clear word about what is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pacpde.errors import DataFileError, UnreadableError
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.surrogate import Surrogate
from pacpde.problems import Heat
from pacpde.studies import records
from pacpde.studies import results_store as module
from pacpde.studies.cells import Cell, Training
from pacpde.studies.fit_store import FitStore
from pacpde.studies.results_store import ResultsStore
from pacpde.studies.rows import failed_row
from pacpde.training.resume import ResumeState

ANSATZ = PhysicsAnsatz(Heat())
NETWORK = network_for(ANSATZ, 2, 1, "tanh")
UNTRAINED = Surrogate(NETWORK, ANSATZ, torch.zeros(NETWORK.size, dtype=torch.float64))


def row(seed: int, fault: str | None = None) -> dict[str, Any]:
    cell = Cell(Training(Heat(alpha=0.4), seed), Heat(alpha=0.2), "pac", {"sparsity": 0.5})
    made = failed_row(cell, "broken")
    if fault is None:
        made |= {"fault": None, "outcome": "converged", "target_error": 0.1 + seed,
                 "seconds_to": {"0.01": 1.5}, "cell": f"cell {seed}"}  # fmt: skip
    return made | {"cell": f"cell {seed}"}


def written(folder: Path, parts: int = 1, rows: int = 1) -> ResultsStore:
    """A store of so many parts, of so many rows each."""
    store = ResultsStore(folder)
    for part in range(parts):
        for number in range(rows):
            store.add(row(part * rows + number))
        store.flush()
    return store


def test_what_was_written_is_read(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path)
    assert store.rows() == [] and store.keys() == set()
    for seed in range(3):
        store.add(row(seed))
    assert store.rows() == []
    store.flush()
    found = store.rows()
    assert [one["target_error"] for one in found] == [0.1, 1.1, 2.1]
    assert found[0]["source"] == {"alpha": 0.4} and found[0]["seconds_to"] == {"0.01": 1.5}
    assert found[0]["variant"] == "pac (sparsity=0.5)"
    assert set(records.record_of(found[0])) == set(records.KEYS)
    records.check(records.record_of(found[0]))
    assert list(pd.read_parquet(store.place)["seed"]) == [0, 1, 2]


def test_a_cell_without_result_is_tried_again_and_replaced(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path)
    store.add(row(0, "fault"))
    store.add(row(1))
    store.flush()
    assert store.keys() == {"cell 1"}
    store.add(row(0))
    store.flush()
    assert store.keys() == {"cell 0", "cell 1"}
    assert [one["fault"] for one in store.rows()] == [None, None]


def test_rows_of_cells_come_in_their_order(tmp_path: Path) -> None:
    store = written(tmp_path, rows=3)
    asked = ["cell 2", "missing", "cell 0"]
    assert [one["cell"] for one in store.of(asked)] == ["cell 2", "cell 0"]


def test_many_parts_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARTS", 3)
    store = written(tmp_path, parts=5)
    before = store.rows()
    assert len(store.parts()) == 5
    store.tidy()
    assert len(store.parts()) == 1
    assert store.rows() == before


def test_a_part_cut_short_is_named_and_the_others_stay(tmp_path: Path) -> None:
    store = written(tmp_path, parts=2)
    _, second = store.parts()
    second.write_bytes(second.read_bytes()[:-20])
    with pytest.raises(DataFileError, match=second.name):
        store.keys()
    second.rename(tmp_path / "away")
    assert store.keys() == {"cell 0"}


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_no_flipped_bit_of_a_part_is_read_as_another_value(tmp_path: Path) -> None:
    store = written(tmp_path, rows=4)
    (part,) = store.parts()
    content, expected = part.read_bytes(), store.rows()
    for bit in np.random.default_rng(0).integers(8 * len(content), size=300):
        part.write_bytes(flipped(content, int(bit)))
        for read in (store.rows, store.keys):
            with pytest.raises(DataFileError, match="cut short or damaged"):
                read()
    part.write_bytes(content)
    assert store.rows() == expected


def test_a_whole_part_of_other_rows_is_refused(tmp_path: Path) -> None:
    store = written(tmp_path)
    (part,) = store.parts()
    table, place = pq.read_table(part), part.with_name("part-000001-a.parquet")
    part.unlink()
    twice = pa.array([[("alpha", 0.1), ("alpha", 0.2)]], pa.map_(pa.string(), pa.float64()))
    broken = pa.StringArray.from_buffers(
        1, pa.py_buffer(b"\0\0\0\0\x01\0\0\0"), pa.py_buffer(b"\xff")
    )
    for name, values, why in (
        ("source", twice, "name a coefficient twice in one row"),
        ("cell", broken, "cut short or damaged"),
        ("cell", pa.array([1]), "written by another pacpde"),
    ):
        number = table.schema.get_field_index(name)
        pq.write_table(table.set_column(number, name, values), place)
        with pytest.raises(DataFileError, match=why):
            store.rows()
    with pytest.raises(DataFileError, match="written by another pacpde"):
        store.keys()
    pq.write_table(table, place)
    assert store.keys() == {"cell 0"}


def test_a_row_whose_text_is_no_json_is_refused(tmp_path: Path) -> None:
    (found,) = written(tmp_path).rows()
    with pytest.raises(DataFileError, match="the assessment of a row is no JSON"):
        records.record_of(found | {"assessment": "[" * 100_000})


def test_no_flipped_bit_of_a_finished_cell_is_read_as_another_value(tmp_path: Path) -> None:
    fits, about = FitStore(tmp_path), {"target_error": 0.125, "outcome": "converged"}
    fits.save("cell", UNTRAINED, about)
    file = fits.place("cell") / "surrogate.json"
    content = file.read_bytes()
    assert fits.load("cell") is not None
    for bit in np.random.default_rng(0).integers(8 * len(content), size=300):
        file.write_bytes(flipped(content, int(bit)))
        found = fits.load("cell")  # a blank or line end may change into another
        assert found is None or found[1] == about


def test_a_damaged_finished_cell_is_named(tmp_path: Path) -> None:
    fits = FitStore(tmp_path)
    for name in ("a", "b", "c"):
        fits.save(name, UNTRAINED, {"outcome": "converged"})
    assert fits.damaged() == []
    for name, damaged in (("a", "surrogate.json"), ("b", "weights.safetensors")):
        file = fits.place(name) / damaged
        file.write_bytes(flipped(file.read_bytes(), 1001))
    assert fits.damaged() == [fits.place(name).parent for name in ("a", "b")]


@pytest.mark.parametrize("made", ["nothing", "a file", "a link to nothing"])
def test_a_folder_of_records_that_is_gone_is_no_empty_one(made: str, tmp_path: Path) -> None:
    place = tmp_path / "records"
    assert ResultsStore(tmp_path).keys() == set()  # nothing was carried out yet
    ResultsStore(tmp_path).make()
    place.rmdir()
    (tmp_path / "surrogates" / "0123").mkdir(parents=True)
    if made == "a file":
        place.write_text("mine")
    elif made == "a link to nothing":
        place.symlink_to(tmp_path / "away")
    told = "is missing, and" if made == "nothing" else "is no folder, or a link to none"
    for read in (
        ResultsStore(tmp_path).keys,
        ResultsStore(tmp_path).rows,
        ResultsStore(tmp_path).make,
    ):
        with pytest.raises(DataFileError, match=told):
            read()


def test_no_flipped_bit_of_a_half_done_fit_is_resumed(tmp_path: Path) -> None:
    resume_state = ResumeState(tmp_path, "key")
    tensors = {"weights": torch.linspace(0, 1, 7, dtype=torch.float64), "on": torch.tensor(True)}
    resume_state.write("train", tensors, {"steps": 3})
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    for bit in np.random.default_rng(0).integers(8 * len(content), size=300):
        file.write_bytes(flipped(content, int(bit)))
        found = resume_state.read("train")
        if found is not None:
            assert found[1] == {"steps": 3}
            assert all(torch.equal(found[0][name], tensors[name]) for name in tensors)


def test_parts_of_before_are_read(tmp_path: Path) -> None:
    """Older ones have no checksum in their names, and lack columns that came since."""
    store = written(tmp_path)
    (part,) = store.parts()
    older = pq.read_table(part).drop_columns(["provenance"])
    part.unlink()
    pq.write_table(older, store.place / "part-000001-b61c01.parquet")
    (found,) = store.rows()
    assert found["provenance"] is None and found["target_error"] == 0.1
    pq.write_table(older.append_column("else", pa.array([1])), store.parts()[0])
    with pytest.raises(DataFileError, match="another pacpde"):
        store.rows()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file")
    store = ResultsStore(tmp_path)
    store.add(row(0))
    with pytest.raises(DataFileError, match="is no folder"):
        store.flush()


def test_records_that_cannot_be_read_are_not_counted_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = written(tmp_path)

    def refused(path: Any) -> list[str]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pacpde.studies.results_store.os.listdir", refused)
    for read in (store.keys, store.rows, store.parts):
        with pytest.raises(UnreadableError, match="Permission denied"):
            read()


def test_a_part_that_cannot_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = written(tmp_path)

    def refused(path: Path) -> bytes:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("pacpde.studies.results_store.read_bytes", refused)
    with pytest.raises(UnreadableError, match="Input/output error"):
        store.rows()


def test_parts_that_become_one_while_they_are_read_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = written(tmp_path, parts=3)
    monkeypatch.setattr(module, "PARTS", 1)
    read, calls = module.read_bytes, []

    def joining(path: Path) -> bytes:
        calls.append(path)
        if len(calls) == 2:
            ResultsStore(tmp_path).tidy()
        return read(path)

    monkeypatch.setattr(module, "read_bytes", joining)
    assert store.keys() == {"cell 0", "cell 1", "cell 2"}
    assert len(store.parts()) == 1


def test_a_finished_cell_that_cannot_be_read_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = FitStore(tmp_path)
    assert fits.load("cell") is None
    fits.save("cell", UNTRAINED, {"b": 2})
    (fits.place("cell") / "surrogate.json").write_text("[" * 100_000)
    assert fits.load("cell") is None  # damaged
    fits.save("cell", UNTRAINED, {"b": 2})

    def refused(path: Path, *most: int) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pacpde.networks.sealed.read_bytes", refused)
    with pytest.raises(UnreadableError):
        fits.load("cell")
