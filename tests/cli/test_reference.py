"""`--reference` and `--reference-tolerance`: what grades, and that nothing waits for it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pacpde.errors import InvalidValueError
from pacpde.studies.study import Study

FEW = ["--steps", "2", "--points", "60", "--method", "warm_start"]
TINY = ["--width", "6", "--depth", "2", "--points", "60", "--steps", "2"]


def test_none_is_ungraded_in_table_and_record(call: Callable, source: Path) -> None:
    given = ["transfer", source, "alpha=0.3", *FEW, "--reference", "none", "-o", "out"]
    ended = call(*given, "--json", "out.json")
    assert ended.out.count("ungraded") == 2  # of the target, and zero-shot
    record = json.loads(Path("out.json").read_text())
    assert record["target_error"] is None and record["zero_shot_error"] is None


def test_train_says_ungraded(call: Callable) -> None:
    ended = call("train", "heat", *TINY, "--reference", "none", "-o", "out", "--json", "out.json")
    assert "ungraded" in ended.out
    assert json.loads(Path("out.json").read_text())["error"] is None


def test_a_file_grades_what_it_holds_and_nothing_else(call: Callable, source: Path) -> None:
    call("solve", "heat", "alpha=0.3", "--tolerance", "1e-4", "-o", "heat.h5")
    given = [*FEW, "--reference", "heat.h5", "--reference-tolerance", "1e-3"]
    ended = call("transfer", source, "alpha=0.3", *given, "-o", "out", "--json", "-")
    assert json.loads(ended.out)["target_error"] > 0
    refused = call("transfer", source, "alpha=0.2", *given, "-o", "other")
    assert refused.status == 2 and "holds heat(alpha=0.3), expected heat(alpha=0.2)" in refused.err
    assert not Path("other").exists() and "step" not in refused.err


@pytest.mark.parametrize("command", ["train", "transfer", "compare"])
def test_a_tolerance_that_cannot_be_is_refused_by_its_name(
    call: Callable, source: Path, command: str
) -> None:
    given = {
        "train": ["heat"],
        "transfer": [source, "alpha=0.3"],
        "compare": ["heat", "--source", "alpha=0.4", "--target", "alpha=0.3"],
    }
    ended = call(command, *given[command], "--reference-tolerance", "5", "-o", "out")
    assert ended.status == 2 and not Path("out").exists()
    assert "--reference-tolerance is 5.0, expected a relative error from 1e-12" in ended.err
    given[command] += ["--reference-tolerance", "1e-6", "--reference", "none", "-o", "out"]
    ended = call(command, *given[command])
    assert ended.status == 2 and not Path("out").exists()
    assert "--reference-tolerance is 1e-06, without effect, as there is to be no" in ended.err
    assert "leave it out, or give --reference auto." in ended.err


def test_a_tolerance_beside_the_only_reference_is_refused(call: Callable) -> None:
    call("solve", "heat", "alpha=0.4", "--tolerance", "1e-4", "-o", "heat.h5")
    given = ["--reference", "heat.h5", "--reference-tolerance", "1e-6", "-o", "out"]
    same = ["compare", "heat", "--source", "alpha=0.4", "--target", "alpha=0.4"]
    for command in (["train", "heat", "alpha=0.4"], same):
        ended = call(*command, *given)
        assert ended.status == 2 and not Path("out").exists()
        assert "--reference-tolerance is 1e-06, without effect, as the reference is" in ended.err


def test_a_file_that_is_not_there_is_told_before_anything_is_trained(call: Callable) -> None:
    ends = ["--source", "alpha=0.4", "--target", "alpha=0.3"]
    ended = call("compare", "heat", *ends, *TINY, "--reference", "no.h5", "-o", "out")
    assert ended.status == 2 and "give auto, none, exact or a file" in ended.err
    assert not Path("out").exists()


def test_labels_need_a_reference(call: Callable, source: Path) -> None:
    given = ["transfer", source, "alpha=0.3", *FEW, "--labels", "5", "--reference", "none"]
    ended = call(*given, "-o", "out")
    assert ended.status == 2 and "no reference to draw 5 labels from" in ended.err


def test_a_study_names_its_reference(tmp_path: Path) -> None:
    def study(more: str) -> Study:
        file = tmp_path / "study.toml"
        transfers = '[[transfers]]\nfamily = "heat"\ntargets = [{ alpha = 0.3 }]\n'
        file.write_text(f'methods = ["warm_start"]\n{more}\n{transfers}')
        return Study.read(file)

    (plain,), (none,) = study("").cells, study('reference = "none"').cells
    (loose,) = study('reference_tolerance = "1e-4"').cells
    assert (plain.reference, none.reference, loose.reference_tolerance) == ("auto", "none", 1e-4)
    assert len({plain.key, none.key, loose.key}) == 3
    with pytest.raises(InvalidValueError, match="expected 'auto', 'none' or 'exact'"):
        study('reference = "some"')
    with pytest.raises(InvalidValueError, match="labels are drawn from the reference"):
        study('reference = "none"\nlabels = 5')
