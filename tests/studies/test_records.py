"""Records go through a file unchanged, and nothing else is taken for one."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pacpde.errors import DataFileError
from pacpde.files import key_of
from pacpde.studies import records

RECORD: dict[str, Any] = {
    **dict.fromkeys(records.KEYS),
    "method": "pac",
    "target_error": 1.25e-4,
    "source_error": dict.fromkeys(records.MOMENTS, 0.5),
    "seconds": dict.fromkeys(records.CLOCKS, 2.0),
}


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    records.write([RECORD, RECORD], tmp_path / "records.json")
    assert records.read(tmp_path / "records.json") == [RECORD, RECORD]
    assert set(json.loads((tmp_path / "records.json").read_text())) == {"records"}


def test_records_of_older_versions_lack_what_came_later(tmp_path: Path) -> None:
    older = {key: value for key, value in RECORD.items() if key not in records.LATER}
    records.write_json({"records": [older]}, tmp_path / "records.json")
    assert records.read(tmp_path / "records.json") == [older | records.LATER]


def test_shortfalls_are_those_of_earlier_stages() -> None:
    outcomes = {"calibrated": "path_lost", "source": "stalled", "allocated": "not_converged"}
    lost = RECORD | {"outcome": "path_lost", "outcomes": outcomes}
    assert records.shortfalls(lost) == ["source stalled", "allocated not_converged"]
    named = lost | {"outcome": "allocate_not_converged"}
    assert records.shortfalls(named) == ["source stalled"]
    assert records.shortfalls(RECORD | {"outcome": "stalled", "outcomes": None}) == []


def test_what_is_not_a_number_becomes_null(tmp_path: Path) -> None:
    records.write([RECORD | {"target_error": float("nan")}], tmp_path / "records.json")
    assert records.read(tmp_path / "records.json")[0]["target_error"] is None


@pytest.mark.parametrize("part", ["", "source_error", "seconds"])
@pytest.mark.parametrize("change", ["lacks", "besides"])
def test_keys_are_checked(part: str, change: str, tmp_path: Path) -> None:
    record = copy.deepcopy(RECORD)
    place = record[part] if part else record
    if change == "lacks":
        missing = place.popitem()[0]
    else:
        missing = "mood"
        place[missing] = 1
    with pytest.raises(DataFileError, match=missing):
        records.write([record], tmp_path / "records.json")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"records": 3}', '{"records": [1]}', "\0"])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "records.json").write_text(content)
    with pytest.raises(DataFileError):
        records.read(tmp_path / "records.json")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no record file"):
        records.read(tmp_path / "records.json")


def test_the_hash_depends_on_values_and_not_on_their_order() -> None:
    one = key_of({"seed": 0, "nu": 0.01})
    assert one == key_of({"nu": 0.01, "seed": 0})
    assert one != key_of({"seed": 0, "nu": 0.010000000000000002})
