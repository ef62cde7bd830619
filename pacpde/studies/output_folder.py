"""The folder of a command that makes one surrogate, which resumes where it was cut off."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pacpde.errors import DataFileError, OutputError
from pacpde.files import follow
from pacpde.locks import locked
from pacpde.methods import provenance
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.runtime import versions
from pacpde.training.resume import ResumeState


class Job(Protocol):
    """A job that produces one surrogate: a `Training`, or a `Cell` whose source is trained."""

    def provenance(self) -> dict[str, Any]:
        """The provenance of the surrogate."""
        ...


@dataclass(frozen=True)
class Identification:
    """A search for coefficients that starts from a source surrogate."""

    source: Surrogate
    points: np.ndarray
    values: np.ndarray
    unknown: Sequence[str] | None
    seed: int
    settings: Mapping[str, Any]
    noise: float | None = None
    beside_scipy: bool = False

    def provenance(self) -> dict[str, Any]:
        """The provenance of the result."""
        return provenance.of_identification(
            self.source, self.points, self.values, self.unknown, self.seed, self.settings
        ) | {"noise": self.noise, "beside_scipy": self.beside_scipy, "grading": {}}


@dataclass(frozen=True)
class StoredResult:
    """The result of a finished command, read from its folder."""

    surrogate: Surrogate
    result: dict[str, Any]


@contextmanager
def reserved(job: Job, output: Path, *, overwrite: bool = False) -> Iterator[StoredResult | None]:
    """The folder `output` for one command alone, as long as the block runs.

    Gives the result of the same command that is there, None if there is none or with `overwrite`.

    Raises OutputError where another process is at work in it, or where it holds another surrogate
    that is not to be overwritten.
    """
    with locked(_hidden(output) / ".lock", output, remove=True):
        yield None if overwrite else load(job, output)


def load(job: Job, output: Path) -> StoredResult | None:
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
        if result is not None and provenance.same_call(surrogate.provenance, job.provenance()):
            return StoredResult(surrogate, result)
        other = provenance.differences(surrogate.provenance, job.provenance())
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


def save(job: Job, surrogate: Surrogate, output: Path, result: Mapping[str, Any]) -> None:
    """Store the surrogate and the result of a command, and delete its resume state."""
    grading = job.provenance().get("grading", {})
    graded = replace(surrogate, provenance={**surrogate.provenance, "grading": grading})
    checkpoint.save(graded, follow(output), result=result)
    resume_state(output).clear()


def resume_state(output: Path, key: str = "") -> ResumeState:
    """The states of a command's fits, in a hidden folder beside `output`."""
    return ResumeState(_hidden(output), key)


def _hidden(output: Path) -> Path:
    place = follow(output)
    return place.parent / f".{place.name}.journal"
