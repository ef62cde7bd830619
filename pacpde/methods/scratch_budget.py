"""From random weights with the steps that training the source took besides."""

from dataclasses import dataclass

from pacpde.errors import InvalidValueError
from pacpde.methods.scratch import Scratch
from pacpde.networks.surrogate import Surrogate


@dataclass(frozen=True)
class ScratchBudget(Scratch):
    """Scratch, its last phase longer by all the steps that the source's fits took.

    What a user has who never trains a source: it answers whether transfer pays once the source is
    counted. The last phase takes every step of this budget; neither a small residual nor patience
    ends it before.
    """

    name = "scratch_budget"
    summary = "scratch with the source's steps on top of its own: transfer with nothing for free"

    def budget(self, source: Surrogate) -> int:
        if not source.steps:
            raise InvalidValueError(
                "the source does not say how many steps its training took, as one that was trained "
                "elsewhere: scratch_budget has no budget; take scratch, with --steps for more."
            )
        return source.steps
