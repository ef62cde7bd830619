"""Numbers have two significant digits."""

import math

from pacpde.plots.numbers import scientific, two_digits


def test_numbers_have_two_digits() -> None:
    given = [0, 0.05, 0.3, 8, 9.96, 57.2, 9120, 33000, 4.1e-7, -0.5, math.inf, math.nan]
    told = ["0", "0.050", "0.30", "8.0", "10", "57", "9100", "3.3e+04", "4.1e-07", "-0.50"]
    assert [two_digits(value) for value in given] == [*told, "failed", "failed"]
    assert [scientific(value) for value in (0.05, math.inf)] == ["5.0e-02", "failed"]
