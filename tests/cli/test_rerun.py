"""A record alone gives its numbers again, or says why it cannot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

TINY = ["--width", "5", "--depth", "1", "--points", "40", "--steps", "3"]
STUDY = """
methods = ["warm_start"]
seeds = 2
settings = { width = 5, depth = 1, points = 40, steps = 3 }
[[transfers]]
family = "heat"
targets = [{ alpha = 0.3 }, { alpha = 0.2 }]
labels = 5
"""


def changed(file: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit the first record of a file."""
    content = json.loads(Path(file).read_text())
    change(content["records"][0] if "records" in content else content)
    Path(file).write_text(json.dumps(content))


def transferred(call: Callable) -> None:
    """record.json of a transfer of a transfer, whose settings and options are not the default."""
    call("train", "heat", "alpha=0.4", *TINY, "--seed", "3", "-o", "source")
    more = ["--points", "30", "--steps", "2"]
    call("transfer", "source", "alpha=0.35", "--method", "warm_start", *more, "-o", "between")
    call("transfer", "between", "alpha=0.3", "--method", "l2sp", "--set", "alpha=1e-3", "--until",
         "0.5", "--labels", "5", "--noise", "0.1", "--seed", "7", *more, "-o", "target",
         "--json", "record.json")  # fmt: skip


def test_the_record_of_a_transfer(call: Callable) -> None:
    transferred(call)
    ended = call("rerun", "record.json", "--json", "-")
    assert ended.status == 0
    content = json.loads(ended.out)
    before = json.loads(Path("record.json").read_text())
    assert content["differing"] == [[]]
    assert content["records"][0]["target_error"] == before["target_error"]
    assert call("rerun", "target").status == 0  # the surrogate's folder says the same
    file = Path("target/surrogate.json")
    file.write_text(file.read_text().replace('"labels": 5', '"labels": 7'))
    ended = call("rerun", "target")
    assert ended.status == 2 and "is damaged" in ended.err

    changed("record.json", lambda record: record.update(target_error=1.0))
    ended = call("rerun", "record.json", "--json", "-")
    assert ended.status == 1 and json.loads(ended.out)["differing"] == [["target_error"]]
    assert "1 of 1 records came out otherwise" in ended.err


def test_the_records_of_a_comparison_side_by_side(call: Callable) -> None:
    call("compare", "heat", "--source", "alpha=0.4", "--target", "alpha=0.3", *TINY, "--methods",
         "pac,scratch", "--seeds", "0,1", "--together", "-o", "out")  # fmt: skip
    ended = call("rerun", "out", "--json", "-")
    assert ended.status == 0 and json.loads(ended.out)["differing"] == [[]] * 4
    file = Path("out/records.json")
    file.write_text(file.read_text().replace('"physics": true', '"physics": false', 1))
    ended = call("rerun", "out")
    assert ended.status == 2 and "edited or damaged after it was written" in ended.err


def test_the_records_of_a_study(call: Callable) -> None:
    Path("study.toml").write_text(STUDY)
    assert call("study", "run", "study.toml", "-o", "out", "--json", "found.json").status == 0
    ended = call("rerun", "found.json", "--json", "-")
    assert ended.status == 0 and json.loads(ended.out)["differing"] == [[]] * 4


def test_what_cannot_be_made_again_is_told(call: Callable) -> None:
    transferred(call)
    text = Path("record.json").read_text()
    cases: list[tuple[Callable[[dict[str, Any]], object], str]] = [
        (lambda r: r.pop("provenance"), "an older pacpde"),
        (lambda r: r["provenance"].update(source=None), "how its source was made"),
        (lambda r: r["provenance"]["source"].update(call="identify"), "'identify'"),
        (lambda r: r["provenance"]["problem"].update(fingerprint="0"), "not the one"),
        (lambda r: r["provenance"].update(method="pca"), "unknown method 'pca'"),
        (lambda r: r["provenance"].pop("seed"), "seed"),
        (lambda r: r.pop("method"), "lacks method"),
    ]
    for change, told in cases:
        Path("record.json").write_text(text)
        changed("record.json", change)
        ended = call("rerun", "record.json")
        assert ended.status == 2 and told in ended.err and ended.err.count("\n") == 1, ended.err
    for fit in ("source", "fit.json"):
        call(
            "train", "heat", "alpha=0.4", *TINY, "--seed", "3", "-o", "again", "--json", "fit.json"
        )
        ended = call("rerun", fit)
        assert ended.status == 2 and "no record of a transfer" in ended.err, ended.err
    for content in ("", "[]", "{}", '{"records": 3}'):
        Path("record.json").write_text(content)
        assert call("rerun", "record.json").status == 2
    assert call("rerun", "nothing.json").status == 2
