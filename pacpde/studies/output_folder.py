"""The folder of a command that makes one surrogate, which resumes where it was cut off."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pacpde.errors import DataFileError, OutputError
from pacpde.files import collect_leftovers, follow
from pacpde.locks import locked
from pacpde.methods import provenance
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.runtime import versions
from pacpde.training.resume import ResumeState

Fit = tuple[Surrogate, dict[str, Any]]  # a surrogate, and the command's result
Call = Mapping[str, Any]  # the provenance of a command's surrogate


@contextmanager
def reserved(call: Call, output: Path, *, overwrite: bool = False) -> Iterator[Fit | None]:
    """The folder `output` for one command alone, as long as the block runs.

    Gives what the same command left there, None if it left nothing or with `overwrite`.

    Raises OutputError where another process is at work in it, or where it holds another surrogate
    that is not to be overwritten.
    """
    with alone(output):
        yield None if overwrite else load(call, output)


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
        if surrogate.provenance and set(other) <= {"code", *versions()}:
            difference = " that another version of pacpde, or of what it stands on, made"
        elif "call" in other and "call" in surrogate.provenance:
            difference = f" that came from {surrogate.provenance['call']}"
        elif surrogate.provenance:
            difference = f" that differs in {', '.join(other)}"
    raise OutputError(
        f"{output} holds another surrogate{difference}: name another folder, or add --overwrite to "
        "replace it."
    )


def save(call: Call, surrogate: Surrogate, output: Path, result: Mapping[str, Any]) -> None:
    """Store the surrogate and the result of a command, and delete its resume state."""
    about = {**surrogate.provenance, "grading": call["grading"]}
    checkpoint.save(replace(surrogate, provenance=about), follow(output), result=result)
    resume_state(output).clear()


def resume_state(output: Path, key: str = "") -> ResumeState:
    """The states of a command's fits, in a hidden folder beside `output`."""
    return ResumeState(_hidden(output), key)


def _hidden(output: Path) -> Path:
    place = follow(output)
    return place.parent / f".{place.name}.journal"
