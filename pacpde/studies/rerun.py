"""Transfers made again from their records alone, and what came out otherwise.

A record's `provenance` holds all that it depends on. Fits that ran side by side have the bits of
fits alone, but for those that were computed in stacks.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from pacpde.datasets import References, reference_for
from pacpde.errors import DataFileError, InvalidValueError
from pacpde.files import key_of
from pacpde.methods import TrainingConfig, TransferResult, fit, transfer
from pacpde.methods.arguments import method_of
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Problem, families
from pacpde.physics.fingerprint import Fingerprint
from pacpde.reference import Reference
from pacpde.reference.certificate import LOOSEST
from pacpde.runtime import Runtime
from pacpde.studies.records import Record, as_json
from pacpde.training.callbacks import Progress

Provenance = Mapping[str, Any]
FIT = ("problem", "seed", "settings", "device", "dtype")
TRANSFER = ("source", "method", "options", "labels", "noise", "physics", "references")
NEEDED = {"fit": FIT, "transfer": (*FIT, *TRANSFER), "recall": ("of", "name")}
CLOCKED = ("seconds", "versions", "provenance")  # differ from run to run


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
        DataFileError: a record says too little, or its family was changed since.
    """
    known = [_checked(record) for record in records]
    work = _Work(progress, reference)
    work.make(known)
    return [
        Rerun(record, json.loads(as_json(work.results[key_of(made)].record())))
        for record, made in zip(records, known, strict=True)
    ]


@dataclass
class _Work:
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
        for made in missing.values():
            with _threads(made.get("threads")):
                self._one(made)

    def _one(self, made: Provenance) -> None:
        key = key_of(made)
        if made["call"] == "recall":
            self.surrogates[key] = self.surrogates[key_of(made["of"])].recall(made["name"])
            return
        problem, runtime = _problem(made["problem"]), Runtime(made["device"], made["dtype"])
        if made["call"] == "fit":
            self.surrogates[key] = fit(
                problem, seed=made["seed"], runtime=runtime, progress=self.progress,
                settings=_settings(made),
            )  # fmt: skip
            return
        source = self.surrogates[key_of(made["source"])]
        result = transfer(
            source, problem, method=made["method"], options=made["options"], seed=made["seed"],
            labels=made["labels"], noise=made["noise"], physics=made["physics"], runtime=runtime,
            progress=self.progress, settings=TrainingConfig.of(None, **_settings(made)),
            reference=self._references(source.problem, problem, made["references"]),
        )  # fmt: skip
        self.surrogates[key], self.results[key] = result.surrogate, result

    def _references(self, source: Problem, target: Problem, told: Provenance) -> References:
        def of(problem: Problem, about: Provenance | None) -> Reference | None:
            if about is None:
                return None
            return reference_for(problem, tolerance=about["tolerance"], loosest=LOOSEST)

        there = self.reference or of(target, told["target"])
        return References(of(source, told["source"]), there)


def _checked(record: Record) -> Provenance:
    """The provenance of a record, if the transfer can be made again from it."""
    made = record.get("provenance")
    if not made:
        raise DataFileError(
            "the record does not say what it depends on: an older pacpde wrote it, or the transfer "
            "has no result."
        )
    _check(made)
    return dict(made)


def _check(made: Any) -> None:
    """Refuse a provenance that says too little, or whose source's does."""
    if not made:
        raise DataFileError(
            "the record does not say how its source was made, whose folder an older pacpde wrote: "
            "train the source anew, and transfer it again."
        )
    call = made.get("call") if isinstance(made, Mapping) else None
    if call not in NEEDED:
        raise InvalidValueError(
            f"the source came from {call!r}, which cannot be made again from a record: all that it "
            "depends on is not part of it."
        )
    missing = [name for name in NEEDED[call] if name not in made]
    if missing:
        raise DataFileError(
            f"the record's provenance lacks {', '.join(missing)}: it was not written by this "
            "pacpde, make it anew."
        )
    if call != "recall":
        _problem(made["problem"])
    if call == "transfer":
        method_of(made["method"], made["options"])
        _check(made["source"])
    if call == "recall":
        _check(made["of"])


def _problem(about: Provenance) -> Problem:
    family = families.get(about["family"])
    problem = family.from_coefficients(about["coefficients"], about["until"])
    if Fingerprint.of(problem).short != about["fingerprint"]:
        raise DataFileError(
            f"the file of the family {problem.name!r} is not the one that the record was made "
            "with: restore it, or make the record anew."
        )
    return problem


def _settings(made: Provenance) -> dict[str, Any]:
    return dict(made["settings"])


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
