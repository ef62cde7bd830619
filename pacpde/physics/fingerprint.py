"""Fingerprint of an equation: its source code, its declarations, its values at fixed points.

Whatever is stored of a family carries its fingerprint, so that a later edit of its file is noticed.
"""

import dataclasses
import inspect
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pacpde.errors import ChangedFamilyWarning, DataFileError, InvalidValueError
from pacpde.files import short_hash
from pacpde.physics.evaluation import equation_at, start_at
from pacpde.physics.problem import Problem, families
from pacpde.registry import same_definition

POINTS = 64
CLOSE = 1e-8  # of the largest value: other machines round functions such as sin otherwise
DECLARED = ("axes", "fields", "scales", "edges", "odd")  # what a solution's values depend on


@dataclass(frozen=True)
class Fingerprint:
    """Fingerprint of a problem's equation.

    Attributes:
        source: hash of the files that define its class and those it extends; "" without any.
        declared: hash of what it declares.
        values: of the equation, the start and conditions at `POINTS` random points, see `probe`.
    """

    source: str
    declared: str
    values: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, problem: Problem) -> "Fingerprint":
        """Taken once a problem: its class stays as it is when its file changes."""
        try:
            return _of(problem)
        except TypeError:  # a field that cannot be hashed
            return _of.__wrapped__(problem)

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> "Fingerprint":
        values = tuple(tuple(map(float, row)) for row in about["values"])
        return cls(str(about["source"]), str(about["declared"]), values)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def short(self) -> str:
        """A hash of source and declarations, for a record."""
        return short_hash(f"{self.source} {self.declared}".encode())

    def difference(self, other: "Fingerprint") -> str | None:
        """A phrase on how another equation differs from this one; None if it does not."""
        if self.declared != other.declared:
            return f"what it declares ({', '.join(DECLARED)}) is not the same"
        if len(self.values) != len(other.values) or not all(
            map(same_values, self.values, other.values)
        ):
            return "its rhs or initial gives other values"
        return None


@lru_cache(maxsize=10_000)
def _of(problem: Problem) -> Fingerprint:
    declared = {
        name: problem.boundary.described(problem.fields)
        if name == "edges"
        else _described(getattr(problem, name))
        for name in DECLARED
    }
    values = (tuple(float(f"{number:.12g}") for number in row) for row in probe(problem))
    source = source_hash(family_classes(type(problem)))
    return Fingerprint(source, short_hash(repr(declared).encode()), tuple(values))


def probe(problem: Problem) -> list[np.ndarray]:
    """Values of a problem's functions at random points and for random derivatives.

    They are those of the equation, of the start, and of conditions that are functions.
    """
    rng = np.random.default_rng(0)
    domain = problem.domain
    points = domain.random(POINTS, rng).T
    channels = {
        name: list(rng.standard_normal((len(problem.fields), POINTS))) for name in problem.channels
    }
    coordinates = dict(zip(domain.names, points, strict=True))
    return [
        *equation_at(problem, channels, coordinates).values(),
        *start_at(problem, coordinates).values(),
        *(
            np.broadcast_to(np.asarray(edge.value_at(coordinates), float), POINTS)
            for edge in problem.boundary.edges
            if edge.constant is None
        ),
    ]


def family_classes(family: type[Problem]) -> list[type]:
    """The class of a family and the classes that it extends, without pacpde's base classes."""
    bases = "pacpde.physics."
    return [
        cls
        for cls in family.__mro__
        if issubclass(cls, Problem) and not cls.__module__.startswith(bases)
    ]


def foreign_classes(cls: type) -> list[type]:
    """A class and what it extends, as far as it is a user's own."""
    ours = ("pacpde", "builtins", "abc", "typing", "torch")
    return [kind for kind in cls.__mro__ if kind.__module__.partition(".")[0] not in ours]


def source_files(classes: Iterable[type]) -> list[Path]:
    """The files that define classes; a class that was typed in has none."""
    files: dict[Path, None] = {}
    for cls in classes:
        try:
            file = inspect.getsourcefile(cls)
        except (OSError, TypeError):
            file = None
        if file is not None and Path(file).is_file():
            files[Path(file)] = None
    return list(files)


def source_hash(classes: Iterable[type]) -> str:
    """Hash of the content of all files that define classes; "" if there are none."""
    contents = sorted(short_hash(file.read_bytes()) for file in source_files(classes))
    return short_hash(" ".join(contents).encode()) if contents else ""


def family_difference(one: Problem, other: Problem) -> str | None:
    """A phrase on how the families of two problems differ; None if they do not.

    A cell of a notebook that is run again, and a plugin that is read again, make another class of
    the same equation: rates and starts are compared for the coefficients of both problems.
    """
    if type(one) is type(other):
        return None
    if one.name != other.name:
        return f"one is {one.name!r}, the other {other.name!r}"
    if list(one.declared()) != list(other.declared()):
        return "its coefficients have other names"
    for problem in (one, other):
        try:
            ours, theirs = (
                type(each).from_coefficients(problem.coefficients, problem.until)
                for each in (one, other)
            )
        except InvalidValueError:
            return "its coefficients have other bounds"
        change = Fingerprint.of(ours).difference(Fingerprint.of(theirs))
        if change is not None:
            return change
    return None


def same_problem(one: Problem, other: Problem) -> bool:
    """Whether two problems have the same definition, coefficients and time span."""
    return one == other or (
        one.coefficients == other.coefficients
        and one.domain == other.domain
        and family_difference(one, other) is None
    )


def check_registered(problem: Problem) -> None:
    """Refuse to store a problem that its family's name does not lead back to."""
    cls = type(problem)
    known = families.get(cls.name) if cls.name in families.names() else cls
    if not same_definition(known, cls):
        raise InvalidValueError(
            f"the family {cls.__name__} has no name of its own and would be stored as "
            f"{cls.name!r}, which is {known.__name__}: write one in its class, as in "
            'name = "mine".'
        )


def check_unchanged(problem: Problem, stored: Mapping[str, Any], what: str) -> None:
    """Refuse what was stored of a family whose equation is no longer the same.

    Args:
        stored: its fingerprint then, as JSON.
        what: was stored.
    """
    before, now = Fingerprint.from_json(stored), Fingerprint.of(problem)
    change = before.difference(now)
    if change is not None:
        raise DataFileError(
            f"the family {problem.name!r} was changed after {what} was written: {change}. Restore "
            f"its file, or make {what} anew."
        )
    if before.source != now.source and foreign_classes(type(problem)):
        warnings.warn(
            f"the file of the family {problem.name!r} was changed after {what} was written; its "
            "rhs and initial give the same values at random points.",
            ChangedFamilyWarning,
            stacklevel=3,
        )


def same_values(ours: Iterable[float], theirs: Iterable[float]) -> bool:
    """Whether two sets of values are the same function's on two machines."""
    one, other = np.array(list(ours)), np.array(list(theirs))
    if one.shape != other.shape:
        return False
    finite = one[np.isfinite(one)]
    size = np.abs(finite).max() if finite.size else 0.0
    return bool(np.allclose(one, other, rtol=0, atol=CLOSE * size, equal_nan=True))


def _described(value: Any) -> Any:
    """A value as text that does not change from process to process."""
    if isinstance(value, Mapping):
        return {str(key): _described(part) for key, part in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_described(part) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _described(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return type(value).__name__, parts
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    return repr(value)
