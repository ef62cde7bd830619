"""What a family declares wrongly is refused when its file is read, with a line and a remedy."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from pacpde import fit
from pacpde.errors import InvalidValueError, PacpdeError
from pacpde.methods import methods
from pacpde.physics import Axis, Dirichlet, Evolution, PointValue, Problem, coefficient, families
from pacpde.physics.elementary import pi, sin
from pacpde.plugins import load_plugin
from pacpde.problems import Heat
from pacpde.reference import solve
from pacpde.training.config import TrainingConfig

FAMILY = """
from dataclasses import dataclass
from pacpde.physics import Axis, Dirichlet, Evolution, Neumann, Periodic, Robin, coefficient

@dataclass(frozen=True)
class Declared(Evolution):
    name = "test_declared"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    fields = ("u",)
    scales = (1.0,)
    recipe = {"width": 8}
    k: float = coefficient(0.4, lower=0.1, upper=10, meaning="rate")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        return self.k * d(u, "xx")

    def initial(self, x):
        return x * (1 - x)
"""
CONDITION, RATES = 'Dirichlet("x", 0.0)', 'return self.k * d(u, "xx")'
K = 'k: float = coefficient(0.4, lower=0.1, upper=10, meaning="rate")'
CLASS_LINE, K_LINE, HERE, RHS_LINE, START_LINE = 6, 12, 14, 17, 20

# old, new, line that is named, words of the sentence
WRONG = {
    "first derivatives between walls": (
        RATES, 'return -d(u, "x")', RHS_LINE, "takes values at one edge: u has conditions at both"),
    "no conditions": (
        f"[{CONDITION}]", "[]", HERE, "at least one condition for each axis"),
    "no function of conditions": ("def conditions", "def mine", None, "at least one condition for"),
    "conditions at one end": (
        '"x", 0.0)]', '"x-", 0.0)]', HERE, r"and has 1 at x- and 0 at x\+: write"),
    "a value and a slope at one end": (
        "0.0)]", '0.0), Neumann("x-")]', HERE, "and has 2 at x- and 1 at"),
    "two values at one end": (
        "0.0)]", '0.0), Dirichlet("x-", 1.0)]', HERE, "two conditions for its value at"),
    "periodic and held": ("0.0)]", '0.0), Periodic("x")]', HERE, "x is periodic and has"),
    "a class as a condition": (CONDITION, "Dirichlet", HERE, r"write Dirichlet\(\"x\"\)"),
    "another class": (CONDITION, "Periodic", HERE, r"write Periodic\(\"x\"\), with"),
    "conditions as text": (f"[{CONDITION}]", '"periodic"', HERE, "expected a list"),
    "conditions in a dict": (
        f"[{CONDITION}]", '{"x": Periodic("x")}', HERE, "expected a list"),
    "nothing returned": (f"return [{CONDITION}]", "pass", HERE, "are None, expected a"),
    "conditions that are no function": (
        f"def conditions(self):\n        return [{CONDITION}]", f"conditions = [{CONDITION}]", None,
        "is list, no function"),
    "conditions with an argument": (
        "conditions(self)", "conditions(self, x)", HERE, r"write `def conditions\(self\)"),
    "a condition as text": (CONDITION, '"periodic"', HERE, "expected conditions"),
    "a condition as a number": (CONDITION, "5", HERE, "5 in the list, expected"),
    "a condition of an unknown axis": ('"x", 0.0)', '"y", 0.0)', HERE, "unknown axis 'y'"),
    "a condition in time": ('"x", 0.0)', '"t-", 0.0)', HERE, "what `initial` gives"),
    "a condition nowhere": ('"x", 0.0)', '"x--", 0.0)', HERE, 'as in "x-" or "x\\+"'),
    "a condition of an unknown field": (
        '"x", 0.0)', '"x", 0.0, field="w")', HERE, "unknown field 'w'"),
    "a value of None": ("0.0)]", "None)]", HERE, "has the value None, expected a finite"),
    "two values for one field": ("0.0)]", "(0.0, 1.0))]", HERE, "2 values for 1 fields"),
    "a value of something unknown": (
        "0.0)]", "lambda t, y: t)]", HERE, "a function of 'y', expected coordinates"),
    "a value without return": ("0.0)]", "lambda t: None)]", HERE, "expected real"),
    "Robin without a slope": (
        CONDITION, 'Robin("x", 1.0, 0.0)', HERE + 1, "expected a finite number that is"),
    "edges in a tuple": (
        "scales = (1.0,)", "scales = (1.0,)\n    edges = (Dirichlet(),)", CLASS_LINE,
        "write a function `conditions"),
    "edges as text": (
        "scales = (1.0,)", 'scales = (1.0,)\n    edges = "periodic"', CLASS_LINE,
        "write a function `conditions"),
    "an edge of another axis": (
        "scales = (1.0,)", 'scales = (1.0,)\n    edges = {"y": Periodic()}', CLASS_LINE,
        "expected one condition for each of"),
    "an edge of a function": (
        "scales = (1.0,)", 'scales = (1.0,)\n    edges = {"x": Dirichlet(0.0, lambda t: t)}', 11,
        "expected a finite number"),
    "a setting misspelt": ("width", "widht", None, "setting of a fit 'widht': did you mean"),
    "a setting without sense": ('"width": 8', '"width": -8', None, "width is -8"),
    "a recipe as text": ('{"width": 8}', '"wide"', CLASS_LINE, "expected a dict of settings"),
    "a field without default": (K, "k: float", None, r"write k: float = coefficient\(1.0, lower="),
    "a field with a plain default": (
        K, "k: float = 0.4", None, r"the field k = 0.4, which is no coefficient"),
    "bounds that are reversed": ("lower=0.1, upper=10", "lower=10, upper=0.1", K_LINE, "between"),
    "a default out of bounds": ("coefficient(0.4", "coefficient(40", K_LINE, "the default between"),
    "a forgotten return": (RATES, RATES.removeprefix("return "), RHS_LINE, "lack a `return`"),
    "a forgotten return at the start": (
        "return x * (1", "x * (1", START_LINE, "lack a `return`"),
    "rates of a wrong shape": (RATES, "return (self.k * d(u, 'xx'))[:2]", RHS_LINE, "of shape"),
    "rates of two fields": (RATES, "return u, u", RHS_LINE, "returned 2 values for the fields u"),
    "a start of a wrong shape": ("return x * (1 - x)", "return [[1, 2]]", START_LINE, "of shape"),
    "a start of text": ("return x * (1 - x)", "return 'x'", START_LINE, "expected real numbers"),
    "rates that are complex": (RATES, RATES + " * 1j", RHS_LINE, "expected real numbers"),
    "a second derivative in time": (RATES, 'return d(u, "tt")', RHS_LINE, "Write order = 2"),
    "a derivative in time": (RATES, 'return -d(u, "t")', RHS_LINE, "leave derivatives in space"),
    "an axis that is not there": (RATES, 'return d(u, "yy")', RHS_LINE + 1, "unknown axis 'y'"),
    "a field without its comma": (
        'fields = ("u",)', 'fields = ("temp")', CLASS_LINE, r"write fields = \('temp',\), with"),
    "a field twice": (
        'fields = ("u",)\n    scales = (1.0,)', 'fields = ("u", "u")\n    scales = (1.0, 1.0)',
        CLASS_LINE, "all differ"),
    "a field named as an axis": ('("u",)', '("x",)', CLASS_LINE, "that are no axes"),
    "a scale without its comma": ("(1.0,)", "(1.0)", CLASS_LINE, r"write scales = \(1.0,\)"),
    "a negative scale": ("(1.0,)", "(-1.0,)", CLASS_LINE, "a finite number above 0"),
    "a time scale of 0": (
        "scales = (1.0,)", "scales = (1.0,)\n    time_scale = 0.0", CLASS_LINE, "a time above 0"),
    "one axis without a comma": (
        'axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))', 'axes = (Axis("t", 0.0, 1.0))',
        CLASS_LINE, "expected a tuple"),
    "axes as text": (
        'axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))', 'axes = ("t", "x")', CLASS_LINE,
        "expected Axis objects"),
    "an axis with ends of text": ('"x", 0.0, 1.0', '"x", "0", "1"', 8, "expected a number"),
    "an argument for each field": (
        "rhs(self, u, d)", "rhs(self, u, v, d)", RHS_LINE, r"calls it with \(self, u, d\): write"),
    "rhs without derivatives": (
        "rhs(self, u, d)", "rhs(self, u)", RHS_LINE, r"takes \(self, u\), and pacpde calls"),
    "rhs without self": ("rhs(self, u, d)", "rhs(u, d)", RHS_LINE, r"takes \(u, d\), and pacpde"),
    "rhs without any": ("rhs(self, u, d)", "rhs()", RHS_LINE, r"takes \(\), and pacpde calls"),
    "rhs in another order": (
        "rhs(self, u, d)", "rhs(self, d, u)", RHS_LINE, "in another order: pacpde calls"),
    "a start without space": (
        "initial(self, x)", "initial(self)", START_LINE, r"write `def initial\(self, x\):`"),
    "a start with time": (
        "initial(self, x)", "initial(self, t, x)", START_LINE, r"\(self, x\), where t is left out"),
    "a start by keyword": (
        "initial(self, x)", "initial(self, *, x)", START_LINE, r"takes \(self, \*, x\), and"),
    "a start that is a number": (
        "def initial(self, x):\n        return x * (1 - x)", "initial = 0.0", None, "no function"),
    "an exact solution of space alone": (
        "def initial", "def exact(self, x):\n        return x\n\n    def initial", START_LINE,
        r"write `def exact\(self, t, x\):`"),
    "an exact solution in another order": (
        "def initial", "def exact(self, x, t):\n        return x\n\n    def initial", START_LINE,
        "in another order: pacpde calls"),
    "an endless time": ('"t", 0.0, 1.0', '"t", -1e300, 1e300', 8, "ends of at most 1e"),
    "an axis of no length": ('"x", 0.0, 1.0', '"x", 0.0, 1e-300', 8, "a length of 1e-50 or more"),
    "an axis beyond all floats": ('"x", 0.0, 1.0', '"x", 0, 10**400', 8, "ends must be finite"),
    "a scale beyond all sense": ("(1.0,)", "(1e300,)", CLASS_LINE, "from 1e-50 to 1e"),
    "rates of true and false": (RATES, "return u > 0", RHS_LINE, "gives true or false for a field"),
    "a start of true and false": (
        "return x * (1 - x)", "return x > 0.5", START_LINE, "gives true or false for a field"),
    "time_windows without end": (
        "scales = (1.0,)", "scales = (1.0,)\n    time_windows = 10**9", CLASS_LINE, "1 to 1000"),
    "no axes": ("axes = (A", "boxes = (A", CLASS_LINE, r"axes = \(\), expected Axis objects"),
    "axes misspelt": ("axes = (A", "axis = (A", CLASS_LINE, "did you mean axes"),
    "conditions misspelt": (
        "def conditions", "def condition", CLASS_LINE, "did you mean conditions"),
    "an order of 3": ("scales =", "order = 3\n    scales =", CLASS_LINE, "expected 1 or"),
    "a start without its rate": (
        "scales =", "order = 2\n    scales =", START_LINE + 1, r"must return the pair \(u"),
    "scales misspelt": ("scales =", "scale =", CLASS_LINE, "did you mean scales"),
    "a recipe misspelt": ("recipe =", "recipes =", CLASS_LINE, "did you mean recipe"),
    "a field misspelt": ("fields =", "field =", CLASS_LINE, "did you mean fields"),
    "time_windows misspelt": (
        "scales =", "horizon = 10\n    scales =", CLASS_LINE, "did you mean time_windows"),
    "odd misspelt": ("scales =", 'odds = ("x",)\n    scales =', CLASS_LINE, "did you mean odd"),
    "a time scale misspelt": (
        "scales =", "timescale = 2.0\n    scales =", CLASS_LINE, "did you mean time_scale"),
    "a solution misspelt": (
        "def rhs", "def exakt(self, t, x):\n        return x\n\n    def rhs", CLASS_LINE,
        "did you mean exact"),
    "a start misspelt": ("def initial", "def intial", CLASS_LINE, "did you mean initial"),
    "an end of time by its name": (
        "scales =", "until = 2.0\n    scales =", CLASS_LINE, "until = 2.0, a name that every"),
    "a domain of its own": (
        "scales =", "domain = (0, 1)\n    scales =", CLASS_LINE, "a name that every problem uses"),
    "a coefficient named as a field": (
        '("u",)', '("k",)', CLASS_LINE, "the field 'k' and a coefficient of the same name"),
    "a coefficient named as an axis": (
        K, K.replace("k:", "x:"), CLASS_LINE, "the axis 'x' and a coefficient"),
    "a coefficient with a name of every problem": (
        K, K.replace("k:", "start:"), CLASS_LINE, "the coefficient start, a name that every"),
    "no rhs": ("def rhs", "def lhs", None, "lacks rhs"),
    "no decorator": ("@dataclass(frozen=True)\n", "", None, r"write @dataclass\(frozen=True\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_declaration_is_refused_when_its_file_is_read(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    old, new, line, words = WRONG[case]
    assert FAMILY.count(old) == 1
    file = tmp_path / "mine.py"
    file.write_text(FAMILY.replace(old, new))
    with pytest.raises(PacpdeError, match=words) as refused:
        load_plugin(file)
    assert str(refused.value).startswith(f"plugin {str(file)!r}")
    if line is not None:
        assert f"line {line}" in str(refused.value)
    assert "test_declared" not in families.names()


@dataclass(frozen=True)
class Pipe(Evolution):
    """Sound between two closed ends: sin πx cos πt and cos πx sin πt."""

    name = "test_pipe"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    fields = ("u", "p")

    def rhs(self, w: Any, d: Any) -> Any:
        u, p = w
        return d(p, "x"), d(u, "x")

    def initial(self, x: Any) -> Any:
        return sin(pi * x), 0.0 * x

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0, field="u")]


class Overdetermined(Pipe):
    name = "test_overdetermined"

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0)]


def test_a_system_of_first_order_takes_a_value_for_each_wave() -> None:
    x = np.linspace(0, 1, 9)
    velocity, pressure = solve(Pipe(), tolerance=1e-8)(0.75, x)
    assert velocity == pytest.approx(np.sin(pi * x) * np.cos(0.75 * pi), abs=1e-7)
    assert pressure == pytest.approx(np.cos(pi * x) * np.sin(0.75 * pi), abs=1e-7)
    with pytest.raises(InvalidValueError, match=r"of 2 fields, .* at most 2 conditions .* has 4"):
        Overdetermined()


def test_functions_of_any_arguments_that_fit_are_taken(tmp_path: Path) -> None:
    for number, (one, other) in enumerate(
        [("u, d, q=1", "*space"), ("*both", "x, width=1"), ("u, d", "y")]
    ):
        text = FAMILY.replace("self, u, d", f"self, {one}").replace("self, x", f"self, {other}")
        file = tmp_path / f"mine{number}.py"
        text = text.replace("return x * (1 - x)", "return 0").replace("test_declared", f"f{number}")
        file.write_text(text if "u, d" in one else text.replace(RATES, "return 0 * both[0]"))
        load_plugin(file)
        assert f"f{number}" in families.names()


def test_a_problem_names_its_coefficients_and_a_time_span_of_its_own() -> None:
    assert str(Heat(alpha=0.4)) == "heat(alpha=0.4)"
    assert str(Heat(alpha=0.4, until=3.0)) == "heat(alpha=0.4, until=3)"
    assert str(Heat(until=3.0).with_coefficients(alpha=0.2)) == "heat(alpha=0.2, until=3)"


def test_pieces_of_a_stretched_time_span_are_bounded(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FAMILY.replace("scales", "time_windows = 300\n    scales"))
    load_plugin(file)
    with pytest.raises(InvalidValueError, match="in 1200 pieces, expected at most 1000"):
        families.get("test_declared")(until=4.0)


def test_an_old_name_is_read_and_said(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FAMILY.replace("scales", "horizons = 3\n    scales"))
    with pytest.warns(FutureWarning, match=r"Declared\.horizons was renamed: write time_windows"):
        load_plugin(file)
    problem = families.get("test_declared")(until=2.0)
    assert problem.time_windows == 3
    for old, value in (("horizons", 3), ("stretch", 2.0)):
        with pytest.warns(FutureWarning, match=f"{old} was renamed"):
            assert getattr(problem, old) == value
    with pytest.warns(FutureWarning, match="start was renamed: write initial_fields"):
        assert problem.start(0.5) == (0.25,)


def test_a_class_without_a_name_of_its_own_is_refused(tmp_path: Path) -> None:
    """It would be stored and loaded as its parent; one that a named class extends may be so."""
    file = tmp_path / "mine.py"
    head = "from pacpde.problems import Heat\n\n"
    nameless = "class Mine(Heat):\n    def initial(self, x):\n        return 0 * x\n\n"
    file.write_text(head + nameless)
    with pytest.raises(PacpdeError, match=r"line 4: the class Mine extends 'heat' and has no name"):
        load_plugin(file)
    file.write_text(head + nameless + "class Named(Mine):\n    name = 'test_named'\n")
    load_plugin(file)
    assert families.get("test_named")().name == "test_named"


def test_a_class_that_is_no_dataclass_says_so_before_python_does() -> None:
    class Undecorated(Heat):
        k: float = coefficient(0.4, lower=0.1, upper=10, meaning="rate")

    for made in (lambda: Undecorated(k=0.3), lambda: Undecorated(0.3, 0.2), Undecorated):  # type: ignore[call-arg]
        with pytest.raises(InvalidValueError, match="so that k is no coefficient yet: write @data"):
            made()


def test_a_bare_value_in_place_of_a_coefficient_is_refused(tmp_path: Path) -> None:
    """It would be ignored: the coefficient keeps the default of the class that is extended."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from pacpde.problems import Heat\n\nclass Mine(Heat):\n    name = 'test_bare'\n"
        "    alpha = 0.7\n"
    )
    with pytest.raises(PacpdeError, match=r"line 3: .*alpha = 0.7, which would not change"):
        load_plugin(file)


@pytest.mark.parametrize("read", ["self.scale", 'getattr(self, "scale")'])
def test_names_of_ones_own_are_taken(read: str, tmp_path: Path) -> None:
    """What the class reads is no misspelt declaration, nor is what resembles none."""
    file = tmp_path / "mine.py"
    own = """    scale = 2.0
    notes = "by hand"
    width_of_edge = 0.1
    modes: ClassVar[tuple] = (1, 2)
    edge: float = coefficient(0.5, lower=0, upper=1, meaning="a share")
"""
    text = FAMILY.replace("    recipe =", own + "    recipe =").replace("self.k *", f"{read} *")
    file.write_text("from typing import ClassVar\n" + text)
    load_plugin(file)
    made = families.get("test_declared")()
    assert made.scale == 2.0 and made.coefficients == {"edge": 0.5, "k": 0.4}


def test_lists_are_as_good_as_tuples(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    text = FAMILY.replace('("u",)', '["u"]').replace("(1.0,)", "[1.0]")
    file.write_text(text.replace('(Axis("t", 0.0, 1.0), ', '[Axis("t", 0.0, 1.0), ').replace(
        'Axis("x", 0.0, 1.0))', 'Axis("x", 0.0, 1.0)]'))  # fmt: skip
    load_plugin(file)
    made = fit(families.get("test_declared")(), width=4, depth=1, points=20, steps=1)
    assert len(made(0.5, [0.1, 0.2])) == 2


def test_recipes_of_all_families_are_settings_of_a_fit() -> None:
    for family in families:
        assert TrainingConfig.of(family()).width >= 1


METHOD = """
from dataclasses import dataclass
from pacpde.methods import Method

@dataclass(frozen=True)
class Mine(Method):
    name = "test_mine_too"
    summary = "nothing at all"
    share: float = 0.5

    def run(self, source, target, context):
        raise NotImplementedError
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("def run", "def go", "lacks run"),
        ("target, context", "target", r"calls it with \(self, source, target, context\): write"),
        ("source, target", "target, source", "in another order: pacpde calls"),
        ('summary = "nothing at all"', "", "has no summary"),
        ("share: float = 0.5", "share: float", "lacks|options without a default|non-default"),
    ],
)
def test_a_method_that_is_incomplete_is_refused(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(METHOD.replace(old, new))
    with pytest.raises(PacpdeError, match=words):
        load_plugin(file)
    assert "test_mine_too" not in methods.names()
    file.write_text(f"{METHOD}# {words}")  # a copy of a file is not read again
    load_plugin(file)


def test_a_class_is_checked_again_once_its_decorator_makes_it_a_dataclass():
    heat = families.get("heat")
    plain = type("Plain", (heat,), {"__annotations__": {"k": float}, "k": 1.0})
    assert list(plain.declared()) == ["alpha"]
    with pytest.raises(InvalidValueError, match=r"the field k = 1\.0, which is no coefficient"):
        dataclass(frozen=True)(plain).declared()


def test_a_value_at_a_point_names_its_field_where_there_are_several() -> None:
    @dataclass(frozen=True)
    class Pair(Problem):
        axes = (Axis("x", 0.0, 1.0),)
        fields = ("u", "v")
        name = "test_pair"
        which: ClassVar[Any] = None

        def residual(self, u: Any, d: Any) -> Any:
            return d(u[0], "x"), d(u[1], "x")

        def conditions(self) -> Any:
            return [Dirichlet("x-", 1.0, field="u"), PointValue({"x": 0.25}, 2.0, field=self.which)]

    with pytest.raises(PacpdeError, match=r"PointValue names no field: write field='v'"):
        _ = Pair().boundary
    Pair.which = "v"
    assert [(p.point, p.field, p.value) for p in Pair().boundary.points] == [((0.25,), 1, 2.0)]


def test_an_incomplete_class_makes_no_problem_from_coefficients() -> None:
    @dataclass(frozen=True)
    class Bare(Evolution):
        axes = (Axis("t", 0.0, 1.0),)
        name = "test_bare_evolution"

    with pytest.raises(InvalidValueError, match="lacks initial and rhs"):
        Bare.from_coefficients({})
