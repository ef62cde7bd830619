"""The table of all families: targets within bounds, and what counts as a fault."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pacpde.physics import families

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import families as module  # type: ignore[import-not-found]

    return module


def test_every_family_is_moved_to_other_coefficients(benchmark: ModuleType) -> None:
    assert set(benchmark.TARGETS) <= set(families.names())
    for family in families:
        source = family()
        target = benchmark.target_of(source)  # refused outside the bounds
        assert target != source and target.name == source.name


def end(what: str, error: float | None, outcome: str = "converged") -> dict[str, Any]:
    return {"what": what, "error": error, "outcome": outcome, "seconds": 2.0}


def test_converged_with_a_large_error_is_a_fault(benchmark: ModuleType) -> None:
    ends = [end("fit", 0.02), end("warm_start", 1e-6), end("scratch", 0.5, "not_converged")]
    row = {"family": "heat", "seed": 0, "ends": [*ends, end("pac", None)]}
    record = {"rows": [row, {"family": "heat", "certified": 1e-9, "true": 2e-9, "seconds": 1.0}]}
    assert benchmark.faults(record) == [
        "heat: fit of seed 0 converged at 2.0e-02",
        "heat: certified to 1.0e-09, wrong by 2.0e-09",
    ]
    with pytest.raises(SystemExit, match="FAULT heat: fit of seed 0"):
        benchmark.checked_table(record)


def test_the_table_has_medians_and_the_outcomes_that_are_not_converged(
    benchmark: ModuleType,
) -> None:
    rows: list[dict[str, Any]] = [
        {"family": "heat", "certified": 1e-10, "true": 1e-11, "seconds": 3.0}
    ]
    for seed, error in enumerate((1e-6, 1e-4, 3e-6)):
        outcome = "stalled" if seed == 1 else "converged"
        ends = [end(what, error, outcome) for what in ("fit", "warm_start", "pac")]
        rows.append({"family": "heat", "seed": seed, "ends": ends})
    table = benchmark.checked_table({"rows": rows})
    assert "| heat | 1.0e-10 | 1.0e-11 | 3.0 | 3.0e-06 stalled | 2.0 |" in table
    assert "| – | – | 3.0e-06 stalled | 2.0 |" in table  # scratch never ran
    assert "1 at or below 0.001 and 1 at or below 1e-05; 0 faults" in table


def test_rows_that_ended_early_are_not_finished(benchmark: ModuleType) -> None:
    assert benchmark.finished({"family": "heat", "seed": 0, "ends": [end("fit", 1e-6)]})
    assert not benchmark.finished({"family": "heat", "ended": "time_limit"})
    refused = {"what": "fit", "outcome": "refused", "sentence": "no"}
    assert not benchmark.finished({"family": "heat", "seed": 0, "ends": [refused]})
