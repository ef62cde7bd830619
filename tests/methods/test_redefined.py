"""A family's cell that is run again in a notebook defines the same family."""

from pathlib import Path
from typing import Any

import pytest

from pacpde import fit, nearest, transfer
from pacpde.datasets import load, reference_for, write
from pacpde.errors import DataFileError, InvalidValueError
from pacpde.physics import Problem

CELL = """
from dataclasses import dataclass
from pacpde.physics import Axis, Evolution, coefficient

@dataclass(frozen=True)
class Decay(Evolution):
    name = "test_redefined"
    axes = (Axis("t", 0.0, 1.0),)
    k: float = coefficient(1.0, lower=0.1, upper=9.0, meaning="rate")

    def rhs(self, u, d):
        return -self.k * u

    def initial(self):
        return 1.0
"""
SMALL = {"width": 4, "depth": 1, "points": 20, "steps": 2}


def run(cell: str = CELL) -> type[Problem]:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(cell, scope)
    return scope["Decay"]  # type: ignore[no-any-return]


def test_a_source_of_the_cell_before_is_one_of_the_same_family(tmp_path: Path) -> None:
    first = run()
    source = fit(first(), **SMALL)
    reference = reference_for(first(k=1.1), tolerance=1e-6)
    write(reference, tmp_path / "a.h5")
    target = run()(k=1.1)
    assert type(target) is not first
    made = transfer(source, target, method="warm_start", reference=reference, settings={"steps": 2})
    assert made.surrogate.problem == target
    assert nearest([source], target) is source
    assert load(tmp_path / "a.h5", target).reference.certified_error < 1e-6
    assert load(tmp_path / "a.h5", first(k=1.1)).reference.certified_error < 1e-6


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("-self.k * u", "-self.k**2 * u", "rhs or initial gives other values"),
        ("return 1.0", "return 2.0", "rhs or initial gives other values"),
        ('"t", 0.0, 1.0', '"t", 0.0, 2.0', "what it declares"),
        ("upper=9.0", "upper=1.05", "other bounds"),
    ],
)
def test_a_source_of_another_definition_is_refused(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    """k = 1 hides a square: the rates are compared for the target's coefficient too."""
    first = run()
    source = fit(first(k=1.0 if "upper" not in old else 2.0), **SMALL)
    write(reference_for(first(k=1.0), tolerance=1e-6), tmp_path / "a.h5")
    target = run(CELL.replace(old, new))(k=1.04)
    with pytest.raises(InvalidValueError, match=f"defined anew since the source.*{words}"):
        transfer(source, target)
    with pytest.raises(DataFileError):
        load(tmp_path / "a.h5", target)
