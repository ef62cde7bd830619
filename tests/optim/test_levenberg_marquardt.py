"""Levenberg–Marquardt against dense linear algebra, and on a small heat problem."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.table_ansatz import TableAnsatz
from pacpde.optim.base import near_state
from pacpde.optim.first_order import Adam
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
from pacpde.optim.linear_systems import normal_system
from pacpde.problems import Heat
from pacpde.residuals.terms import Anchor, LabelTerm, PhysicsTerm


def linear(rows: int, anchor: bool = False) -> LeastSquares:
    """A regression in which only the last layer is free, 9 parameters: linear in them."""
    rng = np.random.default_rng(4)
    inputs, outputs = rng.normal(size=(rows, 2)), rng.normal(3, 2, size=(rows, 1))
    ansatz = TableAnsatz.of(inputs, outputs)
    network = network_for(ansatz, 8, 1, "tanh")
    weights = torch.tensor(rng.normal(0, 1, network.size))
    free = torch.zeros(network.size, dtype=torch.bool)
    free[network.layers[-1].weights] = True
    free[network.layers[-1].biases] = True
    size = int(free.sum())
    held = Anchor(torch.tensor(rng.uniform(0.1, 1, size)), torch.tensor(rng.normal(size=size)))
    term = LabelTerm.at(ansatz, torch.tensor(inputs), torch.tensor(outputs))
    return LeastSquares(network, weights, free, [term], held if anchor else None)


def heat() -> LeastSquares:
    family = Heat(alpha=0.1)
    ansatz = PhysicsAnsatz(family)
    network = network_for(ansatz, 16, 1, "tanh")
    rng = np.random.default_rng(0)
    weights = torch.tensor(network.init_weights(rng))
    points = torch.tensor(family.domain.sample(80, rng))
    free = torch.ones(network.size, dtype=torch.bool)
    return LeastSquares(network, weights, free, [PhysicsTerm.at(family, ansatz, points)])


def affine(problem: LeastSquares) -> tuple[np.ndarray, np.ndarray]:
    """J and b of r = J x − b, for a problem that is linear."""
    r, jacobian = problem.linearise(torch.zeros_like(problem.x0))
    return jacobian.dense().numpy(), -r.numpy()


class TestLinear:
    def test_one_undamped_step_is_lstsq(self) -> None:
        problem = linear(rows=40)
        jacobian, b = affine(problem)
        expected, *_ = np.linalg.lstsq(jacobian, b)
        made = LevenbergMarquardt(damping=1e-14).run(problem, problem.x0, 1)
        # normal equations square the condition number (~10²)
        np.testing.assert_allclose(made.x.numpy(), expected, rtol=1e-9)
        assert (made.steps, made.evaluations) == (1, 4)

    def test_damped_steps_get_there_too(self) -> None:
        problem = linear(rows=40)
        jacobian, b = affine(problem)
        expected, *_ = np.linalg.lstsq(jacobian, b)
        made = LevenbergMarquardt().run(problem, problem.x0, 12)
        np.testing.assert_allclose(made.x.numpy(), expected, rtol=1e-7)
        best = 0.5 * ((jacobian @ expected - b) ** 2).sum()
        assert made.loss == pytest.approx(best, rel=1e-12)

    @pytest.mark.parametrize("rows", [40, 5])
    def test_with_an_anchor_it_is_ridge_regression(self, rows: int) -> None:
        problem = linear(rows, anchor=True)
        assert problem.anchor is not None
        jacobian, b = affine(problem)
        strength, centre = problem.anchor.strength.numpy(), problem.anchor.centre.numpy()
        # minimum of ½|Jx − b|² + Σ λ (x − c)²
        matrix = jacobian.T @ jacobian + np.diag(2 * strength)
        expected = np.linalg.solve(matrix, jacobian.T @ b + 2 * strength * centre)
        made = LevenbergMarquardt(damping=1e-14).run(problem, problem.x0, 1)
        np.testing.assert_allclose(made.x.numpy(), expected, rtol=1e-10)

    @pytest.mark.parametrize("anchor", [True, False])
    @pytest.mark.parametrize("rows", [40, 5])
    def test_the_promise_is_kept_exactly(self, rows: int, anchor: bool) -> None:
        """Where the model is the truth, promised and true descent are the same."""
        problem = linear(rows, anchor)
        x = problem.x0
        system = normal_system(*problem.linearise(x), problem.anchor, x)
        step, promised = system.solve(torch.tensor(0.3))
        assert promised > 0
        assert promised == pytest.approx(problem.loss(x) - problem.loss(x + step), rel=1e-10)


class TestBend:
    def test_the_step_follows_the_curve_to_second_order(self) -> None:
        """x(s) with r(x(s)) = (1 − s) r(x): where μ → 0 and J has full row rank, a geodesic."""
        family = Heat(alpha=0.1)
        ansatz = PhysicsAnsatz(family)
        network = network_for(ansatz, 16, 1, "tanh")
        rng = np.random.default_rng(0)
        weights = torch.tensor(network.init_weights(rng))
        points = torch.tensor(family.domain.sample(6, rng))
        free = torch.ones(network.size, dtype=torch.bool)
        problem = LeastSquares(network, weights, free, [PhysicsTerm.at(family, ansatz, points)])
        x = problem.x0
        system = normal_system(*problem.linearise(x), None, x)
        step, _ = system.solve(torch.tensor(1e-12))
        bend = LevenbergMarquardt()._bent(problem, x, system, step)

        def missed(share: float, bent: bool) -> float:
            there = x + share * step + bent * share**2 * bend
            return float((problem.residuals(there) - (1 - share) * system.r).norm())

        # halving the share quarters the error of the straight step; bending takes that error away,
        # but for what the difference over REACH leaves of it
        assert missed(0.02, False) / missed(0.01, False) == pytest.approx(4, rel=0.05)
        assert missed(0.02, True) < 0.3 * missed(0.02, False)

    def test_bending_saves_steps(self) -> None:
        problem = heat()
        bent = LevenbergMarquardt().run(problem, problem.x0, 30)
        straight = LevenbergMarquardt(max_bend=0).run(problem, problem.x0, 30)
        assert bent.loss < 0.1 * straight.loss


class TestRun:
    def test_float64_goes_far_below_what_first_order_reaches(self) -> None:
        problem = heat()
        made = LevenbergMarquardt().run(problem, problem.x0, 120)
        assert made.loss < 1e-10
        assert made.loss == problem.loss(made.x)

    def test_every_step_descends(self) -> None:
        problem = heat()
        x, state, losses = problem.x0, None, [problem.loss(problem.x0)]
        for _ in range(8):
            made = LevenbergMarquardt().run(problem, x, 1, state)
            x, state = made.x, made.state
            losses.append(made.loss)
        assert losses == sorted(losses, reverse=True)
        assert len(set(losses)) == len(losses)

    def test_the_state_carries_the_damping(self) -> None:
        problem = heat()
        optimiser = LevenbergMarquardt(damping=1e3)
        first = optimiser.run(problem, problem.x0, 6)
        assert float(first.state["damping"]) < 1e2
        second = optimiser.run(problem, first.x, 6, first.state)
        forgetful = optimiser.run(problem, first.x, 6)
        whole = optimiser.run(problem, problem.x0, 12)
        assert torch.equal(second.x, whole.x)
        assert second.state["damping"] == whole.state["damping"]
        assert second.loss < forgetful.loss

    def test_near_a_solution_the_first_step_goes_all_the_way(self) -> None:
        problem = linear(rows=40)
        jacobian, b = affine(problem)
        expected, *_ = np.linalg.lstsq(jacobian, b)
        optimiser = LevenbergMarquardt()
        near = optimiser.run(problem, problem.x0, 1, near_state(optimiser))
        far = optimiser.run(problem, problem.x0, 1)
        near_error, far_error = (np.linalg.norm(x.numpy() - expected) for x in (near.x, far.x))
        # the damping is to the least squared singular value as 0.004 to 1
        assert near_error < 1e-3 * np.linalg.norm(expected) < far_error / 10

    def test_a_damping_below_that_of_near_starts_stays(self) -> None:
        assert float(near_state(LevenbergMarquardt(damping=1e-9))["damping"]) == 1e-9
        assert near_state(Adam()) == {}

    def test_a_minimum_stalls(self) -> None:
        problem = linear(rows=40)
        there = LevenbergMarquardt(damping=1e-14).run(problem, problem.x0, 50)
        assert there.stalled and there.steps < 50
        again = LevenbergMarquardt().run(problem, there.x, 5, there.state)
        assert again.stalled and again.steps == 0
        assert torch.equal(again.x, there.x)

    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_a_loss_that_is_no_number_stalls_at_the_start(self, bad: float) -> None:
        problem = linear(rows=12)
        (term,) = problem.terms
        assert isinstance(term, LabelTerm)
        term.values[0] = bad
        made = LevenbergMarquardt().run(problem, problem.x0, 5)
        assert made.stalled and made.steps == 0
        assert torch.equal(made.x, problem.x0)

    def test_a_wall_of_nan_is_stepped_back_from(self) -> None:
        @dataclass(frozen=True)
        class Walled(LeastSquares):
            """No number beyond a short distance from the start."""

            def _loss(self, x: torch.Tensor) -> torch.Tensor:
                value = super()._loss(x)
                return value * (1 if float((x - self.x0).norm()) < 0.1 else torch.nan)

        free = linear(rows=40)
        problem = Walled(free.network, free.weights, free.trainable_mask, free.terms)
        made = LevenbergMarquardt().run(problem, problem.x0, 5)
        assert made.steps == 5 and not made.stalled
        assert 0.05 < float((made.x - problem.x0).norm()) < 0.1
        assert float(made.state["damping"]) > 1e-3

    def test_at_a_loss_of_0_no_step_is_taken(self) -> None:
        inputs = np.random.default_rng(0).normal(size=(20, 2))
        ansatz = TableAnsatz.of(inputs, np.zeros((20, 1)))
        network = network_for(ansatz, 4, 1, "tanh")
        weights = torch.zeros(network.size, dtype=torch.float64)
        term = LabelTerm.at(ansatz, torch.tensor(inputs), torch.zeros(20, 1).double())
        free = torch.ones(network.size, dtype=torch.bool)
        made = LevenbergMarquardt().run(LeastSquares(network, weights, free, [term]), weights, 5)
        assert (made.loss, made.steps, made.stalled) == (0.0, 0, True)
        assert torch.equal(made.x, weights)
