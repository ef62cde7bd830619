"""Numbers of every kind that users have."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pacpde.errors import InvalidValueError
from pacpde.physics import Axis, Dirichlet
from pacpde.physics.numbers import as_floats, as_number, as_plain, norm
from pacpde.problems.heat import Heat

PLAIN = np.array([0.25, 0.5, 1.0, 2.0])


def column(values: np.ndarray) -> Any:
    import pandas as pd

    return pd.DataFrame({"x": values}, index=[7, 3, 1, 0])["x"]


@pytest.mark.parametrize(
    "given",
    [
        PLAIN[::-1].copy()[::-1],
        PLAIN.astype(">f8"),
        PLAIN.astype(np.longdouble),
        PLAIN.astype(np.float16),
        PLAIN.astype(object),
        np.array([0.25, Fraction(1, 2), 1, Decimal(2)], dtype=object),
        np.broadcast_to(PLAIN, (3, 4))[1],
        np.ma.masked_array(PLAIN, mask=False),
        column(PLAIN),
        column(PLAIN).astype("Float64"),
        PLAIN.tolist(),
    ],
    ids=lambda given: f"{type(given).__name__} {getattr(given, 'dtype', '')}",
)
def test_every_array_of_numbers_gives_the_same_floats(given: Any) -> None:
    made = as_floats(given, "the coordinates")
    assert made.dtype == np.dtype("float64") and made.dtype.isnative and made.flags.writeable
    assert made.tolist() == PLAIN.tolist()


def test_whole_numbers_and_single_ones() -> None:
    assert as_floats(np.arange(3, dtype=">i4"), "x").tolist() == [0.0, 1.0, 2.0]
    assert as_floats(0.5, "x").shape == () and as_floats(np.float32(0.5), "x") == 0.5


@pytest.mark.parametrize(
    "given",
    [
        np.array([1.0 + 1.0j]),
        np.array([1.0 + 1.0j], dtype=object),
        ["1.0"],
        np.array(["1.0"], dtype=object),
        [None],
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        [[1.0], [1.0, 2.0]],
        np.zeros(2, dtype=[("x", float)]),
        object(),
    ],
    ids=lambda given: repr(given).partition(" at 0x")[0],
)
def test_what_is_no_number_is_refused(given: Any) -> None:
    with pytest.raises(InvalidValueError, match="the coordinates are no real numbers"):
        as_floats(given, "the coordinates")


def test_masked_entries_are_refused_and_counted() -> None:
    values = np.ma.masked_array(PLAIN, mask=[False, True, True, False])
    with pytest.raises(InvalidValueError, match="have 2 masked entries"):
        as_floats(values, "the coordinates")


def test_numbers_of_every_kind_are_coefficients() -> None:
    import torch

    tensor, none = torch.tensor(0.25, requires_grad=True), torch.tensor(1.0, device="meta")
    for value in (Fraction(1, 4), Decimal("0.25"), np.array(0.25), np.float32(0.25), tensor):
        assert Heat(alpha=value).alpha == 0.25 and isinstance(as_plain(value), float)
        assert Axis("x", 0, value).upper == Dirichlet(value).lower == 0.25
    false = (True, np.array(True), np.array([0.25]), 1j, np.complex128(1), np.ma.masked, "1")
    for wrong in (*false, none, Decimal("sNaN"), Fraction(10**400)):
        assert as_number(wrong) is None
    assert isinstance(as_plain(3), int)  # what was declared as a whole number stays one


def test_a_norm_does_not_depend_on_the_number_of_threads() -> None:
    limits = pytest.importorskip("threadpoolctl").threadpool_limits
    values = np.random.default_rng(0).normal(size=(257, 1001, 2))
    found = set()
    for threads in (1, 2):
        with limits(threads):
            found.add(norm(values))
    assert len(found) == 1 and found.pop() == pytest.approx(np.linalg.norm(values), rel=1e-13)
