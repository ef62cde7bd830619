"""A surrogate folder comes back as it went, or is refused in one sentence."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from pacpde import Surrogate, load, save
from pacpde.errors import DataFileError, UnreadableError
from pacpde.networks import sealed
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.checkpoint import ABOUT, WEIGHTS
from pacpde.networks.sealed import checksum
from pacpde.physics import Axis, families
from pacpde.problems import Burgers, Heat, Heat2D


@pytest.fixture
def surrogate() -> Surrogate:
    ansatz = PhysicsAnsatz(Heat(alpha=0.3))
    network = network_for(ansatz, 4, 1, "tanh")
    weights = torch.linspace(-1, 1, network.size, dtype=torch.float64)
    history = ({"stage": "train", "step": 1, "seconds": 0.1, "held_out": float("nan")},)
    return Surrogate(network, ansatz, weights, history=history, seconds=1 / 3, steps=7)


@pytest.fixture
def folder(surrogate: Surrogate, tmp_path: Path) -> Path:
    save(surrogate, tmp_path / "made")
    return tmp_path / "made"


def test_it_comes_back(surrogate: Surrogate, folder: Path) -> None:
    back = load(folder)
    assert torch.equal(back.weights, surrogate.weights)
    assert (back.problem, back.seconds, back.steps) == (surrogate.problem, 1 / 3, 7)


def test_a_folder_that_tells_no_steps_is_counted_from_its_history(
    surrogate: Surrogate, folder: Path
) -> None:
    """Older folders lack them; each chain of fits in a history counts from 0."""
    history = [{"step": step} for step in (5, 9, 2, 4)]
    about = json.loads((folder / ABOUT).read_text())
    del about["steps"], about["held_out"]
    about["history"] = history
    about["checksum"] = checksum(about, (folder / WEIGHTS).read_bytes())
    (folder / ABOUT).write_text(json.dumps(about))
    back = load(folder)
    assert back.steps == 9 + 4
    assert math.isnan(back.held_out)


def change(name: str, value: object) -> Callable[[Path], object]:
    """Sets one entry of surrogate.json."""

    def edit(folder: Path) -> None:
        about = json.loads((folder / ABOUT).read_text())
        about[name] = value
        (folder / ABOUT).write_text(json.dumps(about))

    return edit


def flip(folder: Path) -> None:
    """The lowest bit of one weight: a valid file with another number in it."""
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-8] ^= 1
    (folder / WEIGHTS).write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit": (flip, "damaged: .* was cut off or changed"),
    "coefficient": (change("coefficients", {"alpha": 0.31}), "changed after it was written"),
    "outcome": (change("outcome", "converged"), "changed after it was written"),
    "checksum": (change("checksum", None), "changed after it was written"),
    "schema": (change("schema", 2), "has schema 2, this pacpde reads 1"),
    "half": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-8]),
        "cut off",
    ),
    "no JSON": (lambda folder: (folder / ABOUT).write_text("{"), "surrogate.json is no JSON"),
    "bytes": (lambda folder: (folder / ABOUT).write_bytes(b"\xff\xfe\xfd"), "is no JSON"),
    "a list": (lambda folder: (folder / ABOUT).write_text("[]"), "describes no surrogate"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "lacks weights.safetensors"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_refused_in_plain_words(kind: str, folder: Path) -> None:
    damage, words = DAMAGE[kind]
    damage(folder)
    with pytest.raises(DataFileError, match=words) as caught:
        load(folder)
    assert "Error" not in str(caught.value)
    assert repr(str(folder)) in str(caught.value)


def without(folder: Path, name: str) -> None:
    """Takes an entry out of surrogate.json, and seals it again."""
    about = json.loads((folder / ABOUT).read_text())
    del about[name]
    sealed = {**about, "checksum": checksum(about, (folder / WEIGHTS).read_bytes())}
    (folder / ABOUT).write_text(json.dumps(sealed))


def test_an_odd_ansatz_of_before_is_read_where_it_means_the_same(
    tmp_path: Path,
) -> None:
    @dataclass(frozen=True)
    class Saddle(Heat2D):
        name = "saddle"
        axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0))
        odd = ("x", "y")

    for problem in (Burgers(), Saddle()):
        ansatz = PhysicsAnsatz(problem, odd=True)
        network = network_for(ansatz, 4, 1, "tanh")
        weights = torch.linspace(-1, 1, network.size, dtype=torch.float64)
        save(Surrogate(network, ansatz, weights), tmp_path / problem.name)
        assert load(tmp_path / problem.name).problem == problem
        without(tmp_path / problem.name, "odd_axes")
    assert load(tmp_path / "burgers").problem == Burgers()
    with pytest.raises(DataFileError, match=r"odd in all axes at once.*odd in each of x, y"):
        load(tmp_path / "saddle")


def test_layout_of_the_text_is_free(surrogate: Surrogate, folder: Path) -> None:
    about = json.loads((folder / ABOUT).read_text())
    (folder / ABOUT).write_text(json.dumps(dict(reversed(about.items()))))
    assert torch.equal(load(folder).weights, surrogate.weights)


def test_other_places_are_named(surrogate: Surrogate, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"lacks surrogate\.json"):
        load(tmp_path / "nowhere")
    save(surrogate, tmp_path / "compared" / "seed-0" / "source")
    with pytest.raises(DataFileError, match="compared/seed-0/source"):
        load(tmp_path / "compared")


def test_a_family_that_is_not_known_asks_for_its_plugin(folder: Path) -> None:
    families.forget(families.get("heat"))
    with pytest.raises(DataFileError, match=r"'heat'.*--plugin"):
        load(folder)


def test_a_folder_replaced_while_it_is_read_is_read_again(
    surrogate: Surrogate, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(surrogate, weights=surrogate.weights + 1)
    read, seen = sealed.read_bytes, []

    def replacing(path: Path, *most: int) -> bytes:
        if path.name == WEIGHTS and not seen:  # after the other half of the old surrogate
            seen.append(path)
            save(other, folder)
        return read(path, *most)

    monkeypatch.setattr(sealed, "read_bytes", replacing)
    assert torch.equal(load(folder).weights, other.weights)


def test_a_folder_between_two_renamings_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot exchange two folders, the old one is away for a moment."""
    old = folder.with_name(f".{folder.name}.1-0123abcd.tmp")
    folder.rename(old)
    monkeypatch.setattr("pacpde.networks.sealed.time.sleep", lambda pause: old.rename(folder))
    load(folder)


def test_what_cannot_be_read_is_not_called_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *most: int) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(sealed, "read_bytes", refused)
    with pytest.raises(UnreadableError, match=r"Permission denied.*may be whole") as caught:
        load(folder)
    assert "anew" not in str(caught.value)


HOSTILE = {
    "a float as width": (("network", "width"), 8.0, "width of a network is 8.0, expected a whole"),
    "a huge depth": (("network", "depth"), 10**400, "depth of a network is 1000"),
    "a switch as outputs": (("network", "outputs"), True, "outputs of a network is True"),
    "a list as activation": (("network", "activation"), ["tanh"], "unknown activation"),
    "a huge coefficient": (("coefficients", "alpha"), 10**400, "alpha is 1000"),
    "a huge time": (("until",), 10**400, "until is 1000"),
    "no network": (("network",), None, "of another pacpde"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_sealed_surrogate_with_hostile_values_is_refused(kind: str, folder: Path) -> None:
    place, value, told = HOSTILE[kind]
    about = json.loads((folder / ABOUT).read_text())
    inner = about
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    about["checksum"] = checksum(about, (folder / WEIGHTS).read_bytes())
    (folder / ABOUT).write_text(json.dumps(about))
    with pytest.raises(DataFileError, match=told) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", [ABOUT, WEIGHTS])
def test_a_device_in_place_of_a_file_is_refused_at_once(name: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(DataFileError, match="is a pipe or device"):
        load(folder)
