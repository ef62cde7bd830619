"""`pacpde check` says what is right and wrong with a family of a new user's."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pacpde.datasets import grading
from pacpde.methods.check_family import SHORT
from pacpde.training.config import TrainingConfig
from tests.cli.conftest import Called

FAMILY = """
from dataclasses import dataclass
from math import pi
from pacpde.physics import Axis, Dirichlet, Evolution, coefficient
from pacpde.physics.elementary import exp, sin

@dataclass(frozen=True)
class Rod(Evolution):
    name = "test_rod"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    k: float = coefficient(0.4, lower=0.1, upper=10, meaning="conductivity")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u, d):
        return self.k * d(u, "xx")

    def initial(self, x):
        return sin(pi * x)

    def exact(self, t, x):
        return (sin(pi * x) * exp(-self.k * pi**2 * t))[None]
"""
RATES, START, CONDITION = 'self.k * d(u, "xx")', "return sin(pi * x)\n", 'Dirichlet("x", 0.0)'
TINY = ["--width", "10", "--depth", "2", "--points", "100", "--steps", "15"]

Call = Callable[..., Called]

# old, new, exit status, words
MISTAKES = {
    "sin of numpy in the start": (
        START, "import numpy as np; return np.sin(pi * x)\n", 2,
        ["line 20", "take sin, exp, ... from pacpde.physics.elementary"]),
    "sin of torch in the start": (
        START, "import torch; return torch.sin(pi * x)\n", 2, ["line 20", "not from math, numpy"]),
    "exp of numpy in the equation": (
        RATES, 'd(u, "xx") + __import__("numpy").exp(-u)', 2, ["line 17", "elementary"]),
    "sin of numpy of a coordinate": (
        RATES, '__import__("numpy").sin(d.coordinates["x"]) + d(u, "xx")', 2, ["line 17"]),
    "sin of math in a condition": (
        CONDITION, 'Dirichlet("x", lambda t: __import__("math").sin(t))', 2, ["line 14"]),
    "where of numpy in a condition": (
        CONDITION, 'Dirichlet("x", lambda t: __import__("numpy").where(t > 0.5, 1.0, 0.0))', 2,
        ["line 13", "a numpy array for torch tensors", "(t > 0.5) * 1.0"]),
    "a function of numpy as a condition": (
        CONDITION, 'Dirichlet("x", __import__("numpy").sin)', 2,
        ["line 13", "arguments have no names: write lambda t, x: ..."]),
    "if of a coordinate": (
        CONDITION, 'Dirichlet("x", lambda t: 1.0 if t > 0.5 else 0.0)', 2,
        ["line 14", "(t > 0.5) * 1.0"]),
    "a derivative of a product": (RATES, 'd(u*u, "x")', 2, ["line 17", "as 2*u*d(u, \"x\")"]),
    "a derivative of a derivative": (
        RATES, 'd(d(u, "x"), "x")', 2, ["line 17", "d(d(u, \"x\"), \"x\") as d(u, \"xx\")"]),
    "axes as two arguments": (
        RATES, 'd(u, "x", "x")', 2, ["line 17", "does not name its axes in one text"]),
    "a misspelt axis": (RATES, 'd(u, "yy")', 2, ["line 17", "unknown axis 'y'"]),
    "a second derivative in time": (RATES, 'd(u, "tt")', 2, ["line 16", "Write order = 2"]),
    "no condition": (f"[{CONDITION}]", "[]", 2, ["line 13", "there is none in 'x'"]),
    "a coefficient without self": (RATES, 'k * d(u, "xx")', 2, ["line 17", "name 'k' is not"]),
    "a coefficient that nothing reads": (
        RATES, 'd(u, "xx")', 1, ["! Nothing reads the coefficient k (conductivity)"]),
    "a start that contradicts the conditions": (
        CONDITION, 'Dirichlet("x", 1.0)', 1, ["? Start and conditions", "jumps by 1 from the"]),
    "a start that contradicts the conditions elsewhere": (
        CONDITION, 'Dirichlet("x", self.k - 0.4)', 0,
        ["? Start and conditions agree here, and contradict each other at k = 0.44", "--soft"]),
    "another size": (START, "return 5e4 * sin(pi * x)\n", 1, ["? u has the size 3.5e+04"]),
    "seconds of a day": (
        '0.0, 1.0), Axis("x"', '0.0, 86400.0), Axis("x"', 0, ["? At the start", "time_windows"]),
    "a derivative of fifth order": (
        RATES, 'self.k * d(u, "xxxxx")', 1, ["! It reads a derivative of order 5 (xxxxx)"]),
    "values that torch does not follow": (
        RATES, 'd(u, "xx") + self.k * (u.detach() if hasattr(u, "detach") else u)', 1,
        ["! Torch cannot differentiate all of row 1 of the rhs (line 16)"]),
    "a division by zero at a bound": (
        RATES, 'd(u, "xx") / (self.k - 0.1)', 1, ["! At k = 0.1, within its bounds"]),
    "another exact solution": (
        "exp(-self.k", "exp(-1.1 * self.k", 1, ["! Exact (line 22) leaves a residual of"]),
    "a misspelt coefficient": (
        RATES, 'self.kk * d(u, "xx")', 2, ["line 17", "no attribute 'kk'; did you mean k?"]),
    "a coefficient of another name": (
        RATES, 'self.nu * d(u, "xx")', 2, ["no attribute 'nu'; the coefficients are k."]),
    "a misspelt coefficient without self": (
        RATES, 'kk * d(u, "xx")', 2, ["name 'kk' is not defined; did you mean self.k?"]),
    "a misspelt function": (START, "return sinn(pi * x)\n", 2, ["line 20", "did you mean sin?"]),
    "a misspelt module": (
        "from pacpde.physics import", "from pacpde.phisics import", 2,
        ["line 4: unknown module in pacpde 'phisics': did you mean physics?"]),
    "a coordinate by its bare name": (
        RATES, 'self.k * d(u, "xx") + x', 2,
        ["line 17", "name 'x' is not defined; did you mean d.coordinates[\"x\"]?"]),
    "a coordinate that is not there": (
        RATES, 'self.k * d(u, "xx") + d.coordinates["y"]', 2,
        ["line 17: unknown coordinate 'y': choose from t, x."]),
    "a misspelt condition": (
        CONDITION, 'Dirichle("x", 0.0)', 2, ["line 14", "did you mean Dirichlet?"]),
    "a function that is not there": (
        "import exp, sin", "import exp, sec, sin", 2,
        ["plugin 'rod.py', line 5: unknown name in pacpde.physics.elementary 'sec': choose from"]),
    "a misspelt import": (
        "Dirichlet, Evolution", "Dirichlet, Evoluton", 2,
        ["line 4: unknown name in pacpde.physics 'Evoluton': did you mean Evolution?"]),
    "a misspelt base": (
        "Rod(Evolution)", "Rod(Evoluton)", 2, ["line 8", "did you mean Evolution?"]),
    "an exact solution of two fields": (
        "* t))[None]", "* t))[None].repeat(2, 0)", 2, ["line 22", "one array a field, stacked"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_a_new_user_is_said_in_a_sentence(
    mistake: str, call: Call, tmp_path: Path
) -> None:
    old, new, status, words = MISTAKES[mistake]
    assert FAMILY.count(old) == 1
    Path("rod.py").write_text(FAMILY.replace(old, new))
    called = call("check", "rod.py", "--no-fit")
    assert called.status == status
    said = called.out if status < 2 else called.err.strip().splitlines()[-1]
    for word in words:
        assert word in said
    assert "Traceback" not in called.err


def test_pi_comes_with_the_functions(call: Call) -> None:
    text = FAMILY.replace("from math import pi\n", "").replace("import exp", "import pi, exp")
    Path("rod.py").write_text(text)
    assert call("check", "rod.py", "--no-fit").status == 0


def test_a_sound_family_is_described(call: Call) -> None:
    Path("rod.py").write_text(FAMILY)
    called = call("check", "rod.py", "k=0.5", "--no-fit")
    assert called.status == 0
    for words in (
        "test_rod(k=0.5) is an evolution of order 1 (∂u/∂t = rhs): 1 equation for the field u",
        "It reads u_xx.",
        "Conditions that a network meets exactly: u at the start; u = 0 at x- and x+.",
        "leaves a residual of",
        "test_rod: 0 wrong, 0 to look at",
    ):
        assert words in called.out


def test_a_whole_check_solves_fits_and_transfers(call: Call) -> None:
    Path("rod.py").write_text(FAMILY)
    called = call("check", "rod.py", *TINY, "--json", "-")
    assert called.status == 0
    result = json.loads(called.out)
    assert result["passed"] is True
    (family,) = result["families"]
    reference, fit = (
        next(one["numbers"] for one in family["findings"] if one["about"] == about)
        for about in ("reference", "fit")
    )
    assert reference["certified_error"] <= 1e-10
    assert fit["outcome"] == "converged" and fit["error"] < 1e-2
    # the estimate is of first order: within a factor of 3 of the true error
    assert 1 / 3 < fit["error_estimate"] / fit["error"] < 3
    transfers = [one["numbers"] for one in family["findings"] if one["about"] == "transfer"]
    assert [one["method"] for one in transfers] == ["warm_start", "pac"]
    for one in transfers:
        assert one["target"] == {"k": pytest.approx(0.44)}
        assert one["outcome"] == "converged" and one["error"] < 1e-2


def test_a_long_reference_tells_how_far_it_is(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "PATIENCE", 0.0)
    Path("rod.py").write_text(FAMILY)
    called = call("check", "rod.py", "k=0.41", *TINY)
    for k in ("0.41", "0.451"):  # of the problem, and of the one of the transfer
        assert re.search(rf"test_rod\(k={k}\): grid \d+, rtol 1e-\d+: differs by", called.err)


def test_a_fit_that_falls_short_fails_with_advice(call: Call) -> None:
    Path("rod.py").write_text(FAMILY)
    called = call("check", "rod.py", *TINY[:-1], "1", "--tolerance", "1e-9")
    assert called.status == 1
    assert "! A fit from random weights ended not_converged" in called.out
    assert "try more --steps and --points" in called.out
    assert "with --steps 60 or more it begins again by itself in time windows" in called.out
    assert "No transfer is tried from a source that did not converge." in called.out


def test_the_help_has_the_settings_of_the_short_fit(call: Call) -> None:
    said = " ".join(call("check", "--help").out.split())
    assert f"a short one, of {SHORT['steps']} steps on {SHORT['points']} points" in said
    assert f"fits of fewer than {TrainingConfig.steps} steps do not begin again" in said
    for default in (
        f"family declares, else {SHORT['steps']}.",
        f"else {SHORT['points']}. Of an ODE: 300.",
    ):
        assert default in said
    assert f"else {TrainingConfig.points}" not in said


def test_the_help_of_other_commands_has_theirs(call: Call) -> None:
    for command, default in (
        ("train", "else 1000. Of an ODE: 300. "),
        ("transfer", "else 1000. Of an ODE: 300. At least as many as the source was"),
    ):
        said = " ".join(call(command, "--help").out.split())
        assert (
            f"Collocation points drawn at a time. Default: what the family declares, {default}"
            in said
        )
        assert f"family declares, else {TrainingConfig.steps}." in said


def test_the_file_is_at_fault(call: Call) -> None:
    Path("rod.py").write_text(FAMILY)
    Path("none.py").write_text("from pacpde import fit\n")
    rod = FAMILY.replace("Rod", "Wire").replace("rod", "wire")
    Path("two.py").write_text(rod + rod[rod.index("@data") :].replace("ire", "ell"))
    for words, said in (
        (["absent.py"], "is not a file"),
        (["none.py"], "registers nothing"),
        (["rod.py", "q=1"], "unknown coefficient of test_rod 'q'"),
        (["rod.py", "k=100"], "expected a number from 0.1 to 10"),
        (["rod.py", "--family", "bar"], "unknown family of 'rod.py' 'bar'"),
        (["two.py", "k=0.5"], "name one by --family"),
        (["rod.py", "--json", "rod.py"], "collides with"),
        (["rod.py", "--width", "8"], "--width has no effect here, nothing is fitted"),
    ):
        called = call("check", *words, "--no-fit")
        assert called.status == 2 and said in called.err
    called = call("check", "two.py", "k=0.5", "--family", "test_well", "--no-fit")
    assert called.status == 0 and "test_well(k=0.5)" in called.out
    called = call("check", "two.py", "--no-fit", "--json", "-")
    assert [one["family"] for one in json.loads(called.out)["families"]] == [
        "test_well",
        "test_wire",
    ]
