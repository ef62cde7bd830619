"""References computed once: a folder of HDF5 files named by what determines their content."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock

from pacpde.datasets.generate import write
from pacpde.datasets.load import load
from pacpde.datasets.schema import SCHEMA
from pacpde.errors import DataFileError, OutputError, SolverError
from pacpde.files import atomic_write, collect_leftovers
from pacpde.physics import Problem
from pacpde.physics.fingerprint import family_classes, probe, source_files, source_hash
from pacpde.reading import TEXT, parse_json, read_bytes
from pacpde.reference import Reference, default_tolerance, solve
from pacpde.reference.certificate import LOOSEST, Progress, check_tolerance, not_certified

SOLVER = 2  # raise it with every change that should make references anew


def cache_folder() -> Path:
    """`PACPDE_CACHE`, or the user's cache folder of the system."""
    return Path(os.environ.get("PACPDE_CACHE") or platformdirs.user_cache_dir("pacpde"))


def reference_for(
    problem: Problem,
    *,
    tolerance: float | None = None,
    loosest: float | None = None,
    progress: Progress | None = None,
) -> Reference:
    """`solve`, or what it found last time for the same problem, tolerance and family source.

    That there is no certificate is remembered too. A broken cached file is made anew, one at a
    time among processes; where the cache cannot be written the reference is computed without it.
    """
    say = progress or (lambda message: None)
    wanted = check_tolerance(default_tolerance(problem) if tolerance is None else tolerance)
    accepted = wanted if loosest is None else max(wanted, check_tolerance(loosest, "loosest"))
    found = _best(problem, wanted, say)
    if found.certified_error > accepted:
        why = found.tolerances.get("limit", "no finer solution was tried")
        raise SolverError(not_certified(problem, wanted, found.certified_error, why))
    return found


def _best(problem: Problem, wanted: float, say: Progress) -> Reference:
    """The best certificate that a search for `wanted` ends with, up to the loosest there is."""
    key = cache_key(problem, wanted)
    folder = cache_folder()
    if key is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            say(f"no cache at {folder} ({error}): the reference is computed anew")
            key = None
    if key is None:
        return solve(problem, tolerance=wanted, loosest=LOOSEST, progress=say)
    # the second is for where another user's file can be neither read nor replaced
    places = [folder / f"{problem.name}-{key}{own}" for own in ("", f".{_user()}")]
    found = _cached(places, problem)
    if found is not None:
        return found
    with _alone(places[0], say):
        found = _cached(places, problem, say)
        return _solved(places, problem, wanted, say) if found is None else found


def _cached(places: list[Path], problem: Problem, say: Progress | None = None) -> Reference | None:
    """What the cache has; a SolverError if it has that there is nothing."""
    for place in places:
        file = _named(place, ".h5")
        if file.exists():
            try:
                return load(file, problem).reference
            except DataFileError as error:
                if say is not None:
                    say(f"the cached reference is made anew: {error}")
        try:
            raise SolverError(parse_json(read_bytes(_named(place, ".json"), TEXT))["failed"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _solved(places: list[Path], problem: Problem, wanted: float, say: Progress) -> Reference:
    """Solve, and keep what comes of it at the first place that takes it."""
    collect_leftovers(places[0].parent)
    try:
        reference = solve(problem, tolerance=wanted, loosest=LOOSEST, progress=say)
    except SolverError as error:
        sentence = str(error)
        _keep(places, ".json", lambda file: _write_failure(sentence, file), say)
        raise
    _keep(places, ".h5", lambda file: write(reference, file), say)
    return reference


def _keep(places: list[Path], ending: str, writer: Callable[[Path], None], say: Progress) -> None:
    refused = ""
    for place in places:
        try:
            return writer(_named(place, ending))
        except OutputError as error:
            refused = refused or str(error)
    say(f"the reference is not cached: {refused}")


def _write_failure(sentence: str, file: Path) -> None:
    with atomic_write(file) as temporary:
        Path(temporary).write_text(json.dumps({"failed": sentence}), encoding="utf-8")


def _named(place: Path, ending: str) -> Path:
    return place.with_name(place.name + ending)


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "own"


@contextmanager
def _alone(place: Path, say: Progress) -> Iterator[None]:
    """One process at a time; where the file system refuses locks, as it is.

    Files are replaced whole, so that two processes without a lock cost time and nothing else.
    """
    lock = FileLock(_named(place, ".lock"))
    try:
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        say(f"no lock at {place.parent} ({error}): another process may compute the same")
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()


def cache_key(problem: Problem, tolerance: float) -> str | None:
    """What determines the reference, hashed; None where the family has no source file.

    The source is that of every file that defines the family's class and the classes it extends,
    so that editing a family makes its references anew; what they import is seen by its effect on
    the physics' values at random points.
    """
    classes = family_classes(type(problem))
    if not all(source_files([cls]) for cls in classes):
        return None
    physics = b"".join(values.tobytes() for values in probe(problem))
    determining = {
        "family": [problem.name, type(problem).__qualname__],
        "sources": source_hash(classes),
        "physics": hashlib.sha256(physics).hexdigest(),
        "coefficients": {name: value.hex() for name, value in problem.coefficients.items()},
        "until": problem.until,
        "tolerance": tolerance,
        "schema": SCHEMA,
        "solver": SOLVER,
    }
    return hashlib.sha256(json.dumps(determining, sort_keys=True).encode()).hexdigest()[:32]
