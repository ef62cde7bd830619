"""Transfers made again from their records alone, and what came out otherwise.

A record's `provenance` holds all that it depends on. Fits that ran side by side have the bits of
fits alone, but for those that were computed in stacks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from pacpde.datasets import References, reference_for
from pacpde.errors import DataFileError, InvalidValueError
from pacpde.files import key_of
from pacpde.methods import TransferResult
from pacpde.methods.arguments import method_of
from pacpde.methods.provenance import network_source
from pacpde.networks.kinds import known_kind
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem, families
from pacpde.physics.fingerprint import Fingerprint
from pacpde.reference import Reference
from pacpde.reference.certificate import LOOSEST
from pacpde.runtime import Runtime
from pacpde.studies.cells import Cell, Training
from pacpde.studies.records import Record, plain
from pacpde.training.callbacks import Progress
from pacpde.training.config import TrainingConfig, with_effect

Provenance = Mapping[str, Any]
FIT = ("problem", "seed", "settings", "device", "dtype")
TRANSFER = ("source", "method", "options", "labels", "noise", "physics", "references")
NEEDED = {"fit": FIT, "transfer": (*FIT, *TRANSFER), "recall": ("of", "name")}
CLOCKED = ("seconds", "versions", "provenance", "rungs")  # differ from run to run


@dataclass(frozen=True)
class Rerun:
    """A record, and the one of the same transfer made again."""

    before: Record
    after: Record

    @property
    def differing(self) -> list[str]:
        """The entries in which the two differ, seconds and versions aside."""
        names = [name for name in self.before if name not in CLOCKED]
        return [name for name in names if self.before[name] != self.after.get(name)]


def rerun(
    records: Sequence[Record],
    *,
    progress: Progress | None = None,
    reference: Reference | None = None,
) -> list[Rerun]:
    """Train the sources of records and make their transfers again.

    It sets torch's number of threads to that of each record while its fits run.

    Args:
        progress: called with an `Update` after every refresh of a fit.
        reference: of the target, where the records were graded by a user's own.

    Raises:
        DataFileError: a record says too little, its family was changed since, or the kind of its
            network is not known here.
    """
    provenances = [_checked(record) for record in records]
    results = _Results(progress, reference)
    results.make(provenances)
    return [
        Rerun(record, plain(results.results[key_of(about)].record()))
        for record, about in zip(records, provenances, strict=True)
    ]


@dataclass
class _Results:
    """Surrogates and results by the hash of their provenance, each made once."""

    progress: Progress | None
    reference: Reference | None
    surrogates: dict[str, Surrogate] = field(default_factory=dict)
    results: dict[str, TransferResult] = field(default_factory=dict)

    def make(self, wanted: Iterable[Provenance]) -> None:
        """Sources first, then what goes on from them."""
        missing = {key_of(one): one for one in wanted if key_of(one) not in self.surrogates}
        if not missing:
            return
        self.make([one["source"] for one in missing.values() if one["call"] == "transfer"])
        self.make([one["of"] for one in missing.values() if one["call"] == "recall"])
        for key, about in missing.items():
            with _threads(about.get("threads")):
                self.surrogates[key] = self._surrogate(key, about)

    def _surrogate(self, key: str, about: Provenance) -> Surrogate:
        if about["call"] == "recall":
            return self.surrogates[key_of(about["of"])].recall(about["name"])
        problem, runtime = _problem(about["problem"]), Runtime(about["device"], about["dtype"])
        if about["call"] == "fit":
            training = Training(problem, about["seed"], runtime, _settings(about))
            return training.run(self.progress)
        source = self.surrogates[key_of(about["source"])].to(runtime)
        cell = Cell(
            Training.of_surrogate(source, about["seed"], _settings(about)),
            problem, about["method"], about["options"],
            about["labels"], about["noise"], about["physics"],
        )  # fmt: skip
        references = self._references(source.problem, problem, about["references"])
        result = cell.transfer(source, references=references, progress=self.progress)
        self.results[key] = result
        return result.surrogate

    def _references(self, source: Problem, target: Problem, about: Provenance) -> References:
        def of(problem: Problem, end: str) -> Reference | None:
            if about[end] is None:
                return None
            return reference_for(problem, tolerance=about[end]["tolerance"], loosest=LOOSEST)

        return References(of(source, "source"), self.reference or of(target, "target"))


def _checked(record: Record) -> Provenance:
    """The provenance of a record, if the transfer can be made again from it."""
    about = record.get("provenance")
    if not about:
        raise DataFileError(
            "the record does not say what it depends on: an older pacpde wrote it, or the transfer "
            "has no result."
        )
    _check(about)
    return dict(about)


def _check(about: Any) -> None:
    """Refuse a provenance that says too little, or whose source's does."""
    if not about:
        raise DataFileError(
            "the record does not say how its source was made, whose folder an older pacpde wrote: "
            "train the source anew, and transfer it again."
        )
    if isinstance(about, Mapping) and "data" in about:
        raise DataFileError(
            "the record is of a fit to measurements, which it does not hold: give the command that "
            "made it again, with the same data."
        )
    call = about.get("call") if isinstance(about, Mapping) else None
    if call not in NEEDED:
        raise InvalidValueError(
            f"the source came from {call!r}, which cannot be made again from a record: all that it "
            "depends on is not part of it."
        )
    missing = [name for name in NEEDED[call] if name not in about]
    if missing:
        raise DataFileError(
            f"the record's provenance lacks {', '.join(missing)}: it was not written by this "
            "pacpde, make it anew."
        )
    if call != "recall":
        _problem(about["problem"])
    if call == "fit":
        _check_network(about)
    if call == "transfer":
        method_of(about["method"], about["options"])
        _check(about["source"])
    if call == "recall":
        _check(about["of"])


def _check_network(about: Provenance) -> None:
    """Refuse a fit whose network is not known here, or is not what it was."""
    if "network" in about["settings"]:
        network = about["settings"]["network"]
        known_kind(network["name"], "the source").check_described(network)
    config = TrainingConfig.of(_problem(about["problem"]), **with_effect(about["settings"]))
    if network_source(config) != about.get("network_source", ""):
        raise DataFileError(
            "the file of the source's network is not the one that the record was made with: "
            "restore it, or make the record anew."
        )


def _settings(about: Provenance) -> dict[str, Any]:
    """The settings of a call's fits; older records had no restarts."""
    return with_effect({"restarts": 0, **about["settings"]})


def _problem(about: Provenance) -> Problem:
    family = families.get(about["family"])
    problem = family.from_coefficients(about["coefficients"], about["until"])
    if Fingerprint.of(problem).short != about["fingerprint"]:
        raise DataFileError(
            f"the file of the family {problem.name!r} is not the one that the record was made "
            "with: restore it, or make the record anew."
        )
    return problem


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
