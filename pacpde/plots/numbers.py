"""Numbers as tables, pages and pictures show them: two significant digits.

`pacpde/report/numbers.js` writes them alike in a browser.
"""

import math

FAILED = "failed"  # what is not finite


def scientific(value: float) -> str:
    """An error: "4.1e-07"; "failed" if not finite.

    Examples:
        >>> scientific(4.1e-7), scientific(0.05), scientific(math.inf)
        ('4.1e-07', '5.0e-02', 'failed')
    """
    return f"{value:.1e}" if math.isfinite(value) else FAILED


def two_digits(value: float) -> str:
    """A ratio or a time: "0.050", "9.0", "2.6e+05"; "failed" if not finite.

    Examples:
        >>> [two_digits(value) for value in (0, 0.05, 8, 57.2, 9120, 33000)]
        ['0', '0.050', '8.0', '57', '9100', '3.3e+04']
    """
    if not math.isfinite(value):
        return FAILED
    rounded = float(f"{value:.2g}")
    if rounded == 0:
        return "0"
    if not 1e-2 <= abs(rounded) < 1e4:
        return scientific(value)
    return f"{rounded:#.2g}" if abs(rounded) < 10 else f"{rounded:.0f}"


def tick(value: float, error: bool = False) -> str:
    """A round number beside an axis: "1e-03"; 0.5 and 200 where the axis is not one of errors.

    Examples:
        >>> tick(1e-3), tick(0.5), tick(0.1, error=True)
        ('1e-03', '0.5', '1e-01')
    """
    return f"{value:.0e}" if error or not 1e-2 <= abs(value) < 1e4 else f"{value:g}"
