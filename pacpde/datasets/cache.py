"""References computed once: a folder of HDF5 files named by what determines their content."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from pacpde.datasets.generate import write
from pacpde.datasets.load import load
from pacpde.datasets.schema import SCHEMA
from pacpde.errors import DataFileError, OutputError, SolverError
from pacpde.files import atomic_write, collect_leftovers
from pacpde.physics import Problem
from pacpde.physics.fingerprint import family_classes, probe, source_files, source_hash
from pacpde.reading import TEXT, parse_json, read_bytes
from pacpde.reference import Reference
from pacpde.reference.certificate import Progress, not_certified, tolerances
from pacpde.reference.solvers import solve_or_exact

SOLVER = 3  # raise it with every change that should make references anew


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
    progress = progress or (lambda message: None)
    target, accepted = tolerances(problem, tolerance, loosest)
    reference = _best(problem, target, progress)
    if reference.certified_error > accepted:
        why = reference.tolerances.get("limit", "no finer solution was tried")
        raise SolverError(not_certified(problem, target, reference.certified_error, why))
    return reference


def _best(problem: Problem, target: float, progress: Progress) -> Reference:
    """The best certificate that a search for `target` ends with, up to the loosest there is."""
    key = cache_key(problem, target)
    folder = cache_folder()
    if key is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            progress(f"no cache at {folder} ({error}): the reference is computed anew")
            key = None
    if key is None:
        return solve_or_exact(problem, target, progress)
    # the second is for where another user's file can be neither read nor replaced
    user = os.getuid() if hasattr(os, "getuid") else "own"
    places = [folder / f"{problem.name}-{key}{own}" for own in ("", f".{user}")]
    reference = _stored(places, problem)
    if reference is not None:
        return reference
    with _one_process(places[0], progress):
        reference = _stored(places, problem, progress)
        return reference or _solve_and_store(places, problem, target, progress)


def _stored(
    places: list[Path], problem: Problem, progress: Progress | None = None
) -> Reference | None:
    """What the cache has; a SolverError if it has that there is nothing."""
    for place in places:
        file = _with_ending(place, ".h5")
        if file.exists():
            try:
                return load(file, problem).reference
            except DataFileError as error:
                if progress is not None:
                    progress(f"the cached reference is made anew: {error}")
        try:
            raise SolverError(parse_json(read_bytes(_with_ending(place, ".json"), TEXT))["failed"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _solve_and_store(
    places: list[Path], problem: Problem, target: float, progress: Progress
) -> Reference:
    """Solve, and keep what comes of it at the first place that takes it."""
    collect_leftovers(places[0].parent)
    try:
        reference = solve_or_exact(problem, target, progress)
    except SolverError as error:
        content = json.dumps({"failed": str(error)})
        _store(places, ".json", lambda file: _write_text(content, file), progress)
        raise
    _store(places, ".h5", lambda file: write(reference, file), progress)
    return reference


def _store(
    places: list[Path], ending: str, writer: Callable[[Path], None], progress: Progress
) -> None:
    refused = ""
    for place in places:
        try:
            return writer(_with_ending(place, ending))
        except OutputError as error:
            refused = refused or str(error)
    progress(f"the reference is not cached: {refused}")


def _write_text(content: str, file: Path) -> None:
    with atomic_write(file) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _with_ending(place: Path, ending: str) -> Path:
    return place.with_name(place.name + ending)


@contextmanager
def _one_process(place: Path, progress: Progress) -> Iterator[None]:
    """Lock `place` for this process; without a lock where the file system has none.

    Files are replaced whole, so that two processes without a lock cost time and nothing else.
    """
    lock = FileLock(_with_ending(place, ".lock"))
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            progress("another process computes this reference: waiting for it")
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        progress(f"no lock at {place.parent} ({error}): another process may compute the same")
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()


def cache_key(problem: Problem, tolerance: float) -> str | None:
    """Hash of all that determines the reference; None where the family has no source file.

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
