"""A surrogate as a user calls it: gradients, derivatives, numbers of every kind, extrapolation."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.errors import ExtrapolationWarning, InvalidValueError, UnknownNameError
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.reference_ansatz import ReferenceAnsatz
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.table_ansatz import TableAnsatz
from pacpde.physics import Axis, Evolution, Periodic, Problem, coefficient
from pacpde.physics.elementary import cos, sin
from pacpde.problems import Burgers, BurgersPeriodic, Heat, Heat2D, Lorenz

T, X = np.linspace(0.1, 0.9, 7), np.linspace(0.05, 0.95, 7)


@dataclass(frozen=True)
class Pair(Evolution):
    """Two fields of other sizes; without a name of its own it stays out of the registry."""

    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))
    fields = ("u", "v")
    scales = (1.0, 1e-3)

    nu: float = coefficient(0.1, lower=0.0, upper=1.0, meaning="diffusivity ν")

    def conditions(self):
        return [Periodic("x")]

    def rhs(self, u: Any, d: Any) -> Any:
        return self.nu * d(u[0], "xx"), self.nu * d(u[1], "xx")

    def initial(self, *space: Any) -> Any:
        angle = 2 * np.pi * space[0]
        return sin(angle), 1e-3 * cos(angle)


Pair.name = "pair_without_a_name"


def random_surrogate(problem: Problem, **options: Any) -> Surrogate:
    ansatz = PhysicsAnsatz(problem, **options)
    network = network_for(ansatz, 9, 2, "tanh")
    weights = np.random.default_rng(3).normal(0, 0.7, network.size)
    return Surrogate(network, ansatz, torch.tensor(weights))


HEAT = random_surrogate(Heat(alpha=0.3))
CASES = {
    "heat": HEAT,
    "odd": random_surrogate(Burgers(), odd=True),
    "odd and periodic": random_surrogate(BurgersPeriodic(), odd=True),
    "soft": random_surrogate(Heat(), hard=False),
    "two axes of space": random_surrogate(Heat2D()),
    "several fields": random_surrogate(Pair()),
    "an ODE": random_surrogate(Lorenz()),
}


def leaves(surrogate: Surrogate) -> dict[str, torch.Tensor]:
    """Points inside, as coordinates that ask for gradients."""
    box = surrogate.problem.domain
    points = box.from_unit(np.random.default_rng(1).uniform(0.1, 0.9, (9, len(box.axes))))
    return {
        name: torch.tensor(column, requires_grad=True)
        for name, column in zip(box.names, points.T.copy(), strict=True)
    }


def slope(values: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Of every field [..., points] by autograd."""
    rows = values.reshape(-1, len(at))
    found = [torch.autograd.grad(row.sum(), at, create_graph=True)[0] for row in rows]
    return torch.stack(found).reshape(values.shape)


class TestGradients:
    @pytest.mark.parametrize("name", CASES)
    def test_autograd_agrees_with_central_differences(self, name: str) -> None:
        surrogate = CASES[name]
        at = leaves(surrogate)
        values = surrogate(*at.values())
        assert values.requires_grad
        for axis in at:
            step = 1e-5
            shifted = [
                surrogate(*(v.detach() + sign * step * (k == axis) for k, v in at.items()))
                for sign in (1, -1)
            ]
            expected = (shifted[0] - shifted[1]) / (2 * step)
            # error: step² u''' / 6 ~ 1e-10 u''', with u''' up to 10⁴
            torch.testing.assert_close(slope(values, at[axis]), expected, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("name", CASES)
    def test_derivatives_by_the_jet_are_those_of_autograd(self, name: str) -> None:
        surrogate = CASES[name]
        at = leaves(surrogate)
        values = surrogate(*at.values())
        for first in at:
            once = slope(values, at[first])
            found = surrogate.derivative(first)(*at.values())
            assert found.shape == values.shape and found.requires_grad
            torch.testing.assert_close(found, once, rtol=1e-11, atol=1e-11)
            for second in at:
                found = surrogate.derivative(first + second)(*at.values())
                expected = slope(once, at[second])
                torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("name", CASES)
    def test_derivatives_to_fourth_order_are_those_of_autograd(self, name: str) -> None:
        """Through start, edges and images too: features, multiplier and offset have theirs."""
        surrogate = CASES[name]
        at = leaves(surrogate)
        (first, *_), (*_, last) = at, at
        for axes in (first * 2 + last, last * 3, first * 2 + last * 2, first + last * 3, last * 4):
            expected = surrogate(*at.values())
            for axis in axes:
                expected = slope(expected, at[axis])
            found = surrogate.derivative(axes)(*at.values())
            size = float(expected.detach().abs().max())
            # multipliers and maps to [−1, 1] grow rounding with each of the orders
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-11 * size)

    def test_higher_derivatives_follow_by_autograd_of_the_jet(self) -> None:
        at = leaves(HEAT)
        third = slope(HEAT.derivative("xx")(*at.values()), at["x"])
        expected = HEAT(*at.values())
        for _ in range(3):
            expected = slope(expected, at["x"])
        torch.testing.assert_close(third, expected, rtol=1e-10, atol=1e-9)

    def test_torch_func_differentiates(self) -> None:
        x = torch.tensor(X)
        expected = HEAT.derivative("x")(0.5, x)
        alone = torch.func.vmap(torch.func.grad(lambda x: HEAT(0.5, x)))(x)
        torch.testing.assert_close(alone, expected, rtol=1e-12, atol=1e-12)
        with pytest.raises(InvalidValueError, match=r"forward-mode derivatives.*not passed on"):
            torch.func.jvp(lambda x: HEAT(0.5, x), (x,), (torch.ones_like(x),))

    @pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
    def test_values_are_the_same_where_gradients_are_off(
        self, off: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        at = leaves(CASES["odd"])
        calls = [CASES["odd"], CASES["odd"].derivative("tx"), CASES["odd"].derivative("xx")]
        expected = [call(*at.values()) for call in calls]
        with off():
            for call, values in zip(calls, expected, strict=True):
                found = call(*at.values())
                assert not found.requires_grad and torch.equal(found, values)
                fresh = torch.linspace(0, 1, 3, dtype=torch.float64)  # made where they are off
                assert call(0.5, fresh).isfinite().all()

    def test_what_asks_for_no_gradients_gets_none(self) -> None:
        assert not HEAT(0.5, torch.tensor(X)).requires_grad
        assert not HEAT.derivative("x")(0.5, torch.tensor(X)).requires_grad
        at = leaves(HEAT)["x"]
        only = HEAT(torch.tensor(T[0]), at)
        assert torch.autograd.grad(only.sum(), at)[0].abs().min() > 0

    def test_a_solution_by_scipy_cannot_be_differentiated(self) -> None:
        solved = Surrogate(HEAT.network, ReferenceAnsatz(Heat()), HEAT.weights)
        x = torch.tensor(X, requires_grad=True)
        with pytest.raises(InvalidValueError, match="cannot be differentiated by torch"):
            solved(0.5, x)
        with torch.no_grad():
            assert solved(0.5, x).isfinite().all()
        with pytest.raises(InvalidValueError, match="no derivatives"):
            solved.derivative("x")(0.5, X)


class TestDerivative:
    def test_numpy_in_numpy_out(self) -> None:
        several = CASES["several fields"]
        found = several.derivative("x")(T[:, None], X)
        assert isinstance(found, np.ndarray) and found.shape == (2, 7, 7)
        assert isinstance(HEAT.derivative("xx")(0.5, 0.5), np.ndarray | float)
        assert HEAT.derivative("xx")(0.5, X).shape == X.shape
        assert np.array_equal(HEAT.derivative("xt")(T, X), HEAT.derivative("tx")(T, X))

    def test_other_names_are_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown axis 'y'"):
            HEAT.derivative("xy")
        for axes in ("", "xxxxx"):
            with pytest.raises(InvalidValueError, match="expected 1 to 4"):
                HEAT.derivative(axes)


class TestNumbers:
    @pytest.mark.parametrize(
        "change",
        [
            lambda x: x[::-1],
            lambda x: x.astype(">f8"),
            lambda x: x.astype(np.longdouble),
            lambda x: x.astype(object),
            lambda x: np.ma.masked_array(x, mask=False),
            lambda x: np.broadcast_to(x, (2, 7)),
            list,
        ],
        ids=["strides", "big-endian", "longdouble", "object", "masked", "read-only", "list"],
    )
    def test_any_array_of_numbers(self, change: Callable[[np.ndarray], Any]) -> None:
        given = change(X)
        expected = HEAT(0.5, np.array(given, float))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.array_equal(HEAT(0.5, given), expected)

    def test_masked_entries_and_complex_numbers_are_refused(self) -> None:
        with pytest.raises(InvalidValueError, match=r"coordinates x of heat.*3 masked entries"):
            HEAT(0.5, np.ma.masked_greater(X, 0.6))
        for given in (X + 1j, torch.tensor(X) + 1j):
            with pytest.raises(InvalidValueError, match="complex"):
                HEAT(0.5, given)

    def test_counts_and_shapes_are_said(self) -> None:
        with pytest.raises(InvalidValueError, match="given 1 coordinates, expected 2: t, x"):
            HEAT(T)
        with pytest.raises(InvalidValueError, match=r"shapes \(3,\), \(7,\).*broadcast"):
            HEAT(T[:3], X)

    def test_a_table_has_columns_and_no_domain(self) -> None:
        rows = np.random.default_rng(0).normal(size=(20, 3))
        ansatz = TableAnsatz.of(rows, rows[:, :1])
        network = network_for(ansatz, 4, 1, "tanh")
        weights = torch.tensor(np.random.default_rng(1).normal(size=network.size))
        table = Surrogate(network, ansatz, weights)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert table(*(10 * rows.T)).shape == (20,)
        with pytest.raises(InvalidValueError, match="a surrogate of a table was given 2"):
            table(0.0, 1.0)


class TestOutside:
    @pytest.mark.parametrize("call", [HEAT, HEAT.derivative("x")])
    def test_extrapolation_is_said_once_a_call(self, call: Callable[..., Any]) -> None:
        with pytest.warns(ExtrapolationWarning, match="2 points lie outside") as said:
            values = call(0.5, [0.5, 1.5, 2.0])
        assert len(said) == 1 and said[0].filename == __file__ and np.isfinite(values).all()
        with pytest.warns(ExtrapolationWarning, match="1 point lies outside.*t=2, x=0.5"):
            call(2.0, torch.tensor(0.5))

    def test_a_rounding_error_is_none(self) -> None:
        x = np.array([1.0000000000000002, -1e-17, np.float32(1) + np.finfo("f4").eps])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = HEAT(0.5, x)
        assert np.array_equal(values, HEAT(0.5, [1.0, 0.0, 1.0]))
        edge = torch.tensor([1.0000000000000002, 1.0], dtype=torch.float64, requires_grad=True)
        slopes = torch.autograd.grad(HEAT(0.5, edge).sum(), edge)[0]
        assert slopes[0] == slopes[1] != 0

    def test_what_is_no_number_stays_so(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isnan(HEAT(0.5, [np.nan, 0.5])).tolist() == [True, False]
