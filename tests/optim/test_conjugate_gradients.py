"""Preconditioned conjugate gradients against dense solutions, and within a memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.linear_head import LinearHead
from pacpde.optim import LevenbergMarquardt
from pacpde.optim.conjugate_gradients import conjugate_gradients
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.linear_systems import Krylov, normal_system
from pacpde.problems import Burgers
from pacpde.residuals.factors import Streamed
from pacpde.residuals.jacobian import Jacobian
from pacpde.residuals.terms import Anchor, PhysicsTerm
from tests.optim.test_linear_systems import of_matrix

ROWS, COLUMNS = 600, 300
DAMPING = 1e-7


def falling(seed: int) -> np.ndarray:
    """Singular values from 1 down by a tenth of a decade each: the condition of JᵀJ + μI is 1e7."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(ROWS, COLUMNS)))[0]
    right = np.linalg.qr(rng.normal(size=(COLUMNS, COLUMNS)))[0]
    return left * 10 ** (-np.arange(COLUMNS) / 10) @ right


class Close(Krylov):
    """To an accuracy that a condition of 1e7 makes 1e-9 of the solution."""

    accuracy = 1e-13


class Plain(Close):
    """Without a preconditioner."""

    max_iterations = 5000

    def _sums(self) -> int:
        return 0


ANCHORS = {
    "none": np.zeros(COLUMNS),
    "uniform": np.full(COLUMNS, 1e-6),
    "some": np.random.default_rng(3).uniform(0, 1e-3, COLUMNS) * (np.arange(COLUMNS) % 2),
}


@pytest.mark.parametrize("name", ANCHORS)
def test_an_ill_conditioned_system_is_solved_in_few_iterations(name: str) -> None:
    dense = falling(0)
    rng = np.random.default_rng(1)
    r, x, centre = rng.normal(size=ROWS), rng.normal(size=COLUMNS), rng.normal(size=COLUMNS)
    stiffness = 2 * ANCHORS[name]
    matrix = dense.T @ dense + np.diag(stiffness + DAMPING)
    expected = -np.linalg.solve(matrix, dense.T @ r + stiffness * (x - centre))
    pull = Anchor(torch.tensor(ANCHORS[name]), torch.tensor(centre))
    anchor = None if name == "none" else pull
    iterations = {}
    for kind in (Close, Plain):
        made = kind(torch.tensor(r), of_matrix(torch.tensor(dense)), anchor, torch.tensor(x))
        made.solve(torch.tensor(1.0).double())  # another damping first leaves nothing behind
        made.iterations, made.residual = 0, 0.0
        step, _ = made.solve(torch.tensor(DAMPING).double())
        assert np.linalg.norm(step.numpy() - expected) <= 1e-8 * np.linalg.norm(expected)
        assert made.residual <= 1e-13
        iterations[kind] = made.iterations
        bend = made.step_for(torch.tensor(r[::-1].copy()))
        other = -np.linalg.solve(matrix, dense.T @ r[::-1])
        assert np.linalg.norm(bend.numpy() - other) <= 1e-8 * np.linalg.norm(other)
    # 150 rows of a sketch, and 35 singular values above √μ: 24 iterations, plain ones 187 to 570
    assert iterations[Close] <= 30
    assert iterations[Plain] >= 6 * iterations[Close]


def test_a_stack_has_the_steps_of_each() -> None:
    """Each with its damping; also the chosen ones of a stack."""
    dense = torch.tensor(np.stack([falling(seed) for seed in (0, 1, 2)]))
    r = torch.tensor(np.random.default_rng(1).normal(size=(3, ROWS)))
    zero = torch.zeros(3, COLUMNS, dtype=torch.float64)
    dampings = torch.tensor([1e-7, 1e-2, 1e-5], dtype=torch.float64)
    head = LinearHead(COLUMNS, 1)
    whole = Jacobian(head, dense[..., 0, :0], ROWS, (), matrix=dense.mT.contiguous())
    made = Close(r, whole, None, zero)
    steps = made.solve(dampings)[0]
    chosen = torch.tensor([2, 0])
    some = made.select(chosen).solve(dampings[chosen])[0]
    for number, (own, damping) in enumerate(zip(dense, dampings, strict=True)):
        matrix = own.T @ own + damping * torch.eye(COLUMNS)
        expected = -torch.linalg.solve(matrix, own.T @ r[number])
        assert (steps[number] - expected).norm() <= 1e-7 * expected.norm()
    for place, number in enumerate(chosen):
        assert (some[place] - steps[number]).norm() <= 1e-7 * steps[number].norm()


def test_single_precision() -> None:
    """Of a condition of 1e3, within that many times its rounding."""
    dense = torch.tensor(falling(0)).float()
    r = torch.ones(ROWS)
    made = Krylov(r, of_matrix(dense), None, torch.zeros(COLUMNS))
    made.accuracy = 1e-5
    step, _ = made.solve(torch.tensor(1e-3))
    exact = dense.double()
    matrix = exact.T @ exact + 1e-3 * torch.eye(COLUMNS)
    expected = -torch.linalg.solve(matrix, exact.T @ r.double())
    assert step.dtype == torch.float32 and made.iterations <= 12
    assert (step - expected).norm() <= 1e-3 * expected.norm()


def test_an_iteration_that_ends_early_says_how_far_it_came() -> None:
    matrix = torch.tensor([[1.0, 0.0], [0.0, 100.0]])
    solved = conjugate_gradients(lambda v: v @ matrix, torch.ones(2), 1e-6, 1)
    # one step of length (b·b)/(b·Mb) = 2/101 along b
    left = np.array([1 - 2 / 101, 1 - 200 / 101])
    assert solved.iterations == 1
    assert solved.residual == pytest.approx(np.linalg.norm(left) / 2**0.5, rel=1e-6)
    assert conjugate_gradients(lambda v: v @ matrix, torch.ones(2), 1e-6, 9).residual <= 1e-6


def problem(points: int, width: int) -> LeastSquares:
    ansatz = PhysicsAnsatz(Burgers(nu=0.1))
    network = network_for(ansatz, width, 2, "tanh")
    rng = np.random.default_rng(1)
    places = torch.tensor(ansatz.problem.domain.from_unit(rng.uniform(size=(points, 2))))
    weights = torch.tensor(network.init_weights(rng))
    mask = torch.ones_like(weights, dtype=torch.bool)
    return LeastSquares(network, weights, mask, [PhysicsTerm.at(ansatz.problem, ansatz, places)])


def test_what_is_retained_and_the_sketch_fit_into_the_memory() -> None:
    """It has two halves of `memory_bytes`; a fifth of it is left for what products form."""
    whole = problem(600, 30)
    factors = sum(whole.network.factor_bytes(term.batch.inputs) for term in whole.terms)
    seen = set()
    for memory in (factors, factors // 2, factors // 8):
        made = whole.within(memory)
        r, jacobian = made.linearise(made.x0)
        system = normal_system(r, jacobian, None, made.x0)
        assert isinstance(system, Krylov)
        inverse = system.inverse
        largest = max(made.network.factor_bytes(term.batch.inputs) for term in made.terms)
        anew = 4 * largest if isinstance(jacobian.parts, Streamed) else 0
        taken = jacobian.taken_bytes
        assert taken <= 1.3 * memory
        if inverse is not None:
            taken += 8 * (inverse.sketch.numel() + 2 * inverse.gram.numel())
        assert taken <= 1.6 * memory
        retained = getattr(jacobian.parts, "retained", jacobian.parts)
        held = sum(part.rows for part in retained)
        per_row = factors / 600
        assert jacobian.taken_bytes == pytest.approx(per_row * held + anew, rel=1e-6)
        seen.add("all" if held == 600 else "some" if held else "none")
        system.accuracy = 1e-10
        step, _ = system.solve(torch.tensor(1e-3).double())
        dense = replace(made, memory_bytes=2**30).linearise(made.x0)
        full, _ = normal_system(*dense, None, made.x0).solve(torch.tensor(1e-3).double())
        assert (step - full).norm() <= 1e-5 * full.norm()  # the condition is some 1e5
    assert seen == {"all", "some"}


def test_a_fit_says_how_its_systems_were_solved() -> None:
    small = problem(300, 20)
    dense = LevenbergMarquardt().run(small, small.x0, 4)
    assert (dense.iterations, dense.solver_residual) == (0, 0.0)
    by_products = LevenbergMarquardt(memory_gib=2 * 8 * 300**2 / 2**30).run(small, small.x0, 4)
    assert by_products.solver == "conjugate gradients"
    assert 0 < by_products.iterations <= 120
    assert 0 < by_products.solver_residual <= 1e-3
    # the steps are those of the dense solution but for a residual of 1e-3
    assert by_products.loss == pytest.approx(dense.loss, rel=0.05)
