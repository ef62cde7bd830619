"""Settings of a fit: optimisers as objects, names and mappings; outcomes; callbacks of a user."""

from dataclasses import replace
from typing import Any

import pytest

from pacpde import fit, transfer, transfer_many
from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.networks.outcome import Outcome
from pacpde.optim import Adam, LevenbergMarquardt
from pacpde.problems import Heat, Lorenz
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.training import Callback, FitState, Phase, StandardSchedule, TrainingConfig
from pacpde.training.config import with_effect

SMALL = {"width": 5, "depth": 1, "points": 40, "steps": 3}


@pytest.mark.parametrize("wanted", ["adam:lr=1/100", {"name": "adam", "lr": 0.01}, Adam(lr=0.01)])
def test_an_optimiser_with_options_is_one_object(wanted: object) -> None:
    config = TrainingConfig.of(Heat(alpha=0.4), optimiser=wanted)
    assert config.optimiser == config.optimiser_object == Adam(lr=0.01)
    assert config.as_json()["optimiser"] == {"name": "adam", "lr": 0.01}
    again = TrainingConfig.of(
        None, **config.as_json() | {"optimiser": {"name": "adam", "lr": 0.01}}
    )
    assert again.optimiser == Adam(lr=0.01)


def test_a_name_takes_the_memory_of_the_settings() -> None:
    config = TrainingConfig(memory_gib=0.5)
    assert config.optimiser_object == LevenbergMarquardt(memory_gib=0.5)
    assert config.as_json()["optimiser"] == "levenberg_marquardt"
    assert config.as_json()["memory"] == 0.5  # the key of records
    assert TrainingConfig.of(None, memory=0.5) == config


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("adamm", "optimiser 'adamm'"),
        ("adam:learning=1", "option of the optimiser adam 'learning'"),
        ({"lr": 1.0}, "optimiser 'None'"),
        (3, "the optimiser is 3"),
        (Adam, "expected an object"),
    ],
)
def test_what_is_no_optimiser_is_refused(wanted: object, said: str) -> None:
    with pytest.raises((InvalidValueError, UnknownNameError), match=said):
        TrainingConfig.of(None, optimiser=wanted)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"schedule": StandardSchedule(40, 2, 1.0), "points": 1000},
            "setting points has no effect",
        ),
        ({"schedule": StandardSchedule(40, 2, 1.0), "steps": 3}, "the schedule has its own"),
        ({"optimiser": LevenbergMarquardt(), "memory_gib": 1.0}, "object with its own"),
        (
            {"optimiser": "levenberg_marquardt:damping=1", "memory": 1.0},
            "setting memory_gib has no",
        ),
        ({"memory": 1.0, "memory_gib": 1.0}, "memory and memory_gib are the same"),
    ],
)
def test_settings_without_effect_beside_others_are_refused(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidValueError, match=said):
        TrainingConfig.of(Heat(), **settings)
    with pytest.raises(InvalidValueError, match=said):
        fit(Heat(), settings=settings)


def test_what_a_family_declares_makes_way_for_an_object() -> None:
    """Lorenz declares points and steps; a record holds settings without effect too."""
    schedule, optimiser = StandardSchedule(40, 2, 1.0), LevenbergMarquardt(memory_gib=0.5)
    config = TrainingConfig.of(Lorenz(), schedule=schedule, optimiser=optimiser)
    assert (config.points, config.steps) == (TrainingConfig.points, TrainingConfig.steps)
    assert config.phases is schedule and config.step_memory_gib == 0.5
    assert config.with_steps(3) == config
    assert with_effect({"optimiser": optimiser, "memory": 2.0, "steps": 3}) == {
        "optimiser": optimiser, "steps": 3,
    }  # fmt: skip
    with pytest.raises(InvalidValueError, match="points has no effect"):
        TrainingConfig(schedule=schedule, points=40)
    with pytest.raises(InvalidValueError, match="memory_gib has no effect"):
        TrainingConfig(optimiser=optimiser, memory_gib=1.0)


class OneStep(StandardSchedule):
    """One step on one set of points."""

    def cold_start(self, task: Task) -> tuple[Phase, ...]:
        return (Phase(1, 1, SamplingSpec(40)),)


def test_the_options_of_an_optimiser_and_a_schedule_act() -> None:
    """The first step of Adam moves every weight by its rate."""
    ends = [
        fit(
            Heat(alpha=0.4),
            width=5,
            depth=1,
            optimiser=Adam(lr=rate),
            schedule=OneStep(40, 1, 1e-2),
        )
        for rate in (1e-3, 3e-3)
    ]
    assert [end.steps for end in ends] == [1, 1]
    apart = (ends[1].weights - ends[0].weights).abs()
    # lr m̂ / (√v̂ + eps) is lr but for eps, which is small beside the gradients here
    assert float(apart.max()) == pytest.approx(2e-3, rel=1e-3)


class Sizes(Callback):
    """Writes the norm of the weights into the history, and the stages down."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def on_start(self, fit: FitState) -> None:
        self.stages.append(fit.stage)

    def on_refresh(self, fit: FitState) -> None:
        fit.history[-1]["norm"] = float(fit.best.norm())


def test_a_callback_of_a_user_is_called_in_every_fit_and_is_kept() -> None:
    sizes = Sizes()
    source = fit(Heat(alpha=0.4), **SMALL, callbacks=[sizes])
    assert sizes.stages == ["train"]
    assert source.history[-1]["norm"] == pytest.approx(float(source.weights.norm()), rel=1e-12)
    result = transfer(source, Heat(alpha=0.38), method="pac", settings={"steps": 2},
                      reference=None, callbacks=[sizes])  # fmt: skip
    assert "allocate" in sizes.stages and sizes.stages[-1].startswith("calibrate")
    assert all("norm" in entry for entry in result.surrogate.history)
    targets = [Heat(alpha=0.38), Heat(alpha=0.36)]
    for made in transfer_many(source, targets, settings={"steps": 2}, reference=None,
                              method="warm_start", callbacks=[sizes], workers=1):  # fmt: skip
        assert all("norm" in entry for entry in made.surrogate.history)


class Early(Callback):
    """Ends a fit at its first refresh."""

    def on_refresh(self, fit: FitState) -> None:
        fit.done = True


def test_a_callback_of_a_user_may_end_a_fit() -> None:
    whole, ended = (fit(Heat(alpha=0.4), **SMALL, callbacks=c) for c in ((), [Early()]))
    assert len(ended.history) == 1 < len(whole.history)
    assert ended.steps == whole.history[0]["step"]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_outcome_names_its_stage_beside_it(outcome: Outcome) -> None:
    assert Outcome(str(outcome)) is outcome
    stage = outcome.stage
    assert outcome == (outcome.of_fit.in_stage(stage) if stage else outcome.of_fit)


def test_an_unknown_outcome_is_refused() -> None:
    source = fit(Heat(alpha=0.4), **SMALL)
    with pytest.raises(ValueError, match="finished"):
        replace(source, outcome="finished")
