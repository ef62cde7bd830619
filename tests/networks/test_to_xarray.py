"""A surrogate as an xarray Dataset: its fields on a grid, and what is known of it."""

import sys

import numpy as np
import pytest

from pacpde import Surrogate, fit, fit_table
from pacpde.errors import InvalidValueError, MissingPackageError, UnknownNameError
from pacpde.problems import Heat, LotkaVolterra

xarray = pytest.importorskip("xarray")


@pytest.fixture(scope="module")
def heat() -> Surrogate:
    return fit(Heat(alpha=0.4, until=0.5), width=6, depth=1, points=50, steps=3)


def test_fields_and_derivatives_are_those_of_the_surrogate(heat: Surrogate) -> None:
    x = [0.1, 0.7, 0.2]
    data = heat.to_xarray({"t": 5, "x": x}, derivatives=["x", "xx"], units={"u": "K", "t": "s"})
    np.testing.assert_array_equal(data.t, np.linspace(0, 0.5, 5))
    t, at = np.meshgrid(np.linspace(0, 0.5, 5), x, indexing="ij")
    assert data.u.dims == ("t", "x")
    np.testing.assert_array_equal(data.u, heat(t, at))
    np.testing.assert_array_equal(data.u_xx, heat.derivative("xx")(t, at))
    assert data.u.sel(t=0.25, x=0.7) == heat(0.25, 0.7)
    assert data.u.attrs == {"typical_size": 1.0, "units": "K"}
    assert data.t.attrs == {"units": "s"}


def test_attributes_say_what_is_known(heat: Surrogate) -> None:
    about = heat.to_xarray({"t": 2, "x": 2}).attrs
    assert about["equation"] == "u_t = α u_xx on t∈[0,1], x∈[0,1]"
    assert about["coefficients"] == "alpha=0.4"
    assert (about["coefficient_alpha"], about["until"]) == (0.4, 0.5)
    assert about["outcome"] == heat.outcome
    assert heat.assessment is not None
    assert about["residual"] == heat.assessment.residual
    assert about["error_estimate"] == heat.error_estimate


def test_several_fields_of_one_axis() -> None:
    surrogate = fit(LotkaVolterra(), width=4, depth=1, points=20, steps=1)
    data = surrogate.to_xarray()
    assert data.sizes == {"t": 101}
    np.testing.assert_array_equal(np.stack([data.x, data.y]), surrogate(data.t.to_numpy()))


def test_what_cannot_be_given_is_refused(heat: Surrogate, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="unknown axis 'y'"):
        heat.to_xarray({"y": 3})
    with pytest.raises(UnknownNameError, match="in units 'v'"):
        heat.to_xarray({"t": 2, "x": 2}, units={"v": "K"})
    with pytest.raises(InvalidValueError, match="a number of them or a list"):
        heat.to_xarray({"t": np.zeros((2, 2))})
    with pytest.raises(InvalidValueError, match="fewer points an axis"):
        heat.to_xarray({"t": 100_000, "x": 100_000})
    table = fit_table(np.random.rand(9, 2), np.random.rand(9), steps=1)  # noqa: NPY002
    with pytest.raises(InvalidValueError, match="fitted to a table"):
        table.to_xarray()
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingPackageError, match=r"pacpde\[xarray\]"):
        heat.to_xarray({"t": 2, "x": 2})
