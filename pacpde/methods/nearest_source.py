"""The nearest source out of a library of sources."""

from dataclasses import dataclass
from pathlib import Path

from pacpde.errors import InvalidValueError
from pacpde.methods.base import MethodResult, TransferContext
from pacpde.methods.nearest import nearest
from pacpde.methods.warm_start import WarmStart
from pacpde.networks import checkpoint
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics.fingerprint import family_difference
from pacpde.physics.problem import Problem
from pacpde.residuals.task import Task


@dataclass(frozen=True)
class NearestSource(WarmStart):
    """Warm start from that source of a library whose residual on the target is the smallest.

    What a user with many solved problems would do before anything else. The seconds of training
    the library are not among the record's.

    Attributes:
        among: folder of surrogate folders, of which those of the target's family join the given
            source; without it this is a plain warm start.
    """

    name = "nearest_source"
    summary = "warm start from the source of a library with the smallest residual on the target"

    among: str = ""

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        if self.among:
            if source.ansatz.problem_or_none is None:
                raise InvalidValueError("among has no effect on a table: leave it out.")
            library = [found.to(source.runtime) for found in self._library(target.problem)]
            source = nearest([source, *library], target.problem, seed=context.seed)
        return (yield from steps_of(super().run)(source, target, context))

    def _library(self, target: Problem) -> list[Surrogate]:
        """Those of the target's family that are networks."""
        folder = Path(self.among)
        places = sorted(file.parent for file in folder.glob(f"*/{checkpoint.ABOUT}"))
        if not places:
            raise InvalidValueError(
                f"among is {self.among!r}, which holds no surrogate folders: give the folder that "
                "`pacpde train` wrote several into."
            )
        found = [checkpoint.load(place) for place in places]
        return [
            one for one in found
            if family_difference(one.problem, target) is None
            and one.ansatz.uses_network
        ]  # fmt: skip
