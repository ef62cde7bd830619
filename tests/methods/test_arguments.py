"""Arguments of another kind are refused in one sentence, before anything runs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import (
    L2SP,
    PAC,
    Scratch,
    Surrogate,
    TrainingConfig,
    WarmStart,
    compare,
    fit,
    fit_many,
    fit_table,
    identify,
    load,
    nearest,
    save,
    transfer,
    transfer_in_turn,
    transfer_many,
    transfer_table,
)
from pacpde.errors import InvalidValueError, PacpdeError, UnknownNameError
from pacpde.methods import methods
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.optim import Adam
from pacpde.problems import Heat
from pacpde.reference import solve
from pacpde.training import StandardSchedule
from pacpde.training.resume import ResumeState

ANSATZ = PhysicsAnsatz(Heat())
NETWORK = network_for(ANSATZ, 3, 1, "tanh")
SOURCE = Surrogate(NETWORK, ANSATZ, torch.zeros(NETWORK.size, dtype=torch.float64))
TARGET = Heat(alpha=0.3)
POINTS, PLANE = np.full((9, 2), 0.5), torch.rand(3, 3)
ANY: Any = None

CALLS: dict[str, tuple[Callable[..., Any], str]] = {
    "fit": (
        lambda **given: fit(Heat(), **given),
        "runtime progress callbacks resume_state settings",
    ),
    "fit_many": (
        lambda **given: fit_many([Heat()], **given),
        "runtime progress resume_state settings",
    ),
    "transfer": (
        lambda **given: transfer(SOURCE, TARGET, **given),
        "runtime progress callbacks resume_state settings options physics",
    ),
    "transfer_many": (
        lambda **given: transfer_many(SOURCE, [TARGET], **given),
        "runtime progress resume_state settings options physics",
    ),
    "transfer_in_turn": (
        lambda **given: transfer_in_turn(SOURCE, [TARGET], **given),
        "progress settings",
    ),
    "identify": (
        lambda **given: identify(SOURCE, POINTS, POINTS[:, 0], **given),
        "progress settings unknown",
    ),
}
WRONG: dict[str, Any] = {
    "progress": 3, "unknown": 3, "runtime": "cpu",
    "resume_state": "j", "settings": "x", "options": "x",
    "physics": 1, "callbacks": [print],
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "name"), [(call, name) for call in CALLS for name in CALLS[call][1].split()]
)
def test_an_argument_of_another_kind_is_refused(call: str, name: str) -> None:
    with pytest.raises(PacpdeError, match=rf"^{name} is {re.escape(repr(WRONG[name]))}, expected "):
        CALLS[call][0](**{name: WRONG[name]})


OTHERS: dict[str, tuple[Callable[[], Any], str]] = {
    "a resume state that is a word": (
        lambda: fit(Heat(), resume_state=ANY or "r"), "of these inputs\"\\), from pacpde\\.$"),
    "a resume state on a device": (
        lambda: fit(Heat(), resume_state=ResumeState(Path("/dev/full"), "k")), "cannot write"),
    "a tolerance above all terms": (
        lambda: fit(Heat(), settings=TrainingConfig(tolerance=2.0)), "a number above 0, at most 1"),
    "such a tolerance of a transfer": (
        lambda: transfer(SOURCE, TARGET, settings={"tolerance": 2}), "a number above 0, at most 1"),
    "a setting among options": (
        lambda: transfer(SOURCE, TARGET, steps=3, points=100), r'write settings=\{"points": 100\}'),
    "one source": (lambda: nearest(ANY or SOURCE, TARGET), r"write \[source\]"),
    "a number for sources": (lambda: nearest(ANY or 3, TARGET), "expected a list of surrogates"),
    "a number to save": (lambda: save(ANY or 3, "q"), "expected a surrogate"),
    "a folder that is a number": (lambda: save(SOURCE, ANY or 3), "expected its name"),
    "a folder to load that is one": (lambda: load(ANY or 3), "expected its name"),
    "a result of objects": (
        lambda: save(SOURCE, "q", result={"a": object()}), "a dict that JSON can hold"),
    "a result that is a list": (lambda: save(SOURCE, "q", result=ANY or [1]), "no dict"),
    "a derivative of None": (lambda: SOURCE.derivative(ANY), "names no axes"),
    "an old name beside the new one": (
        lambda: fit(Heat(), journal=ANY, resume_state=None), "journal and resume_state of fit are"),
    "an old name of what was given": (
        lambda: compare(Heat(), TARGET, ["pac"], names=["pac"]), "methods of compare is given by"),
    "an argument of others": (
        lambda: transfer_in_turn(SOURCE, [TARGET], method=ANY, callbacks=ANY),
        "unknown argument of transfer_in_turn 'method': choose from progress, "),
    "a misspelt argument": (
        lambda: transfer_in_turn(SOURCE, [TARGET], sparsty=0.8), "did you mean sparsity"),
    "too many arguments": (
        lambda: transfer(SOURCE, TARGET, ANY or "pac"),
        r"got 3 arguments without a name, expected 2: write transfer\(source, target\), and the"),
    "too few arguments": (
        lambda: identify(SOURCE, points=POINTS),
        r"without all of its arguments: write identify\(source, points, values\)"),
    "stacks by a word": (
        lambda: fit_many([Heat()], stacked=ANY or "yes"),
        "stacked is 'yes', expected true or false"),
    "company by a word": (
        lambda: compare(Heat(), TARGET, ["pac"], together="yes"),
        "together is 'yes', expected true or false"),
    "a device as text": (lambda: SOURCE.to(ANY or "cpu"), r'write Runtime\("cpu"\)'),
    "a sparse tensor": (lambda: SOURCE(PLANE.to_sparse(), PLANE), "expected a dense one"),
    "a compressed tensor": (lambda: SOURCE(PLANE, PLANE.to_sparse_csr()), "expected a dense one"),
    "a tensor of no values": (lambda: SOURCE(PLANE.to("meta"), PLANE), "which has no values"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_what_no_call_can_use_is_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, words = OTHERS[case]
    with pytest.raises(PacpdeError, match=words):
        call()
    assert list(tmp_path.iterdir()) == []


def test_a_method_that_gives_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods.get("warm_start"), "run", lambda *given: None)
    with pytest.raises(PacpdeError, match="gives NoneType, expected a MethodResult: return one"):
        transfer(SOURCE, TARGET, method="warm_start", reference=None)


def test_a_result_of_a_transfer_is_no_surrogate(tmp_path: Path) -> None:
    result = transfer(
        SOURCE, TARGET, method="warm_start", reference=None, settings={"points": 20, "steps": 1}
    )
    with pytest.raises(PacpdeError, match=r"a TransferResult, .* give its \.surrogate"):
        save(result, tmp_path / "q")  # type: ignore[arg-type]


SHORT: dict[str, Any] = {"points": 20, "steps": 1}
TABLE = np.linspace(0, 1, 24).reshape(12, 2), np.linspace(0, 1, 12)


def moved(**given: Any) -> dict[str, Any]:
    """The provenance of a transfer, which has every option and setting."""
    made = transfer(SOURCE, TARGET, reference=None, **given).record()["provenance"]
    return {name: made[name] for name in ("method", "options", "settings")}


def test_settings_and_options_are_given_in_one_way_and_a_shorthand() -> None:
    whole = moved(method=WarmStart(continuation="direct"), settings=SHORT)
    assert whole["method"] == "warm_start" and whole["settings"]["points"] == 20
    named = {"method": "warm_start", "settings": SHORT}
    assert moved(**named, options={"continuation": "direct"}) == whole
    assert moved(**named, continuation="direct") == whole
    config = TrainingConfig.of(TARGET, **SHORT, tolerance=1.0)
    assert moved(method=WarmStart(), settings=config)["settings"]["tolerance"] == 1.0

    network = {**SHORT, "width": 3, "depth": 1}
    same = [
        fit(Heat(), settings=network),
        fit(Heat(), **network),
        fit(Heat(), settings={**SHORT, "width": 3}, depth=1),
        fit(Heat(), settings=TrainingConfig.of(Heat(), **network)),
        fit_many([Heat()], settings=network)[0],
        fit_many([Heat()], **network)[0],
    ]
    assert all(torch.equal(one.weights, same[0].weights) for one in same)


def test_every_fit_to_a_table_converges_by_default() -> None:
    """Its tolerance is infinite, which a fit of an equation may not have."""
    assert fit_table(*TABLE, settings={"width": 3, "steps": 1}).outcome == "converged"


def test_a_table_gives_what_a_transfer_gives() -> None:
    source = fit_table(*TABLE, settings={"width": 3, "steps": 2})
    made = transfer_table(
        source, *TABLE, source_table=TABLE, method=PAC(sparsity=0.5, strength=1e-3),
        settings={"steps": 2},
    )  # fmt: skip
    record = made.record()
    assert (record["method"], record["labels"], record["physics"]) == ("pac", 12, False)
    for name in ("family", "source", "target", "noise", "zero_shot_error", "target_error"):
        assert record[name] is None
    assert set(record["source_error"].values()) == {None}
    assert record["free_parameters"] == made.n_trainable > 0
    assert set(record) == set(transfer(SOURCE, TARGET, method="scipy").record())
    assert "allocated" in made.snapshots and made.recall().stage == "recalled"


WITHOUT_EFFECT: dict[str, tuple[Callable[[], Any], str]] = {
    "options beside an object": (
        lambda: transfer(SOURCE, TARGET, method=PAC(), sparsity=0.5),
        r"method is a PAC, and sparsity is given beside it, .* write PAC\(sparsity=0.5\)"),
    "a mapping beside an object": (
        lambda: transfer_many(SOURCE, [TARGET], method=PAC(), options={"sparsity": 0.5}),
        "sparsity is given beside it"),
    "an option twice": (
        lambda: transfer(SOURCE, TARGET, options={"sparsity": 0.5}, sparsity=0.6),
        "sparsity is given in options= and as a keyword"),
    "a setting twice": (
        lambda: fit(Heat(), settings={"steps": 2}, steps=3), "steps is given in settings= and"),
    "settings beside a config": (
        lambda: fit(Heat(), settings=TrainingConfig(), steps=3),
        r"settings is a TrainingConfig, .* write TrainingConfig\(steps=3\)"),
    "a setting without a name": (
        lambda: fit(Heat(), settings={1: 2}), r"settings is \{1: 2\}, expected a dict: write"),
    "more points than any memory holds": (
        lambda: fit(Heat(), points=10**12), "points is 1000000000000, expected a whole"),
    "no problem to solve": (
        lambda: solve(None), "the problem is None, expected a problem: make one"),  # type: ignore[arg-type]
    "a class": (lambda: transfer(SOURCE, TARGET, method=ANY or PAC), r"write PAC\(\)"),
    "a network in a transfer": (
        lambda: transfer(SOURCE, TARGET, settings={"width": 8}),
        "the setting width has no effect here, the network is the source's"),
    "a network in turn": (
        lambda: transfer_in_turn(SOURCE, [TARGET], sparsity=0.9, settings={"depth": 2}),
        "depth has no effect"),
    "a network in an identification": (
        lambda: identify(SOURCE, POINTS, POINTS[:, 0], width=8), "width has no effect"),
    "a network in a table": (
        lambda: transfer_table(
            fit_table(*TABLE, width=3, steps=1), *TABLE, source_table=TABLE,
            settings={"activation": "sin"}), "activation has no effect"),
    "points of a table": (lambda: fit_table(*TABLE, points=9), "a table has no equation"),
    "the way of a fit to labels": (
        lambda: transfer(
            SOURCE, TARGET, method="l2sp", labels=9, physics=False, continuation="fixed"),
        "continuation=fixed follows the equation, which is left out"),
    "stations of a fit to labels": (
        lambda: transfer(
            SOURCE, TARGET, method="coefficient_input", labels=9, physics=False, stations=5),
        "stations is 5, without effect where the equation is left out"),
    "a library for a table": (
        lambda: transfer_table(
            fit_table(*TABLE, width=3, steps=1), *TABLE, source_table=TABLE,
            method="nearest_source", among="runs"), "among has no effect on a table"),
    "a tolerance of no reference": (
        lambda: fit(Heat(), steps=1, reference_tolerance=1e-6), "there is to be no reference"),
    "settings of scipy": (
        lambda: transfer(SOURCE, TARGET, method="scipy", settings={"points": 60}),
        "setting points has no effect here, scipy fits no network"),
    "settings of scipy for many": (
        lambda: transfer_many(SOURCE, [TARGET], method="scipy", settings={"memory": 1.0}),
        "setting memory_gib has no effect here, scipy fits no network"),
    "the optimiser of piggyback": (
        lambda: transfer(SOURCE, TARGET, method="piggyback", settings={"optimiser": "adam"}),
        "setting optimiser has no effect here, piggyback takes"),
    "steps of a method and of the settings": (
        lambda: transfer(SOURCE, TARGET, method=WarmStart(steps=2), settings={"steps": 3}),
        "setting steps has no effect here, warm_start has its own, as an option"),
    "steps of every stage and of the settings": (
        lambda: transfer(SOURCE, TARGET, steps=2, allocate_steps=2, settings={"steps": 3}),
        "setting steps has no effect here, pac has its own"),
    "steps of a method beside a schedule": (
        lambda: transfer(
            SOURCE, TARGET, steps=2, settings={"schedule": StandardSchedule(20, 1, 1.0)}),
        "the option steps has no effect here, the schedule has its own"),
    "steps of a method on a table": (
        lambda: transfer_table(
            fit_table(*TABLE, width=3, steps=1), *TABLE, source_table=TABLE,
            method=WarmStart(steps=2), settings={"steps": 3}), "setting steps has no effect here"),
    "memory of an optimiser without": (
        lambda: fit(Heat(), optimiser="adam", memory_gib=1.0),
        "setting memory_gib has no effect here, the optimiser forms no matrix"),
    "memory of an object without": (
        lambda: fit(Heat(), optimiser=Adam(), memory_gib=1.0), "forms no matrix"),
    "steps of scipy": (lambda: transfer(SOURCE, TARGET, method="scipy", options={"steps": 3}),
        "scipy takes no steps"),
    "steps of a head": (
        lambda: transfer(SOURCE, TARGET, method="library_head", options={"steps": 3}),
        "library_head takes no steps"),
    "points of a head": (
        lambda: transfer(SOURCE, TARGET, method="library_head", settings={"points": 60}),
        "setting points has no effect here, a head is solved for"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: compare(Heat(), TARGET, "pac"), r"methods is 'pac', .* write \['pac'\]"),
        (lambda: compare(Heat(), TARGET, ["pac"], stepz=3), "unknown argument of compare 'stepz'"),
        (lambda: compare(Heat(), TARGET, ["pac"], steps=3), "unknown argument of compare 'steps'"),
    ],
)
def test_arguments_of_compare_are_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(PacpdeError, match=words):
        call()


@pytest.mark.parametrize("case", WITHOUT_EFFECT)
def test_what_has_no_effect_is_refused(case: str) -> None:
    call, words = WITHOUT_EFFECT[case]
    with pytest.raises(InvalidValueError, match=words):
        call()


def test_a_method_is_written_as_it_is_made() -> None:
    assert repr(PAC(sparsity=0.8)) == "PAC(sparsity=0.8)" and repr(Scratch()) == "Scratch()"
    assert PAC(sparsity=0.8) == PAC(sparsity=0.8) != PAC()
    assert L2SP(alpha=0.0).options["alpha"] == 0.0 and hash(L2SP()) == hash(L2SP())
    with pytest.raises(UnknownNameError, match="option of pac 'sparsty': did you mean sparsity"):
        PAC(sparsty=0.5)  # type: ignore[call-arg]
