"""Words become problems: what is not named comes from the source, or from the family."""

import inspect
from collections.abc import Callable

import pytest

from pacpde.cli import inputs, options
from pacpde.cli.groups import with_groups
from pacpde.errors import InvalidValueError
from pacpde.methods import TrainingConfig
from pacpde.methods.pac import PAC
from pacpde.methods.warm_start import WarmStart
from pacpde.problems import Heat, Lorenz
from pacpde.residuals.physics_task import PhysicsTask

SETTINGS = (
    "steps",
    "points",
    "tolerance",
    "refinements",
    "memory",
    "optimiser",
)  # of a fit that goes on


def test_a_target_keeps_what_the_source_has() -> None:
    source = Lorenz(sigma=12.0, beta=3.0, until=2.0)
    assert inputs.target(source, ["rho=36/2"], None) == Lorenz(12.0, 18.0, 3.0, until=2.0)
    assert inputs.target(source, ["sigma=9"], 1.0) == Lorenz(9.0, 15.0, 3.0, until=1.0)


def test_a_problem_takes_the_defaults_of_its_family() -> None:
    assert inputs.problem("lorenz", ["rho=18"]) == Lorenz(10.0, 18.0, 8 / 3)


def test_a_target_without_words_isnote_what_may_change() -> None:
    with pytest.raises(InvalidValueError, match=r"what changes, as in alpha=0\.4\.$"):
        inputs.target(Heat(alpha=0.3), [], None)


def test_help_says_which(call: Callable) -> None:
    assert "keep the source's values" in " ".join(call("transfer", "--help").out.split())
    told = " ".join(call("compare", "--help").out.split())
    assert "defaults, not the source's values" in told


def test_help_tells_the_defaults(call: Callable) -> None:
    told = " ".join(call("compare", "--help").out.split())
    for name in ("steps", "points", "width", "depth", "tolerance"):
        assert f"what the family declares, else {getattr(TrainingConfig, name):g}." in told, name
    assert f"Default of pac: {PAC.sparsity:g}." in told


def test_the_total_shown_counts_every_phase_as_help_says(call: Callable) -> None:
    assert "the total shown counts the phases before it too" in " ".join(
        call("train", "--help").out.split()
    )
    small = ("--width", "6", "--depth", "1", "--points", "50", "--steps", "7")
    shown = call("train", "heat", "-o", "out", *small).err
    schedule = TrainingConfig.of(Heat(), steps=7, points=50).phases
    last, *rest = schedule.cold_start(PhysicsTask(Heat()))[::-1]
    assert last.steps == 7
    assert f" of at most {7 + sum(phase.steps for phase in rest)}," in shown


def test_options_make_methods_and_old_names_are_taken() -> None:
    words = ["wake=0.5", "wake_from=kept", "approach=straight"]
    with pytest.warns(FutureWarning, match="wake was renamed: write reinit_scale"):
        made = inputs.methods_of(["pac", "warm_start"], words, sparsity=0.5)
    assert made == [
        PAC(reinit_scale=0.5, continuation="direct", sparsity=0.5),
        WarmStart(continuation="direct"),
    ]


def test_a_command_takes_groups_and_typer_their_options() -> None:
    calls: list[object] = []

    def command(*, family: str, fit: options.RefitOptions, seed: int = 0) -> None:
        calls.append((family, fit.settings, seed))

    called = with_groups(command)
    names = list(inspect.signature(called).parameters)
    assert names == ["family", *SETTINGS, "seed", "plugin", "debug"]
    given = {**dict.fromkeys(SETTINGS), "steps": 3, "memory": 0.5}
    called(family="heat", seed=2, plugin=None, debug=False, **given)
    assert calls == [("heat", {"steps": 3, "memory_gib": 0.5}, 2)]
