"""The folder of a command that makes one surrogate, which resumes where it was cut off."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError, OutputError
from pacpde.files import atomic_write, collect_leftovers, follow
from pacpde.locks import locked
from pacpde.methods import provenance
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.runtime import versions
from pacpde.training.resume import ResumeState

Fit = tuple[Surrogate, dict[str, Any]]  # a surrogate, and the command's result
Call = Mapping[str, Any]  # the provenance of a command's surrogate

COMMAND = "command.json"  # of which command the states beside it are


@contextmanager
def reserved(
    call: Call, output: Path, key: str = "", *, overwrite: bool = False
) -> Iterator[Fit | None]:
    """The folder `output` for one command alone, as long as the block runs.

    Gives what the same command left there, None if it left nothing or with `overwrite`.

    Args:
        key: of the states from which the command resumes.

    Raises OutputError where another process is at work in it, or where it holds another surrogate,
    or the unfinished fit of another command, that is not to be overwritten.
    """
    with alone(output):
        stored = None if overwrite else load(call, output)
        if stored is None and not overwrite:
            _check_unfinished(call, output, key)
        yield stored


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """The folder `output` for this process alone, as long as the block runs.

    What a killed write of it left is removed.

    Raises OutputError where another process is at work in it.
    """
    with locked(_hidden(output) / ".lock", output, remove=True) as held:
        if held:
            place = follow(output)
            collect_leftovers(place.parent, place.name, seconds=0)
            collect_leftovers(_hidden(output), COMMAND, seconds=0)
        yield


def load(call: Call, output: Path) -> Fit | None:
    """The result of the same command in the folder `output`; None if there is none.

    Raises OutputError where the folder holds another surrogate.
    """
    place = follow(output)
    if not checkpoint.holds_surrogate(place):
        return None
    difference = ""
    try:
        surrogate, result = checkpoint.load(place), checkpoint.result(place)
    except DataFileError:
        difference = " that cannot be read"
    else:
        other = provenance.differences(surrogate.provenance, call)
        if result is not None and not other:
            return surrogate, result
        if surrogate.provenance:
            difference = _difference(surrogate.provenance, other)
    raise OutputError(
        f"{output} holds another surrogate{difference}: name another folder, or add --overwrite to "
        "replace it."
    )


@contextmanager
def begun(call: Call, output: Path, key: str = "") -> Iterator[None]:
    """Keep the command beside the states of its fits; those of another command are deleted.

    Args:
        key: of the states.
    """
    if not _is_own(_command(output), call, key):
        clear(output)
    with atomic_write(_hidden(output) / COMMAND) as temporary:
        temporary.write_text(json.dumps({"key": key, "call": call}, default=str))
    try:
        yield
    finally:
        if not _is_unfinished(output):
            clear(output)


def save(call: Call, surrogate: Surrogate, output: Path, result: Mapping[str, Any]) -> None:
    """Store the surrogate and the result of a command, and delete its resume state."""
    about = {**surrogate.provenance, "grading": call["grading"]}
    checkpoint.save(replace(surrogate, provenance=about), follow(output), result=result)
    clear(output)


def resume_state(output: Path, key: str = "") -> ResumeState:
    """The states of a command's fits, in a hidden folder beside `output`."""
    return ResumeState(_hidden(output), key)


def clear_own(call: Call, output: Path, key: str = "") -> None:
    """Delete what a command left to resume from, as where it was killed after it had stored all."""
    if _is_own(_command(output), call, key):
        clear(output)


def clear(output: Path) -> None:
    """Delete the states of any command, and then what tells of which they are."""
    resume_state(output).clear()
    (_hidden(output) / COMMAND).unlink(missing_ok=True)


def _check_unfinished(call: Call, output: Path, key: str) -> None:
    """Refuse a folder beside which another command left states: they would be lost."""
    command = _command(output)
    if not _is_unfinished(output) or _is_own(command, call, key):
        return
    difference, go_on = " of an unknown command", ""
    if command is not None:
        other = provenance.differences(command["call"], call)
        difference, go_on = _difference(command["call"], other), "give its command again to go on, "
        if _differs_in_version(other):
            go_on = "go on with that version, "
        elif not other:
            difference, go_on = " begun with another file of yours", "restore it to go on, "
    raise OutputError(
        f"{output} has an unfinished fit{difference}: {go_on}name another folder, or add "
        "--overwrite to delete it and begin anew."
    )


def _is_unfinished(output: Path) -> bool:
    """Whether there are states to resume from."""
    return any(_hidden(output).rglob("*.safetensors"))


def _command(output: Path) -> dict[str, Any] | None:
    """The key and the call of the command whose states are there; None if unknown."""
    try:
        command = json.loads((_hidden(output) / COMMAND).read_text())
    except (OSError, ValueError):
        return None
    known = isinstance(command, dict) and isinstance(command.get("call"), dict)
    return command if known and "key" in command else None


def _is_own(command: Mapping[str, Any] | None, call: Call, key: str) -> bool:
    if command is None:
        return False
    return bool(command["key"] == key) and not provenance.differences(command["call"], call)


def _difference(made: Call, other: Sequence[str]) -> str:
    """How the call of a surrogate differs in the keys `other`, as " that ..."; "" without any."""
    if _differs_in_version(other):
        return " that another version of pacpde, or of what it stands on, made"
    if "call" in other and "call" in made:
        return f" that came from {made['call']}"
    return f" that differs in {', '.join(other)}" if other else ""


def _differs_in_version(other: Sequence[str]) -> bool:
    return bool(other) and set(other) <= {"code", *versions()}


def _hidden(output: Path) -> Path:
    place = follow(output)
    return place.parent / f".{place.name}.journal"
