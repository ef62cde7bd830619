"""Study files: what they mean, and what is said of those that are wrong."""

import json
import time
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacpde.errors import DataFileError, InvalidValueError
from pacpde.physics import Problem
from pacpde.problems import Heat, Lorenz
from pacpde.studies.cells import Cell, Training
from pacpde.studies.folder import Outline, read_about
from pacpde.studies.lines import line_of
from pacpde.studies.records import sealed
from pacpde.studies.study import Study
from pacpde.studies.variants import distinguishing_names

WHOLE = """
methods = ["warm_start", "pac"]
seeds = 2
labels = [0, 5]
noise = [0.0, 0.1]

[options.pac]
sparsity = [0.5, 0.8]

[settings]
width = 8
depth = 2

[[transfers]]
family = "burgers"
source = { nu = "0.05/pi" }
targets = [{ nu = "0.06/pi" }, { nu = 0.03 }]

[[transfers]]
family = "heat"
targets = [{ alpha = 0.2 }]
methods = ["scratch"]
seeds = [7]
labels = 0
settings = { width = 6 }
"""


def read(tmp_path: Path, text: str) -> Study:
    file = tmp_path / "study.toml"
    file.write_text(text)
    return Study.read(file)


def test_the_grid_is_the_product_of_what_varies(tmp_path: Path) -> None:
    study = read(tmp_path, WHOLE)
    burgers = [cell for cell in study.cells if cell.source.name == "burgers"]
    # 2 seeds × 2 targets × (warm start + 2 sparsities) × (no labels + 5 labels × 2 noises)
    assert len(burgers) == 2 * 2 * 3 * 3
    assert {cell.variant for cell in burgers} == {
        "warm_start", "pac (sparsity=0.5)", "pac (sparsity=0.8)",
    }  # fmt: skip
    assert {cell.source.coefficients["nu"] for cell in burgers} == {0.05 / pi}
    assert {cell.target.coefficients["nu"] for cell in burgers} == {0.06 / pi, 0.03}
    assert len({cell.training.key for cell in burgers}) == 2  # one source a seed
    (heat,) = (cell for cell in study.cells if cell.source.name == "heat")
    assert (heat.seed, heat.method, heat.labels) == (7, "scratch", 0)
    assert heat.training.settings == {"width": 6, "depth": 2}
    assert heat.source.coefficients == {"alpha": 0.4}
    assert len({cell.key for cell in study.cells}) == len(study.cells)


def test_names_tell_options_that_vary_within_a_family() -> None:
    heat, lorenz = Heat(alpha=0.4), Lorenz()

    def cell(source: Problem, method: str, **options: object) -> Cell:
        target = Heat(alpha=0.3) if source is heat else Lorenz(rho=16)
        return Cell(Training(source, 0), target, method, options)

    def names(cells: list[Cell]) -> list[str]:
        return distinguishing_names([cell.method_variant for cell in cells])

    cells = [
        cell(heat, "warm_start", continuation="adaptive"),
        cell(heat, "pac", sparsity=0.8, mask="random"),
        cell(heat, "pac", sparsity=0.8),
        cell(lorenz, "warm_start", continuation="cold_start"),  # tuned otherwise: one method still
        cell(lorenz, "pac", sparsity=0.7, mask="random"),
    ]
    assert names(cells) == [
        "warm_start", 'pac (mask="random")', "pac", "warm_start", 'pac (mask="random")',
    ]  # fmt: skip
    several = [cell(heat, "pac", sparsity=0.8), cell(heat, "pac", sparsity=0.5)]
    assert names(several) == ["pac (sparsity=0.8)", "pac (sparsity=0.5)"]


def test_a_cell_is_named_by_its_inputs(tmp_path: Path) -> None:
    first = [cell.key for cell in read(tmp_path, WHOLE).cells]
    assert [cell.key for cell in read(tmp_path, "# a remark\n" + WHOLE).cells] == first
    other = [cell.key for cell in read(tmp_path, WHOLE.replace("width = 8", "width = 9")).cells]
    assert set(first) & set(other) == {first[-1]}  # heat has a width of its own


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("labels = [0, 5]", "labels = 0", r"line 5, noise: noise is 0.1 and there are no labels"),
        ("labels = 0\n", "labels = 0\nnoise = 0.1\n", r"transfers\[1\].noise: .* no labels"),
        ('"heat"', '"heta"', r"line 20, transfers\[1\].family: unknown family 'heta'.*heat"),
        ("alpha = 0.2", "alpha = -1", r"line 21, transfers\[1\].targets\[0\]: heat: alpha is -1"),
        ("alpha = 0.2", "beta = 1", r"line 21, .*unknown coefficient of heat 'beta'"),
        ("0.05/pi", "0.05/tau", r"line 16, transfers\[0\].source.nu: .* is not arithmetic"),
        ("labels = 0", 'label = 0', r"line 24, transfers\[1\].label: unknown key 'label'.*labels"),
        ("seeds = 2", "seeds = 0", r"line 3, seeds: seeds is 0"),
        ("seeds = 2", "seeds = [1, 1]", r"line 3, seeds: .* twice"),
        ("seeds = 2", "seeds = [-1]", r"line 3, seeds\[0\]: .* greater than or equal to 0"),
        ("sparsity = ", "sparsty = ", r"transfers\[0\]: unknown option of pac 'sparsty'"),
        ('"pac"]', '"pca"]', r"transfers\[0\]: unknown method 'pca'"),
        ("width = 8", "wdth = 8", r"transfers\[0\]: unknown setting of a fit 'wdth'"),
        ('family = "heat"', "", r"line 19, transfers\[1\].family: 'family' is missing"),
        ("[settings]", "[settings", "this is not TOML"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_file_line_and_key(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in WHOLE
    with pytest.raises(InvalidValueError, match=f"study.toml.*{told}"):
        read(tmp_path, WHOLE.replace(old, new))


@pytest.mark.parametrize(
    "setting, told",
    {
        'optimiser = ["a"]': r"the optimiser is \['a'\], expected an object such as",
        "optimiser = 1979-05-27": "the optimiser is datetime.date",
        "width = 8.0": "width is 8.0, expected a whole number",
        f"width = {'9' * 30}": "width is 9+, expected a whole number from 1 to 1000000",
        f"depth = {'9' * 9}": "depth is 9+, expected a whole number from 1 to 1000",
        f"tolerance = {'9' * 400}": "tolerance is 9+...., expected a number above 0",
        "tolerance = nan": "tolerance is nan",
        "memory = [1]": r"memory is \[1\]",
        "activation = [1]": r"unknown activation \[1\]",
        "frequency = 'a'": "frequency is 'a', expected a number above 0",
        "frequency = -1": "frequency is -1",
        "hard = 'maybe'": "hard is 'maybe', expected true or false",
    }.items(),
)
def test_a_setting_of_another_kind_is_refused(tmp_path: Path, setting: str, told: str) -> None:
    text = f"[settings]\n{setting}\n[[transfers]]\nfamily = 'heat'\ntargets = [{{ alpha = 0.2 }}]"
    with pytest.raises(InvalidValueError, match=told):
        read(tmp_path, text)


@pytest.mark.parametrize("line", [f"until = {'9' * 400}", f"source = {{ alpha = {'9' * 400} }}"])
def test_a_number_too_large_for_a_float_is_refused(tmp_path: Path, line: str) -> None:
    text = f"[[transfers]]\nfamily = 'heat'\ntargets = [{{ alpha = 0.2 }}]\n{line}"
    with pytest.raises(InvalidValueError, match="is inf, expected a "):
        read(tmp_path, text)


def test_seeds_that_no_record_holds_are_refused(tmp_path: Path) -> None:
    text = f"seeds = [{2**63}]\n[[transfers]]\nfamily = 'heat'\ntargets = [{{ alpha = 0.2 }}]"
    with pytest.raises(InvalidValueError, match="less than or equal to 9223372036854775807"):
        read(tmp_path, text)


def test_no_file_and_no_study(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="cannot be read"):
        Study.read(tmp_path / "none.toml")
    with pytest.raises(DataFileError, match="holds no study"):
        Study.from_folder(tmp_path)
    with pytest.raises(InvalidValueError, match="'transfers' is missing"):
        read(tmp_path, "seeds = 1")


def test_lines_are_found_in_tables_of_tables() -> None:
    text = "a = 1\n[b]\nc = 2\n[[d]]\ne = 3\n[[d]]\ne = 4\n[d.f]\ng = 5\n"
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("b", "c")) == 3
    assert line_of(text, ("d", 0, "e")) == 5
    assert line_of(text, ("d", 1, "e")) == 7
    assert line_of(text, ("d", 1, "f", "g")) == 9
    assert line_of(text, ("d", 1, "x")) == 6
    assert line_of(text, ("z",)) is None


def test_it_is_read_back_from_its_folder(tmp_path: Path) -> None:
    plugin = tmp_path / "family" / "mine.py"
    plugin.parent.mkdir()
    plugin.write_text(PLUGIN)
    text = 'plugins = ["family/mine.py"]\n[[transfers]]\nfamily = "of_test_study"\n'
    study = read(tmp_path, text + "targets = [{ k = 2 }]\n")
    study.keep(tmp_path / "out")
    kept = Study.from_folder(tmp_path / "out")
    assert kept.plugins[0].read_text() == PLUGIN
    assert [cell.key for cell in kept.cells] == [cell.key for cell in study.cells]


def test_no_flipped_bit_of_its_description_is_taken_for_another_version(tmp_path: Path) -> None:
    study = read(tmp_path, '[[transfers]]\nfamily = "heat"\ntargets = [{ alpha = 0.3 }]\n')
    study.keep(tmp_path / "out")
    file = tmp_path / "out" / "study.json"
    content, told = file.read_bytes(), read_about(tmp_path / "out")
    for bit in np.random.default_rng(0).integers(8 * len(content), size=300):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        try:
            assert read_about(tmp_path / "out") == told  # a blank or line end may change
        except DataFileError as error:
            assert "missing or damaged" in str(error) or "holds no study" in str(error)
    older = {name: told[name] for name in ("device", "cells", "ways", "way_of")}
    file.write_text(json.dumps(older))
    assert Study.from_folder(tmp_path / "out").names == study.names


@pytest.mark.parametrize(
    "other",
    [{"files": 7}, {"files": [1]}, {"cells": ["one", "two"]}, {"ways": [["heat", [], {}]]},
     {"ways": [["heat", "pac", 3]]}, {"ways": []}, {"way_of": [10**400]}],
    ids=str,
)  # fmt: skip
def test_a_sealed_description_of_something_else_is_refused(tmp_path: Path, other: Any) -> None:
    study = read(
        tmp_path, 'methods = ["pac"]\n[[transfers]]\nfamily = "heat"\ntargets = [{ alpha = 0.3 }]\n'
    )
    study.keep(tmp_path / "out")
    about = read_about(tmp_path / "out")
    assert Outline.from_folder(tmp_path / "out") is not None
    (tmp_path / "out" / "study.json").write_text(json.dumps(sealed(about | other)))
    with pytest.raises(DataFileError, match=r"study\.json' is missing or damaged|holds no study"):
        Outline.from_folder(tmp_path / "out")


@pytest.mark.parametrize("name", ["study.toml", "plugins/mine.py"])
def test_a_file_of_it_that_was_changed_is_named(name: str, tmp_path: Path) -> None:
    family = f"of_test_changed_{name[0]}"
    plugin = PLUGIN.replace("of_test_study", family).replace("\n", "\r\n")
    (tmp_path / "mine.py").write_bytes(plugin.encode())
    text = f'plugins = ["mine.py"]\n[[transfers]]\nfamily = "{family}"\n'
    read(tmp_path, text + "targets = [{ k = 2 }]\n").keep(tmp_path / "out")
    assert Study.from_folder(tmp_path / "out").names
    file = tmp_path / "out" / name
    file.write_bytes(file.read_bytes().replace(b"k", b"K", 1))
    with pytest.raises(DataFileError, match=f"{name}.* was edited or damaged after"):
        Study.from_folder(tmp_path / "out")


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    text = '[[transfers]]\nfamily = "heat"\ntargets = [{ alpha = 0.3 }]\n'
    file = tmp_path / "study.toml"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    study = Study.read(file)
    assert study.text == text
    study.keep(tmp_path)  # the user's own file, which stays
    assert file.read_bytes().startswith(b"\xef\xbb\xbf") and Study.from_folder(tmp_path).names


PLUGIN = """
from dataclasses import dataclass
from pacpde.physics import Axis, Evolution, coefficient

@dataclass(frozen=True)
class Mine(Evolution):
    \"\"\"u' = -k u.\"\"\"
    name = "of_test_study"
    axes = (Axis("t", 0.0, 1.0),)
    k: float = coefficient(1.0, lower=0.0, upper=5.0, meaning="rate")

    def rhs(self, u, d):
        return -self.k * u

    def initial(self):
        return 1.0
"""


def test_a_huge_grid_is_counted_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    targets = ", ".join(f"{{ alpha = {0.1 + k / 1000} }}" for k in range(500))
    text = f'seeds = 1000\n[[transfers]]\nfamily = "heat"\ntargets = [{targets}]\n'
    file.write_text(text)
    began = time.monotonic()
    with pytest.raises(InvalidValueError, match="1,500,000 cells, expected at most 100,000"):
        Study.read(file)
    file.write_text(text.replace("1000\n", "1000000000\n", 1))
    with pytest.raises(InvalidValueError, match="expected at most 100,000"):
        Study.read(file)
    assert time.monotonic() - began < 10  # making the cells would take minutes


@pytest.mark.parametrize(
    "line, told",
    [
        ("[options.pac]\nsparsity = []", "an option of pac is an empty list"),
        ("[options.l2sp]\nalpha = 1", "which no transfer uses"),
        ("noise = [nan]", "noise"),
        ("noise = -0.1", "noise"),
    ],
)
def test_what_would_vanish_is_refused(line: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(f'{line}\n[[transfers]]\nfamily = "heat"\ntargets = [{{ alpha = 0.3 }}]\n')
    with pytest.raises(InvalidValueError, match=told):
        Study.read(file)


def test_what_does_not_depend_on_a_seed_is_checked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grid of 100,000 seeds is read in seconds; its cells are those made one by one."""
    checked: list[Cell] = []
    check = Cell.__post_init__
    monkeypatch.setattr(Cell, "__post_init__", lambda cell: (checked.append(cell), check(cell))[1])
    file = tmp_path / "study.toml"
    file.write_text(
        'methods = ["pac", "scratch"]\nseeds = 40\n[options.pac]\nsparsity = [0.5, 0.8]\n'
        '[[transfers]]\nfamily = "heat"\nsource = { alpha = 0.4 }\n'
        "targets = [{ alpha = 0.3 }, { alpha = 0.2 }]\n"
    )
    cells = Study.read(file).cells
    assert (len(cells), len(checked)) == (40 * 2 * 3, 2 * 3)
    last = cells[-1]
    alone = Cell(
        Training(last.source, 39, last.training.runtime), last.target, last.method, last.options
    )
    assert (last.seed, last.key) == (39, alone.key)
    assert len({cell.key for cell in cells}) == len(cells)
    assert len({cell.training.key for cell in cells}) == 40
    assert len({cell.training.shape for cell in cells}) == 1


def test_old_names_of_options_are_read_for_a_release(tmp_path: Path) -> None:
    """In a study file and in a file of tuned options."""
    (tmp_path / "tuned.toml").write_text("[heat.pac]\nwake = 0.5\n")
    text = """
methods = ["warm_start", "pac"]
tuned = "tuned.toml"
[options.warm_start]
approach = ["follow", "straight"]
[[transfers]]
family = "heat"
targets = [{ alpha = 0.2 }]
"""
    with pytest.warns(FutureWarning, match="approach was renamed: write continuation"):
        old = read(tmp_path, text)
    assert {cell.variant for cell in old.cells} == {
        'warm_start (continuation="adaptive")', 'warm_start (continuation="direct")',
        "pac (reinit_scale=0.5)",
    }  # fmt: skip
    (tmp_path / "tuned.toml").write_text("[heat.pac]\nreinit_scale = 0.5\n")
    new = read(tmp_path, text.replace("approach", "continuation").replace(
        '"follow", "straight"', '"adaptive", "direct"'
    ))  # fmt: skip
    assert [cell.key for cell in new.cells] == [cell.key for cell in old.cells]
