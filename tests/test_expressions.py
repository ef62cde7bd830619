"""Arithmetic is read as Python would compute it, and nothing else is read at all."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacpde.errors import InvalidValueError
from pacpde.expressions import evaluate

numbers = (
    st.floats(0.01, 100).map(repr) | st.integers(0, 99).map(str) | st.sampled_from(["pi", "e"])
)


def operations(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.tuples(parts, st.sampled_from(["+", "-", "*", "/"]), parts).map(" ".join)
    return binary.map(lambda text: f"({text})") | parts.map(lambda text: f"-{text}")


expressions = st.recursive(numbers, operations, max_leaves=5).filter(lambda text: len(text) < 200)


@given(expressions)
def test_agrees_with_python(text: str) -> None:
    try:
        expected = eval(text, {"__builtins__": {}}, {"pi": math.pi, "e": math.e})
    except ZeroDivisionError:
        with pytest.raises(InvalidValueError):
            evaluate(text)
        return
    # Python's integers are exact and ours are floats: one rounding an operation, four at most.
    assert evaluate(text) == pytest.approx(expected, rel=1e-14, abs=1e-11)


@given(st.text(max_size=60))
def test_any_text_gives_a_finite_number_or_one_error(text: str) -> None:
    try:
        value = evaluate(text)
    except InvalidValueError as error:
        assert "\n" not in str(error)
    else:
        assert math.isfinite(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.01/pi", 0.01 / math.pi),
        ("-2**2", -4.0),
        ("2**-1", 0.5),
        ("2**3**2", 512.0),
        (" 8 / 3 ", 8 / 3),
        ("1e-3", 1e-3),
        ("+e", math.e),
        ("1_000", 1000.0),
        ("-12_345_678/2", -6172839.0),
        ("1_000.5", 1000.5),
    ],
)
def test_values(text: str, value: float) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "nan", "inf", "-inf", "1e999", "__import__('os')", "pi()", "x", "1j", "True",
        "'1'", "[1]", "1 if 1 else 2", "lambda: 1", "(1).real", "1 < 2", "1//2", "5 % 2", "1 +",
        "1/0", "0**-1", "(-8)**(1/3)", "9**9**9", "9**9**9**9", "(" * 150 + "1" + ")" * 40,
        "-" * 150 + "1", "1" * 201, "1+" * 99 + "1", "\0", "1\n2", "e**e**e**e", "f'{1}'", "1;2",
        "(yield)", "a := 1", "0.1_5", "1_0", "1_00", "1__000", "1_0000", "1.5_000", "_1", "0.1 # 5",
        "\u0661", "\uff45", "\\\n1", "1e1_000",
        "b" * 190 + "\u00e9", "1" * 190 + "\u00e9",
    ],
)  # fmt: skip
def test_refused_at_once(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(InvalidValueError) as caught:
        evaluate(text)
    assert time.perf_counter() - began < 0.5  # 9**9**9 in integers takes minutes, as letters may
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
