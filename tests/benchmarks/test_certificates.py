"""The table of certificates: coefficients within bounds, judges, and what counts as a fault."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pacpde.physics import families
from pacpde.problems import Heat, LotkaVolterra
from pacpde.reference import solve

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import certificates as module  # type: ignore[import-not-found]

    return module


def test_hard_cases_are_corners_of_all_coefficients_and_long_time_spans(
    benchmark: ModuleType,
) -> None:
    for name in families.names():
        family = families.get(name)
        declared = family().declared()
        for case, coefficients in benchmark.hard_cases(family, 2):
            problem = family(**coefficients)  # refused outside the bounds
            if "corner" in case:
                assert all(
                    getattr(problem, one) in (about.lower, about.upper)
                    for one, about in declared.items()
                )
            else:
                before, after = (one.domain.axes for one in (family(), problem))
                (t,) = [k for k, axis in enumerate(before) if axis.name == "t"]
                assert after[t].upper == 4 * before[t].upper
    assert not any("long" in case for case, _ in benchmark.hard_cases(families.get("poisson"), 2))
    assert len(benchmark.hard_cases(LotkaVolterra, 2)) == 4


def test_every_case_lies_within_the_bounds(benchmark: ModuleType) -> None:
    names = families.names()
    drawn = 0
    for name in names:
        family = families.get(name)
        listed = benchmark.cases(family, 5)
        for _, coefficients in listed:
            family(**coefficients)  # refused outside the bounds
        declared = family().declared()
        assert len(listed) == 5 + 2 * len(declared)
        values = [list(coefficients.values()) for _, coefficients in listed[:5]]
        assert len({tuple(one) for one in values}) == 5
        drawn += 5
        bounds = {(case, *coefficients.values()) for case, coefficients in listed[5:]}
        assert bounds == {
            (f"{one} {side}", getattr(about, side))
            for one, about in declared.items()
            for side in ("lower", "upper")
        }
    assert drawn >= 200


def test_bounds_of_decades_are_drawn_by_their_logarithm(benchmark: ModuleType) -> None:
    about = Heat().declared()["alpha"]  # from 1e-3 to 10
    rng = np.random.default_rng(0)
    values = [benchmark.draw(about, rng) for _ in range(400)]
    assert 0.45 < np.mean(np.array(values) < 0.1) < 0.55


def test_rows_are_judged_by_the_exact_or_by_a_finer_solution(benchmark: ModuleType) -> None:
    exact = benchmark.exact_error(solve(Heat()))
    assert exact["by"] == "exact" and 0 < exact["error"] <= exact["checked"] <= 1e-10
    finer = benchmark.finer_error(solve(LotkaVolterra()))
    assert finer["by"] == "finer" and 1e-11 < finer["error"] <= finer["checked"] <= 1e-8


def test_a_certificate_below_the_error_is_a_fault(benchmark: ModuleType) -> None:
    good: dict[str, Any] = {
        "family": "heat", "case": "random 0", "coefficients": {"alpha": 0.2}, "by": "exact",
        "certified": 1e-10, "checked": 1e-10, "error": 2e-11, "cpu_seconds": 2.0,
    }  # fmt: skip
    wrong = good | {"case": "alpha upper", "coefficients": {"alpha": 10.0}, "error": 3e-10}
    refused = good | {"sentence": "no", "case": "alpha lower"}
    for key in ("certified", "error", "checked"):
        del refused[key]
    slow = {key: refused[key] for key in ("family", "coefficients")} | {"case": "random 1"}
    rows = [good, refused, slow | {"ended": "time_limit"}]
    table = benchmark.checked_table({"rows": rows, "limit": 60})
    assert "| heat | 1 of 3 | 1.0e-10 | exact | 0.20 | 2.0 |" in table
    assert "3 rows; 1 certified, 1 of them judged; 1 refused; 1 took too long; 0 faults" in table
    assert "- heat, alpha lower (alpha=0.2): no\n" in table
    assert "- heat, random 1 (alpha=0.2): no answer after 60 CPU seconds\n" in table
    with pytest.raises(
        SystemExit, match=r"FAULT heat, alpha upper \(alpha=10\): certified to 1.00e"
    ):
        benchmark.checked_table({"rows": [good, wrong]})
    not_a_number = good | {"error": float("nan")}
    assert len(benchmark.faults({"rows": [not_a_number]})) == 1
