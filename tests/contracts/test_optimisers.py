"""What every registered optimiser promises, on a small heat problem with one weight in four frozen.

Runs over the registry: a new optimiser is tested without a line here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import pacpde.optim
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.optim.base import Optimiser, optimisers
from pacpde.optim.least_squares import LeastSquares
from pacpde.problems import Heat
from pacpde.residuals.terms import Anchor, LabelTerm, PhysicsTerm

# name → (steps, factor by which they lower the loss); measured: 6e-8, 2e-5, 0.04 and 0.003
DESCENT = {
    "levenberg_marquardt": (30, 1e-6), "lbfgs": (60, 1e-4), "adam": (300, 0.1), "soap": (300, 0.02)
}  # fmt: skip


def small_problem(dtype: torch.dtype = torch.float64, anchor: bool = False) -> LeastSquares:
    """Physics and three labels of the heat equation; the same bits at every call."""
    family = Heat(alpha=0.1)
    ansatz = PhysicsAnsatz(family)
    network = network_for(ansatz, 10, 1, "tanh")
    rng = np.random.default_rng(0)
    weights = torch.tensor(network.init_weights(rng), dtype=dtype)
    free = torch.tensor(rng.random(network.size) < 0.75)
    points = torch.tensor(family.domain.sample(40, rng), dtype=dtype)
    t, x = points[:3].double().numpy().T
    values = torch.tensor(family.exact(t, x).T, dtype=dtype)
    terms = [
        PhysicsTerm.at(family, ansatz, points),
        LabelTerm.at(ansatz, points[:3], values),
    ]
    size = int(free.sum())
    held = Anchor(weights.new_full((size,), 1e-3), weights.new_zeros(size))
    return LeastSquares(network, weights, free, terms, held if anchor else None)


class Cliff(LeastSquares):
    """No number anywhere but at the start."""

    def _loss(self, x: torch.Tensor) -> torch.Tensor:
        return super()._loss(x) * (1.0 if torch.equal(x.detach(), self.x0) else torch.nan)


class Void(LeastSquares):
    """No number anywhere."""

    def _loss(self, x: torch.Tensor) -> torch.Tensor:
        return super()._loss(x) * torch.nan


def of_kind(kind: type[LeastSquares]) -> LeastSquares:
    made = small_problem()
    return kind(made.network, made.weights, made.trainable_mask, made.terms, made.anchor)


@pytest.fixture(params=optimisers.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_its_class_can_be_imported(name: str) -> None:
    kind: Any = optimisers.get(name)
    if kind.__module__.startswith("pacpde."):  # those of plug-ins need not
        assert getattr(pacpde.optim, kind.__name__) is kind
        assert kind.__name__ in pacpde.optim.__all__


@pytest.fixture
def optimiser(name: str) -> Optimiser:
    return optimisers.get(name)()


def test_it_lowers_the_loss_by_its_factor(name: str, optimiser: Optimiser) -> None:
    problem = small_problem()
    steps, factor = DESCENT.get(name, (200, 0.9))
    made = optimiser.run(problem, problem.x0, steps)
    assert made.loss < factor * problem.loss(problem.x0)
    assert 0 < made.steps <= steps
    assert made.evaluations > made.steps
    assert not made.stalled


def test_the_loss_it_tells_is_the_loss_of_its_point(optimiser: Optimiser) -> None:
    problem = small_problem(anchor=True)
    made = optimiser.run(problem, problem.x0, 25)
    # a line search and a fresh forward pass may add in another order
    assert made.loss == pytest.approx(problem.loss(made.x), rel=1e-13)


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_it_never_ends_above_its_start(optimiser: Optimiser, steps: int) -> None:
    problem = small_problem(anchor=True)
    good = optimisers.get("levenberg_marquardt")().run(problem, problem.x0, 15).x
    for start in (problem.x0, good):
        made = optimiser.run(problem, start, steps)
        assert made.steps <= steps
        assert problem.loss(made.x) <= problem.loss(start)


def test_no_steps_change_nothing(optimiser: Optimiser) -> None:
    problem = small_problem()
    made = optimiser.run(problem, problem.x0, 0)
    assert torch.equal(made.x, problem.x0)
    assert made.steps == 0 and made.loss == problem.loss(problem.x0)


def test_its_arguments_are_left_alone(optimiser: Optimiser) -> None:
    problem, fresh = small_problem(), small_problem()
    x = problem.x0
    first = optimiser.run(problem, x, 10)
    state = {key: value.clone() for key, value in first.state.items()}
    kept = first.x.clone()
    optimiser.run(problem, first.x, 10, first.state)
    assert torch.equal(x, fresh.x0)
    assert torch.equal(problem.weights, fresh.weights)
    assert torch.equal(first.x, kept)
    assert all(torch.equal(first.state[key], value) for key, value in state.items())


def test_frozen_weights_keep_every_bit(optimiser: Optimiser) -> None:
    problem = small_problem()
    made = optimiser.run(problem, problem.x0, 20)
    whole = problem.insert(made.x)
    frozen = ~problem.trainable_mask
    assert int(frozen.sum()) > 5
    assert torch.equal(whole[frozen], small_problem().weights[frozen])
    assert not torch.equal(whole[problem.trainable_mask], problem.x0)


def test_the_same_start_gives_the_same_bits(optimiser: Optimiser) -> None:
    first, second = (optimiser.run(p, p.x0, 20) for p in (small_problem(), small_problem()))
    assert torch.equal(first.x, second.x)
    assert first.loss == second.loss
    assert (first.steps, first.evaluations) == (second.steps, second.evaluations)
    assert all(torch.equal(first.state[key], second.state[key]) for key in first.state)


def test_a_state_goes_on_exactly_where_it_stopped(optimiser: Optimiser) -> None:
    """An empty state claims nothing."""
    problem = small_problem(anchor=True)
    half = optimiser.run(problem, problem.x0, 10)
    if not half.state:
        assert not optimiser.run(problem, half.x, 10, half.state).state
        return
    again = optimiser.run(problem, half.x, 10, half.state)
    whole = optimiser.run(problem, problem.x0, 20)
    assert torch.equal(again.x, whole.x)
    assert again.loss == whole.loss
    assert all(torch.equal(again.state[key], whole.state[key]) for key in whole.state)
    assert all(value.is_contiguous() for value in whole.state.values())  # it goes into files


def test_it_feels_the_anchor(optimiser: Optimiser) -> None:
    """A pull towards 1 moves the weights there; one of 10⁴ towards the start holds them."""
    problem = small_problem()
    start = problem.x0
    # weak enough for steps of a constant size of up to 0.1 along the gradient, 2 / (2·10)
    pull = Anchor(torch.full_like(start, 10.0), torch.ones_like(start))
    problem = replace(problem, anchor=pull)
    far = optimiser.run(problem, start, 20).x
    assert float((far - 1).norm()) < float((start - 1).norm()) - 0.01
    held = replace(problem, anchor=Anchor(torch.full_like(start, 1e4), start))
    near = optimiser.run(held, start, 20).x
    assert float((near - start).norm()) < 1e-2


@pytest.mark.parametrize("kind", [Cliff, Void])
def test_no_numbers_around_leave_the_start(optimiser: Optimiser, kind: type[LeastSquares]) -> None:
    problem = of_kind(kind)
    made = optimiser.run(problem, problem.x0, 5)
    assert torch.equal(made.x, problem.x0)
    assert made.stalled
    # and the run after that may be given whatever state came of it
    after = optimiser.run(problem, made.x, 5, made.state or None)
    assert torch.equal(after.x, problem.x0)


def test_float32_is_a_choice_it_takes(name: str, optimiser: Optimiser) -> None:
    problem = small_problem(torch.float32)
    steps, factor = DESCENT.get(name, (200, 0.9))
    made = optimiser.run(problem, problem.x0, steps)
    assert made.x.dtype == torch.float32
    assert made.loss < factor * problem.loss(problem.x0)


def global_state() -> list[Any]:
    readers: list[Callable[[], Any]] = [
        torch.get_default_dtype,
        torch.get_default_device,
        torch.get_num_threads,
        torch.is_grad_enabled,
        torch.are_deterministic_algorithms_enabled,
        lambda: torch.random.get_rng_state().tolist(),
        lambda: np.random.get_state()[1].tolist(),  # noqa: NPY002 - to see that nothing used it
    ]
    return [read() for read in readers]


def test_nothing_global_is_touched(optimiser: Optimiser) -> None:
    problem = small_problem()
    before = global_state()
    optimiser.run(problem, problem.x0, 5)
    assert global_state() == before
