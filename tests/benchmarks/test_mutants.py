"""Faults put into source: each is one change, and it is found where a test notices it."""

import math
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SOURCE = '''"""Text 1 + 1."""

LIMIT: int | None = 3


def area(a: float, b: float = 2.0) -> float:
    """a * b"""
    if not a < 0 and b:
        raise ValueError(f"{a + 1}")
    return max(a, b) - a * b


class Disc:
    def set(self, r):
        self.r = pow(r, 1.0)
        return -self.r
'''
CHANGES = {
    "3 -> 4",
    "2.0 -> 3.0",
    "if not a < 0 and b -> if not (not a < 0 and b)",
    "not a < 0 and b -> not a < 0 or b",
    "not a < 0 -> not not a < 0",
    "a < 0 -> a <= 0",
    "a < 0 -> a >= 0",
    "0 -> 1",
    "max(a, b) - a * b -> max(a, b) + a * b",
    "pow(r, 1.0) -> pow(1.0, r)",
    "max -> min",
    "a * b -> a / b",
    "self.r = pow(r, 1.0) -> pass",
    "1.0 -> 2.0",
    "-self.r -> +self.r",
}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import mutants as module  # type: ignore[import-not-found]

    return module


@pytest.fixture
def file(tmp_path: Path, tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "shapes.py").write_text(SOURCE)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    return "shapes.py"


def module_of(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_change_stands_alone_and_text_and_hints_stay(tool: ModuleType, file: str) -> None:
    every = tool.mutants(tool.ROOT, file)
    assert {each.name.split(" ", 1)[1] for each in every} == CHANGES
    assert len(every) == len(CHANGES)
    assert [each.before for each in every if not each.function] == ["3", "2.0"]


def test_the_code_of_a_mutant_does_what_it_says(tool: ModuleType, file: str) -> None:
    def value(change: str) -> float:
        mutant = next(m for m in tool.mutants(tool.ROOT, file) if m.name.endswith(f" {change}"))
        space: dict = {}
        exec(tool.mutated(tool.ROOT, mutant), space)
        return space["area"](-3.0, 4.0)

    assert value("a < 0 -> a <= 0") == 16.0  # as without it: the bound is met nowhere
    assert value("max(a, b) - a * b -> max(a, b) + a * b") == -8.0
    assert value("a * b -> a / b") == 4.75
    assert value("max -> min") == 9.0
    with pytest.raises(ValueError, match=r"-2\.0"):
        value("not a < 0 and b -> not a < 0 or b")


def test_functions_that_live_get_the_code_of_the_mutant(tool: ModuleType, file: str) -> None:
    module = module_of(tool.ROOT / file)
    area, disc = module.area, module.Disc()
    every = {each.after: each for each in tool.mutants(tool.ROOT, file)}
    assert tool.put_in(every["a / b"], tool.living())
    assert area(-3.0, 4.0) == 4.75
    assert tool.put_in(every["+self.r"], tool.living())  # and the first change is gone
    assert (area(-3.0, 4.0), disc.set(2.0)) == (16.0, 2.0)
    assert not tool.put_in(every["4"], tool.living())  # the import has run


def test_the_import_of_a_changed_file(
    tool: ModuleType, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = next(each for each in tool.mutants(tool.ROOT, file) if each.after == "4")
    monkeypatch.syspath_prepend(tool.ROOT)
    monkeypatch.setattr(sys, "meta_path", [tool.Changed(mutant), *sys.meta_path])
    import shapes  # type: ignore[import-not-found]

    monkeypatch.delitem(sys.modules, "shapes")
    assert shapes.LIMIT == 4


def test_tests_are_chosen_by_lines_and_by_shared_fixtures(tool: ModuleType, file: str) -> None:
    measured = {
        "lines": {file: {"10": ["quick", "slow", "bad"], "15": ["fixture f"], "14": ["quick"]}},
        "seconds": {
            "tests/optim/a": 1.0,
            "quick": 0.5,
            "slow": 4.0,
            "bad": 0.1,
            "user": 0.2,
            "fixture f": 1.0,
        },
        "shared": {"user": ["fixture f"]},
        "failed": ["bad"],
    }
    every = {each.after: each for each in tool.mutants(tool.ROOT, file)}
    both = [("quick", 0.5), ("slow", 4.0)]
    assert tool.tests_of(every["a / b"], measured) == both
    assert tool.tests_of(every["pass"], measured) == [("user", 1.2)]
    assert tool.tests_of(every["4"], measured) == [both[0], ("user", 1.2), both[1]]
    assert tool.tests_of(every["a <= 0"], measured) == []
    own = replace(every["a / b"], file="pacpde/optim/a.py")
    measured["lines"][own.file] = {"10": ["tests/pac/a", "tests/optim/a"]}
    names = [name for name, _ in tool.tests_of(own, measured)]
    assert names == ["tests/optim/a", "tests/pac/a"]  # those of its package first
    assert tool.within(both, 4.0) == both[:1]
    assert tool.within(both, 0.1) == both[:1]
    assert tool.within(both, 4.5) == both


def test_a_fork_says_how_it_ended(tool: ModuleType) -> None:
    def spin() -> None:
        while True:
            pass

    assert tool.in_fork(lambda: None, 30.0) == ("survived", None)
    assert tool.in_fork(lambda: "tests/a.py::b", 30.0) == ("killed", "tests/a.py::b")
    assert tool.in_fork(lambda: 1 / 0, 30.0)[1] == "ZeroDivisionError outside of a test"
    assert tool.in_fork(spin, 0.1) == ("timeout", None)


def test_the_interval_is_that_of_wilson(tool: ModuleType) -> None:
    """Its ends are the shares p from which k/n lies 1.96 standard errors of p away."""
    for k, n in ((50, 60), (0, 20), (60, 60)):
        for p in tool.interval(k, n):
            deviation = 1.96 * math.sqrt(p * (1 - p) / n) if 1e-12 < p < 1 - 1e-12 else 0.0
            assert math.isclose(abs(k / n - p), deviation, abs_tol=1e-12)


def test_a_package_counts_by_its_size(tool: ModuleType) -> None:
    def counts(mutants: int, tried: int, survived: int) -> dict:
        zero = dict.fromkeys(tool.ENDINGS, 0)
        return zero | {"mutants": mutants, "tried": tried, "survived": survived}

    share, half = tool.whole({"a": counts(300, 10, 0), "b": counts(100, 10, 4)})
    assert math.isclose(share, 0.75 * 1.0 + 0.25 * 0.6)
    one, alone = tool.whole({"a": counts(300, 100, 20)})
    low, high = tool.interval(80, 100)
    assert math.isclose(one, 0.8)
    assert math.isclose(alone, (high - low) / 2, rel_tol=0.05)  # one package: as by itself
    assert 0.15 < half < 0.25
