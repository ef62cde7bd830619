"""A head on the frozen hidden neurons of a library."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pacpde.errors import InvalidValueError
from pacpde.methods.base import MethodResult, TransferContext
from pacpde.methods.library import Library
from pacpde.methods.library.storage import FOLDER
from pacpde.methods.unfitted import UnfittedMethod, timed, told_once
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.task import Task


@dataclass(frozen=True)
class LibraryHead(UnfittedMethod):
    """min over a head c of ‖r_T‖², on the frozen hidden neurons of a library's sources.

    Measurements have no effect on it. The seconds of building the library, and of loading it, are
    not among the record's.

    Attributes:
        library: folder of `pacpde library build`; without it the source alone is the library.
    """

    name = "library_head"
    summary = "a head on the frozen neurons of a library's sources, found in milliseconds"
    partial = True
    unused_because = "a head is solved for, not fitted"

    library: str = ""

    def solve(self, source: Surrogate, target: Task, context: TransferContext) -> MethodResult:
        library = library_of(self.library, source, target.problem)
        solver = head_of(library, target.problem, context)
        heads = library.backbone.functions * len(target.problem.fields)
        return self.result_of(solver, heads, trained=source)


def library_of(folder: str, source: Surrogate, target: Problem) -> Library:
    """The library in a folder, ready to solve; without one, that of a source alone."""
    if folder:
        return _loaded(folder, FOLDER.state(Path(folder)))
    ranges = {}
    for name in source.problem.declared():
        ends = sorted((getattr(source.problem, name), getattr(target, name)))
        if ends[0] < ends[1]:
            ranges[name] = (ends[0], ends[1])
    if not ranges:
        raise InvalidValueError(
            "source and target are the same problem, and no library is named: name its folder, as "
            'library="runs/library".'
        )
    return Library([source], ranges=ranges)


@lru_cache(maxsize=2)
def _loaded(folder: str, state: tuple[tuple[int, int, int], ...]) -> Library:
    """The library in a folder, kept for further targets as long as its files stay the same."""
    library = Library.load(folder)
    library.solve(library.sources[0].problem)  # computes what all targets share
    return library


def head_of(library: Library, target: Problem, context: TransferContext) -> Surrogate:
    """A library's solution, of which callbacks know."""
    return told_once(timed(lambda: library.solve(target)), "head", context)
