"""Target after target in one set of weights."""

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit
from pacpde.errors import InvalidValueError
from pacpde.methods.sequential import transfer_in_turn
from pacpde.networks import checkpoint
from pacpde.problems import Burgers, Heat

SETTINGS = {"points": 150, "steps": 12}
TARGETS = [Heat(alpha=alpha) for alpha in (0.35, 0.3, 0.25)]


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=16, depth=2, **SETTINGS)


def test_every_target_is_recalled_as_it_was_left(source: Surrogate, tmp_path: object) -> None:
    told: list[str] = []
    found = transfer_in_turn(
        source, TARGETS, sparsity=0.6, settings=SETTINGS, progress=lambda u: told.append(u.stage)
    )
    names = ["source", "target 1", "target 2", "target 3"]
    assert [held.name for held in found.solvers] == names
    assert list(found.surrogate.retained) == names
    size = source.parameters
    own = [held.n_own for held in found.solvers]
    assert own[0] == round(0.4 * size) and sum(own) + found.n_unused == size
    assert all(abs(count - 0.2 * size) < 2 for count in own[1:])
    t, x = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))
    for held, problem in zip(found.solvers[1:], TARGETS, strict=True):
        recalled = found.recall(held.name)
        exact = problem.exact(t, x)[0]
        error = np.linalg.norm(recalled(t, x) - exact) / np.linalg.norm(exact)
        assert recalled.problem == problem and error < 5e-3
        assert held.error == pytest.approx(error, rel=0.3)
    # what came later changed no bit of what was there
    first = transfer_in_turn(source, TARGETS[:1], sparsity=0.6, share=1 / 3, settings=SETTINGS)
    for name in names[:2]:
        assert torch.equal(first.recall(name).weights, found.recall(name).weights)
    assert told[0].startswith("source, allocate") and told[-1].startswith("target 3, ")

    checkpoint.save(found.surrogate, f"{tmp_path}/kept")
    kept = checkpoint.load(f"{tmp_path}/kept")
    made = kept.provenance
    assert [one["coefficients"]["alpha"] for one in made["problems"]] == [0.35, 0.3, 0.25]
    assert made["options"]["sparsity"] == 0.6 and made["source"]["call"] == "fit"
    for name in names:
        assert np.array_equal(kept.recall(name)(t, x), found.recall(name)(t, x))


def test_a_recalled_solver_tells_its_own_outcome(source: Surrogate, tmp_path: object) -> None:
    settings = {**SETTINGS, "tolerance": 1e-4}  # which the source's own part misses
    found = transfer_in_turn(source, TARGETS[:1], settings=settings)
    outcomes = [held.outcome for held in found.solvers]
    assert outcomes == ["not_converged", "converged"]
    checkpoint.save(found.surrogate, f"{tmp_path}/kept")
    for surrogate in (found.surrogate, checkpoint.load(f"{tmp_path}/kept")):
        assert [surrogate.recall(held.name).outcome for held in found.solvers] == outcomes


def test_bad_input_is_refused(source: Surrogate) -> None:
    with pytest.raises(InvalidValueError, match="no targets"):
        transfer_in_turn(source, [])
    with pytest.raises(InvalidValueError, match="one family"):
        transfer_in_turn(source, [Burgers()])
    with pytest.raises(InvalidValueError, match="expected a list"):
        transfer_in_turn(source, Heat())  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="expected 10 at least"):
        transfer_in_turn(source, TARGETS, share=0.01)
    with pytest.raises(InvalidValueError, match=r"0\.6 for 3 targets.*at most 0\.333"):
        transfer_in_turn(source, TARGETS, share=0.6)
    with pytest.raises(InvalidValueError, match="1 for 2 targets"):
        transfer_in_turn(source, TARGETS[:2], share=1.0, settings=SETTINGS)
    with pytest.raises(InvalidValueError, match="share is 0"):
        transfer_in_turn(source, TARGETS, share=0)
