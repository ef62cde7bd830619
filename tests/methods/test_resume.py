"""A killed fit ends with the same bits; folders come back as they went."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from pacpde import fit, load, save, transfer
from pacpde.errors import OutputError
from pacpde.problems import Heat
from pacpde.training.callbacks import Update
from pacpde.training.resume import ResumeState

SMALL: dict[str, Any] = {"width": 8, "depth": 2, "points": 100, "steps": 12, "tolerance": 1e-9}


@pytest.fixture(autouse=True)
def few_neurons(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the corrections that a tolerance of 1e-9 asks for."""
    monkeypatch.setattr("pacpde.training.refinement.FIRST", 30)


class Killed(BaseException):
    """Stands for a kill: nothing in the package catches it."""


def killer(after: int) -> Any:
    seen: list[Update] = []

    def progress(update: Update) -> None:
        seen.append(update)
        if len(seen) == after:
            raise Killed

    return progress


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize("optimiser", ["levenberg_marquardt", "adam", "lbfgs"])
def test_a_killed_fit_resumes_to_the_same_bits(tmp_path: Path, after: int, optimiser: str) -> None:
    settings = {**SMALL, "optimiser": optimiser}
    whole = fit(Heat(), **settings)
    resume_state = ResumeState(tmp_path / "journal", "key")
    with pytest.raises(Killed):
        fit(Heat(), progress=killer(after), resume_state=resume_state, **settings)
    resumed = fit(Heat(), resume_state=resume_state, **settings)
    assert torch.equal(resumed.weights, whole.weights)
    assert [e["held_out"] for e in resumed.history] == [e["held_out"] for e in whole.history]


def test_a_killed_transfer_resumes_to_the_same_bits(tmp_path: Path) -> None:
    source = fit(Heat(), **SMALL)
    options = {"method": "pac", "settings": {"points": 100, "steps": 12, "tolerance": 1e-9}}
    whole = transfer(source, Heat(alpha=0.3), **options)
    resume_state = ResumeState(tmp_path / "journal", "key")
    with pytest.raises(Killed):
        transfer(source, Heat(alpha=0.3), progress=killer(4), resume_state=resume_state, **options)
    resumed = transfer(source, Heat(alpha=0.3), resume_state=resume_state, **options)
    assert torch.equal(resumed.surrogate.weights, whole.surrogate.weights)
    assert resumed.method_result.steps == whole.method_result.steps


def test_a_resume_state_of_another_command_or_a_damaged_one_is_not_used(tmp_path: Path) -> None:
    resume_state = ResumeState(tmp_path, "key")
    resume_state.write("train", {"weights": torch.ones(3)}, {"steps": 1})
    found = resume_state.read("train")
    assert found is not None
    assert found[1] == {"steps": 1}
    assert ResumeState(tmp_path, "other").read("train") is None
    (file,) = tmp_path.glob("train*")
    file.write_bytes(file.read_bytes()[:-4])
    assert resume_state.read("train") is None


@pytest.mark.parametrize(
    "other",
    [{"weights": torch.zeros(3)}, {"best": torch.zeros(33, dtype=torch.float32)}, {"steps": "one"},
     {"phase": -1}, {"done": 0}, {"history": [1]}, {"seconds": None}, {"seconds": float("nan")},
     {"more": 0}],
    ids=str,
)  # fmt: skip
def test_a_sealed_state_with_other_parts_is_not_used(tmp_path: Path, other: Any) -> None:
    settings = {**SMALL, "width": 4, "depth": 1, "points": 20}
    whole = fit(Heat(), **settings)
    with pytest.raises(Killed):
        fit(Heat(), progress=killer(1), resume_state=ResumeState(tmp_path, "key"), **settings)
    (file,) = tmp_path.glob("*.safetensors")
    with safe_open(file, "pt") as opened:
        state = ResumeState(tmp_path, opened.metadata()["key"])
    found = state.read(file.stem)
    assert found is not None and found[0]["best"].shape == whole.weights.shape
    tensors, about = found
    numbers = {name: own for name, own in other.items() if not isinstance(own, torch.Tensor)}
    others = {name: own for name, own in other.items() if isinstance(own, torch.Tensor)}
    state.write(file.stem, tensors | others, about | numbers)
    again = fit(Heat(), resume_state=ResumeState(tmp_path, "key"), **settings)
    assert torch.equal(again.weights, whole.weights)


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_text_file_in_place_of_the_folder_is_named(tmp_path: Path, below: str) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("mine")
    resume_state = ResumeState(text / below, "key")
    with pytest.raises(
        OutputError, match=r"notes\.txt is a file, expected a folder for the resume"
    ):
        fit(Heat(), resume_state=resume_state, **SMALL)
    with pytest.raises(OutputError, match=r"notes\.txt is a file, not a folder"):
        resume_state.write("train", {"weights": torch.ones(3)}, {})
    assert resume_state.read("train") is None
    resume_state.clear()
    assert text.read_text() == "mine"


def test_a_surrogate_folder_holds_everything(tmp_path: Path) -> None:
    source = fit(Heat(until=0.5), **SMALL)
    made = transfer(source, Heat(alpha=0.3, until=0.5), settings={"points": 100, "steps": 5})
    save(made.surrogate, tmp_path / "target")
    back = load(tmp_path / "target")
    t = np.linspace(0, 0.5, 40)
    assert np.array_equal(back(t, 0.3), made.surrogate(t, 0.3))
    assert np.array_equal(back.recall("source")(t, 0.3), made.recall("source")(t, 0.3))
    assert back.problem == made.surrogate.problem
    assert back.recall("source").problem == source.problem
    assert back.history == made.surrogate.history


def test_the_old_name_of_the_resume_state_is_taken_with_a_note(tmp_path: Path) -> None:
    with pytest.warns(FutureWarning, match="write resume_state="):
        fit(Heat(), settings={"width": 4, "depth": 1, "points": 20, "steps": 2},
            journal=ResumeState(tmp_path, "key"))  # fmt: skip
    assert list(tmp_path.glob("*.safetensors"))
