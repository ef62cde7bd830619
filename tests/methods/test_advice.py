"""What to try after a fit that did not converge suits how it ended, and the problem."""

import math
from dataclasses import replace

import pytest

from pacpde import fit, transfer
from pacpde.methods.advice import BY_OUTCOME, advice
from pacpde.networks.assessment import Assessment
from pacpde.networks.choice import network_from
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.networks.time_windows import TimeWindows
from pacpde.physics import Problem
from pacpde.problems import Heat, Lorenz, LotkaVolterra, Pendulum, Poisson1D
from pacpde.residuals.jumps import Jump
from pacpde.residuals.open_solutions import OPEN_NOTE
from pacpde.training.config import TrainingConfig

TINY = {"width": 4, "depth": 1, "points": 20, "steps": 1, "restarts": 0}
OF_TIME = ("--until", "time_windows", "long times", "where t")


class Own(Heat):
    """A family of a user's."""

    name = "own_of_the_tests"


def ended(problem: Problem, outcome: Outcome, **changes: object) -> Surrogate:
    """A fit of a problem that ended so."""
    return replace(fit(problem, settings=TINY), outcome=outcome, **changes)


def after(problem: Problem, outcome: Outcome, **settings: object) -> str:
    return advice(ended(problem, outcome), TrainingConfig.of(problem, **settings))


@pytest.mark.parametrize("outcome", BY_OUTCOME)
def test_nothing_of_time_is_advised_where_there_is_none(outcome: Outcome) -> None:
    said = after(Poisson1D(), outcome, steps=3)
    assert said
    assert not any(word in said for word in OF_TIME)


def test_each_ending_has_its_own_advice() -> None:
    assert "as chaos and long times do" in after(Heat(), Outcome.DRIFTED)
    assert "end t earlier by --until" in after(Heat(), Outcome.DRIFTED)
    lost = after(Heat(), Outcome.PATH_LOST)
    assert "a nearer target" in lost and "several hops" in lost and "--until" not in lost
    assert "--device cpu" in after(Heat(), Outcome.DEVICE_LOST)
    assert "divides by 0" in after(Heat(), Outcome.DIVERGED)
    assert after(Heat(), Outcome.ALLOCATE_STALLED).startswith("try a lower --sparsity")
    assert after(Heat(), Outcome.CONVERGED) == ""


def test_a_solution_that_the_conditions_leave_open_needs_conditions() -> None:
    open_one = ended(Heat(), Outcome.DRIFTED, assessment=Assessment(1e-4, math.inf, (OPEN_NOTE,)))
    assert advice(open_one, TrainingConfig.of(Heat())) == (
        "the conditions hardly tell the solution from others: see whether one is missing, or a "
        "coefficient is at a resonance"
    )


def test_a_network_with_kinks_is_to_be_another_one() -> None:
    note = str(Jump("u_x", "u_xx", 0.3, {"x": 0.5}))
    kinked = ended(Heat(), Outcome.DRIFTED, assessment=Assessment(1e-4, math.inf, (note,)))
    assert advice(kinked, TrainingConfig.of(Heat())) == (
        "take a network without kinks, as of tanh or sin in place of ReLU"
    )


def test_declarations_are_advised_for_families_of_the_user_alone() -> None:
    for problem, own in ((Heat(), False), (Own(), True)):
        said = after(problem, Outcome.NOT_CONVERGED)
        assert ("`scales` in the class" in said) is own
        assert ("declare time_windows = 10" in said) is own


def test_a_network_of_time_windows_is_advised_for_long_times() -> None:
    """20 windows of the family's own time span, so 200 of ten times that."""
    problem = Lorenz(until=10 * Lorenz().domain.axis("t").upper)
    text = "time_windows:count=200,width=12,depth=2,activation=sin"
    made, config = ended(problem, Outcome.STALLED), TrainingConfig.of(problem)
    for outcome in (Outcome.NOT_CONVERGED, Outcome.STALLED, Outcome.DRIFTED):
        assert f"take --network {text} or" in advice(replace(made, outcome=outcome), config)
    # the words of the advice make the network
    network = TimeWindows(1, 3, count=200, width=12, depth=2, activation="sin")
    choice = network_from(text)
    assert callable(choice) and choice(1, 3) == network


def test_twice_as_many_windows_where_they_were_tried() -> None:
    """By a restart, which an ODE takes first and an equation in space last, or by the user."""
    for problem, restarts, count in (
        (LotkaVolterra(), 1, 40), (LotkaVolterra(), 0, 20), (Heat(), 3, 40), (Heat(), 1, 20),
    ):  # fmt: skip
        said = after(problem, Outcome.STALLED, restarts=restarts)
        assert f"time_windows:count={count}," in said
    settings = {"network": "time_windows:count=30,width=3,depth=1", "points": 20, "steps": 1}
    windows = replace(fit(LotkaVolterra(), settings=settings), outcome=Outcome.STALLED)
    assert "time_windows:count=60," in advice(windows, TrainingConfig.of(LotkaVolterra()))


def test_no_time_windows_of_an_equation_of_second_order_in_time() -> None:
    said = after(Pendulum(), Outcome.NOT_CONVERGED)
    assert "end t earlier" in said and "--network" not in said


def test_a_short_fit_is_told_that_a_longer_one_begins_again() -> None:
    said = after(Heat(), Outcome.NOT_CONVERGED, steps=20)
    assert "with --steps 60 or more it begins again by itself in time windows" in said
    assert "--network" not in said
    assert "begins again" not in after(Heat(), Outcome.NOT_CONVERGED, steps=20, restarts=0)


def test_a_transfer_takes_the_network_of_its_source() -> None:
    source = fit(Heat(), settings=TINY)
    result = transfer(
        source, Heat(alpha=0.5), method="warm_start", settings={"steps": 1, "points": 20},
        reference=None,
    )  # fmt: skip
    poor = replace(result.surrogate, outcome=Outcome.NOT_CONVERGED)
    said = advice(poor, TrainingConfig.of(Heat(), steps=1))
    assert "a source of --network time_windows:count=20," in said
    assert "begins again" not in said
