"""What is stored of a family is refused once the family's equation is another."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from pacpde import fit, load, save
from pacpde.datasets import load as load_dataset
from pacpde.datasets import write as write_dataset
from pacpde.errors import ChangedFamilyWarning, DataFileError, InvalidValueError
from pacpde.networks.checkpoint import ABOUT
from pacpde.physics import Problem, families
from pacpde.plugins import load_plugin
from pacpde.problems import Heat
from pacpde.reference import solve

SMALL = {"width": 4, "depth": 1, "points": 20, "steps": 1}
FAMILY = """
from dataclasses import dataclass
from pacpde.physics import Axis, Dirichlet, Evolution, coefficient
from pacpde.physics.elementary import sin

@dataclass(frozen=True)
class Edited(Evolution):
    \"\"\"u_t = k u_xx.\"\"\"
    name = "edited_later"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    k: float = coefficient(0.4, lower=0.1, upper=5.0, meaning="rate")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        return self.k * d(u, "xx")

    def initial(self, x):
        return sin(3.141592653589793 * x)
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    file = tmp_path / "edited.py"
    write(file)
    return file


def write(file: Path, old: str = "", new: str = "") -> None:
    """The family, edited, in a file unlike those of other tests."""
    assert old in FAMILY
    file.write_text(f"# {file}\n" + (FAMILY.replace(old, new) if old else FAMILY + new))
    load_plugin(file)


def family() -> type[Problem]:
    return families.get("edited_later")


EDITS = {
    "initial": ("return sin(", "return 0.9 * sin("),
    "rhs": ('self.k * d(u, "xx")', 'self.k * d(u, "xx") + 0.1 * u'),
    "an axis": ('Axis("x", 0.0, 1.0)', 'Axis("x", 0.0, 2.0)'),
    "an edge": ('Dirichlet("x", 0.0)', 'Dirichlet("x", 1.0)'),
    "a scale": ("    axes", "    scales = (2.0,)\n    axes"),
}


@pytest.mark.parametrize("kind", EDITS)
def test_weights_of_an_edited_family_are_refused(kind: str, plugin: Path, tmp_path: Path) -> None:
    made = fit(family()(), **SMALL)
    save(made, tmp_path / "made")
    assert load(tmp_path / "made").problem == made.problem
    write(plugin, *EDITS[kind])
    with pytest.raises(DataFileError, match=r"'edited_later' was changed after the surrogate"):
        load(tmp_path / "made")
    write(plugin)
    assert load(tmp_path / "made").problem.coefficients == {"k": 0.4}


def test_bounds_may_change_and_a_remark_is_told(plugin: Path, tmp_path: Path) -> None:
    save(fit(family()(), **SMALL), tmp_path / "made")
    write(plugin, "upper=5.0", "upper=9.0")
    with pytest.warns(ChangedFamilyWarning, match="gives? the same values"):
        load(tmp_path / "made")


def test_a_reference_of_an_edited_family_is_refused(plugin: Path, tmp_path: Path) -> None:
    write_dataset(solve(family()(), tolerance=1e-4), tmp_path / "made.h5")
    assert load_dataset(tmp_path / "made.h5").reference.problem.name == "edited_later"
    write(plugin, 'self.k * d(u, "xx")', '2 * self.k * d(u, "xx")')
    with pytest.raises(DataFileError, match="'edited_later' was changed after"):
        load_dataset(tmp_path / "made.h5")


def test_an_older_folder_without_a_fingerprint_is_read(tmp_path: Path) -> None:
    from pacpde.networks.checkpoint import WEIGHTS
    from pacpde.networks.sealed import checksum

    save(fit(Heat(alpha=0.3), **SMALL), tmp_path / "made")
    file = tmp_path / "made" / ABOUT
    about = json.loads(file.read_text())
    for name in ("fingerprint", "provenance"):
        del about[name]
    about["checksum"] = checksum(about, (tmp_path / "made" / WEIGHTS).read_bytes())
    file.write_text(json.dumps(about))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = load(tmp_path / "made")
    assert back.problem == Heat(alpha=0.3) and back.provenance == {}


@dataclass(frozen=True)
class Warm(Heat):
    """Heat with another start, and no name of its own."""

    def initial(self, x):  # type: ignore[no-untyped-def]
        return 2.0 * super().initial(x)


def test_a_subclass_without_a_name_is_not_stored_as_its_parent(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"Warm has no name.*'heat', which is Heat"):
        save(fit(Warm(), **SMALL), tmp_path / "made")
    with pytest.raises(InvalidValueError, match="Warm has no name of its own"):
        write_dataset(solve(Warm(), tolerance=1e-4), tmp_path / "made.h5")
    assert not any(tmp_path.iterdir())


def test_a_surrogate_says_how_it_was_made(tmp_path: Path) -> None:
    save(fit(Heat(alpha=0.3), seed=4, **SMALL), tmp_path / "made")
    told = json.loads((tmp_path / "made" / ABOUT).read_text())["provenance"]
    assert (told["call"], told["seed"], told["problem"]["coefficients"]) == (
        "fit", 4, {"alpha": 0.3},
    )  # fmt: skip
    assert told["settings"]["width"] == 4 and told["settings"]["optimiser"] == "levenberg_marquardt"
    assert told["threads"] >= 1 and "torch" in told["versions"] and told["code"]
    assert load(tmp_path / "made").provenance == told
