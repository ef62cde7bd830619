"""Tuning: held-out residuals choose, the reference does not, and what was chosen is used."""

from pathlib import Path
from typing import Any

import pytest

from pacpde.errors import DataFileError, InvalidValueError
from pacpde.studies.study import Study
from pacpde.studies.tuning import choose, write_tuned

TUNING = """
methods = ["l2sp", "pac", "scratch"]
seeds = 2
[options.l2sp]
alpha = [1e-9, 1e-3, 1.0]
[options.pac]
sparsity = [0.5, 0.8]
scope = ["global", "layer"]
[[transfers]]
family = "heat"
source = { alpha = 0.4 }
targets = [{ alpha = 0.25 }]
"""


def rows(study: Study, held_out: dict[str, list[float | None]]) -> list[dict[str, Any]]:
    """Of every cell the residual of its variant and seed; where it is small the error is large."""
    found = []
    for name, cell in zip(study.names, study.cells, strict=True):
        value = held_out.get(cell.variant, [1e-1, 1e-1])[cell.seed]
        error = None if value is None else 1 / value
        found.append(
            {"cell": name, "held_out": value, "target_error": error, "outcome": "converged"}
        )
    return found


@pytest.fixture
def tuning(tmp_path: Path) -> Study:
    file = tmp_path / "tuning.toml"
    file.write_text(TUNING)
    return Study.read(file)


def test_the_lowest_median_held_out_residual_is_chosen(tuning: Study) -> None:
    measured: dict[str, list[float | None]] = {
        "l2sp (alpha=1e-09)": [1e-3, 1e-2],
        "l2sp (alpha=0.001)": [2e-3, 3e-3],
        "l2sp (alpha=1)": [1e-9, None],  # a failure is infinite, however good the other
        'pac (sparsity=0.8, scope="layer")': [1e-5, 1e-5],
    }
    found = {choice.method: choice for choice in choose(tuning.outline, rows(tuning, measured))}
    assert found["l2sp"].options == {"alpha": 1e-3}
    assert found["l2sp"].held_out == pytest.approx(2.5e-3)
    assert found["pac"].options == {"sparsity": 0.8, "scope": "layer"}
    assert (found["pac"].trials, found["l2sp"].trials, found["scratch"].trials) == (4, 3, 1)
    assert found["scratch"].options == {}


@pytest.mark.parametrize(
    "ended",
    [
        {"outcome": "allocate_not_converged"},
        # an outcome of the last stage hides what became of the source
        {"outcome": "path_lost", "outcomes": {"allocated": "stalled", "calibrated": "path_lost"}},
    ],
)
def test_a_trial_that_lost_its_source_is_a_failure(tuning: Study, ended: dict[str, Any]) -> None:
    variants = [
        f'pac (sparsity={s}, scope="{scope}")' for s in (0.5, 0.8) for scope in ("global", "layer")
    ]
    measured: dict[str, list[float | None]] = {name: [1e-3, 1e-3] for name in variants}
    measured[variants[-1]] = [1e-9, 1e-9]
    found = rows(tuning, measured)
    kept = {choice.method: choice for choice in choose(tuning.outline, found)}["pac"]
    assert kept.held_out == 1e-9
    for row, cell in zip(found, tuning.cells, strict=True):
        if cell.variant == variants[-1]:
            row.update(ended)
    other = {choice.method: choice for choice in choose(tuning.outline, found)}["pac"]
    assert other.held_out == 1e-3 and other.options != kept.options


def test_a_study_takes_up_what_was_chosen(tuning: Study, tmp_path: Path) -> None:
    measured: dict[str, list[float | None]] = {
        "l2sp (alpha=0.001)": [1e-5, 1e-5],
        'pac (sparsity=0.8, scope="layer")': [1e-5, 1e-5],
    }
    write_tuned(choose(tuning.outline, rows(tuning, measured)), tmp_path / "tuned.toml")
    file = tmp_path / "study.toml"
    file.write_text(
        'tuned = "tuned.toml"\nmethods = ["l2sp", "pac"]\n[options.pac]\nsparsity = 0.6\n'
        '[[transfers]]\nfamily = "heat"\ntargets = [{ alpha = 0.3 }]\n'
        '[[transfers]]\nfamily = "lorenz"\ntargets = [{ rho = 16 }]\n'
    )
    study = Study.read(file)
    given = {(cell.source.name, cell.method): dict(cell.options) for cell in study.cells}
    assert given["heat", "l2sp"] == {"alpha": 1e-3}
    assert given["heat", "pac"] == {"sparsity": 0.6, "scope": "layer"}  # the study's own go before
    assert given["lorenz", "l2sp"] == {}  # tuned for heat alone
    study.keep(tmp_path / "folder")
    (tmp_path / "tuned.toml").unlink()
    again = Study.from_folder(tmp_path / "folder")
    assert [cell.key for cell in again.cells] == [cell.key for cell in study.cells]


def test_what_is_no_choice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('tuned = "t.toml"\n[[transfers]]\nfamily = "heat"\ntargets = [{alpha = 0.3}]\n')
    with pytest.raises((DataFileError, InvalidValueError), match="line 1, tuned"):
        Study.read(file)
    for content in ("pac = 3\n", "[heat]\npac = 3\n", "[heat\n"):
        (tmp_path / "t.toml").write_text(content)
        with pytest.raises((DataFileError, InvalidValueError), match=r"t\.toml"):
            Study.read(file)
    (tmp_path / "t.toml").write_text("[heat.pac]\nsparsty = 0.5\n")
    with pytest.raises(InvalidValueError, match="sparsity"):
        Study.read(file)
