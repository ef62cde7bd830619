"""Ansätze: start, edges and symmetries hold for every weight, and their jets are derivatives."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.batch import Batch
from pacpde.networks.leibniz import leibniz
from pacpde.networks.mlp import MLP
from pacpde.networks.table_ansatz import TableAnsatz
from pacpde.physics import Axis, Dirichlet, Evolution, Problem, families
from pacpde.physics.derivatives import AutogradDerivative, channel_names
from pacpde.physics.elementary import exp, sin
from pacpde.problems import Burgers, BurgersPeriodic, Heat, Heat2D, Lorenz

# Rounding of sums and products of numbers of size 1; weights below are of size 1 too.
EXACT = 1e-14


@dataclass(frozen=True)
class Ramp(Heat):
    """Heat between u = 1 and u = −2; without a name of its own it stays out of the registry."""

    def conditions(self):
        return [Dirichlet("x-", 1.0), Dirichlet("x+", -2.0)]

    def initial(self, *space: Any) -> Any:
        (x,) = space
        return 1 - 3 * x + sin(pi * x)


@dataclass(frozen=True)
class Bump(Heat2D):
    """A bump that is not quite 0 at the walls: edges win over the start."""

    def initial(self, *space: Any) -> Any:
        x, y = space
        return exp(-((x - 0.3) ** 2) - (y - 0.6) ** 2)


@dataclass(frozen=True)
class Saddle(Heat2D):
    """Four bumps of changing sign: odd in x and in y, even in both together."""

    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0))
    odd = ("x", "y")


RAMP, BUMP = pytest.param(Ramp(), id="ramp"), pytest.param(Bump(), id="bump")


def random_network(problem: Problem, ansatz: PhysicsAnsatz, seed: int) -> tuple[MLP, torch.Tensor]:
    network = network_for(ansatz, 9, 2, "tanh")
    rng = np.random.default_rng(seed)
    return network, torch.tensor(rng.normal(0, 1, network.size))


def evaluate(
    problem: Problem, points: np.ndarray, names: tuple[str, ...] = ("",), **options: bool
) -> torch.Tensor:
    """Fields of a random network at points, [channels, points, fields]."""
    ansatz = PhysicsAnsatz(problem, **options)
    network, weights = random_network(problem, ansatz, 5)
    batch = ansatz.batch(torch.tensor(points), names)
    return batch.fields(network.forward(weights, batch.inputs, names))


def random_points(problem: Problem, seed: int = 0) -> np.ndarray:
    return problem.domain.from_unit(
        np.random.default_rng(seed).uniform(size=(40, len(problem.axes)))
    )


def every_problem() -> list[Any]:
    """An evolution of every family; what a box without time meets is tested with conditions."""
    chosen = [family for family in families if issubclass(family, Evolution)]
    return [pytest.param(family(), id=family.name) for family in chosen]


def without_contradictions() -> list[Any]:
    """Those whose start and conditions can be met together."""
    return [case for case in every_problem() if not case.values[0].contradictions]


class TestStartAndEdges:
    @pytest.mark.parametrize("problem", [*without_contradictions(), RAMP])
    def test_the_start_is_met(self, problem: Problem) -> None:
        points = random_points(problem)
        points[:, 0] = problem.domain.axis("t").lower
        made = evaluate(problem, points)[0]
        start = problem.initial_fields(*torch.tensor(points).T[1:])
        for k, expected in enumerate(start):
            expected = torch.as_tensor(expected, dtype=made.dtype).expand(len(points))
            assert (made[:, k] - expected).abs().max() <= EXACT * problem.scales[k]

    @pytest.mark.parametrize("problem", [*without_contradictions(), RAMP, BUMP])
    def test_dirichlet_edges_are_met_at_all_times(self, problem: Problem) -> None:
        for edge in problem.boundary.edges:
            if edge.b:
                continue
            axis = problem.domain.axis(edge.axis)
            points = random_points(problem)
            position = problem.domain.names.index(edge.axis)
            points[:, position] = axis.upper if edge.upper else axis.lower
            at = dict(zip(problem.domain.names, torch.tensor(points).T, strict=True))
            gap = edge.a * evaluate(problem, points)[0, :, edge.field] - edge.value_at(at)
            assert gap.abs().max() <= EXACT * problem.scales[edge.field]

    @pytest.mark.parametrize("problem", every_problem())
    def test_inside_the_network_is_free(self, problem: Problem) -> None:
        """A multiplier that vanished everywhere would meet every condition as well."""
        ansatz = PhysicsAnsatz(problem)
        batch = ansatz.batch(torch.tensor(random_points(problem)))
        rows = batch.inputs.shape[1]
        moved = batch.fields(torch.ones(1, rows, len(problem.fields), dtype=torch.float64))
        assert ((moved - batch.offset).abs().amin((0, 1)) > 0).all()

    def test_nothing_is_imposed_when_soft(self) -> None:
        problem = Lorenz()
        ansatz = PhysicsAnsatz(problem, hard=False)
        network, weights = random_network(problem, ansatz, 5)
        points = random_points(problem)
        batch = ansatz.batch(torch.tensor(points))
        output = network.forward(weights, batch.inputs, ("",))
        torch.testing.assert_close(batch.fields(output), 20 * output, rtol=EXACT, atol=0)


class TestSymmetry:
    @pytest.mark.parametrize("problem", [Burgers(), BurgersPeriodic()])
    def test_the_odd_ansatz_is_odd(self, problem: Problem) -> None:
        points = random_points(problem)
        mirrored = points * [1, -1]
        names = problem.channels
        here = evaluate(problem, points, names, odd=True)
        there = evaluate(problem, mirrored, names, odd=True)
        for channel, name in enumerate(names):
            sign = 1 if name.count("x") % 2 else -1
            # derivatives are sums of terms of size π² and more
            allowed = EXACT if not name else 1e-12
            assert (there[channel] - sign * here[channel]).abs().max() <= allowed
        even = evaluate(problem, points, names)[0] + evaluate(problem, mirrored, names)[0]
        assert even.abs().max() > 1e-2  # the plain ansatz is not

    def test_every_odd_axis_is_odd_by_itself(self) -> None:
        problem = Saddle()
        points, names = random_points(problem), problem.channels
        here = evaluate(problem, points, names, odd=True)
        for axis, mirror in (("x", [1, -1, 1]), ("y", [1, 1, -1])):
            there = evaluate(problem, points * mirror, names, odd=True)
            for channel, name in enumerate(names):
                sign = 1 if name.count(axis) % 2 else -1
                # derivatives are sums of terms of size π² and more
                assert (there[channel] - sign * here[channel]).abs().max() <= 1e-12
        both = evaluate(problem, points * [1, -1, -1], names, odd=True)
        torch.testing.assert_close(both[0], here[0], rtol=0, atol=1e-12)
        assert here[0].abs().max() > 1e-2

    def test_odd_is_for_problems_that_are(self) -> None:
        assert not PhysicsAnsatz(Heat()).with_odd(True).odd
        assert PhysicsAnsatz(Burgers()).with_odd(True).odd
        assert not PhysicsAnsatz(Burgers(), odd=True).with_odd(False).odd

    @pytest.mark.parametrize("odd", [False, True])
    @pytest.mark.parametrize(
        "problem",
        [case for case in without_contradictions() if case.values[0].boundary.periodic],
    )
    def test_the_periodic_ansatz_is_periodic(self, problem: Problem, odd: bool) -> None:
        for position, axis in enumerate(problem.domain.space, start=1):
            if axis.name not in problem.boundary.periodic:
                continue
            names = channel_names({*problem.channels, 2 * axis.name, "t" + axis.name})
            low, high = random_points(problem), random_points(problem)
            low[:, position], high[:, position] = axis.lower, axis.upper
            at_low = evaluate(problem, low, names, odd=odd)
            at_high = evaluate(problem, high, names, odd=odd)
            # 2π is rounded: second derivatives multiply that by (2π/length)³
            torch.testing.assert_close(at_low, at_high, rtol=1e-12, atol=1e-12)
            assert at_low[names.index(axis.name)].abs().max() > 1e-2


class TestJets:
    """The whole ansatz, written out by hand and differentiated by autograd."""

    def compare(self, problem: Problem, names: tuple[str, ...], by_hand: Any, **opts: bool) -> None:
        ansatz = PhysicsAnsatz(problem, **opts)
        network, weights = random_network(problem, ansatz, 5)
        points = random_points(problem)
        made = evaluate(problem, points, names, **opts)
        axes = [axis.name for axis in problem.axes]
        columns = [torch.tensor(column, requires_grad=True) for column in points.T.copy()]

        def net(*features: torch.Tensor) -> torch.Tensor:
            return network.forward(weights, torch.stack(features, -1)[None], ("",))[0, :, 0]

        field = by_hand(net, *columns)
        d = AutogradDerivative([field], dict(zip(axes, columns, strict=True)))
        for channel, name in enumerate(names):
            expected = d(field, name) if name else field
            # second derivatives reach a few hundred with weights of size 1
            torch.testing.assert_close(made[channel, :, 0], expected, rtol=1e-11, atol=1e-11)

    def test_walls_with_nonzero_values(self) -> None:
        def by_hand(net: Any, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            offset = 1 - 3 * x + torch.sin(pi * x)
            return offset + (1 - torch.exp(-t)) * 4 * x * (1 - x) * net(2 * t - 1, 2 * x - 1)

        self.compare(Ramp(), channel_names({"tt", "tx", "xx"}), by_hand)

    def test_three_axes_with_every_mixed_derivative(self) -> None:
        def by_hand(net: Any, t: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            walls = 16 * x * (1 - x) * y * (1 - y)
            free = (1 - torch.exp(-t)) * walls * net(2 * t - 1, 2 * x - 1, 2 * y - 1)
            return torch.sin(pi * x) * torch.sin(pi * y) + free

        self.compare(Heat2D(), channel_names({"tt", "tx", "ty", "xx", "xy", "yy"}), by_hand)

    def test_periodic_and_odd(self) -> None:
        def by_hand(net: Any, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            def on_circle(x: torch.Tensor) -> torch.Tensor:
                angle = pi * (x + 1)
                return net(2 * t - 1, torch.cos(angle), torch.sin(angle))

            odd = (on_circle(x) - on_circle(-x)) / 2
            return -torch.sin(pi * x) + (1 - torch.exp(-t)) * odd

        self.compare(BurgersPeriodic(), channel_names({"tt", "tx", "xx"}), by_hand, odd=True)

    def test_odd_in_two_axes(self) -> None:
        def by_hand(net: Any, t: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            def at(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
                return net(2 * t - 1, x, y)

            odd = (at(x, y) - at(-x, y) - at(x, -y) + at(-x, -y)) / 4
            walls = (1 - x**2) * (1 - y**2)
            return torch.sin(pi * x) * torch.sin(pi * y) + (1 - torch.exp(-t)) * walls * odd

        self.compare(Saddle(), channel_names({"tt", "tx", "xx", "xy", "yy"}), by_hand, odd=True)

    def test_the_time_span_in_force_fills_the_network_input(self) -> None:
        batch = PhysicsAnsatz(Heat(until=0.25)).batch(torch.tensor([[0.0, 0.0], [0.25, 1.0]]))
        assert batch.inputs[0].tolist() == [[-1.0, -1.0], [1.0, 1.0]]

    def test_leibniz_is_the_product_rule(self) -> None:
        names = ("", "x", "y", "xx", "xy")
        m = torch.tensor([2.0, 3.0, 5.0, 7.0, 11.0])[:, None]
        n = torch.tensor([13.0, 17.0, 19.0, 23.0, 29.0])
        product = leibniz(m, names)[..., 0] @ n
        # (mn)_xx = m n_xx + 2 m_x n_x + m_xx n; (mn)_xy = m n_xy + m_x n_y + m_y n_x + m_xy n
        xx, xy = 2 * 23 + 2 * 3 * 17 + 7 * 13, 2 * 29 + 3 * 19 + 5 * 17 + 11 * 13
        assert product.tolist() == [26.0, 3 * 13 + 2 * 17, 5 * 13 + 2 * 19, xx, xy]

    def test_leibniz_is_the_product_rule_to_fourth_order(self) -> None:
        """Mixed and repeated axes: (e^(ax+by) e^(cx+dy))_xxyy = (a+c)² (b+d)² at 0."""
        names = channel_names({"xxyy", "xxxy", "xxxx"})
        a, b, c, d = 2.0, 3.0, 5.0, 7.0

        def jet(x: float, y: float) -> torch.Tensor:
            return torch.tensor([x ** name.count("x") * y ** name.count("y") for name in names])

        product = leibniz(jet(a, b)[:, None], names)[..., 0] @ jet(c, d)
        assert product.tolist() == jet(a + c, b + d).tolist()  # whole numbers: exact


class TestPlain:
    inputs = np.array([[1.0, 10.0, 4.0], [3.0, 30.0, 4.0], [5.0, 20.0, 4.0]])
    outputs = np.array([[100.0], [300.0], [200.0]])

    def test_columns_are_standardised(self) -> None:
        ansatz = TableAnsatz.of(self.inputs, self.outputs)
        batch = ansatz.batch(torch.tensor(self.inputs))
        varying = batch.inputs[0, :, :2]
        torch.testing.assert_close(varying.mean(0), torch.zeros(2).double(), rtol=0, atol=1e-15)
        torch.testing.assert_close(varying.std(0, correction=0), torch.ones(2).double())
        standard = (self.outputs - 200) / self.outputs.std()
        made = batch.fields(torch.tensor(standard)[None])[0]
        torch.testing.assert_close(made, torch.tensor(self.outputs))

    def test_a_constant_column_is_no_division_by_zero(self) -> None:
        ansatz = TableAnsatz.of(self.inputs, np.ones((3, 1)))
        batch = ansatz.batch(torch.tensor(self.inputs))
        assert batch.inputs[0, :, 2].tolist() == [0.0, 0.0, 0.0]
        assert (batch.scale == 1).all()

    def test_derivatives_of_a_table_are_refused(self) -> None:
        with pytest.raises(InvalidValueError, match="no derivatives"):
            TableAnsatz.of(self.inputs, self.outputs).batch(torch.ones(1, 3), ("", "x"))


def test_values_alone_are_the_scaled_outputs() -> None:
    """u = s N(φ), of the outputs from a first one on, with one channel."""
    rng = np.random.default_rng(0)
    points, outputs = (
        torch.tensor(rng.normal(size=(4, 2))),
        torch.tensor(rng.normal(size=(1, 4, 5))),
    )
    scale = torch.tensor([2.0, -3.0], dtype=torch.float64)
    batch = Batch.without_derivatives(points, points[None], scale, first_output=2)
    assert torch.equal(batch.fields(outputs), scale * outputs[..., 2:4])
