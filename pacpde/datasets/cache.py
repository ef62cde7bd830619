"""References computed once: a folder of HDF5 files named by what determines their content."""

import hashlib
import inspect
import json
import os
from pathlib import Path

import numpy as np
import platformdirs
from filelock import FileLock

from pacpde.datasets.generate import write
from pacpde.datasets.load import load
from pacpde.datasets.schema import SCHEMA
from pacpde.errors import DataFileError, OutputError
from pacpde.physics import Problem
from pacpde.physics.derivatives import ChannelDerivative
from pacpde.reference import Reference, default_tolerance, solve
from pacpde.reference.certificate import Progress

SOLVER = 1  # raise it with every change that should make references anew


def cache_folder() -> Path:
    """`PACPDE_CACHE`, or the user's cache folder of the system."""
    return Path(os.environ.get("PACPDE_CACHE") or platformdirs.user_cache_dir("pacpde"))


def reference_for(
    problem: Problem, *, tolerance: float | None = None, progress: Progress | None = None
) -> Reference:
    """`solve`, or what it found last time for the same problem, tolerance and family source.

    A broken cached file is made anew, one at a time among processes; where the cache cannot be
    written the reference is computed without it.
    """
    say = progress or (lambda message: None)
    wanted = default_tolerance(problem) if tolerance is None else tolerance
    key = cache_key(problem, wanted)
    if key is None:
        return solve(problem, tolerance=wanted, progress=progress)
    file = cache_folder() / f"{problem.name}-{key}.h5"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{file}.lock")
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        say(f"no cache at {file.parent} ({error}): the reference is computed anew")
        return solve(problem, tolerance=wanted, progress=progress)
    try:
        return _cached(problem, wanted, file, progress)
    finally:
        lock.release()


def _cached(problem: Problem, tolerance: float, file: Path, progress: Progress | None) -> Reference:
    say = progress or (lambda message: None)
    if file.exists():
        try:
            return load(file, problem).reference
        except DataFileError as error:
            say(f"the cached reference is made anew: {error}")
    reference = solve(problem, tolerance=tolerance, progress=progress)
    try:
        write(reference, file)
    except OutputError as error:
        say(f"the reference is not cached: {error}")
    return reference


def cache_key(problem: Problem, tolerance: float) -> str | None:
    """What determines the reference, hashed; None where the family has no source file.

    The source is that of every file that defines the family's class and the classes it extends,
    so that editing a family makes its references anew; what they import is seen by its effect on
    the physics' values at random points.
    """
    try:
        files = {str(inspect.getsourcefile(cls)) for cls in _family_classes(problem)}
        sources = sorted(hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files)
    except (OSError, TypeError):
        return None
    determining = {
        "family": [problem.name, type(problem).__qualname__],
        "sources": sources,
        "physics": _fingerprint(problem),
        "coefficients": {name: value.hex() for name, value in problem.coefficients.items()},
        "until": problem.until,
        "tolerance": tolerance,
        "schema": SCHEMA,
        "solver": SOLVER,
    }
    return hashlib.sha256(json.dumps(determining, sort_keys=True).encode()).hexdigest()[:32]


def _family_classes(problem: Problem) -> list[type]:
    return [cls for cls in type(problem).__mro__ if issubclass(cls, Problem) and cls is not Problem]


def _fingerprint(problem: Problem) -> str:
    """Hash of `initial` on a grid and of `rhs` at random points and derivatives."""
    rng = np.random.default_rng(0)
    domain, count = problem.domain, 64
    points = domain.from_unit(rng.random((count, len(domain.axes)))).T
    channels = {
        name: list(rng.standard_normal((len(problem.fields), count))) for name in problem.channels
    }
    d = ChannelDerivative(channels, domain.names, dict(zip(domain.names, points, strict=True)))
    with np.errstate(all="ignore"):
        values = [*problem.rates(d.fields, d), *problem.start(*points[1:])]
    digest = hashlib.sha256()
    for value in values:
        digest.update(np.asarray(value, float).tobytes())
    return digest.hexdigest()
