"""Records: one JSON object a transfer, kept in a file that is always whole."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError, unreadable
from pacpde.files import atomic_write, short_hash
from pacpde.methods.result import CHOSEN, MOMENTS
from pacpde.networks import checkpoint
from pacpde.ownership import OwnFiles
from pacpde.reading import DATA, parse_json, read_bytes

Record = dict[str, Any]
Row = dict[str, Any]  # a record, and what a study keeps of a cell besides

KEYS = (
    "family", "method", "seed", "source", "target", "labels", "noise", "physics",
    "zero_shot_error", "target_error", "source_error", "free_parameters", "total_parameters",
    "steps", "evaluations", "seconds", "outcome", "device", "dtype", "versions", "provenance",
    "target_error_by_field", "worst_field_error", "outcomes", "assessment", "rungs",
    *CHOSEN,
)  # fmt: skip
# keys that records of older versions lack, and what they mean there
LATER = dict.fromkeys(
    (
        "provenance", "target_error_by_field", "worst_field_error", "outcomes", "assessment",
        "rungs", *CHOSEN,
    )
)  # fmt: skip
STAGES = ("source", "trained", "allocated", "calibrated", "overlapped")  # of outcomes, in order
TEXTS = ("provenance", "assessment", "rungs")  # which rows of a study hold as JSON text
CLOCKS = ("source", "prune", "allocate", "calibrate", "total")


def check(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """`record` if it has the keys every record has, and no others."""
    for part, expected in (("", KEYS), ("source_error", MOMENTS), ("seconds", CLOCKS)):
        content = record[part] if part else record
        keys = set(content) if isinstance(content, Mapping) else set()
        if keys != set(expected):
            if not part and keys and not keys & {"method", "source", "target"}:
                raise DataFileError(
                    "this is no record of a transfer, but of a fit or of something else: give what "
                    "`pacpde transfer`, `compare` or `study run` wrote, which says how its source "
                    "was trained, too."
                )
            raise DataFileError(
                f"a record{f' has a {part} that' if part else ''} lacks "
                f"{_list(set(expected) - keys)} and has {_list(keys - set(expected))} besides: it "
                "was not written by this pacpde, make it anew."
            )
    return record


def shortfalls(record: Mapping[str, Any]) -> list[str]:
    """The stages before the last that fell short and that the outcome does not name, in words."""
    outcomes: Mapping[str, str] = record.get("outcomes") or {}
    earlier = [stage for stage in STAGES if stage in outcomes][:-1]  # the last has the outcome
    named = record["outcome"].partition("_")[0]
    return [
        f"{stage} {outcomes[stage]}"
        for stage in earlier
        if outcomes[stage] != "converged" and not stage.startswith(named)
    ]


def record_of(row: Row) -> Record:
    """The record that a row of a study or comparison holds."""
    record = {key: row[key] for key in KEYS}
    for name in TEXTS:
        if isinstance(record[name], str):
            try:
                record[name] = parse_json(record[name])
            except ValueError as error:
                raise DataFileError(
                    f"the {name} of a row is no JSON ({error}): the row was not written by pacpde."
                ) from error
    return record


def write(records: Iterable[Mapping[str, Any]], path: str | Path) -> None:
    """`{"records": [...]}`, replacing the file at once."""
    write_json({"records": [check(record) for record in records]}, path)


def read(path: str | Path) -> list[Record]:
    """The records of a file written by `write`."""
    return _records(path, lambda content: content["records"])


def stored(path: str | Path) -> list[Record]:
    """The records of a file of several or of one, of a comparison, or of a surrogate's folder."""
    place = Path(path)
    if (place / "records.json").is_file():
        _check_own(place, "records.json")
        return read(place / "records.json")
    if (place / checkpoint.ABOUT).is_file():
        checkpoint.check_whole(place)
        return _records(place / checkpoint.ABOUT, _of_surrogate)
    return _records(place, lambda content: content.get("records", [content]))


def _records(path: str | Path, chosen: Callable[[Any], Any]) -> list[Record]:
    try:
        records = chosen(parse_json(read_bytes(path, DATA)))
        later = [{name: record.get(name) for name in LATER} for record in records]
        return [dict(check({**one, **more})) for one, more in zip(records, later, strict=True)]
    except DataFileError:
        raise
    except FileNotFoundError as error:
        raise DataFileError(f"there is no record file {str(path)!r}.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataFileError(
            f"{str(path)!r} holds no records ({type(error).__name__}): make it anew."
        ) from error


def _of_surrogate(content: Any) -> list[Any]:
    """The record of a surrogate that a transfer made."""
    call = content.get("provenance", {}).get("call", "transfer")
    if call != "transfer":
        raise DataFileError(
            f"this is a surrogate that came from {call!r}, and has no record of a transfer: give "
            "what `pacpde transfer`, `compare` or `study run` wrote, which says how its source was "
            "trained, too."
        )
    return [content["result"]]


def _check_own(folder: Path, name: str) -> None:
    """Refuse a file of a folder that pacpde wrote there and that was changed since."""
    known = OwnFiles(folder).known.get(name)
    if known and short_hash(read_bytes(folder / name)) not in known:
        raise DataFileError(
            f"{str(folder / name)!r} was edited or damaged after it was written: give the command "
            "that wrote it again, or copy the file elsewhere if the edit is your own."
        )


def write_json(content: Any, path: str | Path, *, overwrite: bool = True) -> None:
    """`content` as a JSON file, replaced at once; see `atomic_write`."""
    with atomic_write(Path(path), overwrite=overwrite) as temporary:
        Path(temporary).write_bytes(as_bytes(content))


def as_bytes(content: Any) -> bytes:
    """The bytes that `write_json` writes."""
    return (as_json(content) + "\n").encode()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with a checksum, which `unsealed` verifies."""
    return {"checksum": _checksum(plain(content)), **content}


def unsealed(content: dict[str, Any]) -> dict[str, Any]:
    """The content without its checksum; ValueError if the checksum is wrong."""
    rest = {name: value for name, value in content.items() if name != "checksum"}
    if content.get("checksum") != _checksum(rest):
        raise ValueError("its content is not what was written (checksum)")
    return rest


def _checksum(content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def as_json(content: Any) -> str:
    """JSON text; what is not a finite number becomes null, which JSON can hold."""
    return json.dumps(plain(content), indent=1, allow_nan=False)


def plain(content: Any) -> Any:
    """Content as JSON has it: numbers of Python, and null for what is not finite."""
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    if hasattr(content, "tolist"):  # numpy
        return plain(content.tolist())
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
