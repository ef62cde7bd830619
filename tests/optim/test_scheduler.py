"""Fits side by side end as they do alone, whatever company they are in."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import fit_many
from pacpde.errors import InvalidValueError
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.mlp import MLP
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import Progress, State
from pacpde.optim.first_order import Adam
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
from pacpde.optim.scheduler import BatchError, BatchScheduler, _digest, stacking
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics import Axis, Evolution, Problem, coefficient
from pacpde.physics.stacked import stackable
from pacpde.problems import Burgers, Heat, Lorenz
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.residuals.terms import Anchor, LabelTerm, PhysicsTerm, Term
from pacpde.training.config import TrainingConfig
from pacpde.training.schedule import Phase
from pacpde.training.trainer import FitResult, Trainer

NETWORK = MLP(2, 1, 8, 2)


def problem(
    family: Problem, seed: int, *, share: float = 0.7, strength: float = 1e-4
) -> LeastSquares:
    """Physics at 40 points and 3 labels, with a random mask."""
    ansatz = PhysicsAnsatz(family)
    network = network_for(ansatz, 8, 2, "tanh")
    rng = np.random.default_rng(seed)
    weights = torch.tensor(network.init_weights(rng))
    free = torch.zeros(network.size, dtype=torch.bool)
    free[torch.as_tensor(rng.permutation(network.size)[: round(share * network.size)])] = True
    points = torch.tensor(family.domain.sample(40, rng))
    values = torch.tensor(rng.normal(size=(3, len(family.fields))))
    terms: list[Term] = [
        PhysicsTerm.at(family, ansatz, points),
        LabelTerm.at(ansatz, points[:3], values, weight=0.1),
    ]
    size = int(free.sum())
    held = Anchor(weights.new_full((size,), strength), weights.new_zeros(size))
    return LeastSquares(network, weights, free, terms, held if strength else None)


STACKS: dict[str, list[LeastSquares]] = {
    "coefficients, seeds and masks": [problem(Heat(alpha=0.1 + k / 5), k) for k in range(4)],
    "more free weights than rows": [problem(Burgers(nu=0.1 + k / 5), k, share=1) for k in range(3)],
    "one mask": [problem(Heat(alpha=0.1 + k / 5), 5) for k in range(3)],
    "three fields": [problem(Lorenz(rho=15.0 + k), k, strength=0.0) for k in range(3)],
}


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_is_its_problems(name: str) -> None:
    """Residuals, Jacobian and its products."""
    alone = STACKS[name]
    together = LeastSquares.stack(alone)
    assert len({one.batch_key for one in alone}) == 1
    x = torch.stack([one.x0 * 1.1 for one in alone])
    r, jacobian = together.linearise(x)
    y = torch.tensor(np.random.default_rng(0).normal(size=r.shape))
    losses, normal, gram = together.losses(x), jacobian.normal().tril(), jacobian.gram().tril()
    close: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}  # the same sums in another order
    for k, one in enumerate(alone):
        own_r, own = one.linearise(x[k])
        torch.testing.assert_close(r[k], own_r, **close)
        torch.testing.assert_close(jacobian.dense()[k], own.dense(), **close)
        torch.testing.assert_close(jacobian.times(x)[k], own.dense() @ x[k], **close)
        torch.testing.assert_close(jacobian.transposed_times(y)[k], own.dense().T @ y[k], **close)
        torch.testing.assert_close(normal[k], (own.dense().T @ own.dense()).tril(), **close)
        torch.testing.assert_close(gram[k], (own.dense() @ own.dense().T).tril(), **close)
        assert float(losses[k]) == pytest.approx(one.loss(x[k]), rel=1e-12)
        torch.testing.assert_close(together.insert(x)[k], one.insert(x[k]), rtol=0, atol=0)


@pytest.mark.parametrize("memory", [2**30, 20_000], ids=["held", "in factors"])
def test_some_of_a_stack(memory: int) -> None:
    together = LeastSquares.stack(STACKS["coefficients, seeds and masks"]).within(memory)
    x = torch.stack([one.x0 * 1.1 for one in STACKS["coefficients, seeds and masks"]])
    chosen = torch.tensor([3, 1])
    r, whole = together.linearise(x)
    some_r, some = together.select(chosen).linearise(x[chosen])
    assert torch.equal(some_r, r[chosen])
    assert (some.matrix is not None) == (memory == 2**30)
    kept = whole.select(chosen)
    for one in (some, kept):
        torch.testing.assert_close(one.dense(), whole.dense()[chosen], rtol=1e-13, atol=1e-13)
        expected = whole.transposed_times(r)[chosen]
        torch.testing.assert_close(
            one.transposed_times(r[chosen]), expected, rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("name", STACKS)
def test_steps_of_a_stack_are_those_of_each_alone(name: str) -> None:
    """Each with its own damping: the first starts with much more of it."""
    problems = STACKS[name]
    states: list[State | None] = [{"damping": torch.tensor(10.0)}, *[None] * (len(problems) - 1)]
    starts = [one.x0 for one in problems]
    optimiser = LevenbergMarquardt()
    found = optimiser.run_together(problems, starts, 6, states)
    for one, start, state, made in zip(problems, starts, states, found, strict=True):
        expected = optimiser.run(one, start, 6, state)
        assert (made.steps, made.evaluations) == (expected.steps, expected.evaluations)
        assert float(made.state["damping"]) == float(expected.state["damping"])
        assert made.loss == pytest.approx(expected.loss, rel=1e-6)  # rounding grows step by step
        torch.testing.assert_close(made.x, expected.x, rtol=1e-6, atol=1e-6)


def test_each_of_a_stack_stops_by_itself() -> None:
    """One starts in its minimum, where no step leads down."""
    problems = [problem(Heat(alpha=0.1 * k), k, strength=0.1) for k in (1, 2)]
    optimiser = LevenbergMarquardt()
    done = optimiser.run(problems[0], problems[0].x0, 200)
    starts = [done.x, problems[1].x0]
    found = optimiser.run_together(problems, starts, 10, [done.state, None])
    assert found[0].stalled and found[0].steps < 10
    assert not found[1].stalled and found[1].steps == 10
    assert found[0].loss == pytest.approx(done.loss, rel=1e-12)


PHASES = (Phase(6, 3, SamplingSpec(40)), Phase(4, 2, SamplingSpec(60)))


@stepwise
def job(number: int, **options: Any) -> Steps[FitResult]:
    """A short fit; numbers that are odd share their network and points with the one before."""
    family = Heat(alpha=0.1 + 0.1 * number)
    network = NETWORK if number < 4 else MLP(2, 1, 6, 1)
    weights = torch.tensor(network.init_weights(np.random.default_rng(number)))
    task = PhysicsTask(family, seed=number)
    surrogate = Surrogate(network, task.ansatz(SamplingSpec()), weights)
    trainer = Trainer(surrogate, TrainingConfig(tolerance=1e-9, **options), number)
    return steps_of(trainer.fit)(task, PHASES[: 1 + number % 2], "train")


@pytest.mark.parametrize("workers", [1, 2])
def test_fits_side_by_side_have_the_bits_of_fits_alone(workers: int) -> None:
    """Of two kinds, with one or two phases, more of them than workers."""
    found = BatchScheduler(workers).run([steps_of(job)(number) for number in range(6)]).each()
    for number, made in enumerate(found):
        alone = job(number)
        assert torch.equal(made.weights, alone.weights)
        assert (made.steps, made.evaluations) == (alone.steps, alone.evaluations)
        assert [entry["held_out"] for entry in made.history] == [
            entry["held_out"] for entry in alone.history
        ]


def test_fits_in_stacks_end_as_alone_to_rounding() -> None:
    """Of two kinds, with one or two phases, more of them than workers."""
    scheduler = BatchScheduler(2, stacked=True)
    found = scheduler.run([steps_of(job)(number) for number in range(6)]).each()
    for number, made in enumerate(found):
        alone = job(number)
        torch.testing.assert_close(made.weights, alone.weights, rtol=1e-6, atol=1e-6)
        assert (made.steps, made.evaluations) == (alone.steps, alone.evaluations)
        assert 0 < made.seconds < 60
        assert [entry["step"] for entry in made.history] == [e["step"] for e in alone.history]


def test_the_same_call_gives_the_same_bits() -> None:
    """However the threads happen to run."""
    scheduler = BatchScheduler(2)
    first, again = (
        scheduler.run([steps_of(job)(number) for number in range(5)]).each() for _ in range(2)
    )
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.weights, other.weights)


@dataclass(frozen=True)
class Counting(LevenbergMarquardt):
    """Notes how many problems it was given at a time, and may have memory for few of them."""

    sizes: list[int] = field(default_factory=list, compare=False)
    most_at_once: int = 99

    def run_together(
        self,
        problems: Sequence[LeastSquares],
        starts: Sequence[torch.Tensor],
        steps: int,
        states: Sequence[State | None],
    ) -> list[Progress]:
        if len(problems) > self.most_at_once:
            raise torch.OutOfMemoryError
        self.sizes.append(len(problems))
        return super().run_together(problems, starts, steps, states)


def test_what_is_asked_for_twice_is_computed_once() -> None:
    optimiser = Counting()
    asked = [steps_of(job)(1, optimiser=optimiser) for _ in range(5)]
    found = BatchScheduler(1).run(asked).each()
    assert optimiser.sizes == [1] * len(found[0].history)
    assert all(torch.equal(made.weights, found[0].weights) for made in found)


def test_a_stack_too_large_for_the_device_is_halved() -> None:
    optimiser = Counting(most_at_once=2)
    asked = [steps_of(job)(number, optimiser=optimiser) for number in (0, 2, 1, 3)]
    found = BatchScheduler(1, stacked=True).run(asked).each()
    assert set(optimiser.sizes) == {2}  # and nothing is computed again alone
    torch.testing.assert_close(found[1].weights, job(2).weights, rtol=1e-6, atol=1e-6)


def test_an_optimiser_that_knows_no_stacks() -> None:
    asked = [steps_of(job)(number, optimiser=Adam()) for number in (0, 2)]
    found = BatchScheduler(2).run(asked).each()
    assert torch.equal(found[1].weights, job(2, optimiser=Adam()).weights)


def test_one_that_fails_leaves_the_others_alone() -> None:
    ended = []

    def works(number: int) -> Steps[None]:
        made = yield from steps_of(job)(number)
        ended.append(made.outcome)

    def fails() -> Steps[None]:
        yield from steps_of(job)(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        BatchScheduler(2).run([works(0), fails(), works(2)]).each()
    assert ended == ["not_converged"] * 2


def test_results_of_the_others_are_kept() -> None:
    scheduler = BatchScheduler(2)

    @stepwise
    def fails() -> Steps[FitResult]:
        yield from ()
        raise ZeroDivisionError("by nought")

    asked = [steps_of(job)(0), steps_of(fails)(), steps_of(job)(2)]
    ended = scheduler.run(asked)
    with pytest.raises(
        BatchError, match=r"1 of 3 fits failed \(number 1, from 0\).*by nought"
    ) as e:
        ended.all()
    assert list(e.value.errors) == [1]
    assert e.value.results[1] is None
    assert torch.equal(
        e.value.results[2].weights, scheduler.run([steps_of(job)(2)]).each()[0].weights
    )
    with pytest.raises(ZeroDivisionError):  # where none is left, its own error
        scheduler.run([steps_of(fails)(), steps_of(fails)()]).all()


@dataclass(frozen=True)
class Broken(LevenbergMarquardt):
    """Fails for large coefficients, alone or in a stack; cannot be hashed."""

    fails_above: float = 0.0
    notes: list[int] = field(default_factory=list)

    def run_together(
        self,
        problems: Sequence[LeastSquares],
        starts: Sequence[torch.Tensor],
        steps: int,
        states: Sequence[State | None],
    ) -> list[Progress]:
        physics = [term for one in problems for term in one.terms]
        if any(term.problem.alpha > self.fails_above for term in physics):  # type: ignore
            raise ZeroDivisionError
        return super().run_together(problems, starts, steps, states)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("stacked", [True, False])
def test_one_that_fails_in_a_stack_leaves_the_others_alone(stacked: bool) -> None:
    """Fit 2 (α = 0.3) is stacked with fit 0; the optimiser cannot be hashed either."""
    optimiser = Broken(fails_above=0.25)
    asked = [steps_of(job)(number, optimiser=optimiser) for number in (0, 2)]
    ended = BatchScheduler(2, stacked=stacked).run(asked)
    assert list(ended.errors) == [1]
    assert isinstance(ended.errors[1], ZeroDivisionError)
    torch.testing.assert_close(ended.results[0].weights, job(0).weights, rtol=1e-6, atol=1e-6)


@pytest.mark.timeout(60)
def test_a_problem_whose_stack_cannot_be_made_does_not_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pacpde.optim.scheduler._stacks", fails)
    ended = BatchScheduler(2).run([steps_of(job)(number) for number in (0, 2)])
    assert [type(error) for error in ended.errors.values()] == [ZeroDivisionError] * 2


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_number_of_threads_is_left_alone(two_threads: None) -> None:
    """Here and in threads that begin meanwhile and afterwards."""
    seen: list[int] = []

    def look(_: Any) -> None:
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()

    fit_many([Heat(), Heat(alpha=0.3)], workers=2, progress=look, width=4, depth=1, points=20,
             steps=2)  # fmt: skip
    look(None)
    assert set(seen) == {2} == {torch.get_num_threads()}


def test_what_differs_in_an_array_alone_is_not_the_same() -> None:
    """Long arrays are written with an ellipsis, and a user's own things as they like."""

    @dataclass
    class Own:
        values: Any

    class Quiet:
        def __repr__(self) -> str:
            return "Quiet()"

    long = np.zeros(10_000)
    other = long.copy()
    other[5_000] = 1.0
    assert _digest(Own(long)) == _digest(Own(long.copy())) != _digest(Own(other))
    one, two = Quiet(), Quiet()
    assert _digest(Own(one)) == _digest(Own(one)) != _digest(Own(two))


def test_there_must_be_a_worker() -> None:
    with pytest.raises(InvalidValueError, match="whole number from 1"):
        BatchScheduler.of(0, "cpu")
    assert BatchScheduler.of(None, "cuda:1").workers == 1
    assert BatchScheduler.of(None, "cpu").workers == torch.get_num_threads()


@pytest.mark.parametrize("family", [Heat, Burgers, Lorenz])
def test_families_stack(family: type[Problem]) -> None:
    assert stackable(family)


@dataclass(frozen=True)
class Asking(Evolution):
    """u' = −u or −2u: its right-hand side asks for the size of its coefficient."""

    axes = (Axis("t", 0.0, 1.0),)

    k: float = coefficient(1.0, lower=0.0, upper=9.0, meaning="rate")

    def rhs(self, u: Any, d: Any) -> Any:
        return -u if self.k < 2 else -2 * u

    def initial(self, *space: Any) -> Any:
        return 1.0


Asking.name = "asking"  # too late to be registered: other tests list the families


def test_a_family_that_does_not_stack_runs_one_by_one() -> None:
    assert not stackable(Asking)
    problems = [problem(Asking(k=k), 1) for k in (1.0, 3.0)]
    assert problems[0].batch_key != problems[1].batch_key
    assert problems[0].batch_key == problem(Asking(k=1.0), 2).batch_key


@pytest.mark.parametrize("k", [1.0, 3.0])
def test_a_family_that_does_not_stack_is_stacked_with_itself(k: float) -> None:
    """The same coefficients from two seeds."""
    problems = [problem(Asking(k=k), seed) for seed in (1, 2)]
    starts = [one.x0 for one in problems]
    found = LevenbergMarquardt().run_together(problems, starts, 3, [None, None])
    for one, start, made in zip(problems, starts, found, strict=True):
        expected = LevenbergMarquardt().run(one, start, 3)
        torch.testing.assert_close(made.x, expected.x, rtol=1e-6, atol=1e-6)


def test_whether_fits_are_stacked_is_known_within_a_run_alone() -> None:
    before = stacking.get()
    BatchScheduler(1, stacked=not before).run([steps_of(job)(0)]).each()
    assert stacking.get() == before
