"""Arguments of another kind are refused in one sentence, before anything runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import (
    Surrogate,
    fit,
    fit_many,
    identify,
    load,
    nearest,
    save,
    transfer,
    transfer_in_turn,
    transfer_many,
)
from pacpde.errors import PacpdeError
from pacpde.methods import methods
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.problems import Heat
from pacpde.training.resume import ResumeState

ANSATZ = PhysicsAnsatz(Heat())
NETWORK = network_for(ANSATZ, 3, 1, "tanh")
SOURCE = Surrogate(NETWORK, ANSATZ, torch.zeros(NETWORK.size, dtype=torch.float64))
TARGET = Heat(alpha=0.3)
POINTS, PLANE = np.full((9, 2), 0.5), torch.rand(3, 3)
ANY: Any = None

CALLS: dict[str, tuple[Callable[..., Any], str]] = {
    "fit": (lambda **given: fit(Heat(), **given), "runtime progress journal"),
    "fit_many": (lambda **given: fit_many([Heat()], **given), "runtime progress journal"),
    "transfer": (
        lambda **given: transfer(SOURCE, TARGET, **given),
        "runtime progress journal settings physics",
    ),
    "transfer_many": (
        lambda **given: transfer_many(SOURCE, [TARGET], **given),
        "runtime progress journal settings physics",
    ),
    "transfer_in_turn": (
        lambda **given: transfer_in_turn(SOURCE, [TARGET], **given),
        "progress settings",
    ),
    "identify": (
        lambda **given: identify(SOURCE, POINTS, POINTS[:, 0], **given),
        "progress unknown",
    ),
}
WRONG: dict[str, Any] = {
    "progress": 3, "unknown": 3, "runtime": "cpu", "journal": "j", "settings": "x", "physics": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "name"), [(call, name) for call in CALLS for name in CALLS[call][1].split()]
)
def test_an_argument_of_another_kind_is_refused(call: str, name: str) -> None:
    with pytest.raises(PacpdeError, match=rf"^{name} is {WRONG[name]!r}, expected "):
        CALLS[call][0](**{name: WRONG[name]})


OTHERS: dict[str, tuple[Callable[[], Any], str]] = {
    "a journal on a device": (
        lambda: fit(Heat(), journal=ResumeState(Path("/dev/full"), "k")), "cannot write"),
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
