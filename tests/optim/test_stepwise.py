"""Functions that ask for what takes long: alone, inside each other, and in company."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch

from pacpde import fit, fit_many, transfer, transfer_many
from pacpde.errors import SolverError
from pacpde.methods.base import Method, MethodResult, TransferContext, build_surrogate
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.scheduler import BatchScheduler
from pacpde.optim.stepwise import Steps, Work, steps_of, stepwise
from pacpde.problems import Heat
from pacpde.residuals.task import Task
from pacpde.training.callbacks import Callback, FitState
from pacpde.training.trainer import Trainer

SMALL = {"width": 6, "depth": 1, "points": 40, "steps": 4}


@stepwise
def total(numbers: list[int], start: int = 0) -> Steps[int]:
    found = start
    for number in numbers:
        answer = yield Work(partial(sum, [found, number]))
        found = answer.value
    return found


class Adder:
    def __init__(self, base: int) -> None:
        self.base = base

    @stepwise
    def add(self, number: int) -> Steps[int]:
        """Adds."""
        return (yield from steps_of(total)([self.base, number]))


class Doubler(Adder):
    @stepwise
    def add(self, number: int) -> Steps[int]:
        found = yield from steps_of(super().add)(number)
        return 2 * found


def test_alone_it_is_a_plain_function() -> None:
    assert total([1, 2, 3], start=4) == 10
    assert Adder(1).add(2) == 3 and Doubler(1).add(2) == 6
    assert Adder.add.__doc__ == "Adds."


def test_in_company_each_gets_its_own_answers() -> None:
    asked = [steps_of(total)([k, 1]) for k in range(5)] + [steps_of(Doubler(3).add)(4)]
    assert BatchScheduler(2).run(asked).each() == [1, 2, 3, 4, 5, 14]


def test_what_a_request_raises_is_raised_where_it_was_asked_for() -> None:
    @stepwise
    def careful() -> Steps[str]:
        try:
            yield Work(lambda: 1 / 0)
        except ZeroDivisionError:
            return "caught"
        return "not caught"

    assert careful() == "caught"
    assert BatchScheduler(2).run([steps_of(careful)()]).each() == ["caught"]


def test_gradients_work_where_the_caller_switched_them_off() -> None:
    @stepwise
    def slope() -> Steps[float]:
        x = torch.tensor(3.0, requires_grad=True)
        answer = yield Work(lambda: float(torch.autograd.grad(x * x, x)[0]))
        return answer.value + float(torch.autograd.grad(x * x * x, x)[0])

    with torch.no_grad():
        assert slope() == 33.0
        assert BatchScheduler(2).run([steps_of(slope)()]).each() == [33.0]
        assert not torch.is_grad_enabled()


def test_an_interruption_ends_the_loop() -> None:
    ended: list[int] = []

    def works(number: int) -> Steps[None]:
        try:
            yield Work(lambda: None)
            if number == 1:
                raise KeyboardInterrupt
            yield Work(lambda: None)
        finally:
            ended.append(number)

    with pytest.raises(KeyboardInterrupt):
        BatchScheduler(2).run([works(number) for number in range(3)])
    assert sorted(ended) == [0, 1, 2]


def test_a_method_that_is_a_plain_function_works_in_company_too() -> None:
    @dataclass(frozen=True)
    class Plain(Method):
        name = "test_plain"
        summary = "all weights, written without requests"

        def run(self, source: Surrogate, target: Task, context: TransferContext) -> MethodResult:
            config = self.config(context)
            trainer = Trainer(source.reset(), config, context.seed, context.callbacks)
            phases = config.phases.warm_start(target)
            made = trainer.fit(target, phases)
            surrogate = build_surrogate(source.reset(), target, [made], "calibrated")
            return MethodResult.of(surrogate, source.parameters, [made], trained=source)

    source = fit(Heat(alpha=0.3), **SMALL)
    targets = [Heat(alpha=0.25), Heat(alpha=0.35)]
    found = transfer_many(source, targets, method="test_plain", settings={"steps": 3})
    for target, made in zip(targets, found, strict=True):
        alone = transfer(source, target, method="test_plain", settings={"steps": 3})
        assert made.target_error == pytest.approx(alone.target_error, rel=1e-6)


class Exhausted(Callback):
    """Its own fault, as in next() of what has ended."""

    def on_refresh(self, fit: FitState) -> None:
        next(iter(()))


def test_a_stop_iteration_ends_nothing_quietly() -> None:
    """Neither the fit nor the loop of the user that calls it."""
    words = r"on_refresh \(.*test_stepwise.py, line \d+\) raised StopIteration\(\)"
    with pytest.raises(SolverError, match=words):
        list(map(partial(fit, callbacks=[Exhausted()], **SMALL), [Heat()]))
    with pytest.raises(SolverError, match=words):
        fit_many([Heat(), Heat(alpha=0.3)], callbacks=[Exhausted()], workers=2, **SMALL)

    @stepwise
    def asks() -> Steps[int]:
        return (yield Work(lambda: next(iter(())))).value

    with pytest.raises(SolverError, match="<lambda>"):
        asks()
    with pytest.raises(SolverError, match="<lambda>"):
        BatchScheduler(1).run([steps_of(asks)()]).each()
